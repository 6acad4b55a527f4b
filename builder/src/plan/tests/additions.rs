//! Additions to the language, as far as they reach the plan.

use std::time::Duration;

use super::{case, config, located, runs};

fn with(features: &str, text: &str) -> String {
    format!("# strake: features={features}\n{text}")
}

#[test]
fn reset_takes_back_what_an_image_sets() {
    let stage = case().stage(&with("reset", "FROM --reset=all rich\n"));
    let path = super::PATH;
    assert_eq!(config(&stage), format!(r#"{{"Env":["{path}"],"WorkingDir":"/"}}"#));
    let stage = case().stage(&with("reset", "FROM --reset=env=A,user,entrypoint,label=x,volume,expose=80 rich\n"));
    let left = config(&stage);
    assert!(left.contains(r#""B=two words""#) && !left.contains(r#""A=1""#), "{left}");
    for gone in ["User", "Entrypoint", "Labels", "Volumes", "ExposedPorts"] {
        assert!(!left.contains(gone), "{gone}: {left}");
    }
    assert!(left.contains(r#""Cmd":["echo hi"]"#) && left.contains("StopSignal"), "{left}");
}

#[test]
fn variable_that_was_taken_back_is_not_seen() {
    let text = with("reset", "FROM --reset=env=A rich\nRUN x\nLABEL a=${A:-gone}\n");
    let stage = case().stage(&text);
    assert_eq!(super::env(runs(&stage)[0]), ["B=two words"]);
    assert_eq!(stage.config.config.labels["a"], "gone");
}

#[test]
fn triggers_that_are_taken_back_do_not_fire() {
    assert_eq!(case().stage("FROM onbuild\n").steps.len(), 2);
    for part in ["onbuild", "all"] {
        let stage = case().stage(&with("reset", &format!("FROM --reset={part} onbuild\n")));
        assert_eq!(stage.steps.len(), 0, "{part}");
    }
}

#[test]
fn reset_of_what_is_not_there_is_a_warning() {
    let text = with("reset", "FROM --reset=env=NONE,volume=/data rich\n");
    let found = case().plan(&text).warnings;
    let shown: Vec<_> = found.iter().map(|one| located(&text, one)).collect();
    assert_eq!(shown, ["2: --reset=env=NONE takes back nothing: the base does not set it"]);
}

#[test]
fn limits_reach_the_step() {
    let stage = case().stage(&with("run-limits", "FROM busybox\nRUN --timeout=2m --retry=3 --memory=1g x\nRUN y\n"));
    let limits: Vec<_> = runs(&stage).iter().map(|run| (run.timeout, run.retry, run.memory)).collect();
    assert_eq!(limits, [(Some(Duration::from_secs(120)), 3, Some(1 << 30)), (None, 0, None)]);
    // Neither the command nor its history tells of them.
    assert_eq!(super::history(&stage)[0], "RUN /bin/sh -c x # buildkit");
}

#[test]
fn conditions_that_were_not_worked_out_are_refused() {
    let text = with("if", "FROM busybox\nIF a == b\nENDIF\n");
    assert_eq!(case().errors(&text).len(), 2);
}
