use super::super::graph::CopyFrom;
use super::{case, copies, env, history, runs, sources};

#[test]
fn triggers_of_an_image_run_first_and_are_gone() {
    let stage = case().stage("FROM onbuild\nRUN own\n");
    let titles: Vec<_> = stage.steps.iter().map(|step| step.title.as_str()).collect();
    assert_eq!(titles, ["ONBUILD COPY . /app/", "ONBUILD RUN echo built > /app/stamp", "RUN own"]);
    assert_eq!(env(runs(&stage)[1]), ["OB=1"]);
    assert!(stage.config.config.on_build.is_empty());
    assert_eq!(stage.steps[0].trigger.as_ref().map(|fired| fired.text.as_str()), Some("COPY . /app/"));
    assert_eq!((stage.steps[0].lines.first(), stage.steps[2].lines.first()), (1, 2));
    insta::assert_snapshot!(history(&stage).join("\n"), @r"
    COPY . /app/ # buildkit
    RUN /bin/sh -c echo built > /app/stamp # buildkit
    - ENV OB=1
    RUN /bin/sh -c own # buildkit
    ");
}

#[test]
fn triggers_of_a_stage_fire_in_its_child_only() {
    let text = "FROM busybox AS base\nENV NAME=base\nONBUILD ARG WHO=nobody\nONBUILD RUN fired $NAME\nONBUILD COPY <<EOF /f\n$WHO $NAME\nEOF\nENV NAME=changed\nFROM base AS child\nRUN child\nFROM child\nRUN grandchild\n";
    let planned = case().arg("WHO", "all").plan(text);
    let [base, child, grandchild] = planned.graph.stages.as_slice() else { panic!("three stages") };
    assert!(base.steps.is_empty());
    assert_eq!(base.config.config.on_build, ["ARG WHO=nobody", "RUN fired $NAME", "COPY <<EOF /f\n$WHO $NAME\nEOF"]);
    assert_eq!(child.steps.len(), 3);
    assert_eq!(sources(copies(child)[0]), ["<<EOF all changed\n"]);
    assert_eq!(grandchild.steps.len(), 1);
    assert!(planned.warnings.is_empty(), "{:?}", planned.warnings);
}

#[test]
fn a_trigger_may_bring_images_and_stages() {
    let config = r#"{"architecture":"amd64","os":"linux","config":{"OnBuild":["COPY --from=tools /a /a","COPY --from=rich /b /b"]}}"#;
    let planned = case().image("bringer", config).plan("FROM scratch AS tools\nFROM scratch AS unused\nFROM bringer\n");
    assert_eq!(planned.graph.stages.len(), 2);
    let stage = &planned.graph.stages[1];
    let from: Vec<_> = copies(stage).iter().map(|copy| copy.from.clone()).collect();
    assert!(matches!(from.as_slice(), [CopyFrom::Stage(_), CopyFrom::Image(_)]), "{from:?}");
    assert_eq!(planned.graph.images.len(), 2);
}

#[test]
fn a_cmd_of_a_trigger_is_the_stages_own() {
    let stage =
        case().stage("FROM scratch AS base\nCMD [\"old\"]\nONBUILD CMD [\"new\"]\nFROM base\nENTRYPOINT [\"/e\"]\n");
    assert_eq!(stage.config.config.cmd, ["new"]);
}

#[test]
fn a_target_with_triggers_keeps_them() {
    let stage = case().target("base").stage("FROM scratch AS base\nONBUILD COPY missing /\nFROM base AS child\n");
    assert_eq!(stage.config.config.on_build, ["COPY missing /"]);
    assert!(stage.steps.is_empty());
}

#[test]
fn bad_triggers_point_at_from() {
    for (trigger, word) in
        [("FROM scratch", "FROM isn't allowed"), ("CPY a b", "CPY"), ("EXPOSE x", "invalid containerPort: x")]
    {
        let config = format!(r#"{{"architecture":"amd64","os":"linux","config":{{"OnBuild":["{trigger}"]}}}}"#);
        let errors = case().image("bad", &config).errors("# c\nFROM bad\nLABEL a=b\n");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with("2: ") && errors[0].contains(word) && errors[0].contains(trigger), "{errors:?}");
    }
}

#[test]
fn a_broken_trigger_of_a_stage_fails_where_it_fires() {
    let text = "FROM scratch AS base\nONBUILD USR app\nFROM scratch\nLABEL a=b\n";
    assert_eq!(case().warnings(text).len(), 1);
    let text = "FROM scratch AS base\nONBUILD USR app\nONBUILD COPY --nope a b\nFROM base\nLABEL a=b\n";
    let mut errors = case().errors(text);
    errors.sort_unstable();
    assert_eq!(errors, ["4: unknown flag: --nope", "4: unknown instruction: USR (did you mean USER?)"]);
}

#[test]
fn triggers_are_checked_where_they_fire() {
    let triggers = "ONBUILD ENV API_KEY=x\nONBUILD CMD a\nONBUILD ENV A b\n";
    let text = format!("FROM scratch AS a\n{triggers}FROM a\nCMD [\"b\"]\n");
    let mut found = case().warnings(&text);
    found.retain(|line| line.contains(": 5:"));
    insta::assert_snapshot!(found.join("\n"), @r#"
    LegacyKeyValueFormat: 5: "ENV key=value" should be used instead of legacy "ENV key value" format
    SecretsUsedInArgOrEnv: 5: Do not use ARG or ENV instructions for sensitive data (ENV "API_KEY")
    JSONArgsRecommended: 5: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
    MultipleInstructionsDisallowed: 5: Multiple CMD instructions should not be used in the same stage because only the last one will be used
    "#);
    let config = r#"{"architecture":"amd64","os":"linux","config":{"OnBuild":["ENV API_KEY=x","CMD a","ENV A b"]}}"#;
    let found = case().image("base", config).warnings("FROM base\nCMD [\"b\"]\n");
    insta::assert_snapshot!(found.join("\n"), @r#"
    LegacyKeyValueFormat: 1: "ENV key=value" should be used instead of legacy "ENV key value" format (in the ONBUILD trigger "ENV A b" of the base)
    SecretsUsedInArgOrEnv: 1: Do not use ARG or ENV instructions for sensitive data (ENV "API_KEY") (in the ONBUILD trigger "ENV API_KEY=x" of the base)
    JSONArgsRecommended: 1: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (in the ONBUILD trigger "CMD a" of the base)
    MultipleInstructionsDisallowed: 1: Multiple CMD instructions should not be used in the same stage because only the last one will be used (in the ONBUILD trigger "CMD a" of the base)
    "#);
}
