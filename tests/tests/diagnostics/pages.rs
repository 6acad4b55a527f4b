//! The pages of `strake explain`: each has an example, and the example gives its code.

use std::fmt::Write as _;
use std::path::Path;

use strake::{Diagnostic, Error, Example, Explanation, Finding, explanations};
use strake_builder::plan::KnownImages;
use strake_cli::render;

use crate::planned::{composed, options, planned};

/// Codes that no text of an example can show, and what does: bytes made here, another message that has
/// theirs in it, or a test of language.rs.
const WITHOUT_EXAMPLE: &[&str] =
    &["E0001", "E0005", "E0006", "E0007", "W0008", "E0209", "E0708", "W0709", "W0710", "E1029", "W1106"];

/// Codes that only execution finds: `tests/tests/explained.rs` builds their examples.
const EXECUTED: &[&str] = &["E1023", "W0603", "W0707", "W0708", "E11", "W11", "E12"];

fn is_executed(code: &str) -> bool {
    EXECUTED.iter().any(|start| code.starts_with(start))
}

fn planned_pages() -> impl Iterator<Item = (Explanation, Example)> {
    let pages = explanations().into_iter().filter(|page| !is_executed(page.code));
    pages.filter_map(|page| Some((page, page.example?)))
}

#[test]
fn every_code_has_an_example() {
    let pages = explanations();
    let missing = pages.iter().filter(|page| page.example.is_none() && !WITHOUT_EXAMPLE.contains(&page.code));
    let missing: Vec<&str> = missing.map(|page| page.code).collect();
    assert!(missing.is_empty(), "add examples to frontends/lib/src/explain/examples.txt: {missing:?}");
    for code in WITHOUT_EXAMPLE {
        assert!(pages.iter().any(|page| page.code == *code && page.example.is_none()), "{code}");
    }
}

#[test]
fn examples_give_their_code_and_mended_ones_do_not() {
    let mut wrong = Vec::new();
    for (page, example) in planned_pages() {
        if !planned(example.wrong.as_bytes()).codes.contains(page.code) {
            wrong.push(format!("{} does not give its code: {}", page.code, planned(example.wrong.as_bytes()).text));
        }
        let right = planned(example.right.as_bytes());
        if right.codes.contains(page.code) || right.codes.iter().any(|code| code.starts_with('E')) {
            wrong.push(format!("{} is not mended: {}", page.code, right.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn messages_of_examples_are_as_reviewed() {
    let mut shown = String::new();
    for (page, example) in planned_pages() {
        writeln!(shown, "=== {}\n{}", page.code, planned(example.wrong.as_bytes()).text).unwrap();
    }
    snapshot("examples", &shown);
}

#[test]
fn messages_about_bytes_are_as_reviewed() {
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain("FROM alpine\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let long_line = format!("FROM alpine\nLABEL a={}\n", "x".repeat(1 << 20));
    let large = "# data\n".repeat((17 << 20) / 7);
    let mut shown = String::new();
    for (code, bytes) in [
        ("E0001", &b""[..]),
        ("E0005", &utf16),
        ("E0006", long_line.as_bytes()),
        ("E0007", large.as_bytes()),
        ("W0008", b"FROM alpine\nLABEL name=\"J\xfcrgen\"\n"),
    ] {
        let found = planned(bytes);
        assert!(found.codes.contains(code), "{code}: {}", found.text);
        assert!(found.text.len() < 20_000, "{code}: {} bytes", found.text.len());
        writeln!(shown, "=== {code}\n{}", found.text).unwrap();
    }
    snapshot("bytes", &shown);
}

#[test]
fn messages_that_no_build_of_an_example_gives_are_as_reviewed() {
    let mut text = String::new();
    let mut show = |title: &str, source: &str, found: &[Diagnostic]| {
        let dockerfile = strake::parse(source.as_bytes(), &strake::ParseOptions::default()).dockerfile;
        let source = std::sync::Arc::new(dockerfile.source.clone());
        let finding = |diagnostic: &Diagnostic| Finding {
            file: "Dockerfile".into(),
            source: source.clone(),
            line: dockerfile.lines_of(diagnostic.span).first(),
            diagnostic: diagnostic.clone(),
            notes: Vec::new(),
        };
        let error = Error::Dockerfile(found.iter().map(finding).collect());
        writeln!(text, "=== {title}\n{}", render::error(&error, false)).unwrap();
    };
    // Of an ONBUILD trigger in the config of a base image; a build puts it into E1018.
    let trigger = "RUN make\nRUN make install";
    show("a trigger", trigger, &strake_parser::parse_onbuild(trigger, strake_parser::Escape::Backslash).diagnostics);
    let additions =
        "# strake: features=reset,run-limits\nFROM alpine\nRUN --timeout=1s make\nFROM --after=0 --reset=env alpine\n";
    let plain = composed(additions.as_bytes(), &strake::ParseOptions::default(), &options());
    show("lower", additions, &strake_parser::lower(&plain).diagnostics);
    let condition = "# strake: features=if\nFROM scratch\nIF $A\nENDIF\n";
    let parsed = strake::parse(condition.as_bytes(), &strake::ParseOptions::default());
    let found = strake_builder::plan::plan(&parsed, &options(), &KnownImages::new());
    show("a tree that was not composed", condition, &found.expect_err("it cannot be planned"));
    snapshot("beside_builds", &text);
}

/// Somebody has read every message as it is shown: each code stands in a snapshot here or of another test.
#[test]
fn every_code_is_in_a_snapshot() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    let mut shown = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "snap") {
                shown.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    // A code stands in brackets, those of checks before a name.
    let is_shown = |code: &str| shown.contains(&format!("[{code}]")) || shown.contains(&format!("[{code} "));
    let missing: Vec<&str> = explanations().iter().map(|page| page.code).filter(|code| !is_shown(code)).collect();
    assert!(missing.is_empty(), "give each a case in testdata/diagnostics or an example: {missing:?}");
}

#[test]
fn page_shows_its_example() {
    snapshot("page", &render::page(&strake::explain("e0102").unwrap()));
    assert!(strake::explain("stagenamecasing").is_some_and(|page| page.example.is_some()));
}

#[test]
fn reference_of_errors_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/errors.md");
    let wanted = reference();
    if std::env::var_os("STRAKE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let have = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(have == wanted, "docs/reference/errors.md is not what the tables say: run `cargo xtask docs`");
}

/// The text of `docs/reference/errors.md`.
fn reference() -> String {
    let mut out = String::from(
        "# Errors and warnings\n\n\
         <!-- Written by `cargo xtask docs` from the tables of codes; a test checks that it is current. -->\n\n\
         `E…` are errors, `W…` warnings. `strake explain CODE` prints the same page. A warning with a name is a build\n\
         check: `# check=skip=NAME` leaves it out, `# check=error=true` makes all of them errors.\n\n\
         The examples say in a comment how they are built (`# strake build …`, `# strake check`), what the context holds (`# context: …`)\n\
         and what the ignore file says (`# .dockerignore: …`), where that matters.\n",
    );
    for page in explanations() {
        write!(out, "\n## {}: {}\n\n{}\n", page.code, page.title, sentence(page.text)).unwrap();
        if let Some(example) = page.example {
            write!(out, "\n```dockerfile\n{}```\n\nRight:\n\n```dockerfile\n{}```\n", example.wrong, example.right)
                .unwrap();
        }
    }
    out
}

/// A text that begins in upper case and ends in a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
