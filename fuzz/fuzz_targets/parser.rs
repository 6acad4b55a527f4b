//! The parser takes any bytes: no panic, no lost byte, and everything that works on a tree works on this one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strake_parser::{CheckSettings, Escape, Expander, InstructionKind, ParseOptions, Word, lint, parse, parse_onbuild};

fuzz_target!(|data: &[u8]| {
    let parsed = parse(data, &ParseOptions::default());
    let dockerfile = &parsed.dockerfile;
    let source = &dockerfile.source;
    for diagnostic in &parsed.diagnostics {
        let span = diagnostic.span;
        assert!(span.start() <= span.end() && span.end() <= source.text().len(), "{diagnostic:?}");
        assert!(source.text().is_char_boundary(span.start()) && source.text().is_char_boundary(span.end()));
        let lines = dockerfile.lines_of(span);
        assert!(lines.first() <= lines.last(), "{lines:?}");
    }
    if !source.text().is_empty() {
        let mut joined = if source.has_bom() { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
        for piece in dockerfile.pieces() {
            joined.extend_from_slice(&source.bytes(piece.span));
        }
        assert_eq!(joined, data, "a byte is lost");
    }
    let lookup = |name: &str| name.len().is_multiple_of(2).then(|| name.to_owned());
    for instruction in dockerfile.stages.iter().flat_map(|stage| &stage.instructions) {
        let expander = Expander::new(dockerfile.directives.escape(), &lookup);
        if let InstructionKind::Run(run) = &instruction.kind {
            run.heredoc_shape();
            for mount in &run.mounts {
                drop(mount.resolve(&expander));
            }
            for heredoc in &run.heredocs {
                drop(expander.heredoc(&heredoc.content(), heredoc.span));
            }
        }
        drop(expander.word(&Word { raw: instruction.original(&dockerfile.source).into(), span: instruction.span }));
    }
    let settings = CheckSettings::parse("experimental=all").expect("it is well-formed");
    drop(lint::check(dockerfile, &settings, &|_| true));
    if let Ok(text) = std::str::from_utf8(data) {
        drop(parse_onbuild(text, Escape::Backtick));
    }
});
