use super::*;
use crate::parse::{ParseOptions, parse};

fn lint_with(text: &str, settings: &str) -> Vec<String> {
    let parsed = parse(text.as_bytes(), &ParseOptions::default());
    assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
    let settings = CheckSettings::parse(settings).unwrap();
    let found = check(&parsed.dockerfile, &settings, &|_| true);
    let source = &parsed.dockerfile.source;
    let shown = found.iter().map(|found| {
        let name = found.rule.map_or("", Rule::name);
        format!("{}: {} (line {})", name, found.message, source.line_of(found.span.start()))
    });
    shown.collect()
}

fn lint(text: &str) -> Vec<String> {
    lint_with(text, "")
}

#[test]
fn a_tidy_file_has_no_findings() {
    let text = "ARG V=1\nFROM alpine:$V AS build\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN [ -f /x ] && [ \"$a\" = \"b\" ]\n\
                ENV A=1\nCMD run\nFROM build\nCOPY --from=build /a /b\nENTRYPOINT [\"a\"]\n";
    assert_eq!(lint(text), [""; 0]);
}

#[test]
fn every_rule_of_the_tree_fires() {
    for (text, wanted) in [
        ("FROM scratch AS Base\n", "StageNameCasing: Stage name 'Base' should be lowercase (line 1)"),
        ("FROM scratch as base\n", "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)"),
        ("FROM scratch\nRUN a \\\n\n b\n", "NoEmptyContinuation: Empty continuation line (line 3)"),
        (
            "FROM scratch\nLABEL a=1\nlabel b=2\n",
            "ConsistentInstructionCasing: Command 'label' should match the case of the command majority (uppercase) (line 3)",
        ),
        (
            "FROM scratch AS a\nFROM scratch AS a\n",
            "DuplicateStageName: Duplicate stage name \"a\", stage names should be unique (line 2)",
        ),
        (
            "FROM alpine AS scratch\n",
            "ReservedStageName: Stage name should not use the same name as reserved stage \"scratch\" (line 1)",
        ),
        (
            "FROM scratch\nCMD run it\n",
            "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals (line 2)",
        ),
        (
            "FROM scratch\nMAINTAINER me\n",
            "MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label (line 2)",
        ),
        (
            "FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\n",
            "MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used (line 2)",
        ),
        (
            "FROM scratch\nENV a b\n",
            "LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format (line 2)",
        ),
        (
            "FROM scratch\nARG GITHUB_TOKEN\n",
            "SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"GITHUB_TOKEN\") (line 2)",
        ),
        (
            "FROM --platform=linux/arm64 scratch AS x\n",
            "FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/arm64\" (line 1)",
        ),
        (
            "FROM scratch\nENTRYPOINT ['a']\nSHELL [\"x\"]\n",
            "LooksLikeJson: this looks like a JSON array but is none, and is taken as plain text (line 2)",
        ),
        (
            "FROM scratch\nRUN <<EOF\na\nb\nEOF\n",
            "HeredocNoErrexit: the script goes on after a command that fails: only the last one's exit status counts (line 2)",
        ),
        (
            "FROM scratch\nCOPY a C:\\\nRUN x\n",
            "WindowsEscape: the backslash at the end of C:\\ continues the line (line 2)",
        ),
        (
            "FROM scratch\nCMD [\"c:\\\\bin\\tool.exe\"]\n",
            "WindowsEscape: JSON takes single backslashes in \"c:\\\\bin\\tool.exe\" for the signs of control characters (line 2)",
        ),
    ] {
        let found = lint(text);
        assert!(found.iter().any(|line| line == wanted), "{wanted}\n{found:#?}");
    }
}

#[test]
fn backslashes_that_escape_nothing_are_no_mistake() {
    assert_eq!(
        lint("FROM scratch\nCMD [\"C:\\\\bin\\\\tool.exe\"]\nENTRYPOINT [\"printf\", \"a:\\\\n\", \"1:\\n\"]\n"),
        [""; 0]
    );
    assert_eq!(lint("# escape=`\nFROM scratch\nCOPY <<EOF C:\\app\\\nx\nEOF\n"), [""; 0]);
    assert_eq!(lint("FROM scratch\nCOPY <<EOF /app\nC:\\app\\\nEOF\n"), [""; 0]);
}

#[test]
fn experimental_rules_fire_when_asked_for() {
    let text = "# what\nARG V\nFROM alpine\nRUN apt-get update | tee /log\n";
    assert_eq!(lint(text), [""; 0]);
    let found = lint_with(text, "experimental=all");
    let names: Vec<_> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        ["InvalidDefinitionDescription", "UnusedArg", "LatestTag", "PipeWithoutPipefail", "AptListsLeft"]
    );
}

#[test]
fn rules_are_skipped_for_file_and_instruction() {
    let text = "FROM scratch\n# check=skip=JSONArgsRecommended\nCMD a\nHEALTHCHECK NONE\nENTRYPOINT b\n";
    let found = lint(text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("(line 5)"));
    assert_eq!(lint_with(text, "skip=all"), [""; 0]);
}

#[test]
fn unreached_stages_are_not_checked_inside() {
    let parsed = parse(b"FROM scratch\nCMD a\nFROM scratch\nCMD b\n", &ParseOptions::default());
    let found = check(&parsed.dockerfile, &CheckSettings::default(), &|index| index == 1);
    assert_eq!(found.len(), 1);
}

#[test]
fn shells_of_base_stages_count() {
    assert_eq!(lint("FROM scratch AS a\nSHELL [\"x\"]\nFROM a\nCMD b\n"), [""; 0]);
    assert_eq!(lint("FROM scratch\nSHELL [\"sh\", \"-ec\"]\nRUN <<EOF\na\nb\nEOF\n"), [""; 0]);
    assert_eq!(lint("FROM scratch\nRUN <<EOF\nset -eu\na\nEOF\n"), [""; 0]);
}

#[test]
fn names_sound_like_secrets_by_their_words() {
    for name in ["API_KEY", "DATABASE_PASSWORD", "auth", "secret_MESSAGE", "APIKEY"] {
        assert!(sounds_secret(name), "{name}");
    }
    for name in ["MONKEY", "KEY_FILE", "PUBLIC_KEY", "TOKEN_VERSION", "AUTHOR", ""] {
        assert!(!sounds_secret(name), "{name}");
    }
}

#[test]
fn ignored_sources_are_told() {
    let rules = IgnoreRules::parse(b"*.log\ndir\n").unwrap();
    assert!(is_ignored_source(&rules, "/a.log") && is_ignored_source(&rules, "./dir/x"));
    assert!(!is_ignored_source(&rules, ".") && !is_ignored_source(&rules, "a"));
    assert!(is_ignored_source(&IgnoreRules::parse(b"**/*\n").unwrap(), "/"));
    assert!(!is_ignored_source(&IgnoreRules::parse(b"*\n!a\n").unwrap(), "b"));
}

#[test]
fn values_that_hold_a_comment_are_not_mended() {
    let fixes = |text: &str| {
        let parsed = parse(text.as_bytes(), &ParseOptions::default());
        let found = check(&parsed.dockerfile, &CheckSettings::default(), &|_| true);
        found.iter().filter(|one| one.fix.is_some()).count()
    };
    assert_eq!(fixes("FROM scratch\nENV A b # c\nLABEL d e # f\nENV B =b\nENV C = d e\n"), 0);
    assert_eq!(fixes("FROM scratch\nENV A b c\n"), 1);
}

#[test]
fn comments_behind_instructions_are_told() {
    let told = |text: &str| {
        let rule = "TrailingComment: ";
        let found: Vec<String> = lint(text).iter().filter_map(|one| Some(one.strip_prefix(rule)?.to_owned())).collect();
        found.join("\n")
    };
    insta::assert_snapshot!(told(
        "FROM scratch\nARG A=1 # c\nENV A=1 #x=y\nENV A b # c\nCOPY a /b # copy it\nCOPY a b #c\nEXPOSE 80 # http\n\
         USER app # me\nWORKDIR /app #x\nVOLUME /a # data\nSTOPSIGNAL SIGTERM # ends\nADD a b # c\n"
    ), @r##"
    "# c" is no comment but part of the ARG (line 2)
    "#x=y" is no comment but part of the ENV (line 3)
    "# c" is no comment but part of the ENV (line 4)
    "# copy it" is no comment but part of the COPY (line 5)
    "#c" is no comment but part of the COPY (line 6)
    "# http" is no comment but part of the EXPOSE (line 7)
    "# me" is no comment but part of the USER (line 8)
    "#x" is no comment but part of the WORKDIR (line 9)
    "# data" is no comment but part of the VOLUME (line 10)
    "# ends" is no comment but part of the STOPSIGNAL (line 11)
    "# c" is no comment but part of the ADD (line 12)
    "##);
    for text in [
        "FROM scratch\nARG A=#1\nENV A=1 B=#2\nENV COLOR #fff\nENV A \"x # y\"\nENV A x#y\n",
        "FROM scratch\nWORKDIR /a\\ #b\nUSER 'a # b'\n",
        "FROM scratch\nCOPY #a# /b\nCOPY x #a# /b\nWORKDIR /a#b\nUSER \"a # b\"\nRUN a # b\nCMD a # b\n",
    ] {
        assert_eq!(told(text), "", "{text}");
    }
}
