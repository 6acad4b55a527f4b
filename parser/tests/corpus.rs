//! The corpus of whole Dockerfiles: all are read without an error, and as another parser reads them.

use std::path::{Path, PathBuf};

use strake_parser::{Dockerfile, Escape, Instruction, ParseOptions, Parsed, parse};

fn testdata(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(folder)
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(testdata("dockerfiles"))
        .expect("the test data is well-formed")
        .map(|entry| entry.expect("the test data is well-formed"))
        .map(|entry| {
            (
                entry.file_name().into_string().expect("the test data is well-formed"),
                std::fs::read(entry.path()).expect("the test data is well-formed"),
            )
        })
        .collect();
    files.sort();
    assert!(files.len() >= 25);
    files
}

/// The Dockerfiles of the conformance cases, those that must fail, too.
fn cases() -> Vec<(String, Vec<u8>)> {
    let folders = std::fs::read_dir(testdata("conformance")).expect("the test data is well-formed");
    let paths = folders.map(|entry| entry.expect("the test data is well-formed").path().join("Dockerfile"));
    let mut files: Vec<_> =
        paths.filter_map(|path| Some((path.display().to_string(), std::fs::read(path).ok()?))).collect();
    files.sort();
    files
}

fn read(bytes: &[u8]) -> Parsed {
    parse(bytes, &ParseOptions::default())
}

fn keywords(dockerfile: &Dockerfile) -> Vec<String> {
    let upper = |instruction: &Instruction| instruction.keyword.value.to_uppercase();
    let mut words: Vec<_> = dockerfile.global_args.iter().map(upper).collect();
    for stage in &dockerfile.stages {
        words.push(stage.keyword.value.to_uppercase());
        words.extend(stage.instructions.iter().map(upper));
    }
    words
}

#[test]
fn the_corpus_is_read_without_errors() {
    for (name, bytes) in corpus() {
        let parsed = read(&bytes);
        let errors: Vec<_> = parsed.diagnostics.iter().filter(|found| found.is_error()).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        assert!(!parsed.dockerfile.stages.is_empty(), "{name}");
    }
}

/// The text that no token covers is blank, a continuation, or the end of a here-doc.
#[test]
fn instructions_and_comments_cover_the_text() {
    for (name, bytes) in corpus() {
        let Dockerfile { source, comments, global_args, stages, .. } = read(&bytes).dockerfile;
        let mut spans = comments;
        spans.extend(global_args.iter().map(|instruction| instruction.span));
        for stage in &stages {
            spans.push(stage.from_span);
            spans.extend(stage.instructions.iter().map(|instruction| instruction.span));
        }
        spans.sort_unstable();
        let mut at = 0;
        for span in spans {
            if span.start() > at {
                let between = &source.text()[at..span.start()];
                assert!(between.trim().is_empty(), "{name}: {between:?}");
            }
            at = at.max(span.end());
        }
        assert!(source.text()[at..].trim().is_empty(), "{name}");
    }
}

#[test]
fn the_source_is_kept_byte_by_byte() {
    for (name, bytes) in corpus() {
        let source = read(&bytes).dockerfile.source;
        let kept = source.bytes(strake_parser::Span::new(0, source.text().len()));
        let bom = if source.has_bom() { b"\xef\xbb\xbf".as_slice() } else { b"" };
        assert_eq!([bom, &kept].concat(), bytes, "{name}");
    }
}

#[test]
fn another_parser_finds_the_same_instructions() {
    use dockerfile_parser::Instruction as Other;

    let mut accepted = 0;
    for (name, bytes) in corpus().into_iter().chain(cases()) {
        let Ok(text) = String::from_utf8(bytes.clone()) else { continue };
        // Here-docs and the backtick escape are beyond it; it takes their lines for instructions.
        if text.contains("<<") || read(&bytes).dockerfile.directives.escape() == Escape::Backtick {
            continue;
        }
        let Ok(other) = dockerfile_parser::Dockerfile::parse(&text) else { continue };
        let parsed = read(&bytes);
        if parsed.has_errors() {
            continue;
        }
        accepted += 1;
        let words = other.instructions.iter().map(|instruction| match instruction {
            Other::From(_) => "FROM".to_owned(),
            Other::Arg(_) => "ARG".to_owned(),
            Other::Label(_) => "LABEL".to_owned(),
            Other::Run(_) => "RUN".to_owned(),
            Other::Entrypoint(_) => "ENTRYPOINT".to_owned(),
            Other::Cmd(_) => "CMD".to_owned(),
            Other::Copy(_) => "COPY".to_owned(),
            Other::Env(_) => "ENV".to_owned(),
            Other::Misc(misc) => misc.instruction.content.to_uppercase(),
        });
        assert_eq!(keywords(&parsed.dockerfile), words.collect::<Vec<_>>(), "{name}");
        for (stage, other) in parsed.dockerfile.stages.iter().zip(other.iter_stages()) {
            let Some(Other::From(from)) = other.instructions.first() else { continue };
            assert_eq!(stage.base.raw, from.image.content, "{name}");
            let alias = from.alias.as_ref().map(|alias| alias.content.as_str());
            assert_eq!(stage.name.as_ref().map(|name| name.value.as_str()), alias, "{name}");
            assert_eq!(stage.instructions.len() + 1, other.instructions.len(), "{name}");
        }
    }
    assert!(accepted >= 390, "{accepted} files are read by both");
}

fn render(parsed: &Parsed) -> String {
    let lines = parsed.diagnostics.iter().filter(|found| found.is_error()).map(|found| {
        let line = parsed.dockerfile.lines_of(found.span).first();
        format!("Dockerfile:{line}: {}\n{}\n", found.message, found.help.as_deref().unwrap_or_default())
    });
    lines.collect()
}

/// Of the conformance cases, those that build are read without an error, and those whose message is about text fail here.
#[test]
fn conformance_cases_are_judged_as_recorded() {
    let mut failing = Vec::new();
    for entry in std::fs::read_dir(testdata("conformance")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let (Ok(bytes), Ok(case)) = (std::fs::read(folder.join("Dockerfile")), std::fs::read(folder.join("case.json")))
        else {
            continue;
        };
        let case: serde_json::Value = serde_json::from_slice(&case).unwrap();
        let parsed = read(&bytes);
        if case["expect"] != "fail" {
            assert!(!parsed.has_errors(), "{name}: {:#?}", parsed.diagnostics);
        } else if parsed.has_errors() {
            let shown = render(&parsed).to_lowercase();
            let words = case["message"].as_array().into_iter().flatten().filter_map(|word| word.as_str());
            // This case names the line above the one that is wrong.
            let words = words.filter(|_| name != "lang-comments-and-blank-lines");
            for word in words {
                let found = word.to_lowercase().split('|').any(|word| shown.contains(word));
                assert!(found, "{name} must say {word}:\n{shown}");
            }
            failing.push(name);
        }
    }
    for name in [
        "add-unpack-not-boolean",
        "copy-flag-misspelt",
        "copy-heredoc-as-destination",
        "copy-needs-two-arguments",
        "error-argument-name-blank",
        "error-binary-file",
        "error-check-option-unknown",
        "error-empty-file",
        "error-env-without-value",
        "error-env-word-without-equals",
        "error-flag-bool-with-other-value",
        "error-flag-on-instruction-without-flags",
        "error-flag-twice",
        "error-flag-unknown-on-from",
        "error-flag-unknown-on-healthcheck",
        "error-flag-unknown-on-run",
        "error-flag-without-value",
        "error-from-with-two-arguments",
        "error-healthcheck-duration-without-unit",
        "error-healthcheck-interval-too-short",
        "error-healthcheck-type-unknown",
        "error-healthcheck-without-command",
        "error-instruction-before-from",
        "error-label-without-value",
        "error-no-stage",
        "error-only-comments",
        "error-shell-not-json",
        "error-stage-name-with-digit-first",
        "error-unknown-instruction",
        "error-unknown-instruction-without-a-near-one",
        "error-user-empty",
        "error-volume-empty-string",
        "error-workdir-empty",
        "heredoc-not-terminated",
        "lang-comments-and-blank-lines",
        "lang-escape-bad-token",
        "lang-escape-directive-twice",
        "lang-json-with-numbers-is-refused",
        "onbuild-from-refused",
        "onbuild-in-onbuild-refused",
        "onbuild-without-instruction",
    ] {
        assert!(failing.iter().any(|found| found == name), "{name} must fail");
    }
}
