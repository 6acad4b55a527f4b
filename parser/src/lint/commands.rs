//! Checks of the instructions of a stage.

use super::{Findings, comments, errexit, pipes, sounds_secret};
use crate::ast::{Copy, CopySource, Form, Healthcheck, Instruction, InstructionKind, KeyValues, Stage, Word};
use crate::check::CheckSettings;
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::source::SourceText;
use crate::span::{Span, Spanned};

/// Checks a stage that begins with the given shell.
pub(super) fn check<'a>(
    source: &SourceText,
    stage: &'a Stage,
    shell: Option<&'a [Spanned<String>]>,
    findings: &mut Findings<'_>,
) {
    check_repeated(stage, findings);
    let mut shell = shell;
    for instruction in &stage.instructions {
        let overrides = instruction.check_overrides.as_deref();
        check_paths(source, &instruction.kind, overrides, findings);
        check_alone(source, instruction, shell.is_some(), findings);
        comments::check(source, instruction, findings);
        match &instruction.kind {
            InstructionKind::Healthcheck(Healthcheck::Command(command)) => {
                check_json(&command.command, overrides, findings);
            }
            InstructionKind::Volume(words) => check_json_words(words.first(), overrides, findings),
            InstructionKind::Copy(copy) => check_json_words(first_source(copy), overrides, findings),
            InstructionKind::Add(add) => check_json_words(first_source(&add.copy), overrides, findings),
            InstructionKind::Run(run) => {
                check_json(&run.command, overrides, findings);
                errexit::check(instruction, run, shell.unwrap_or_default(), findings);
                pipes::check(instruction, run, shell.unwrap_or_default(), findings);
            }
            InstructionKind::Shell(own) => shell = Some(own),
            _ => {}
        }
    }
}

/// Of CMD, ENTRYPOINT and HEALTHCHECK only the last one counts; the earlier one is reported.
fn check_repeated(stage: &Stage, findings: &mut Findings<'_>) {
    let mut last: [Option<&Instruction>; 3] = [None; 3];
    for instruction in &stage.instructions {
        let (slot, name) = match instruction.kind {
            InstructionKind::Cmd(_) => (0, "CMD"),
            InstructionKind::Entrypoint(_) => (1, "ENTRYPOINT"),
            InstructionKind::Healthcheck(_) => (2, "HEALTHCHECK"),
            _ => continue,
        };
        if let Some(earlier) = last[slot].replace(instruction) {
            let message = format!(
                "Multiple {name} instructions should not be used in the same stage because only the last one will be used"
            );
            let made = Diagnostic::lint(Rule::MultipleInstructionsDisallowed, message, earlier.span);
            let made = made
                .with_label(instruction.keyword.span, "this one is used")
                .with_help("remove the one without effect");
            findings.add(instruction.check_overrides.as_deref(), made);
        }
    }
}

/// Checks what the reference's rules for a single instruction look at, in a stage and in a trigger where it fires.
pub(super) fn check_alone(
    source: &SourceText,
    instruction: &Instruction,
    has_shell: bool,
    findings: &mut Findings<'_>,
) {
    let overrides = instruction.check_overrides.as_deref();
    match &instruction.kind {
        InstructionKind::Env(pairs) => {
            check_legacy(source, instruction, pairs, findings);
            for (name, _) in &pairs.pairs {
                check_secret("ENV", &name.raw, name.span, overrides, findings);
            }
        }
        InstructionKind::Label(pairs) => check_legacy(source, instruction, pairs, findings),
        InstructionKind::Arg(declared) => {
            for item in declared {
                check_secret("ARG", &item.name.value, item.name.span, overrides, findings);
            }
        }
        InstructionKind::Cmd(form) => check_signal_form("CMD", instruction, form, has_shell, findings),
        InstructionKind::Entrypoint(form) => check_signal_form("ENTRYPOINT", instruction, form, has_shell, findings),
        _ => {}
    }
}

fn check_legacy(source: &SourceText, instruction: &Instruction, pairs: &KeyValues, findings: &mut Findings<'_>) {
    let Some((name, value)) = pairs.pairs.first().filter(|_| pairs.is_legacy) else { return };
    let keyword = instruction.keyword.value.to_uppercase();
    let message = format!("\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format");
    let made = Diagnostic::lint(Rule::LegacyKeyValueFormat, message, name.span.join(value.span));
    // Quotes and escapes mean the same in both forms, but only one that has none can be put into quotes untouched.
    let is_plain = !value.raw.contains(['"', '\'', '\\', '`']) && source.slice(value.span) == value.raw;
    if value.raw.starts_with('=') {
        // What is meant is another value, so that nothing is mended.
        let meant = value.raw.trim_start_matches('=').trim();
        let quote = if meant.contains(char::is_whitespace) && !meant.contains('"') { "\"" } else { "" };
        let help = format!(
            "blanks around the = belong to the value, which is {:?}; write {keyword} {}={quote}{meant}{quote}",
            value.raw, name.raw
        );
        findings.add(instruction.check_overrides.as_deref(), made.with_help(help));
        return;
    }
    let made = made.with_help(format!("write {keyword} {}=\"…\"", name.raw));
    let whole = name.span.join(value.span);
    let quote = if value.raw.contains(char::is_whitespace) { "\"" } else { "" };
    // A comment that became part of the value would stay so.
    let is_plain = is_plain && comments::begin(source, &instruction.kind).is_none();
    let made = if is_plain { made.with_fix(whole, format!("{}={quote}{}{quote}", name.raw, value.raw)) } else { made };
    findings.add(instruction.check_overrides.as_deref(), made);
}

fn check_secret(keyword: &str, name: &str, span: Span, overrides: Option<&CheckSettings>, findings: &mut Findings<'_>) {
    if sounds_secret(name) {
        let message = format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {name:?})");
        let help = "pass it to the RUN that needs it with --mount=type=secret,id=NAME";
        findings.add(overrides, Diagnostic::lint(Rule::SecretsUsedInArgOrEnv, message, span).with_help(help));
    }
}

fn check_signal_form(
    keyword: &str,
    instruction: &Instruction,
    form: &Form,
    has_shell: bool,
    findings: &mut Findings<'_>,
) {
    let overrides = instruction.check_overrides.as_deref();
    check_json(form, overrides, findings);
    let Form::Shell(text) = form else { return };
    if has_shell {
        return;
    }
    let message =
        format!("JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals");
    let help = format!("write {keyword} [\"PROGRAM\", \"ARGUMENT\"], or set SHELL to say that a shell is wanted");
    let span = text.span.join(instruction.keyword.span);
    findings.add(overrides, Diagnostic::lint(Rule::JSONArgsRecommended, message, span).with_help(help));
}

/// Finds paths of Windows in JSON whose single backslashes JSON takes for control characters: `["C:\bin\tool.exe"]`.
fn check_paths(
    source: &SourceText,
    kind: &InstructionKind,
    overrides: Option<&CheckSettings>,
    findings: &mut Findings<'_>,
) {
    let strings = match kind {
        InstructionKind::Run(run) => &run.command,
        InstructionKind::Cmd(form) | InstructionKind::Entrypoint(form) => form,
        InstructionKind::Healthcheck(Healthcheck::Command(command)) => &command.command,
        InstructionKind::Shell(strings) => {
            return strings.iter().for_each(|one| check_path(source, one, overrides, findings));
        }
        _ => return,
    };
    if let Form::Exec(strings) = strings {
        strings.iter().for_each(|one| check_path(source, one, overrides, findings));
    }
}

fn check_path(
    source: &SourceText,
    string: &Spanned<String>,
    overrides: Option<&CheckSettings>,
    findings: &mut Findings<'_>,
) {
    let is_drive = matches!(string.value.as_bytes(), [drive, b':', _, ..] if drive.is_ascii_alphabetic());
    if !is_drive || !string.value.contains(['\u{8}', '\u{c}', '\n', '\r', '\t']) {
        return;
    }
    let written = source.slice(string.span);
    let message = format!("JSON takes single backslashes in {written} for the signs of control characters");
    let help = "write each backslash of the path twice, or write slashes";
    let made = Diagnostic::lint(Rule::WindowsEscape, message, string.span).with_help(help);
    // Those that are doubled already stay.
    let doubled = written.replace("\\\\", "\0").replace(['\\', '\0'], "\\\\");
    let is_sure = !written.contains(['\n', '\0']) && !written.contains("\\u") && !written.contains("\\\"");
    findings.add(overrides, if is_sure { made.with_fix(string.span, doubled) } else { made });
}

fn first_source(copy: &Copy) -> Option<&Word> {
    match copy.sources.first()? {
        CopySource::Word(word) => Some(word),
        CopySource::Heredoc(_) => None,
    }
}

fn check_json(form: &Form, overrides: Option<&CheckSettings>, findings: &mut Findings<'_>) {
    if let Form::Shell(text) = form
        && looks_like_json(&text.value)
    {
        report_json(text.span, overrides, findings);
    }
}

fn check_json_words(first: Option<&Word>, overrides: Option<&CheckSettings>, findings: &mut Findings<'_>) {
    if let Some(word) = first.filter(|word| word.raw.starts_with("[\"") || word.raw.starts_with("['")) {
        // A decoded JSON string that begins so stands in the source with an escape.
        if word.span.len() == word.raw.len() {
            report_json(word.span, overrides, findings);
        }
    }
}

fn report_json(span: Span, overrides: Option<&CheckSettings>, findings: &mut Findings<'_>) {
    let message = "this looks like a JSON array but is none, and is taken as plain text";
    let help = "JSON needs double quotes, commas between strings and none at the end, \\\\ for a backslash, and nothing after it";
    findings.add(overrides, Diagnostic::lint(Rule::LooksLikeJson, message, span).with_help(help));
}

/// Tells brackets meant as JSON from the shell's `[ "$a" = b ]`, which needs a blank and has no comma after a string.
fn looks_like_json(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('[') else { return false };
    if inner.starts_with(['"', '\'']) {
        return true;
    }
    let inner = inner.trim_start();
    let Some(quote) = inner.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return false };
    let after = inner.get(1..).and_then(|rest| rest.split_once(quote)).map(|(_, after)| after.trim_start());
    let is_whole = text.ends_with(']') && inner.matches(quote).count() == 2 && after == Some("]");
    is_whole || after.is_some_and(|after| after.starts_with(','))
}
