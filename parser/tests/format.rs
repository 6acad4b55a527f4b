//! The formatter and the pieces of a file, over the corpus, the conformance cases and made-up files.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use strake_parser::{Dockerfile, Form, Healthcheck, InstructionKind, ParseOptions, PieceKind, format, parse};

/// Every Dockerfile of the test data.
fn files() -> Vec<(String, Vec<u8>)> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let mut paths = Vec::new();
    for folder in [testdata.join("dockerfiles"), testdata.join("conformance")] {
        for entry in std::fs::read_dir(folder).expect("the test data is there") {
            let path = entry.expect("the test data is there").path();
            paths.push(if path.is_dir() { path.join("Dockerfile") } else { path });
        }
    }
    let read = paths.into_iter().filter_map(|path| Some((path.display().to_string(), std::fs::read(path).ok()?)));
    let files: Vec<_> = read.collect();
    assert!(files.len() > 300, "{} files", files.len());
    files
}

fn tree(bytes: &[u8]) -> Dockerfile {
    parse(bytes, &ParseOptions::default()).dockerfile
}

fn check_pieces(name: &str, bytes: &[u8]) {
    let dockerfile = tree(bytes);
    let source = &dockerfile.source;
    if source.text().is_empty() {
        return;
    }
    let mut joined = if source.has_bom() { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    let mut statements = 0;
    let mut next = 1;
    for piece in dockerfile.pieces() {
        assert_eq!(piece.lines.first(), next, "{name}");
        next = piece.lines.last() + 1;
        joined.extend_from_slice(&source.bytes(piece.span));
        let inner = match piece.kind {
            PieceKind::From(stage) => stage.from_span,
            PieceKind::Instruction(instruction) => instruction.span,
            PieceKind::Directive | PieceKind::Comment | PieceKind::Blank => continue,
        };
        statements += 1;
        assert!(piece.span.start() <= inner.start() && inner.end() <= piece.span.end(), "{name}: {piece:?}");
    }
    assert_eq!(joined, bytes, "{name}");
    let inside: usize = dockerfile.stages.iter().map(|stage| stage.instructions.len() + 1).sum();
    assert_eq!(statements, inside + dockerfile.global_args.len() + dockerfile.orphans.len(), "{name}");
}

/// Replaces runs of blanks outside of quotes by one.
fn squeezed(text: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (' ' | '\t', None) => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

/// What a file says, places and the blanks between the words of commands left out.
fn meaning(bytes: &[u8]) -> Vec<String> {
    let dockerfile = tree(bytes);
    static PLACES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(Span|LineRange) \{ \w+: \d+, \w+: \d+ \}").expect("it is well-formed"));
    let bare = |text: String| PLACES.replace_all(&text, "").into_owned();
    let mut said = vec![bare(format!("{:?}", dockerfile.directives))];
    for piece in dockerfile.pieces() {
        match piece.kind {
            PieceKind::Blank => {}
            PieceKind::Directive | PieceKind::Comment => {
                said.push(dockerfile.source.slice(piece.span).trim().to_owned());
            }
            PieceKind::From(stage) => {
                let text = format!("{:?} {:?} {:?} {:?}", stage.base, stage.platform, stage.name, stage.docs);
                said.push(bare(format!("{text} {} {:?}", stage.has_empty_continuation, stage.check_overrides)));
            }
            PieceKind::Instruction(instruction) => {
                let mut kind = instruction.kind.clone();
                match &mut kind {
                    InstructionKind::Run(run) => squeeze(&mut run.command),
                    InstructionKind::Cmd(form) | InstructionKind::Entrypoint(form) => squeeze(form),
                    InstructionKind::Healthcheck(Healthcheck::Command(check)) => squeeze(&mut check.command),
                    _ => {}
                }
                let rest = (&instruction.docs, instruction.has_empty_continuation, &instruction.check_overrides);
                said.push(bare(format!("{} {kind:?} {rest:?}", instruction.keyword.value.to_uppercase())));
            }
        }
    }
    let comments = dockerfile.comments.iter().map(|comment| dockerfile.source.slice(*comment).trim().to_owned());
    said.extend(comments);
    said
}

fn squeeze(form: &mut Form) {
    if let Form::Shell(text) = form {
        text.value = squeezed(&text.value);
    }
}

fn check_format(name: &str, bytes: &[u8]) {
    let Ok(once) = format(bytes) else { return };
    let shown = || format!("{name}\n{}\n---\n{}", String::from_utf8_lossy(bytes), String::from_utf8_lossy(&once));
    let twice = format(&once).unwrap_or_else(|problems| panic!("{}: {problems:#?}", shown()));
    assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&once), "{}", shown());
    assert_eq!(meaning(&once), meaning(bytes), "{}", shown());
    assert!(once.ends_with(b"\n"), "{}", shown());
}

#[test]
fn pieces_joined_are_the_file() {
    for (name, bytes) in files() {
        check_pieces(&name, &bytes);
    }
}

#[test]
fn formatting_changes_no_meaning_and_only_once() {
    for (name, bytes) in files() {
        check_format(&name, &bytes);
    }
}

/// Files most of which have no error, with lines broken anywhere.
fn likely_file() -> impl Strategy<Value = String> {
    let keyword = prop::sample::select(vec![
        "run",
        "RUN",
        "ENV A=1",
        "env a b",
        "copy a",
        "Label x=y",
        "cmd",
        "WORKDIR",
        "onbuild run",
        "arg x",
        "expose 1",
        "healthcheck CMD",
        "FROM a as",
        "volume",
        "entrypoint [",
        "shell [\"cmd\"]",
        "maintainer",
        "# note",
        "#",
        "",
        "RUN --mount=type=tmpfs,target=/x",
    ]);
    let word = prop::sample::select(vec![
        "x", "y=z", "/p", "\"a b\"", "\"a", "b\"", "'c", "d'", "&&", "\"$(x", ")\"", "`y`", "${Z:-", "}", "\\ ",
        "\\\"", "<<E", "# n", "é", "[\"a\",", "\"b\"]", "|", "\\\\",
    ]);
    let gap = prop::sample::select(vec![
        "",
        " ",
        " ",
        " ",
        "  ",
        "\t",
        " \\\n",
        "\\\n  ",
        " \\\n\t",
        " \\ \n# c\n   ",
        "\\\n",
        " \\\n\n  \\\n",
        "\\\r\n ",
    ]);
    let end = prop::sample::select(vec!["\n", "\n", "\n", " \n", "\n\n", "\n\n\n  \n", "\r\n", "\nE\n", "\\\n", "\t"]);
    let words = prop::collection::vec((gap, word), 0..6)
        .prop_map(|words| words.into_iter().map(|(gap, word)| format!("{gap}{word}")).collect::<String>());
    let statement = (keyword, words, end).prop_map(|(keyword, words, end)| format!("{keyword} {words}{end}"));
    let top = prop::sample::select(vec![
        "",
        "",
        "",
        "\n",
        "# escape=`\n",
        "# syntax=docker/dockerfile:1\n",
        "\n# escape=`\n",
        "#!/x\n",
        " #!/x\n",
        "ARG V=1\n",
    ]);
    let from = prop::sample::select(vec!["FROM a\n", "from a\r\n", "FROM a AS b\n", "  from  a\n"]);
    (top, from, prop::collection::vec(statement, 0..5))
        .prop_map(|(top, from, statements)| format!("{top}{from}{}", statements.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn pieces_of_any_file_are_the_file(text in likely_file(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        check_pieces("likely", text.as_bytes());
        check_pieces("random", &bytes);
    }

    #[test]
    fn formatting_any_file_changes_no_meaning(text in likely_file()) {
        check_format("likely", text.as_bytes());
    }
}
