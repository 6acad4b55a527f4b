//! Checks of spelling: letter case, blank lines, comments.

use super::Findings;
use crate::ast::{Copy, CopySource, Dockerfile, Escape, Instruction, InstructionKind, Stage};
use crate::check::CheckSettings;
use crate::diagnostic::Diagnostic;
use crate::keyword::Keyword;
use crate::rule::Rule;
use crate::source::SourceText;
use crate::span::{LineRange, Span, Spanned};

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings<'_>) {
    check_casing(dockerfile, findings);
    for instruction in &dockerfile.global_args {
        check_instruction(dockerfile, instruction, findings);
    }
    for stage in &dockerfile.stages {
        check_stage(dockerfile, stage, findings);
        for instruction in &stage.instructions {
            check_instruction(dockerfile, instruction, findings);
        }
    }
}

fn check_stage(dockerfile: &Dockerfile, stage: &Stage, findings: &mut Findings<'_>) {
    let source = &dockerfile.source;
    let overrides = stage.check_overrides.as_deref();
    let from = &*stage.keyword.value;
    if let Some(keyword) = &stage.as_keyword {
        let is_mismatch =
            (is_lower(from) && !is_lower(&keyword.value)) || (is_upper(from) && !is_upper(&keyword.value));
        if is_mismatch {
            let wanted = if is_lower(from) { "as" } else { "AS" };
            let message = format!("'{}' and '{from}' keywords' casing do not match", keyword.value);
            let made = Diagnostic::lint(Rule::FromAsCasing, message, keyword.span).with_fix(keyword.span, wanted);
            findings.add(overrides, made.with_help(format!("write {wanted}")));
        }
    }
    if let Some(name) = &stage.name {
        let lower = name.value.to_lowercase();
        if lower != name.value && is_stage_name(&name.value) {
            let message = format!("Stage name '{}' should be lowercase", name.value);
            let made = Diagnostic::lint(Rule::StageNameCasing, message, name.span);
            // Uses are found in any letter case.
            let made = made.with_help(format!("write {lower}")).with_fix(name.span, lower.as_str());
            findings.add(overrides, made);
        }
        check_description("FROM", &[lower.as_str()], &stage.docs, overrides, findings);
    }
    if stage.has_empty_continuation {
        report_empty_continuation(source, stage.lines, None, overrides, findings);
    }
    check_windows_escape(dockerfile, stage.lines, None, overrides, findings);
}

fn check_instruction(dockerfile: &Dockerfile, instruction: &Instruction, findings: &mut Findings<'_>) {
    let source = &dockerfile.source;
    let overrides = instruction.check_overrides.as_deref();
    match &instruction.kind {
        InstructionKind::Maintainer(text) => {
            let message = "Maintainer instruction is deprecated in favor of using label".to_owned();
            let made = Diagnostic::lint(Rule::MaintainerDeprecated, message, instruction.keyword.span);
            let mut made = made.with_help("write LABEL org.opencontainers.image.authors=\"…\"");
            let author = text.value.trim();
            // MAINTAINER takes its text as it is, so that what means something in LABEL is left to people.
            if !author.contains(['"', '\'', '\\', '`', '$']) && source.slice(text.span) == text.value {
                let keyword = if is_lower(&instruction.keyword.value) { "label" } else { "LABEL" };
                let label = format!("{keyword} org.opencontainers.image.authors=\"{author}\"");
                made = made.with_fix(instruction.keyword.span.join(text.span), label);
            }
            findings.add(overrides, made);
        }
        InstructionKind::Arg(declared) => {
            let names: Vec<_> = declared.iter().map(|item| item.name.value.as_str()).collect();
            check_description("ARG", &names, &instruction.docs, overrides, findings);
        }
        _ => {}
    }
    let heredoc = first_heredoc(&instruction.kind);
    if instruction.has_empty_continuation {
        report_empty_continuation(source, instruction.lines, heredoc, overrides, findings);
    }
    check_windows_escape(dockerfile, instruction.lines, heredoc, overrides, findings);
}

/// Keywords follow the case of most; mixed ones count for neither side and upper case wins a tie.
fn check_casing(dockerfile: &Dockerfile, findings: &mut Findings<'_>) {
    let mut keywords = Vec::new();
    for stage in &dockerfile.stages {
        keywords.push((&stage.keyword, stage.check_overrides.as_deref()));
        // What is no instruction is an error already; it may be text of a command that lost its continuation.
        let known = stage.instructions.iter().filter(|one| !matches!(one.kind, InstructionKind::Unknown(_)));
        for instruction in known {
            keywords.push((&instruction.keyword, instruction.check_overrides.as_deref()));
        }
    }
    let lower = keywords.iter().filter(|(keyword, _)| is_lower(&keyword.value)).count();
    let upper = keywords.iter().filter(|(keyword, _)| is_upper(&keyword.value)).count();
    for (keyword, overrides) in keywords {
        let (wanted, case) = if lower > upper {
            (keyword.value.to_lowercase(), "lowercase")
        } else {
            (keyword.value.to_uppercase(), "uppercase")
        };
        if wanted != keyword.value {
            let message = format!("Command '{}' should match the case of the command majority ({case})", keyword.value);
            let made = Diagnostic::lint(Rule::ConsistentInstructionCasing, message, keyword.span);
            findings.add(overrides, made.with_help(format!("write {wanted}")).with_fix(keyword.span, wanted));
        }
    }
}

fn check_description(
    instruction: &str,
    names: &[&str],
    docs: &[Spanned<String>],
    overrides: Option<&CheckSettings>,
    findings: &mut Findings<'_>,
) {
    let Some(last) = docs.last() else { return };
    let first_word = last.value.split(' ').next().unwrap_or_default();
    if names.contains(&first_word) {
        return;
    }
    let example = match names {
        [name] => name,
        _ => "<arg_key>",
    };
    let message = format!("Comment for {instruction} should follow the format: `# {example} <description>`");
    let made = Diagnostic::lint(Rule::InvalidDefinitionDescription, message, last.span);
    let help = "if the comment does not describe what follows, put an empty comment line after it";
    findings.add(overrides, made.with_help(help));
}

/// Gives where the body of the first here-document begins; blank lines from there on are its own.
fn first_heredoc(kind: &InstructionKind) -> Option<usize> {
    let of_copy = |copy: &Copy| {
        copy.sources.iter().find_map(|source| match source {
            CopySource::Heredoc(heredoc) => Some(heredoc.span.start()),
            CopySource::Word(_) => None,
        })
    };
    match kind {
        InstructionKind::Run(run) => run.heredocs.first().map(|heredoc| heredoc.span.start()),
        InstructionKind::Copy(copy) => of_copy(copy),
        InstructionKind::Add(add) => of_copy(&add.copy),
        InstructionKind::Onbuild(onbuild) => first_heredoc(&onbuild.instruction.kind),
        _ => None,
    }
}

fn report_empty_continuation(
    source: &SourceText,
    lines: LineRange,
    heredoc: Option<usize>,
    overrides: Option<&CheckSettings>,
    findings: &mut Findings<'_>,
) {
    let end = heredoc.unwrap_or(usize::MAX);
    let blank: Vec<Span> = (lines.first()..=lines.last())
        .filter(|number| source.line(*number).is_some_and(|line| line.trim().is_empty()))
        .filter_map(|number| source.line_span(number))
        .take_while(|span| span.start() < end)
        .collect();
    let span = blank.first().copied().unwrap_or_default();
    let whole = blank.last().map_or(span, |last| span.join(*last));
    let shown = Span::new(span.start(), span.start() + source.slice(span).trim_end_matches(['\r', '\n']).len());
    let kept: String = source.slice(whole).split_inclusive('\n').filter(|line| !line.trim().is_empty()).collect();
    let made = Diagnostic::lint(Rule::NoEmptyContinuation, "Empty continuation line", shown);
    let next = source.rest_of_line(whole.end()).trim_start();
    let word = next.split_whitespace().next().unwrap_or_default();
    let is_instruction = word.len() > 1 && is_upper(word) && Keyword::find(word).is_some();
    findings.add(
        overrides,
        match is_instruction {
            // To remove the line would keep the instruction in the command.
            true => made.with_help(format!(
                "{word} below counts as a part of this instruction: remove the escape character from the line above"
            )),
            false => made.with_help("remove the empty line, or make it a comment").with_fix(whole, kept),
        },
    );
}

/// A path like `C:\` at the end of a line continues the line (dockerfile.md §22.3).
fn check_windows_escape(
    dockerfile: &Dockerfile,
    lines: LineRange,
    heredoc: Option<usize>,
    overrides: Option<&CheckSettings>,
    findings: &mut Findings<'_>,
) {
    if dockerfile.directives.escape() != Escape::Backslash {
        return;
    }
    let source = &dockerfile.source;
    let end = heredoc.unwrap_or(usize::MAX);
    // Before its here-documents only a continued instruction has more than one line.
    for number in lines.first()..lines.last() {
        if source.line_span(number).is_none_or(|span| span.start() >= end) {
            return;
        }
        let Some(line) = source.line(number) else { return };
        let line = line.trim_end_matches([' ', '\t']);
        let word = line.rsplit([' ', '\t']).next().unwrap_or_default();
        if !is_drive_path(word) || !word.ends_with('\\') {
            continue;
        }
        let start = source.line_span(number).map_or(0, Span::start);
        let span = Span::new(start + line.len() - word.len(), start + line.len());
        let message = format!("the backslash at the end of {word} continues the line");
        let help = "put # escape=` on the first line of the file, or write the path with slashes";
        let made = Diagnostic::lint(Rule::WindowsEscape, message, span).with_help(help);
        findings.add(overrides, made.with_fix(span, word.replace('\\', "/")));
    }
}

fn is_drive_path(word: &str) -> bool {
    matches!(word.as_bytes(), [drive, b':', b'\\', ..] if drive.is_ascii_alphabetic())
}

/// Says whether a stage may have the name, apart from its letter case; others are errors (dockerfile.md §7.1).
fn is_stage_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_lower(text: &str) -> bool {
    !text.chars().any(char::is_uppercase)
}

fn is_upper(text: &str) -> bool {
    !text.chars().any(char::is_lowercase)
}
