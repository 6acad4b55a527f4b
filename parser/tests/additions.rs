//! The additions to the language: what opts in to them, what they read, and the plain tree that they come to.

use std::collections::BTreeMap;
use std::fmt::Write;

use strake_parser::{Compose, Feature, InstructionKind, ParseOptions, Parsed, ResetPart, compose, parse};

fn read(text: &str) -> Parsed {
    parse(text.as_bytes(), &ParseOptions::default())
}

fn with(features: &str, text: &str) -> String {
    format!("# strake: features={features}\n{text}")
}

fn messages(parsed: &Parsed) -> Vec<String> {
    parsed.diagnostics.iter().map(|found| format!("{} {}", found.code, found.message)).collect()
}

/// A build context, build arguments, and the path of the Dockerfile.
#[derive(Default)]
struct Case {
    files: BTreeMap<String, String>,
    args: BTreeMap<String, String>,
    path: String,
}

impl Case {
    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.insert(name.to_owned(), value.to_owned());
        self
    }

    fn compose(&self, text: &str) -> Parsed {
        let platform = [("TARGETOS", "linux"), ("TARGETARCH", "amd64")];
        let platform = platform.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut load = |path: &str| {
            self.files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| "no such file".to_owned())
        };
        let how = Compose { path: &self.path, build_args: &self.args, platform_args: &platform, load: &mut load };
        compose(&read(&with("include,if,env-from", text)), &ParseOptions::default(), how)
    }

    /// The lines that are left, stages apart; problems where there are any.
    fn lines(&self, text: &str) -> String {
        let parsed = self.compose(text);
        if !parsed.diagnostics.is_empty() {
            return problems(&parsed);
        }
        let tree = &parsed.dockerfile;
        let mut lines: Vec<&str> = tree.global_args.iter().map(|one| one.original(&tree.source)).collect();
        for (index, stage) in tree.stages.iter().enumerate() {
            assert_eq!(stage.index, index);
            lines.push(stage.original(&tree.source));
            lines.extend(stage.instructions.iter().map(|one| one.original(&tree.source)));
        }
        lines.join("; ")
    }
}

/// Problems with the file and line that they point to.
fn problems(parsed: &Parsed) -> String {
    let source = &parsed.dockerfile.source;
    let place = |offset: usize| {
        let file = source.included_at(offset);
        let before = file.map_or(0, |file| file.lines_before);
        // The first line of each file's own text opts in.
        format!("{}:{}", file.map_or("Dockerfile", |file| &file.path), source.line_of(offset) - before)
    };
    let mut out = String::new();
    for found in &parsed.diagnostics {
        writeln!(out, "{} {}: {}", found.code, place(found.span.start()), found.message).expect("a String takes all");
        for label in &found.labels {
            writeln!(out, "  {}: {}", place(label.span.start()), label.message).expect("a String takes all");
        }
        if let Some(help) = &found.help {
            writeln!(out, "  help: {help}").expect("a String takes all");
        }
    }
    out
}

#[test]
fn additions_are_off_until_the_file_opts_in() {
    let text = "FROM --reset=all scratch\nRUN --timeout=1s --retry=2 --memory=1g x\nIF $A\nINCLUDE a\nENDIF\n";
    insta::assert_snapshot!(problems(&read(text)), @r"
    E0102 Dockerfile:1: unknown flag: --reset
      help: only strake knows this: to use it, put the line # strake: features=reset right after the parser directives
    E0102 Dockerfile:2: unknown flag: --timeout
      help: only strake knows this: to use it, put the line # strake: features=run-limits right after the parser directives
    E0102 Dockerfile:2: unknown flag: --retry
      help: only strake knows this: to use it, put the line # strake: features=run-limits right after the parser directives
    E0102 Dockerfile:2: unknown flag: --memory
      help: only strake knows this: to use it, put the line # strake: features=run-limits right after the parser directives
    E0101 Dockerfile:3: unknown instruction: IF
      help: only strake knows this: to use it, put the line # strake: features=if right after the parser directives
    E0101 Dockerfile:4: unknown instruction: INCLUDE
      help: only strake knows this: to use it, put the line # strake: features=include right after the parser directives
    E0101 Dockerfile:5: unknown instruction: ENDIF
      help: only strake knows this: to use it, put the line # strake: features=if right after the parser directives
    ");
}

#[test]
fn names_of_features_are_checked() {
    let features = |text: &str| {
        let parsed = read(text);
        assert_eq!(messages(&parsed), [""; 0], "{text}");
        parsed.dockerfile.directives.features.iter().map(|feature| feature.value).collect::<Vec<_>>()
    };
    assert_eq!(features("# escape=`\n# strake: features=if, include\nFROM a"), [Feature::If, Feature::Include]);
    assert_eq!(features("#strake: features = reset\nFROM a"), [Feature::Reset]);
    assert_eq!(
        messages(&read("# strake: features=inclde,if,loops\nFROM a")),
        ["E0018 there is no feature \"inclde\" (did you mean include?)", "E0018 there is no feature \"loops\""]
    );
    assert_eq!(messages(&read("# strake: feature=if\nFROM a")), ["E0018 there is no setting \"feature=if\""]);
    for late in ["# a note\n# strake: features=if\nFROM a", "FROM a\n# strake: features=if\n"] {
        assert_eq!(messages(&read(late)), ["W0019 this line opts in to nothing"]);
    }
    assert_eq!(features("# strake is a tool\nFROM a"), []);
}

#[test]
fn limits_of_run_are_read() {
    let parsed = read(&with("run-limits", "FROM a\nRUN --timeout=1m30s --retry=2 --memory=64m x\n"));
    assert_eq!(messages(&parsed), [""; 0]);
    let InstructionKind::Run(run) = &parsed.dockerfile.stages[0].instructions[0].kind else { panic!() };
    assert_eq!(run.additions().timeout.map(|timeout| timeout.value.as_secs()), Some(90));
    assert_eq!(run.additions().retry.map(|retry| retry.value), Some(2));
    assert_eq!(run.additions().memory.map(|memory| memory.value), Some(64 << 20));
    for (flag, message) in [
        ("--timeout=30", "E0217 time: missing unit in duration \"30\" for flag --timeout"),
        ("--timeout=0s", "E0218 --timeout=0s is less than 1ms"),
        ("--timeout=-1s", "E0218 --timeout=-1s is less than 1ms"),
        ("--retry=-1", "E0220 --retry=-1 is not a number from 0 to 100"),
        ("--retry=101", "E0220 --retry=101 is not a number from 0 to 100"),
        ("--memory=lots", "E0221 --memory=lots is not a size of at least 1m"),
        ("--memory=512", "E0221 --memory=512 is not a size of at least 1m"),
        ("--timout=1s", "E0102 unknown flag: --timout (did you mean timeout?)"),
    ] {
        let parsed = read(&with("run-limits", &format!("FROM a\nRUN {flag} x\n")));
        assert_eq!(messages(&parsed), [message], "{flag}");
    }
}

#[test]
fn triggers_have_the_plain_language() {
    let parsed = read(&with("run-limits,if", "FROM a\nONBUILD RUN --timeout=1s x\nONBUILD IF $A\n"));
    assert_eq!(
        messages(&parsed),
        [
            "E0102 this trigger fails when it runs: unknown flag: --timeout",
            "E0101 this trigger fails when it runs: unknown instruction: IF"
        ]
    );
}

#[test]
fn reset_takes_parts_and_keys() {
    let parsed = read(&with("reset", "FROM --reset=cmd,env=A,volume=/data,label a\n"));
    assert_eq!(messages(&parsed), [""; 0]);
    let items = parsed.dockerfile.stages[0].reset.iter().map(|item| (item.value.part, item.value.key.as_deref()));
    let wanted = [
        (ResetPart::Cmd, None),
        (ResetPart::Env, Some("A")),
        (ResetPart::Volume, Some("/data")),
        (ResetPart::Label, None),
    ];
    assert_eq!(items.collect::<Vec<_>>(), wanted);
    for (list, message) in [
        ("volumes", "E0222 --reset cannot take back \"volumes\" (did you mean volume?)"),
        ("cmd=x", "E0222 --reset=cmd=x: cmd is taken back as a whole"),
        ("env=", "E0222 --reset=env=: the key is empty"),
    ] {
        let parsed = read(&with("reset", &format!("FROM --reset={list} a\n")));
        assert_eq!(messages(&parsed), [message], "{list}");
    }
}

#[test]
fn branch_that_is_true_stays() {
    let text = "FROM a\nARG MODE=release\nIF $MODE == release\nRUN r\nELSE IF \"$MODE\" == debug\nRUN d\nELSE\nRUN o\nENDIF\nRUN z\n";
    let lines = |mode: &str| Case::default().arg("MODE", mode).lines(text);
    assert_eq!(Case::default().lines(text), "FROM a; ARG MODE=release; RUN r; RUN z");
    assert_eq!(lines("debug"), "FROM a; ARG MODE=release; RUN d; RUN z");
    assert_eq!(lines(""), "FROM a; ARG MODE=release; RUN o; RUN z");
}

#[test]
fn conditions_know_arguments_and_platforms() {
    let holds = |arguments: &str, condition: &str| {
        let text = format!(
            "ARG G=global\nARG EMPTY\nFROM a AS base\n{arguments}\nFROM BASE\nIF {condition}\nRUN yes\nENDIF\n"
        );
        let lines = Case::default().arg("GIVEN", "x y").lines(&text);
        assert!(lines.starts_with("ARG G"), "{lines}");
        lines.contains("RUN yes")
    };
    assert!(holds("", "$TARGETOS == linux"));
    assert!(!holds("", "${TARGETARCH} != amd64"));
    assert!(holds("", "$G"));
    assert!(!holds("", "$EMPTY"));
    assert!(holds("", "${EMPTY:-d} == d"));
    assert!(holds("ARG GIVEN", "\"$GIVEN\" == \"x y\""));
    assert!(holds("ARG GIVEN", "$GIVEN == 'x y'"));
    assert!(holds("ARG G=own", "$G == own"));
    assert!(holds("ARG G", "$G == global"));
    assert!(holds("ARG A=1\nARG B=${A}2", "$B == 12"));
    assert!(!holds("ARG X", "$X"));
}

#[test]
fn blocks_nest() {
    let text =
        "FROM a\nIF a == b\nIF a == a\nRUN 1\nELSE\nRUN 2\nENDIF\nELSE\nIF a == b\nRUN 3\nELSE\nRUN 4\nENDIF\nENDIF\n";
    assert_eq!(Case::default().lines(text), "FROM a; RUN 4");
}

#[test]
fn blocks_hold_whole_stages_or_arguments() {
    let text = "IF $TARGETOS == windows\nARG BASE=nano\nELSE\nARG BASE=alpine\nENDIF\n\
                IF $TARGETARCH == arm64\nFROM arm AS b\nRUN a\nELSE\nFROM $BASE AS b\nRUN b\nFROM c\nENDIF\nFROM b\nRUN z\n";
    assert_eq!(Case::default().lines(text), "ARG BASE=alpine; FROM $BASE AS b; RUN b; FROM c; FROM b; RUN z");
}

#[test]
fn words_for_blocks_of_other_languages_are_known() {
    let text = "FROM a\nIF a == b\nELIF b == c\nIF \"c\"\nfi\nEND\n";
    insta::assert_snapshot!(problems(&Case::default().compose(text)), @r"
    E0101 Dockerfile:4: unknown instruction: ELIF (did you mean ELSE IF?)
    E0101 Dockerfile:6: unknown instruction: fi (did you mean endif?)
    E0101 Dockerfile:7: unknown instruction: END (did you mean ENDIF?)
    ");
    insta::assert_snapshot!(problems(&parse(b"FROM a\nEND\n", &ParseOptions::default())), @r"
    E0101 Dockerfile:2: unknown instruction: END
      help: if it ends a here-document, the RUN or COPY above must begin one, with <<END
    ");
}

#[test]
fn blocks_out_of_order_are_explained() {
    let found = |text: &str| problems(&Case::default().compose(text));
    insta::assert_snapshot!(found("FROM a\nIF $TARGETOS == linux\nRUN x\n"), @r"
    E0705 Dockerfile:3: this block is not closed
      help: put ENDIF after its last line, in the same file
    ");
    insta::assert_snapshot!(found("FROM a\nENDIF\nELSE\n"), @r"
    E0705 Dockerfile:3: ENDIF without IF
      help: IF stands above ELSE and ENDIF, in the same file
    E0705 Dockerfile:4: ELSE without IF
      help: IF stands above ELSE and ENDIF, in the same file
    ");
    insta::assert_snapshot!(found("FROM a\nIF \"x\"\nELSE\nELSE\nENDIF\nIF a = b\nENDIF\n"), @r"
    E0705 Dockerfile:5: there is an ELSE above already
      Dockerfile:3: the block begins here
      help: ELSE is the last branch of a block: put ELSE IF lines above it
    E0704 Dockerfile:7: a condition is WORD, WORD == WORD or WORD != WORD
      help: write == to compare
    ");
    insta::assert_snapshot!(found("FROM a\nIF \"x\"\nRUN x\nFROM b\nENDIF\nRUN y\n"), @r"
    E0706 Dockerfile:5: a stage begins in the middle of a block
      Dockerfile:3: the block begins here
      help: begin each branch of the block with FROM, or close the block before this line
    E0706 Dockerfile:7: it hangs on a condition which stage this line belongs to
      Dockerfile:6: a block of stages ends here
      help: put a FROM after ENDIF, or move the line into the branches
    ");
    insta::assert_snapshot!(found("IF \"x\"\nFROM a\nELSE\nRUN x\nENDIF\n"), @r"
    E0706 Dockerfile:5: this branch begins with a line of a stage, and another one with FROM
      Dockerfile:2: the block begins here
      help: begin this branch, too, with FROM, or put the line above the block
    ");
}

#[test]
fn names_without_a_static_value_are_refused() {
    let found = |text: &str| problems(&Case::default().compose(text));
    insta::assert_snapshot!(found("FROM a\nARG MODE\nIF $MOD\nENDIF\nENV A=1\nIF $A\nENDIF\nARG B=$HOME\nIF $B\nENDIF\n"), @r"
    E0707 Dockerfile:4: a condition uses MOD, which no ARG above declares (did you mean MODE?)
      help: put ARG MOD above, or above the first FROM
    E0707 Dockerfile:7: a condition cannot use A, which ENV sets
      help: conditions are worked out before the build and know arguments only: give the ARG another name
    E0707 Dockerfile:10: a condition cannot use B: its default is not known before the build
      help: let the default of the ARG use other arguments only
    ");
    insta::assert_snapshot!(found("ARG MODE\nFROM a\nARG MODE\nIF MODE == debug\nENDIF\nIF TARGETOS\nENDIF\nIF \"MODE\" != $MODE\nENDIF\n"), @r#"
    E0707 Dockerfile:5: a condition takes MODE for a text, though an argument is called so
      help: write $MODE for its value, or "MODE" if the text is meant
    E0707 Dockerfile:7: a condition takes TARGETOS for a text, though an argument is called so
      help: write $TARGETOS for its value, or "TARGETOS" if the text is meant
    "#);
}

#[test]
fn errors_in_a_branch_that_is_not_taken_are_reported() {
    let found = problems(&Case::default().compose("FROM a\nIF a == b\nCOPPY x y\nINCLUDE gone\nENDIF\n"));
    assert_eq!(found, "E0101 Dockerfile:4: unknown instruction: COPPY (did you mean COPY?)\n");
}

#[test]
fn included_lines_stand_in_their_place() {
    let case = Case::default()
        .file("parts/tools", "RUN t\nINCLUDE more\n")
        .file("parts/more", "RUN m")
        .file("stages", "FROM s AS s\nRUN s");
    let text = "INCLUDE stages\nFROM a\nRUN 1\nINCLUDE parts/tools\nRUN 2\nINCLUDE /parts/../parts/./more\n";
    assert_eq!(case.lines(text), "FROM s AS s; RUN s; FROM a; RUN 1; RUN t; RUN m; RUN 2; RUN m");
    let below =
        Case { path: "docker/Dockerfile".to_owned(), ..Case::default().file("docker/x", "RUN x").file("y", "RUN y") };
    assert_eq!(below.lines("FROM a\nINCLUDE x\nINCLUDE ../y\n"), "FROM a; RUN x; RUN y");
}

#[test]
fn conditions_see_included_arguments() {
    let case = Case::default().file("args", "ARG MODE=m\n").file("mode", "IF $MODE == m\nRUN m\nENDIF\n");
    assert_eq!(case.lines("FROM a\nINCLUDE args\nINCLUDE mode\n"), "FROM a; ARG MODE=m; RUN m");
}

#[test]
fn spans_point_into_the_included_file() {
    let case = Case::default()
        .file("one", "# escape=\\\n\nRUN ok\nINCLUDE two")
        .file("two", "COPY --chwn=1 a b\r\nIF \"x\"\n");
    let parsed = case.compose("FROM a\nINCLUDE one\nRUN --netwrk=x y\n");
    insta::assert_snapshot!(problems(&parsed), @r"
    E0102 Dockerfile:4: unknown flag: --netwrk (did you mean network?)
      help: write --network
    E0102 two:1: unknown flag: --chwn (did you mean chown?)
      help: write --chown
    E0705 two:2: this block is not closed
      help: put ENDIF after its last line, in the same file
    ");
    let source = &parsed.dockerfile.source;
    for found in &parsed.diagnostics {
        assert!(found.span.end() <= source.text().len());
    }
    let run = &parsed.dockerfile.stages[0].instructions[0];
    assert_eq!(source.slice(run.span), "RUN ok");
}

#[test]
fn files_that_cannot_be_included_are_explained() {
    let case = Case::default()
        .file("a", "INCLUDE sub/b\n")
        .file("sub/b", "\nINCLUDE ../a\n")
        .file("wide", "\u{feff}RUN x\n")
        .file("tick", "# escape=`\nRUN x\n");
    let text = "FROM a\nINCLUDE a\nINCLUDE gone\nINCLUDE ../x\nINCLUDE $X\nINCLUDE a b\nINCLUDE wide\nINCLUDE tick\nINCLUDE Dockerfile\n";
    let case = Case { path: "Dockerfile".to_owned(), ..case };
    insta::assert_snapshot!(problems(&case.compose(text)), @r"
    E0702 Dockerfile:4: gone cannot be included: no such file
      help: paths are relative to the folder of the file that INCLUDE stands in; what they and links name must be inside the build context
    E0701 Dockerfile:5: INCLUDE ../x names nothing inside the build context
      help: put the file into the build context; the path is relative to this file's folder, and / is the root of the context
    E0701 Dockerfile:6: the path of INCLUDE is taken as it is written and cannot hold $
      help: name one file; IF can choose among several INCLUDE lines
    E0107 Dockerfile:7: INCLUDE requires exactly one argument
      help: write INCLUDE PATH; the path is relative to this file's folder, and holds no variables
    E0703 Dockerfile:10: a file includes itself: Dockerfile -> Dockerfile
      help: move what both files need into a third one
    E0703 sub/b:2: a file includes itself: a -> sub/b -> a
      a:1: sub/b is included here
      help: move what both files need into a third one
    E0011 tick:1: an included file has the escape character of the first one, which is \
      help: remove the directive, or give the first file the same one
    ");
}

#[test]
fn includes_have_bounds() {
    let mut case = Case::default();
    for depth in 0..20 {
        case = case.file(&format!("f{depth}"), &format!("INCLUDE f{0}\nINCLUDE f{0}\n", depth + 1));
    }
    let parsed = case.compose("FROM a\nINCLUDE f0\n");
    let found = messages(&parsed);
    assert!(found.iter().any(|text| text.starts_with("E0703 included files nest deeper than 16")), "{found:#?}");
    assert!(found.iter().any(|text| text.contains("more than 256 files")), "{found:#?}");
    let many = "INCLUDE leaf\n".repeat(300);
    let parsed = Case::default().file("leaf", "RUN x\n").compose(&format!("FROM a\n{many}"));
    assert_eq!(parsed.dockerfile.stages[0].instructions.len(), 256);
    let big = Case::default().file("big", &"# a line\n".repeat(1 << 18));
    let parsed = big.compose(&format!("FROM a\n{}", "INCLUDE big\n".repeat(8)));
    assert!(messages(&parsed).iter().all(|text| text.starts_with("E0007")), "{:?}", messages(&parsed));
    assert!(parsed.has_errors());
}

#[test]
fn plain_files_come_back_as_they_are() {
    let parsed = read(&with("if,include", "FROM a\nRUN x\n"));
    let composed = Case::default().compose("FROM a\nRUN x\n");
    assert_eq!(composed.dockerfile.stages, read(&with("include,if,env-from", "FROM a\nRUN x\n")).dockerfile.stages);
    assert_eq!(parsed.dockerfile.stages.len(), 1);
    assert_eq!(
        problems(&Case::default().compose("IF a == b\nFROM a\nENDIF\n")),
        "E0002 Dockerfile:5: file with no instructions\n  help: a Dockerfile begins with FROM IMAGE\n"
    );
}

fn lowered(parsed: &Parsed) -> String {
    let lowered = strake_parser::lower(parsed);
    let mut out = String::from_utf8(lowered.text).expect("the test data is text");
    for found in &lowered.diagnostics {
        writeln!(out, "{} {}", found.code, found.message).expect("a String takes all");
    }
    out
}

#[test]
fn conditions_cannot_use_the_output_of_a_step() {
    let text = "FROM a AS a\nRUN --env=V x\nFROM a\nARG V\nIF $V\nENDIF\n";
    let found = messages(&Case::default().compose(text));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("a condition cannot use V, which RUN --env sets"), "{found:?}");
}

#[test]
fn lowered_file_is_plain() {
    let case = Case::default().file("x", "# what x does\nCOPY <<E /x\n# body\nE");
    let text = "ARG A=1\n# escape=`\n\n# the base\nFROM a AS b\nIF $A == 1\nINCLUDE x\nELSE\nRUN no\nENDIF\nRUN a \\\n  # inside\n  b\nFROM b\n";
    let parsed = case.compose(text);
    assert_eq!(messages(&parsed), [""; 0]);
    insta::assert_snapshot!(lowered(&parsed), @r"
    ARG A=1
    # escape=`
    # the base
    FROM a AS b
    # what x does
    COPY <<E /x
    # body
    E
    RUN a \
      # inside
      b

    FROM b
    ");
    let again = read(&lowered(&parsed));
    assert_eq!(messages(&again), [""; 0]);
}

#[test]
fn lowered_file_keeps_directives_and_leaves_limits_out() {
    let text = "# syntax=docker/dockerfile:1\n# escape=`\n# strake: features=run-limits,reset,env-from\n# escape me\n\
                FROM --platform=linux/amd64 --reset=cmd,entrypoint,workdir a\n\
                RUN --timeout=1s --network=none --retry=2 `\n  --memory=1g x\nRUN --env=V y\n\
                FROM --after=0 --reset=env=A,entrypoint --after=0 b\n";
    let parsed = read(text);
    assert_eq!(messages(&parsed), [""; 0]);
    insta::assert_snapshot!(lowered(&parsed), @r"
    # syntax=docker/dockerfile:1
    # escape=`

    # escape me
    FROM --platform=linux/amd64 a
    CMD []
    ENTRYPOINT []
    WORKDIR /
    RUN --network=none `
      x
    RUN --env=V y

    FROM b
    W0709 --timeout=1s is left out: no other builder limits a step
    W0709 --retry=2 is left out: no other builder limits a step
    W0709 --memory=1g is left out: no other builder limits a step
    E0708 RUN --env=V has no equal in a plain Dockerfile
    W0710 --after=0 is left out: only few builders know it
    W0710 --after=0 is left out: only few builders know it
    E0708 --reset=env has no equal in a plain Dockerfile
    E0708 --reset=entrypoint has no equal in a plain Dockerfile
    ");
}
