//! `RUN --env`: what a plan says of values that it does not know; and `FROM --after`.

use super::super::graph::{OutputId, StageId};
use super::{case, config, history, runs};

fn with(text: &str) -> String {
    format!("# strake: features=env-from,reset\n{text}")
}

#[test]
fn output_is_a_variable_of_later_steps_and_of_the_image() {
    let stage = case().stage(&with("FROM busybox\nENV A=1\nRUN --env=V x\nENV B=2\nRUN echo $V\n"));
    let steps = runs(&stage);
    assert_eq!(steps[0].makes.as_ref().map(|output| (output.name.as_str(), output.id)), Some(("V", OutputId(0))));
    assert!(steps[0].outputs.is_empty() && super::env(steps[0]) == ["A=1"]);
    // Empty in the plan; its place in the order is kept.
    assert_eq!(super::env(steps[1]), ["A=1", "V=", "B=2"]);
    assert_eq!(steps[1].outputs, [("V".to_owned(), OutputId(0))]);
    assert_eq!(stage.outputs, steps[1].outputs);
    assert!(config(&stage).contains(r#""A=1","V=","B=2""#), "{}", config(&stage));
    // What is not known stays as it is written in the progress line, and the flag is not in the history.
    assert_eq!(stage.steps[1].title, "RUN echo $V");
    assert_eq!(history(&stage)[1], "RUN /bin/sh -c x # buildkit");
}

#[test]
fn output_is_inherited_by_stages_and_not_by_copies() {
    let text = "FROM busybox AS a\nRUN --env=V x\nFROM a AS b\nRUN y\n";
    let stage = case().stage(&with(text));
    assert_eq!((stage.outputs.len(), runs(&stage)[0].outputs.len()), (1, 1));
    let stage = case().stage(&with(&format!("{text}FROM busybox\nCOPY --from=b / /\nRUN z\n")));
    assert_eq!((stage.outputs.len(), runs(&stage)[0].outputs.len()), (0, 0));
    for part in ["env", "env=V", "all"] {
        let stage = case().stage(&with(&format!("{text}FROM --reset={part} b\nRUN z\nLABEL v=${{V:-gone}}\n")));
        assert_eq!((stage.outputs.len(), runs(&stage)[0].outputs.len()), (0, 0), "{part}");
        assert_eq!(stage.config.config.labels["v"], "gone");
    }
}

#[test]
fn each_step_with_an_output_has_its_own() {
    let text = "FROM busybox\nRUN --env=V x\nRUN --env=W y\nRUN --env=V z\nRUN end\n";
    let stage = case().stage(&with(text));
    assert_eq!(stage.outputs, [("W".to_owned(), OutputId(1)), ("V".to_owned(), OutputId(2))]);
    assert_eq!(runs(&stage)[2].outputs, [("V".to_owned(), OutputId(0)), ("W".to_owned(), OutputId(1))]);
}

#[test]
fn variable_set_again_by_env_is_known_again() {
    let stage = case().stage(&with("FROM busybox\nRUN --env=V x\nENV V=2\nLABEL v=$V\nRUN y\n"));
    assert_eq!(stage.config.config.labels["v"], "2");
    assert_eq!(super::env(runs(&stage)[1]), ["V=2"]);
    assert!(stage.outputs.is_empty() && runs(&stage)[1].outputs.is_empty());
}

#[test]
fn words_cannot_use_an_output() {
    for line in [
        "COPY $V /x",
        "COPY a /$V/",
        "COPY --chown=$V a /",
        "COPY <<E /x\n$V\nE",
        "ADD ${V} /x",
        "ENV X=${V:-y}",
        "ENV V=$V/bin",
        "LABEL x=$V",
        "ARG X=$V",
        "WORKDIR $V",
        "USER $V",
        "EXPOSE $V",
        "VOLUME $V",
        "STOPSIGNAL $V",
        "RUN --mount=type=cache,target=/c/$V y",
    ] {
        let text = with(&format!("FROM busybox\nRUN --env=V x\n{line}\n"));
        let found = case().errors(&text);
        let keyword = line.split(' ').next().unwrap_or_default();
        let wanted = format!("4: {keyword} cannot use V: its value is known only when the RUN that writes it ends");
        // A here-document is pointed at where it stands.
        assert_eq!(found.len(), 1, "{line}: {found:#?}");
        assert!(found[0].ends_with(&wanted[3..]), "{line}: {found:#?}");
    }
    let problems = case().try_plan(&with("FROM busybox\nRUN --env=V x\nWORKDIR /a/${V}\n")).unwrap_err();
    assert_eq!((problems[0].code, problems[0].labels.len()), ("E1030", 1));
    let text = with("FROM busybox\nRUN --env=V x\nWORKDIR /a/${V}\n");
    assert_eq!(&text[problems[0].span.start()..problems[0].span.end()], "${V}");
    // A name that only begins like it, and what is quoted, are no uses.
    case().plan(&with("FROM busybox\nRUN --env=V x\nENV A='$V' B=\\$V VV=1\nENV C=$VV\nCMD echo $V\n"));
}

#[test]
fn argument_cannot_have_the_name_of_an_output() {
    let wanted = "V cannot be a build argument and the output of a RUN in one stage";
    for lines in ["RUN --env=V x\nARG V", "RUN --env=V x\nARG V=1", "ARG V\nRUN --env=V x"] {
        let found = case().errors(&with(&format!("FROM busybox\n{lines}\n")));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].ends_with(wanted), "{found:#?}");
    }
}

#[test]
fn stage_comes_after_others_and_needs_them() {
    let text = "FROM busybox AS one\nRUN 1\nFROM busybox AS two\nRUN 2\nFROM busybox AS three\nRUN 3\n\
                ARG NEVER\nFROM --after=ONE --after=1 busybox\nRUN end\n";
    let planned = case().plan(text);
    assert_eq!(planned.graph.stages.len(), 3);
    assert_eq!(planned.graph.stages[2].after, [StageId(0), StageId(1)]);
    // The image is the same.
    let plain = case().stage("FROM busybox\nRUN end\n");
    assert_eq!(config(&planned.graph.stages[2]), config(&plain));
    assert_eq!(history(&planned.graph.stages[2]), history(&plain));
    // A variable is one of FROM.
    let planned = case().plan("ARG S=one\nFROM busybox AS one\nFROM --after=$S busybox\n");
    assert_eq!(planned.graph.stages[1].after, [StageId(0)]);
    // A named context in its place is nothing to wait for.
    let planned = case().context("one", "docker-image://rich").plan("FROM busybox AS one\nFROM --after=one busybox\n");
    assert!(planned.graph.stages.iter().all(|stage| stage.after.is_empty()));
}

#[test]
fn stage_comes_after_a_stage_above_only() {
    let errors = |text: &str| case().errors(text);
    assert_eq!(
        errors("FROM busybox AS build\nFROM --after=biuld busybox\n"),
        ["2: there is no stage \"biuld\" to come after (did you mean build?)"]
    );
    assert_eq!(errors("FROM --after=1 busybox\n"), ["1: invalid stage index 1"]);
    assert_eq!(errors("FROM --after=0 busybox\n"), ["1: circular dependency detected on stage: stage-0"]);
    assert_eq!(
        errors("FROM --after=b busybox AS a\nFROM busybox AS b\nFROM a\n"),
        ["1: cannot come after stage \"b\", it needs to be defined before current stage \"a\""]
    );
    assert_eq!(errors("FROM --after=b busybox AS a\nFROM a AS b\n").len(), 1);
    assert_eq!(
        errors("FROM busybox AS a\nFROM --after=$A busybox\n"),
        ["2: variable expansion is not supported for --after with A, which no ARG above the first FROM declares"]
    );
}
