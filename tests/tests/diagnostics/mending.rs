//! What `check --fix` makes of every Dockerfile of the test data.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use strake::{Diagnostic, ParseOptions, Rule, SourceText};
use strake_builder::plan::{PlanOptions, Planned};

use crate::planned::{composed, options, plan_all};

/// Rules whose edit leaves the graph as it is. The edits of the others change what they say they change: a command, a
/// mode, a label in place of the author.
const SAME: &[Rule] = &[
    Rule::StageNameCasing,
    Rule::FromAsCasing,
    Rule::NoEmptyContinuation,
    Rule::ConsistentInstructionCasing,
    Rule::LegacyKeyValueFormat,
    Rule::RedundantTargetPlatform,
    Rule::ExposeProtoCasing,
    Rule::ExposeInvalidFormat,
];

fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let mut files = Vec::new();
    for folder in ["dockerfiles", "conformance"] {
        for entry in std::fs::read_dir(testdata.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let path = if path.is_dir() { path.join("Dockerfile") } else { path };
            files.extend(std::fs::read(&path).ok().map(|bytes| (path, bytes)));
        }
    }
    for entry in std::fs::read_dir(testdata.join("diagnostics")).unwrap() {
        let path = entry.unwrap().path();
        let table = std::fs::read_to_string(&path).unwrap();
        let cases = table.split("=== ").skip(1).filter_map(|part| part.split_once('\n'));
        files.extend(cases.map(|(title, text)| (path.join(title), text.as_bytes().to_vec())));
    }
    assert!(files.len() > 500, "{} files", files.len());
    let untidy: Vec<_> = files.iter().map(|(path, bytes)| (path.join("untidy"), untidy(bytes))).collect();
    files.extend(untidy);
    files
}

/// Makes a file one that has much to mend.
fn untidy(bytes: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    for (tidy, untidy) in [
        ("\nCOPY ", "\ncopy "),
        ("\nRUN ", "\nRun "),
        (" AS ", " as "),
        (" AS b", " AS B"),
        ("\\\n", "\\\n\n"),
        ("\nEXPOSE 80", "\nEXPOSE 0.0.0.0:81:80/TCP 80"),
        ("\nUSER ", "\nENV UNTIDY a  \"b\\\\\" 'c' #d\nENV untidy $UNTIDY\nUSER "),
        ("\nLABEL ", "\nMAINTAINER  Me <me@example.com>  \nLABEL old text  of a label\nLABEL "),
        ("\nWORKDIR ", "\nARG NEVER\nARG ONE=1 TWO=2\nWORKDIR "),
    ] {
        text = text.replace(tidy, untidy);
    }
    text.into_bytes()
}

fn check(bytes: &[u8]) -> Option<(SourceText, Box<Planned>)> {
    let mut options = PlanOptions { all_stages: true, ..options() };
    options.checks.extras = true;
    let parsed = composed(bytes, &ParseOptions::default(), &options);
    let planned = plan_all(&parsed, &options).ok()?;
    Some((parsed.dockerfile.source, planned))
}

/// The graph without places. The history of EXPOSE has ports in the order of their spelling, which is left out.
fn graph(planned: &Planned) -> String {
    let mut out = String::new();
    for stage in &planned.graph.stages {
        writeln!(out, "{:?} {} {:?}", stage.name, stage.platform, stage.base).unwrap();
        let mut config = stage.config.clone();
        config.history.retain(|entry| !entry.created_by.starts_with("EXPOSE "));
        writeln!(out, "{}", serde_json::to_string(&config).unwrap()).unwrap();
        for step in &stage.steps {
            writeln!(out, "{:?} {} {:?}", step.op, step.history, step.trigger).unwrap();
        }
    }
    let mut parts = out.split("Span { start: ");
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        bare.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    bare
}

fn steps(planned: &Planned) -> Vec<usize> {
    planned.graph.stages.iter().map(|stage| stage.steps.len()).collect()
}

#[test]
fn each_edit_keeps_what_the_file_builds() {
    let mut edits = 0;
    for (path, bytes) in files() {
        let Some((source, before)) = check(&bytes) else { continue };
        for finding in before.warnings.iter().filter(|finding| finding.fix.is_some()) {
            let name = format!("{} {:?}", path.display(), finding.rule);
            let fixed = strake::fix(&source, std::slice::from_ref(finding));
            assert_eq!(fixed.applied, [0], "{name}");
            let (_, after) = check(&fixed.bytes).unwrap_or_else(|| panic!("{name}: it cannot be planned any more"));
            // A path that ended in a backslash took the next instruction in.
            if finding.rule != Some(Rule::WindowsEscape) {
                assert_eq!(steps(&after), steps(&before), "{name}");
            }
            if finding.rule.is_some_and(|rule| SAME.contains(&rule)) {
                assert_eq!(graph(&after), graph(&before), "{name}");
            }
            edits += 1;
        }
    }
    assert!(edits > 1_000, "{edits} edits");
}

#[test]
fn all_edits_together_end_with_nothing_to_edit() {
    for (path, mut bytes) in files() {
        let mut rounds = 0;
        while let Some((source, planned)) = check(&bytes) {
            let found: Vec<Diagnostic> = planned.warnings.clone();
            let fixed = strake::fix(&source, &found);
            if fixed.applied.is_empty() {
                break;
            }
            assert!(check(&fixed.bytes).is_some(), "{} cannot be planned any more", path.display());
            bytes = fixed.bytes;
            rounds += 1;
            assert!(rounds < 20, "{} is edited again and again", path.display());
        }
    }
}
