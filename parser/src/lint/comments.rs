//! Text behind an instruction that was meant as a comment: only a whole line can be one (dockerfile.md §3.1).

use super::Findings;
use crate::ast::{CopySource, Form, Instruction, InstructionKind, Word};
use crate::diagnostic::Diagnostic;
use crate::json::{self, JsonArray};
use crate::rule::Rule;
use crate::source::SourceText;
use crate::span::Span;

pub(super) fn check(source: &SourceText, instruction: &Instruction, findings: &mut Findings<'_>) {
    let Some(start) = begin(source, &instruction.kind) else { return };
    let line = source.line_of(start);
    let Some(whole) = source.line_span(line) else { return };
    let text = source.slice(Span::new(start, whole.end())).trim_end();
    // The line may go on.
    let text = if line < instruction.lines.last() { text.trim_end_matches(['\\', '`']).trim_end() } else { text };
    let keyword = instruction.keyword.value.to_uppercase();
    let message = format!("{text:?} is no comment but part of the {keyword}");
    let made = Diagnostic::lint(Rule::TrailingComment, message, Span::new(start, start + text.len()));
    let help = "a comment needs a line of its own: put it on the line above";
    findings.add(instruction.check_overrides.as_deref(), made.with_help(help));
}

/// Gives where the comment begins.
pub(super) fn begin(source: &SourceText, kind: &InstructionKind) -> Option<usize> {
    let hash = |span: Span| source.slice(span).starts_with('#').then_some(span.start());
    match kind {
        InstructionKind::Arg(items) => items.iter().skip(1).find_map(|item| hash(item.name.span)),
        InstructionKind::Env(pairs) | InstructionKind::Label(pairs) if pairs.is_legacy => {
            // Much text may hold the sign, as long as no blank follows.
            pairs.pairs.first().and_then(|(_, value)| within(source, value, "# "))
        }
        InstructionKind::Env(pairs) | InstructionKind::Label(pairs) => {
            pairs.pairs.iter().skip(1).find_map(|(name, _)| hash(name.span))
        }
        InstructionKind::Expose(words) | InstructionKind::Volume(words) => {
            words.iter().skip(1).find_map(|word| hash(word.span))
        }
        InstructionKind::User(word) | InstructionKind::Workdir(word) | InstructionKind::Stopsignal(word) => {
            within(source, word, "#")
        }
        InstructionKind::Cmd(Form::Shell(text)) | InstructionKind::Entrypoint(Form::Shell(text)) => {
            behind_array(source, text.span)
        }
        InstructionKind::Copy(copy) => of_paths(source, &copy.sources, &copy.dest),
        InstructionKind::Add(add) => of_paths(source, &add.copy.sources, &add.copy.dest),
        _ => None,
    }
}

/// Finds a comment behind what would be an array without it.
fn behind_array(source: &SourceText, span: Span) -> Option<usize> {
    let text = source.slice(span);
    let (array, _) = text.rsplit_once('#').filter(|(array, _)| array.ends_with([' ', '\t']))?;
    let is_array = matches!(json::read_array(array, 0..array.len()), JsonArray::Strings(_));
    is_array.then(|| span.start() + array.len())
}

/// Finds a sign behind a blank in a word that reaches to the end of the line.
fn within(source: &SourceText, word: &Word, sign: &str) -> Option<usize> {
    let text = source.slice(word.span);
    let found = text.match_indices(sign).map(|(at, _)| at);
    let mut behind = found.filter(|at| {
        let before = &text[..*at];
        // Quotes and escaped blanks keep it in the word.
        let is_kept = before.contains(['"', '\'']) || before.trim_end().ends_with(['\\', '`']);
        before.ends_with([' ', '\t']) && !before.trim().is_empty() && !is_kept
    });
    behind.next().map(|at| word.span.start() + at)
}

/// Finds the sign as a path of its own, or at the begin of the last path; files may have names that begin with it.
fn of_paths(source: &SourceText, sources: &[CopySource], dest: &Word) -> Option<usize> {
    let words = sources.iter().filter_map(|source| match source {
        CopySource::Word(word) => Some(word),
        CopySource::Heredoc(_) => None,
    });
    let alone = words.skip(1).chain([dest]).find(|word| source.slice(word.span) == "#");
    let last = (sources.len() > 1 && source.slice(dest.span).starts_with('#')).then_some(dest);
    alone.or(last).map(|word| word.span.start())
}
