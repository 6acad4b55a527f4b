use strake_parser::Rule;

use super::super::graph::Base;
use super::super::{Epoch, KnownImages, NamedContext, Plan, plan};
use super::{case, config, history};

#[test]
fn only_what_the_target_needs_is_planned() {
    let text = "FROM busybox AS base\nFROM base AS tests\nRUN t\nFROM base AS tools\nFROM base\nCOPY --from=tools a /\nRUN --mount=from=0,target=/m x\n";
    let planned = case().plan(text);
    let names: Vec<_> = planned.graph.stages.iter().map(|stage| stage.display.as_str()).collect();
    assert_eq!(names, ["base", "tools", "stage-3"]);
    assert_eq!(planned.graph.target.0, 2);
    assert_eq!(case().target("TESTS").plan(text).graph.stages.len(), 2);
    assert_eq!(case().target("1").stage(text).display, "tests");
}

#[test]
fn names_take_the_nearest_above_in_from_and_the_last_in_copy() {
    let text = "FROM busybox AS part\nENV W=first\nFROM part AS user\nFROM busybox AS part\nENV W=second\nFROM PART\nCOPY --from=part /w /w\n";
    let planned = case().plan(text);
    let last = planned.graph.stages.last().expect("stages");
    assert_eq!(last.config.env("W"), Some("second"));
    assert_eq!(case().target("user").stage(text).config.env("W"), Some("first"));
}

#[test]
fn an_argument_chooses_the_base() {
    let text = "ARG KIND=slim\nFROM scratch AS slim\nLABEL kind=slim\nFROM scratch AS full\nLABEL kind=full\nFROM ${KIND}\nLABEL done=1\n";
    let stage = case().arg("KIND", "full").stage(text);
    assert_eq!(stage.config.config.labels["kind"], "full");
    assert_eq!(stage.inherited_history, 1);
    assert_eq!(history(&stage), ["- LABEL done=1"]);
}

#[test]
fn settings_are_those_of_the_last_stage() {
    let stage = case()
        .stage("FROM scratch AS assets\nENV ASSET=1\nUSER 5\nFROM scratch\nLABEL own=1\nCOPY --from=assets /f /f\n");
    insta::assert_snapshot!(config(&stage), @r#"{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/","Labels":{"own":"1"}}"#);
}

#[test]
fn platforms_come_from_the_flag_the_base_or_the_target() {
    let s390x = r#"{"architecture":"s390x","os":"linux"}"#;
    let text = "FROM --platform=linux/s390x big AS a\nFROM --platform=linux/riscv64 a AS b\n\
                FROM --platform=linux/riscv64 scratch\nCOPY --from=b / /\n";
    let planned = case().image("big", s390x).platform("linux/arm64").plan(text);
    let platforms: Vec<_> = planned.graph.stages.iter().map(|stage| stage.platform.to_string()).collect();
    assert_eq!(platforms, ["linux/s390x", "linux/s390x", "linux/arm64"]);
    assert_eq!(planned.graph.stages[2].config.architecture, "arm64");
}

#[test]
fn the_image_is_for_the_platform_asked_for() {
    let amd = r#"{"architecture":"amd64","os":"linux","variant":"v2"}"#;
    let text = "FROM --platform=$BUILDPLATFORM base AS tools\nFROM tools\n";
    let planned = case().image("base", amd).platform("linux/arm64").plan(text);
    let architectures: Vec<_> = planned.graph.stages.iter().map(|stage| stage.config.architecture.as_str()).collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    let last = &planned.graph.stages[1];
    assert_eq!((last.platform.to_string().as_str(), &last.config.variant), ("linux/amd64", &None));
    let text = "FROM --platform=linux/arm64 base\n";
    let unasked = case().image("base", r#"{"architecture":"arm64","os":"linux"}"#).stage(text);
    assert_eq!(unasked.config.architecture, "arm64");
}

#[test]
fn an_image_of_another_platform_is_used_with_a_warning() {
    let arm = r#"{"architecture":"arm64","os":"linux"}"#;
    let warned = "InvalidBaseImagePlatform: 1: Base image arm was pulled with platform \"linux/arm64\", expected \"linux/amd64\" for current build";
    assert_eq!(case().image("arm", arm).warnings("FROM arm\n"), [warned]);
    assert_eq!(case().image("arm", arm).stage("FROM arm\n").platform.to_string(), "linux/arm64");
    let asked = case().image("arm", arm).platform("linux/amd64").stage("FROM arm\n");
    assert_eq!((asked.platform.to_string().as_str(), asked.config.architecture.as_str()), ("linux/amd64", "amd64"));
}

#[test]
fn named_contexts_replace_images_stages_and_sources() {
    let text = "FROM busybox AS assets\nRUN exit 1\nFROM library/Base:latest\nCOPY --from=assets /file /file\n";
    let text = text.replace("Base", "base");
    let planned = case()
        .context("assets", "./assets")
        .context("library/base", "docker-image://rich")
        .image("library/base:latest", "{}")
        .plan(&text);
    assert_eq!(planned.graph.stages.len(), 1);
    insta::assert_snapshot!(format!("{:?} {}", planned.graph.stages[0].base, planned.graph.images[0].resolved.source), @"Image(ImageId(0)) rich:latest");
    let files = case().context("base", "./files").stage("FROM base\nLABEL a=b\n");
    assert_eq!(files.base, Base::Context("base".to_owned()));
    let empty = case().context("base", "docker-image://scratch").stage("FROM base\n");
    assert_eq!(empty.base, Base::Scratch);
    let other = case().context("base", "target:tools").plan("FROM scratch AS tools\nLABEL t=1\nFROM base\n");
    assert_eq!(other.graph.stages[1].config.config.labels["t"], "1");
    let whole = case().context("final", "./files").stage("FROM busybox AS final\nRUN x\n");
    assert_eq!((whole.base, whole.steps.len()), (Base::Context("final".to_owned()), 0));
}

#[test]
fn an_image_in_the_place_of_a_stage_has_its_platform_and_its_triggers() {
    let text = "FROM --platform=linux/arm64 busybox AS foo\nONBUILD LABEL own=1\nFROM foo\nFROM scratch\nCOPY --from=foo /x /\nCOPY --from=1 /x /\n";
    let arm = r#"{"architecture":"arm64","os":"linux","config":{"OnBuild":["ENV TRIGGERED=1"]}}"#;
    let planned = case().context("foo", "docker-image://other").image("foo", arm).plan(text);
    let images: Vec<_> = planned.graph.images.iter().map(|image| image.resolved.platform.to_string()).collect();
    assert_eq!(images, ["linux/arm64"]);
    let child = &planned.graph.stages[1].config;
    assert_eq!((child.architecture.as_str(), child.config.labels.get("own").map(String::as_str)), ("arm64", Some("1")));
    assert_eq!(child.config.env.iter().filter(|line| line.starts_with("TRIGGERED")).count(), 0);
}

#[test]
fn the_name_of_a_context_is_no_tag_that_moves() {
    let wanted = strake_parser::CheckSettings::parse("experimental=all").expect("settings");
    let mut found = case();
    found.options.checks = wanted;
    let text = "FROM busybox\n";
    assert!(found.warnings(text).iter().any(|found| found.starts_with("LatestTag: 1")));
    assert_eq!(found.context("busybox", "./files").warnings(text), [""; 0]);
}

#[test]
fn reserved_names_and_bad_values_of_contexts_are_refused() {
    assert!(NamedContext::parse("scratch", "./x").is_err());
    assert!(NamedContext::parse("a", "docker-image://Bad Name").is_err());
    assert!(NamedContext::parse("a", "oci-layout://").is_err());
    assert!(NamedContext::parse("a", "oci-archive://x").is_err());
    let layout = NamedContext::parse("a", "oci-layout:///d/x:v1@sha256:abc").expect("valid");
    insta::assert_snapshot!(format!("{:?}", layout.kind), @r#"Image(Layout { path: "/d/x", tag: Some("v1"), digest: Some("sha256:abc") })"#);
}

#[test]
fn images_are_asked_for_once_with_hints() {
    let text = "FROM alpin AS one\nFROM later\nCOPY --from=alpin a /\nCOPY --from=one a /\nFROM scratch AS later\n";
    let parsed = strake_parser::parse(text.as_bytes(), &strake_parser::ParseOptions::default());
    let Ok(Plan::NeedImages(wanted)) = plan(&parsed, &case().target("1").options, &KnownImages::new()) else {
        panic!("images are needed");
    };
    let wanted: Vec<_> = wanted.iter().map(|one| format!("{} {} {:?}", one.name, one.key.platform, one.help)).collect();
    insta::assert_snapshot!(wanted.join("\n"), @r#"
    later linux/amd64 Some("a stage later is defined, but not above this line, so later means an image")
    alpin linux/amd64 Some("did you mean alpine?")
    "#);
    let given = case().context("tolos", "./tools");
    let parsed = strake_parser::parse(&b"FROM tools\n"[..], &strake_parser::ParseOptions::default());
    let Ok(Plan::NeedImages(wanted)) = plan(&parsed, &given.options, &KnownImages::new()) else {
        panic!("an image is needed");
    };
    let help = wanted[0].help.as_deref();
    assert_eq!(help, Some("--build-context gives \"tolos\": is one of the two names spelled wrong?"));
}

#[test]
fn the_epoch_is_a_number_a_context_or_an_error() {
    let epoch =
        |value: &str| case().arg("SOURCE_DATE_EPOCH", value).context("data", "./d").plan("FROM scratch\n").epoch;
    assert_eq!(epoch("1234567890"), Some(Epoch::Seconds(1_234_567_890)));
    assert_eq!(epoch("context"), Some(Epoch::Context));
    assert_eq!(epoch("data"), Some(Epoch::NamedContext("data".to_owned())));
    assert_eq!(epoch(""), None);
    assert_eq!(case().plan("ARG SOURCE_DATE_EPOCH=7\nFROM scratch\n").epoch, Some(Epoch::Seconds(7)));
    let stage = |body: &str| {
        let text = format!("FROM scratch AS up\n{body}FROM scratch\n");
        case().arg("SOURCE_DATE_EPOCH", "UP").try_plan(&text).ok().and_then(|planned| planned.epoch)
    };
    let tar = Epoch::Remote("https://example.com/app-2.tar".to_owned());
    assert_eq!(stage("ARG V=2\nADD https://example.com/app-$V.tar /\n"), Some(tar));
    let git = Epoch::Remote("https://example.com/app.git#main".to_owned());
    assert_eq!(stage("ADD https://example.com/app.git#main /\n"), Some(git));
    for other in ["ADD app.tar /\n", "ADD https://a/b /\nADD https://a/c /\n", "ADD https://a/b /\nENV A=1\n", ""] {
        assert_eq!(stage(other), None, "{other}");
    }
    let errors = case().errors("ARG SOURCE_DATE_EPOCH=contex\nFROM scratch\n");
    assert_eq!(errors, ["1: invalid SOURCE_DATE_EPOCH: contex (did you mean context?)"]);
}

#[test]
fn checks_of_from_are_reported() {
    let text = "ARG TAG\nFROM --platform=$TARGETPLATFORM scratch AS a\nFROM busybo${X}x\n";
    insta::assert_snapshot!(case().image("busybox", "{}").warnings(text).join("\n"), @r"
    RedundantTargetPlatform: 2: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior
    UndefinedArgInFrom: 3: FROM argument 'X' is not declared
    ");
    let warnings = case().arg("TAG", "box").warnings("ARG TAG\nFROM busy$TAG\n");
    assert!(warnings.is_empty(), "{warnings:?}");
    let blank = case().arg("B", "busybox").warnings("ARG B\nFROM $B\n");
    assert_eq!(
        blank,
        ["InvalidDefaultArgInFrom: 2: Default value for ARG $B results in empty or invalid base image name"]
    );
}

#[test]
fn undefined_variables_and_unused_arguments_are_reported() {
    let text = "FROM scratch\nARG FOO\nENV A=$FOO B=$FO C=${BAR:-x}\nUSER $A\n";
    insta::assert_snapshot!(case().arg("FOX", "1").warnings(text).join("\n"), @r"
    UnusedBuildArg: 1: build argument FOX was not used (did you mean FOO?)
    UndefinedVar: 3: Usage of undefined variable '$FO' (did you mean $FOO?)
    UndefinedVar: 3: Usage of undefined variable '$BAR'
    ");
}

#[test]
fn names_of_an_instruction_with_an_error_are_not_called_undefined() {
    for lost in ["ENV A=1 B", "ENV A=${X^}", "ARG A=${X^}", "ARG A=1 =2"] {
        let text = format!("FROM scratch AS base\n{lost}\nUSER $A\nFROM base\nUSER $A\n");
        let problems = case().try_plan(&text).expect_err("an error");
        assert!(problems.iter().all(|found| found.rule != Some(Rule::UndefinedVar)), "{problems:#?}");
    }
}

#[test]
fn undefined_variables_of_heredocs_are_reported() {
    let text = "FROM scratch\nARG A\nCOPY <<E <<\"F\" /\n$A ${B:-x} \\$C $B\nE\n$D\nF\n";
    assert_eq!(case().warnings(text), ["UndefinedVar: 4: Usage of undefined variable '$B'"]);
}

#[test]
fn the_shell_of_a_base_image_excuses_shell_forms() {
    assert!(case().warnings("FROM rich\nCMD run me\n").is_empty());
    assert!(case().warnings("FROM busybox\nCMD run me\n")[0].starts_with("JSONArgsRecommended: 2: "));
}

#[test]
fn the_number_of_problems_is_bounded() {
    let text = format!("FROM scratch\nLABEL {}\n", "a=$X ".repeat(5_000));
    assert_eq!(case().warnings(&text).len(), 1_000);
    let text = format!("FROM scratch\n{}", "EXPOSE x\n".repeat(5_000));
    assert_eq!(case().errors(&text).len(), 1_000);
}

#[test]
fn checks_can_be_skipped_or_be_errors() {
    let skipped = "# check=skip=UndefinedVar\nFROM scratch\nENV B=$FO\n";
    assert!(case().warnings(skipped).is_empty());
    let inline = "FROM scratch\n# check=skip=UndefinedVar\nENV B=$FO\nENV C=$FO\n";
    assert_eq!(case().warnings(inline), ["UndefinedVar: 4: Usage of undefined variable '$FO'"]);
    let strict = "# check=error=true\nFROM scratch\nARG VERSION=1\nLABEL version=$VERSOIN\n";
    assert_eq!(case().errors(strict), ["1: lint violation found for rules: UndefinedVar"]);
    assert!(case().arg("BUILDKIT_DOCKERFILE_CHECK", "skip=all").warnings(strict).is_empty());
    let bad = case().arg("BUILDKIT_DOCKERFILE_CHECK", "skpi=all").errors("FROM scratch\n");
    assert!(bad[0].contains("skpi"), "{bad:?}");
}
