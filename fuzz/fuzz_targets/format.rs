//! What is formatted says what it said before, and stays as it is when it is formatted again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strake_parser::{Form, Healthcheck, InstructionKind, ParseOptions, PieceKind, format, parse};

fuzz_target!(|data: &[u8]| {
    let Ok(once) = format(data) else { return };
    let twice = format(&once).expect("what was formatted has no error");
    assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&once));
    assert_eq!(meaning(&once), meaning(data));
});

/// What a file says, without places and the blanks of commands.
fn meaning(bytes: &[u8]) -> Vec<String> {
    let dockerfile = parse(bytes, &ParseOptions::default()).dockerfile;
    let mut said = vec![without_places(&format!("{:?}", dockerfile.directives))];
    for piece in dockerfile.pieces() {
        let text = match piece.kind {
            PieceKind::Blank => continue,
            PieceKind::Directive | PieceKind::Comment => dockerfile.source.slice(piece.span).trim().to_owned(),
            PieceKind::From(stage) => {
                format!("{:?} {:?} {:?} {:?}", stage.base, stage.platform, stage.name, stage.docs)
            }
            PieceKind::Instruction(instruction) => {
                let mut kind = instruction.kind.clone();
                match &mut kind {
                    InstructionKind::Run(run) => squeeze(&mut run.command),
                    InstructionKind::Cmd(form) | InstructionKind::Entrypoint(form) => squeeze(form),
                    InstructionKind::Healthcheck(Healthcheck::Command(check)) => squeeze(&mut check.command),
                    _ => {}
                }
                format!("{kind:?} {:?} {}", instruction.docs, instruction.has_empty_continuation)
            }
        };
        said.push(without_places(&text));
    }
    said
}

fn squeeze(form: &mut Form) {
    if let Form::Shell(text) = form {
        let words: Vec<_> = text.value.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        text.value = words.join(" ");
    }
}

/// Takes the numbers out of the spans of a debug form.
fn without_places(text: &str) -> String {
    let mut parts = text.split("Span { start: ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    let mut parts = out.split("LineRange { first: ");
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        bare.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    bare
}
