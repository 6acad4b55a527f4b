use strake_parser::{ParseOptions, parse};

use super::{KnownImages, case, located};
use crate::plan::find_without_images;

/// The errors of a Dockerfile, one a line.
fn errors(text: &str) -> String {
    case().errors(text).join("\n")
}

#[test]
fn stages_that_cannot_be_bound_are_located() {
    insta::assert_snapshot!(errors("FROM busybox AS one\nCOPY --from=later /x /x\nFROM busybox AS later\nFROM one\n"), @r#"2: cannot copy from stage "later", it needs to be defined before current stage "one""#);
    insta::assert_snapshot!(errors("FROM busybox AS first\nRUN --mount=from=second,target=/x ls /x\nFROM busybox AS second\nFROM first\n"), @r#"2: cannot mount from stage "second" to "/x", stage needs to be defined before current command"#);
    insta::assert_snapshot!(errors("FROM busybox\nCOPY --from=2 /x /x\n"), @"2: invalid stage index 2");
    insta::assert_snapshot!(errors("ARG B\nFROM ${B}\n"), @"2: base name (${B}) should not be blank");
    insta::assert_snapshot!(errors("FROM scratch\nARG S=x\nCOPY --from=$S /x /x\n"), @"3: variable expansion is not supported for --from with S, which no ARG above the first FROM declares");
}

#[test]
fn a_stage_that_nobody_needs_may_look_forward() {
    assert_eq!(errors("FROM scratch AS one\nCOPY --from=later /x /x\nFROM scratch AS later\n"), "");
}

#[test]
fn cycles_name_all_who_take_part() {
    insta::assert_snapshot!(errors("FROM busybox AS me\nCOPY --from=me /etc/passwd /copy\n"), @"2: circular dependency detected on stage: me");
    let text = "FROM scratch AS a\nCOPY --from=c x /\nFROM a AS b\nFROM b AS c\n";
    let problems = case().try_plan(text).expect_err("a cycle");
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].message, "circular dependency detected on stage: a");
    assert_eq!(problems[0].labels.len(), 3);
}

#[test]
fn an_unknown_target_is_located_at_the_nearest_stage() {
    let problems =
        case().target("relese").try_plan("FROM scratch AS build\nFROM build AS release\n").expect_err("no target");
    assert_eq!(problems[0].message, "target stage \"relese\" could not be found (did you mean release?)");
    assert_eq!(problems[0].span.start(), "FROM scratch AS build\n".len());
    assert_eq!(problems[0].help.as_deref(), Some("the stages are build, release"));
}

#[test]
fn names_and_platforms_that_cannot_be_read_are_shown() {
    for (text, words) in [
        ("FROM 127.0.0.1:5055/Base/Busybox:1\n", &["1: ", "Base/Busybox"][..]),
        ("FROM --platform=linux/a/b/c scratch\n", &["1: failed to parse platform", "linux/a/b/c"]),
        (
            "FROM --platform=$TARGETPLATFROM scratch\n",
            &["1: empty platform value from expression $TARGETPLATFROM", "did you mean TARGETPLATFORM"],
        ),
    ] {
        let found = errors(text);
        assert!(words.iter().all(|word| found.contains(word)), "{found}");
    }
}

#[test]
fn instructions_with_bad_values_are_located() {
    insta::assert_snapshot!(errors("FROM scratch\nEXPOSE 80 http\nEXPOSE 80/tpc\n"), @r#"
    2: invalid port: "http": invalid containerPort: http
    3: invalid port: "80/tpc": invalid proto: tpc
    "#);
    insta::assert_snapshot!(errors("FROM scratch\nSTOPSIGNAL SIGSTOPIT\nSTOPSIGNAL SIGTRM\n"), @r"
    2: invalid signal: SIGSTOPIT (did you mean SIGSTOP?)
    3: invalid signal: SIGTRM (did you mean SIGTERM?)
    ");
    insta::assert_snapshot!(errors("FROM scratch\nVOLUME $X\nRUN []\n"), @r"
    2: VOLUME specified can not be an empty string
    3: RUN requires a command, but the array is empty
    ");
    insta::assert_snapshot!(errors("FROM busybox\nRUN --mount=type=cache,target=/ x\n"), @r#"2: invalid mount target "/""#);
}

#[test]
fn errors_of_all_phases_come_at_once() {
    let text = "FROM busybox\nCOYP f /f\nEXPOSE http\nENV A=${B:?needed}\nUSER ${V^}\n";
    let found = case().errors(text);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("2: unknown instruction: COYP"), "{found:?}");
    assert!(found[2].contains("unsupported modifier (^)"), "{found:?}");
}

#[test]
fn a_required_variable_fails_with_its_text() {
    let found = errors("FROM scratch\nENV A=\"${NEEDED:?set NEEDED please}\"\n");
    assert!(found.starts_with("2: ") && found.contains("NEEDED: set NEEDED please"), "{found}");
}

#[test]
fn a_file_without_stages_has_nothing_to_build() {
    assert!(errors("ARG A=1\n").contains("stage"));
    assert!(!errors("").is_empty());
}

#[test]
fn errors_that_hang_on_no_image_are_found_without_it() {
    let told = |text: &str| {
        let parsed = parse(text.as_bytes(), &ParseOptions::default());
        let found = find_without_images(&parsed, &case().options, &KnownImages::new());
        found.iter().map(|found| located(text, found)).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(told("FROM busybox\nENV P=http\nENV Q=\"$HOME\"\nARG R=tpc S\nEXPOSE 80/tpc\nEXPOSE $P\nEXPOSE 80/$R\n\
        ENV X=${P\nCOPY --from=alpine --chmod=999 a /b\nEXPOSE 80/TCP\nRUN --network=host x\nFROM scratch\nCOPY --from=0 a b\n"), @r#"
    5: invalid port: "80/tpc": invalid proto: tpc
    6: invalid port: "http": invalid containerPort: http
    7: invalid port: "80/tpc": invalid proto: tpc
    8: failed to process "${P": syntax error: missing '}'
    9: invalid chmod parameter: '999'. it should be octal string and between 0 and 07777
    10: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase
    11: network.host is not allowed
    "#);
    // What the base image may set may be good.
    for text in [
        "EXPOSE $PORT\n",
        "STOPSIGNAL $SIGNAL\n",
        "ENV PORT=x$PORT\nEXPOSE $PORT\n",
        "ENV PORT=1\nENV PORT=$OTHER\nEXPOSE $PORT\n",
        "ARG PORT\nEXPOSE ${PORT}\n",
        "ARG PORT=$OTHER\nEXPOSE ${PORT}\n",
        "ENV A=${A:?}\nVOLUME $B\nRUN echo $C\nLABEL d=$D\nCOPY $E /\n",
        "ENV PORT=http\nENV $KEY=80\nEXPOSE $PORT\n",
        "WORKDIR C:\\src\n",
        "COPY --chmod=$M a /\nADD --checksum=$S http://x/y /\nRUN --mount=type=$T true\n",
    ] {
        assert_eq!(told(&format!("FROM busybox AS base\nFROM base\n{text}")), "", "{text}");
    }
    // Of an instruction with such a value other words are looked at.
    assert!(told("FROM busybox\nEXPOSE $PORT 80/tpc\n").starts_with("2: invalid port"));
    assert!(told("FROM busybox\nCOPY --chmod=999 $SRC /x\n").starts_with("2: invalid chmod"));
    assert!(told("FROM busybox\nENV A=$B C=${D\n").starts_with("2: failed to process"));
    assert_eq!(told("FROM busybox AS base\nONBUILD EXPOSE $PORT\nFROM base\n"), "");
    assert_eq!(told("# strake: features=reset\nFROM --reset=env=A,label=b busybox\n"), "");
}

#[test]
fn platforms_that_no_image_has_are_told() {
    let told = |asked: &str, text: &str| {
        let case = if asked.is_empty() { case() } else { case().platform(asked) };
        case.warnings(text).join("\n")
    };
    insta::assert_snapshot!(told("linux/amd46", "FROM scratch\n"), @": 1: no images are known for the platform linux/amd46 (did you mean linux/amd64?)");
    insta::assert_snapshot!(told("amd64/linux", "FROM scratch\n"), @": 1: no images are known for the platform amd64/linux (did you mean linux/amd64?)");
    insta::assert_snapshot!(told("haiku/alpha", "FROM scratch\n"), @": 1: no images are known for the platform haiku/alpha");
    insta::assert_snapshot!(told("", "FROM scratch AS arm64\nFROM --platform=linux/arm46 scratch AS arm46\n"), @": 2: no images are known for the platform linux/arm46 (did you mean linux/arm64?)");
    for platform in ["linux/arm/v7", "windows(10.0.20348.1)/amd64", "wasi/wasm", "darwin/arm64"] {
        assert!(!told(platform, "FROM scratch\n").contains("no images are known"), "{platform}");
    }
}

#[test]
fn variables_of_here_documents_are_underlined() {
    let text = "FROM scratch\nENV A=1\nCOPY <<EOF /x\n\\$HOME $A\necho $HOME ${HOME}\nEOF\n";
    let found = case().plan(text).warnings;
    assert_eq!(located(text, &found[0]), "5: Usage of undefined variable '$HOME'");
    assert_eq!(&text[found[0].span.start()..found[0].span.end()], "$HOME");
    assert!(found[0].help.as_ref().unwrap().ends_with("write <<\"EOF\""), "{found:?}");
}
