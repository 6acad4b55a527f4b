//! How diagnostics read: a dozen of them, whole.

use std::fmt::Write;

use strake_parser::{CheckSettings, Diagnostic, Escape, Expander, ParseOptions, SourceText, Span, Word, lint, parse};

fn render(source: &SourceText, found: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in found {
        let (line, column) = source.line_col(diagnostic.span.start());
        let text = source.slice(diagnostic.span);
        writeln!(
            out,
            "{:?} {} at {line}:{column} {text:?}: {}",
            diagnostic.severity, diagnostic.code, diagnostic.message
        )
        .expect("a String takes all");
        for label in &diagnostic.labels {
            let (line, column) = source.line_col(label.span.start());
            writeln!(out, "  label at {line}:{column}: {}", label.message).expect("a String takes all");
        }
        if let Some(help) = &diagnostic.help {
            writeln!(out, "  help: {help}").expect("a String takes all");
        }
        if let Some(fix) = &diagnostic.fix {
            writeln!(out, "  fix: {:?} becomes {:?}", source.slice(fix.span), fix.replacement)
                .expect("a String takes all");
        }
    }
    out
}

fn show(text: &str) -> String {
    let parsed = parse(text.as_bytes(), &ParseOptions::default());
    let mut found = parsed.diagnostics;
    found.extend(lint::check(&parsed.dockerfile, &CheckSettings::default(), &|_| true));
    render(&parsed.dockerfile.source, &found)
}

fn expand(raw: &str) -> String {
    let expander = Expander::new(Escape::Backslash, &|_| None);
    let word = Word { raw: raw.into(), span: Span::default() };
    let error = expander.word(&word).expect_err("the word is wrong");
    render(&SourceText::new(b""), &[error.into()])
}

#[test]
fn misspelt_keywords_have_a_fix() {
    insta::assert_snapshot!(show("FROM scratch\nCOPPY a b\n"), @r###"
    Error E0101 at 2:1 "COPPY": unknown instruction: COPPY (did you mean COPY?)
      fix: "COPPY" becomes "COPY"
    "###);
}

#[test]
fn misspelt_flags_have_a_fix() {
    insta::assert_snapshot!(show("FROM scratch\nCOPY --chwon=1 a b\n"), @r###"
    Error E0102 at 2:6 "--chwon=1": unknown flag: --chwon (did you mean chown?)
      help: write --chown
      fix: "--chwon" becomes "--chown"
    "###);
}

#[test]
fn repeated_flags_show_both_places() {
    insta::assert_snapshot!(show("FROM scratch\nCOPY --chown=1 \\\n  --chown=2 a b\n"), @r###"
    Error E0103 at 3:3 "--chown=2": duplicate flag specified: --chown
      label at 2:6: given here first
      help: give --chown once
    "###);
}

#[test]
fn open_heredocs_show_their_start() {
    insta::assert_snapshot!(show("FROM scratch\nRUN <<EOF\necho\n"), @r###"
    Error E0109 at 2:1 "RUN <<EOF\necho\n": unterminated heredoc EOF
      label at 2:5: it starts here
      help: put EOF alone on a line after the text, without blanks around it
    "###);
}

#[test]
fn numbers_in_json_are_pointed_at() {
    insta::assert_snapshot!(show("FROM scratch\nCMD [\"sleep\", 1]\n"), @r###"
    Error E0108 at 2:15 "1": when using JSON array syntax, arrays must be comprised of strings only
      help: put the value in double quotes; an array cannot hold another
    "###);
}

#[test]
fn words_without_equals_are_pointed_at() {
    insta::assert_snapshot!(show("FROM scratch\nENV A=1 \\\n    B\n"), @r###"
    Error E0203 at 3:5 "B": Syntax error - can't find = in "B". Must be of the form: name=value
      help: put a value that holds blanks in double quotes, as in NAME="two words"
    "###);
}

#[test]
fn values_in_braces_need_quotes() {
    insta::assert_snapshot!(show("FROM scratch\nENV A=${N:?set N please}\n"), @r###"
    Error E0203 at 2:16 "N": Syntax error - can't find = in "N". Must be of the form: name=value
      help: braces do not keep blanks together: put the value of A=${N:?set N please} in double quotes
    "###);
}

#[test]
fn stage_names_are_explained() {
    insta::assert_snapshot!(show("FROM scratch AS 2nd\n"), @r###"
    Error E0202 at 1:17 "2nd": invalid name for build stage: "2nd", name can't start with a number or contain symbols
      help: a name is a letter, then letters, digits, '-', '_' and '.'
    "###);
}

#[test]
fn directives_stand_once() {
    insta::assert_snapshot!(show("# escape=`\n# escape=`\nFROM scratch\n"), @r###"
    Error E0010 at 2:1 "# escape=`": only one escape parser directive can be used
      label at 1:1: given here first
      help: remove one of them
    "###);
}

#[test]
fn durations_need_units() {
    insta::assert_snapshot!(show("FROM scratch\nHEALTHCHECK --interval=30 CMD true\n"), @r###"
    Error E0217 at 2:24 "30": time: missing unit in duration "30" for flag --interval
      help: write a number and a unit, as in --interval=30s; units are ns us ms s m h
    "###);
}

#[test]
fn files_begin_with_from() {
    insta::assert_snapshot!(show("RUN true\n"), @r###"
    Error E0004 at 1:1 "RUN true": no build stage in current context
      help: put FROM IMAGE before RUN; only ARG may stand before the first FROM
    "###);
}

#[test]
fn triggers_warn_of_what_fails_later() {
    insta::assert_snapshot!(show("FROM scratch\nONBUILD COPY --chmd=1 a b\n"), @r###"
    Warning E0102 at 2:14 "--chmd=1": this trigger fails when it runs: unknown flag: --chmd (did you mean chmod?)
      help: write --chmod
      fix: "--chmd" becomes "--chmod"
    "###);
}

#[test]
fn casing_has_a_fix() {
    insta::assert_snapshot!(show("FROM scratch\nENV A=1\nenv B=2\n"), @r###"
    Warning W0504 at 3:1 "env": Command 'env' should match the case of the command majority (uppercase)
      help: write ENV
      fix: "env" becomes "ENV"
    "###);
}

#[test]
fn old_pairs_have_a_fix() {
    insta::assert_snapshot!(show("FROM scratch\nENV A 1\n"), @r###"
    Warning W0513 at 2:5 "A 1": "ENV key=value" should be used instead of legacy "ENV key value" format
      help: write ENV A="…"
      fix: "A 1" becomes "A=1"
    "###);
}

#[test]
fn open_quotes_are_named() {
    insta::assert_snapshot!(expand(r#""never"#), @r###"
    Error E0401 at 1:1 "": failed to process "\"never": unexpected end of statement while looking for matching double-quote
      help: close the quote, or put the escape character before a literal quote
    "###);
}

#[test]
fn required_variables_give_their_text() {
    insta::assert_snapshot!(expand(r#"${NEEDED:?set NEEDED}"#), @r###"
    Error E0402 at 1:1 "": failed to process "${NEEDED:?set NEEDED}": NEEDED: set NEEDED
      help: give NEEDED a value with ARG or ENV before this line; an ARG without a value takes it from --build-arg NEEDED=VALUE
    "###);
}

#[test]
fn unknown_modifiers_are_listed() {
    insta::assert_snapshot!(expand(r#"${V^}"#), @r###"
    Error E0401 at 1:1 "": failed to process "${V^}": unsupported modifier (^) in substitution
      help: the modifiers are :- - :+ + :? ? # ## % %% / and //; the shell of a RUN knows more of them
    "###);
}
