//! The tables of `testdata/diagnostics`: Dockerfiles that are wrong, and their messages in the snapshots beside this.
//!
//! A table holds cases, each after a line `=== what is wrong`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::planned::planned;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/diagnostics")
}

/// The cases of a table: title and Dockerfile.
fn cases(table: &str) -> Vec<(&str, &str)> {
    let parts = table.split("=== ").skip(1);
    parts.map(|part| part.split_once('\n').unwrap()).collect()
}

/// Shows every case of a table with its message.
fn shown(table: &str) -> String {
    let mut out = String::new();
    for (title, dockerfile) in cases(table) {
        let text = planned(dockerfile.as_bytes()).text;
        let text = if text.is_empty() { "(no message)\n" } else { &text };
        writeln!(out, "=== {title}\n{text}").unwrap();
    }
    out
}

#[test]
fn messages_of_bad_input_are_as_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut names: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in names {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let table = std::fs::read_to_string(&path).unwrap();
        settings.bind(|| insta::assert_snapshot!(name, shown(&table)));
    }
}

#[test]
fn every_instruction_has_a_table() {
    for keyword in [
        "add",
        "arg",
        "cmd",
        "copy",
        "entrypoint",
        "env",
        "expose",
        "from",
        "healthcheck",
        "if",
        "include",
        "label",
        "maintainer",
        "onbuild",
        "run",
        "shell",
        "stopsignal",
        "user",
        "volume",
        "workdir",
    ] {
        let path = folder().join(format!("{keyword}.txt"));
        let table = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for kind in ["arity", "flag", "value", "place"] {
            let has = cases(&table).iter().any(|(title, _)| title.starts_with(&format!("wrong {kind}")));
            assert!(has, "{keyword}.txt has no case \"wrong {kind}…\"");
        }
    }
}
