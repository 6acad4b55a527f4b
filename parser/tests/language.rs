//! The language, section by section of dockerfile.md, with the examples that were measured on the reference.

use strake_parser::{
    CopySource, Escape, Expander, Form, Healthcheck, InstructionKind, ParseOptions, Parsed, RunHeredocs, Word, parse,
    parse_onbuild,
};

fn read(text: &str) -> Parsed {
    parse(text.as_bytes(), &ParseOptions::default())
}

fn messages(text: &str) -> Vec<String> {
    read(text).diagnostics.into_iter().map(|found| found.message).collect()
}

/// The kinds of the instructions of the first stage, after `FROM scratch`.
fn kinds(text: &str) -> Vec<InstructionKind> {
    let parsed = read(&format!("FROM scratch\n{text}"));
    assert!(!parsed.has_errors(), "{text}: {:#?}", parsed.diagnostics);
    let stage = parsed.dockerfile.stages.into_iter().next().expect("the test data is well-formed");
    stage.instructions.into_iter().map(|instruction| instruction.kind).collect()
}

fn kind(text: &str) -> InstructionKind {
    let mut kinds = kinds(text);
    assert_eq!(kinds.len(), 1, "{text}: {kinds:#?}");
    kinds.remove(0)
}

fn run_text(text: &str) -> String {
    match kind(text) {
        InstructionKind::Run(run) => match run.command {
            Form::Shell(text) => text.value,
            Form::Exec(words) => format!("{:?}", words.iter().map(|word| &word.value).collect::<Vec<_>>()),
        },
        other => panic!("{other:?}"),
    }
}

/// Name and value pairs of ENV or LABEL, expanded with X=5 and A=1.
fn pairs(text: &str) -> Vec<(String, String)> {
    let (InstructionKind::Env(pairs) | InstructionKind::Label(pairs)) = kind(text) else { panic!("{text}") };
    let lookup = |name: &str| match name {
        "X" => Some("5".to_owned()),
        "A" => Some("1".to_owned()),
        _ => None,
    };
    let expander = Expander::new(Escape::Backslash, &lookup);
    let expand = |word: &Word| expander.word(word).expect("the test data is well-formed").text;
    pairs.pairs.iter().map(|(name, value)| (expand(name), expand(value))).collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn input_without_a_build_is_refused() {
    assert_eq!(messages(""), ["the Dockerfile cannot be empty"]);
    assert_eq!(messages("# only\n\n"), ["file with no instructions"]);
    assert_eq!(messages("ARG A\n"), ["dockerfile contains no stages to build"]);
    assert_eq!(messages("ARG A\nRUN x\nRUN y\n"), ["no build stage in current context"]);
    assert_eq!(messages("FORM alpine\nRUN x\n"), ["unknown instruction: FORM (did you mean FROM?)"]);
    let utf16 = parse(b"\xff\xfeF\0R\0", &ParseOptions::default());
    assert!(utf16.diagnostics[0].message.contains("UTF-16"));
    let options = ParseOptions { max_line: 10, max_file: 40, syntax: None };
    assert!(parse(&[b'x'; 41], &options).diagnostics[0].message.contains("limit"));
    let long = parse(b"FROM scratch AS abcdef\n", &options);
    assert_eq!(long.diagnostics[0].message, "dockerfile line greater than max allowed size of 10 bytes");
}

#[test]
fn byte_order_mark_and_line_ends_do_not_matter() {
    let unix = kinds("RUN a \\\n  b\nENV A=b\n");
    let dos = kinds("RUN a \\\r\n  b\r\nENV A=b\r\n");
    let text = |kinds: &[InstructionKind]| match &kinds[0] {
        InstructionKind::Run(run) => {
            format!("{:?}", matches!(&run.command, Form::Shell(text) if text.value == "a   b"))
        }
        _ => String::new(),
    };
    assert_eq!(text(&unix), "true");
    assert_eq!(text(&dos), "true");
    assert!(!read("\u{feff}FROM scratch").has_errors());
}

#[test]
fn bytes_that_are_not_utf8_are_warned_of_outside_comments() {
    let parsed = parse(b"# caf\xe9\nFROM scratch\nLABEL a=\xe9\nCOPY <<E /x\n\xe9\nE\n", &ParseOptions::default());
    assert!(!parsed.has_errors());
    let shown: Vec<_> = parsed.diagnostics.iter().map(|found| found.message.as_str()).collect();
    assert_eq!(shown, ["line 3 is not UTF-8 at byte 9"]);
    let InstructionKind::Copy(copy) = &parsed.dockerfile.stages[0].instructions[1].kind else { panic!() };
    let CopySource::Heredoc(heredoc) = &copy.sources[0] else { panic!() };
    assert_eq!(heredoc.body, b"\xe9\n");
}

#[test]
fn directives_end_at_the_first_other_line() {
    let escape = |text: &str| read(text).dockerfile.directives.escape();
    assert_eq!(escape("# escape=`\nFROM a"), Escape::Backtick);
    assert_eq!(escape("#  EsCaPe = ` \nFROM a"), Escape::Backtick);
    assert_eq!(escape("# syntax=docker/dockerfile:1\n# escape=`\nFROM a"), Escape::Backtick);
    for text in
        ["# note\n# escape=`\nFROM a", "\n# escape=`\nFROM a", "# a=b\n# escape=`\nFROM a", "FROM a\n# escape=`"]
    {
        assert_eq!(escape(text), Escape::Backslash, "{text}");
    }
    assert_eq!(messages("# escape=^\nFROM a"), ["invalid escape token '^' does not match ` or \\"]);
    assert_eq!(messages("# escape=`\n# escape=`\nFROM a"), ["only one escape parser directive can be used"]);
    assert_eq!(messages("# check=skpi=all\nFROM a"), ["failed to parse check options: invalid check option \"skpi\""]);
    assert_eq!(messages("# check=skip=Nope\nFROM a"), ["there is no build check \"Nope\""]);
}

#[test]
fn only_the_language_itself_is_a_frontend() {
    for value in [
        "docker/dockerfile:1",
        "docker.io/docker/dockerfile:1.7-labs",
        "docker/dockerfile-upstream:master",
        "docker/dockerfile@sha256:0",
    ] {
        assert_eq!(messages(&format!("# syntax={value}\nFROM a")), [""; 0], "{value}");
    }
    for text in ["# syntax=example/front:1 arg\nFROM a", "#!/bin/x\n# syntax=example/front:1\nFROM a"] {
        assert_eq!(messages(text), ["external frontends are not supported: example/front:1"], "{text}");
    }
    assert!(messages("// syntax=example/front:1\n").iter().any(|text| text.contains("external frontends")));
    assert!(messages("{\"syntax\": \"example/front:1\"}").iter().any(|text| text.contains("external frontends")));
    assert!(messages("# syntax=docker/dockerfile:1.99\nFROM a")[0].contains("newer"));
    assert!(messages("#!/bin/x\n# escape=`\nFROM a")[0].contains("no effect"));
    let forced = ParseOptions { syntax: Some("dockerfile.v0".to_owned()), ..ParseOptions::default() };
    assert!(parse(b"# syntax=example/front:1\nFROM a", &forced).diagnostics.is_empty());
}

#[test]
fn lines_join_as_measured() {
    assert_eq!(run_text("RUN echo a\\\nb"), "echo ab");
    assert_eq!(run_text("RUN echo \"x\\\n  y\""), "echo \"x  y\"");
    assert_eq!(run_text("RUN a \\\n# comment\n\n  b"), "a   b");
    assert_eq!(run_text("RUN a # not a comment"), "a # not a comment");
    assert_eq!(run_text("RUN   a  b  \t"), "a  b");
    assert_eq!(run_text("R\\\nUN a"), "a");
    assert_eq!(kinds("\\\nRUN a\n").len(), 1);
    assert_eq!(run_text("RUN a\\\\\n"), "a\\\\");
}

#[test]
fn comments_before_an_instruction_describe_it() {
    let parsed = read("# not this\n#\n# base image\n\n   # more\nFROM a AS b\n# check=skip=all\nRUN x\n");
    let stage = &parsed.dockerfile.stages[0];
    assert_eq!(stage.docs.iter().map(|doc| doc.value.as_str()).collect::<Vec<_>>(), ["base image", "more"]);
    assert!(stage.instructions[0].check_overrides.is_some());
    assert_eq!(parsed.dockerfile.comments.len(), 5);
}

#[test]
fn flags_are_checked() {
    for (line, message) in [
        ("COPY --chwn=1 a b", "unknown flag: --chwn (did you mean chown?)"),
        ("COPY --link=maybe a b", "expecting boolean value for flag --link, not: maybe"),
        ("COPY --link= a b", "missing a value on flag: --link"),
        ("COPY --chmod a b", "missing a value on flag: --chmod"),
        ("COPY --chown=1 --chown=2 a b", "duplicate flag specified: --chown"),
        ("CMD --foo", "unknown flag: --foo"),
        ("ENV --export A=b", "unknown flag: --export"),
        ("COPY --keep-git-dir a b", "unknown flag: --keep-git-dir"),
        ("ADD --from=x a b", "unknown flag: --from"),
        ("ARG --x A", "ARG takes no flags: they are ignored"),
        ("STOPSIGNAL --x 9", "STOPSIGNAL takes no flags: they are ignored"),
        ("RUN --network=hots x", "invalid network mode \"hots\" (did you mean host?)"),
        ("RUN --security=x y", "invalid security mode \"x\""),
        ("RUN --device=a,x=1 y", "unexpected key 'x' in 'x=1'"),
    ] {
        assert_eq!(messages(&format!("FROM scratch\n{line}\n")), [message], "{line}");
    }
    let InstructionKind::Copy(copy) = kind("COPY --chown='a b':\\c --link=FALSE --exclude=x --exclude=y -- --a b")
    else {
        panic!()
    };
    assert_eq!(copy.chown.unwrap().raw, "a b:c");
    assert!(!copy.link);
    assert_eq!(copy.exclude.len(), 2);
    assert_eq!(copy.sources.len(), 1);
    assert_eq!(run_text("RUN -- --x"), "--x");
}

#[test]
fn json_form_is_all_or_nothing() {
    assert_eq!(run_text("RUN [\"a\", \"b c\"]"), "[\"a\", \"b c\"]");
    for text in ["[ 'a' ]", "[\"a\"] b", "[\"a\",]", "[\"c:\\windows\"]"] {
        assert_eq!(run_text(&format!("RUN {text}")), text);
    }
    assert_eq!(
        messages("FROM scratch\nCMD [\"a\", 1]"),
        ["when using JSON array syntax, arrays must be comprised of strings only"]
    );
    assert_eq!(kind("CMD []"), InstructionKind::Cmd(Form::Exec(Vec::new())));
    assert!(
        matches!(kind("RUN"), InstructionKind::Run(run) if matches!(&run.command, Form::Shell(text) if text.value.is_empty()))
    );
    assert_eq!(messages("FROM scratch\nRUN []"), ["RUN requires a command, but the array is empty"]);
}

#[test]
fn worked_examples_hold() {
    assert_eq!(pairs("ENV A=1 B=\"two words\" C='$A'"), [pair("A", "1"), pair("B", "two words"), pair("C", "$A")]);
    assert_eq!(pairs("ENV LEG old style value"), [pair("LEG", "old style value")]);
    assert_eq!(pairs("LABEL a=\"l1 \\\nl2\""), [pair("a", "l1 l2")]);
    assert_eq!(pairs("ENV A= B=a\\ b $X=y"), [pair("A", ""), pair("B", "a b"), pair("5", "y")]);
}

#[test]
fn pairs_need_their_signs() {
    for (line, message) in [
        ("ENV", "ENV requires at least one argument"),
        ("ENV A", "ENV must have two arguments"),
        ("LABEL a=1 b", "Syntax error - can't find = in \"b\". Must be of the form: name=value"),
        ("ENV =x", "ENV names can not be blank"),
        ("ENV X=${V:?need V}", "Syntax error - can't find = in \"V}\". Must be of the form: name=value"),
        ("ARG", "ARG requires at least one argument"),
        ("ARG =x", "ARG names can not be blank"),
        ("USER", "USER requires exactly one argument"),
        ("WORKDIR  ", "WORKDIR requires exactly one argument"),
        ("MAINTAINER", "MAINTAINER requires exactly one argument"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("VOLUME []", "VOLUME requires at least one argument"),
        ("VOLUME [\" \"]", "VOLUME specified can not be an empty string"),
        ("SHELL", "SHELL requires at least one argument"),
        ("SHELL []", "SHELL requires at least one argument"),
        ("SHELL sh -c", "SHELL requires the arguments to be in JSON form"),
        (
            "COPY a",
            "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        ("COPY a <<E\nE", "COPY cannot accept a heredoc as a destination"),
        ("CPY a b", "unknown instruction: CPY (did you mean COPY?)"),
        ("apt-get update", "unknown instruction: apt-get"),
        ("FROM a b", "FROM requires either one or three arguments"),
        ("FROM a AS 1abc", "invalid name for build stage: \"1abc\", name can't start with a number or contain symbols"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD maintainer x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD CPY x", "this trigger fails when it runs: unknown instruction: CPY (did you mean COPY?)"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK curl x", "Unknown type \"CURL\" in HEALTHCHECK (try CMD)"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK CMD []", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK --interval=30 CMD x", "time: missing unit in duration \"30\" for flag --interval"),
        ("HEALTHCHECK --interval=1us CMD x", "Interval \"interval\" cannot be less than 1ms"),
        ("HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)"),
    ] {
        assert_eq!(messages(&format!("FROM scratch\n{line}\n")), [message], "{line}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = read("FROM scratch\nCPY a b\nCOPY --x a b\nUSER\n");
    let lines: Vec<_> = found.diagnostics.iter().map(|found| found.span.start()).collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.is_sorted());
    assert_eq!(found.dockerfile.stages[0].instructions.len(), 3);
}

#[test]
fn heredocs_take_their_bodies() {
    let InstructionKind::Run(run) = kind("RUN <<X\nfalse\n# kept \\\necho continued\nX\n") else { panic!() };
    assert_eq!(run.heredoc_shape(), RunHeredocs::Script);
    assert_eq!(run.heredocs[0].body, b"false\n# kept \\\necho continued\n");
    let InstructionKind::Run(run) = kind("RUN <<X cat; echo two <<Y\none\nX\nyy\nY\n") else { panic!() };
    assert_eq!(run.heredoc_shape(), RunHeredocs::Mixed);
    assert_eq!(
        run.heredocs.iter().map(|heredoc| heredoc.body.clone()).collect::<Vec<_>>(),
        [b"one\n", b"yy\n\0".strip_suffix(b"\0").unwrap()]
    );
    let InstructionKind::Copy(copy) = kind("COPY <<F1 <<-\"F2\" /docs/\nexpand $X ${A}\nF1\n\t\traw $X\n\tF2\n") else {
        panic!()
    };
    let heredocs: Vec<_> = copy
        .sources
        .iter()
        .map(|source| match source {
            CopySource::Heredoc(heredoc) => heredoc,
            CopySource::Word(word) => panic!("{word:?}"),
        })
        .collect();
    assert!(heredocs[0].expand && !heredocs[1].expand);
    assert_eq!(heredocs[1].content().as_ref(), b"raw $X\n");
    assert_eq!(kinds("RUN << EOF\na\nEOF\nRUN b\n").len(), 2);
    assert_eq!(kinds("RUN echo $((1<<4)) \"<<EOF\"\nRUN [\"a\", \"<<EOF\"]\nLABEL a=<<EOF\nRUN b\n").len(), 4);
    assert_eq!(messages("FROM scratch\nRUN <<EOF\na\n EOF\n"), ["unterminated heredoc EOF"]);
    assert_eq!(
        messages("FROM scratch\nCOPY << EOF /x\na\nEOF\n"),
        ["COPY looks for files here, not for a here-document: write <<EOF without a space"]
    );
}

#[test]
fn lines_of_an_instruction_hold_its_heredocs() {
    let parsed = read("FROM scratch\n\nRUN \\\n  <<A <<B\na\nA\nb\nB\nUSER x\n");
    let lines = parsed.dockerfile.stages[0].instructions[0].lines;
    assert_eq!((lines.first(), lines.last()), (3, 8));
    assert_eq!(parsed.dockerfile.source.line(8), Some("B"));
}

#[test]
fn triggers_keep_their_text() {
    let InstructionKind::Onbuild(onbuild) = kind("onbuild run echo one && \\\n    echo   two") else { panic!() };
    assert_eq!(onbuild.trigger, "run echo one &&     echo   two");
    let InstructionKind::Onbuild(onbuild) = kind("ONBUILD COPY <<-\"TXT\" /note\n\tkept $as it is\n\tTXT\n") else {
        panic!()
    };
    assert_eq!(onbuild.trigger, "COPY <<-\"TXT\" /note\n\tkept $as it is\nTXT");
    let again = parse_onbuild(&onbuild.trigger, Escape::Backslash);
    assert!(again.diagnostics.is_empty(), "{:?}", again.diagnostics);
    assert!(matches!(again.dockerfile.orphans[0].kind, InstructionKind::Copy(_)));
    for bad in ["", "FROM x", "RUN a\nRUN b", "ONBUILD RUN x", "MAINTAINER x", "CPY a"] {
        assert!(parse_onbuild(bad, Escape::Backslash).has_errors(), "{bad}");
    }
    assert!(matches!(parse_onbuild("ARG A=1", Escape::Backslash).dockerfile.orphans[0].kind, InstructionKind::Arg(_)));
}

#[test]
fn backtick_escapes_leave_windows_paths_alone() {
    let parsed = read("# escape=`\nFROM scratch\nCOPY a c:\\\nRUN x `\n y\n");
    assert_eq!(parsed.dockerfile.stages[0].instructions.len(), 2);
    let InstructionKind::Copy(copy) = &parsed.dockerfile.stages[0].instructions[0].kind else { panic!() };
    assert_eq!(copy.dest.raw, "c:\\");
}

#[test]
fn health_checks_are_typed() {
    let InstructionKind::Healthcheck(Healthcheck::Command(check)) =
        kind("HEALTHCHECK --interval=5s --retries=2 cmd echo ok")
    else {
        panic!()
    };
    assert_eq!((check.interval.as_secs(), check.retries, check.timeout.as_secs()), (5, 2, 0));
    assert!(matches!(check.command, Form::Shell(text) if text.value == "echo ok"));
    assert_eq!(kind("HEALTHCHECK none"), InstructionKind::Healthcheck(Healthcheck::None));
}

#[test]
fn spans_point_at_the_words() {
    let text = "FROM scratch\nCOPY --from=build \\\n  src \\\n  /dst\nRUN --mount=type=cache,target=/c true\n";
    let parsed = read(text);
    let source = &parsed.dockerfile.source;
    let instructions = &parsed.dockerfile.stages[0].instructions;
    let InstructionKind::Copy(copy) = &instructions[0].kind else { panic!() };
    assert_eq!(source.slice(copy.from.as_ref().unwrap().span), "build");
    assert_eq!(source.slice(copy.dest.span), "/dst");
    assert_eq!(source.line_col(copy.dest.span.start()), (4, 3));
    let InstructionKind::Run(run) = &instructions[1].kind else { panic!() };
    assert_eq!(source.slice(run.mounts[0].option("target").unwrap().span), "/c");
    assert_eq!(source.slice(run.mounts[0].options[0].key.span), "type");
    assert_eq!(source.slice(instructions[0].span), "COPY --from=build \\\n  src \\\n  /dst");
}

#[test]
fn problems_are_kept_in_bounds() {
    let many = read(&format!("FROM scratch\nRUN {}\n", "--x ".repeat(100_000)));
    assert!(many.has_errors() && many.diagnostics.len() <= 2_000);
    let long = read(&format!("FROM scratch\nRUN --{}\n", "x".repeat(100_000)));
    assert!(long.diagnostics[0].message.len() < 5_000);
    let lines = read(&"x\n".repeat(1 << 19));
    assert!(lines.diagnostics.len() <= 2_000 && lines.dockerfile.orphans.len() <= 2_000, "the rest is not read");
}

/// Every word looked through all bodies, so that a file of a megabyte took minutes.
#[test]
fn many_here_documents_on_one_line_are_read_in_one_pass() {
    let words: String = (0..40_000).map(|index| format!("<<E{index} \\\n")).collect();
    let bodies: String = (0..40_000).map(|index| format!("{index}\nE{index}\n")).collect();
    let parsed = read(&format!("FROM scratch\nCOPY {words}/x/\n{bodies}"));
    assert!(!parsed.has_errors());
    let InstructionKind::Copy(copy) = &parsed.dockerfile.stages[0].instructions[0].kind else { panic!() };
    let CopySource::Heredoc(last) = &copy.sources[39_999] else { panic!() };
    assert_eq!(last.body, b"39999\n");
}

/// Words of one name share a body, each with a copy of its own.
#[test]
fn here_documents_named_again_have_a_bound() {
    let bodies = format!("{}{}\nE\n", "E\n".repeat(19), "x".repeat(1 << 20));
    let parsed = read(&format!("FROM scratch\nCOPY {}/x/\n{bodies}", "<<E ".repeat(20)));
    assert!(
        parsed.diagnostics.iter().any(|found| found.message.contains("more than 16 MiB")),
        "{:?}",
        parsed.diagnostics
    );
}

#[test]
fn many_bytes_that_are_not_utf8_are_told_in_bounded_time() {
    let text = [b"FROM scratch\n".to_vec(), b"ENV A=\xff\xff\xff\xff\xff\xff\xff\xff\n".repeat(200_000)].concat();
    let parsed = parse(text, &ParseOptions::default());
    assert_eq!(parsed.dockerfile.stages[0].instructions.len(), 200_000);
    assert_eq!(parsed.diagnostics.len(), 1_000);
}
