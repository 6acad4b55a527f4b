//! From a logical line to an instruction (dockerfile.md §4, §13).

use std::borrow::Cow;
use std::ops::Range;

use crate::ast::{Escape, Heredoc, Instruction, InstructionKind, Onbuild, Word};
use crate::codes;
use crate::diagnostic::{Diagnostic, Severity, keep};
use crate::features::{Feature, Language};
use crate::flags::{FlagSpec, FlagWords, Flags};
use crate::json::{self, JsonArray};
use crate::keyword::Keyword;
use crate::lines::LogicalLine;
use crate::span::{Span, Spanned};
use crate::words::{split_blanks, split_once_blank, trim_end, trim_start, word_end};

mod blocks;
mod commands;
mod files;
mod from;
mod settings;
mod unknown;

pub(crate) use from::From;
use unknown::unknown_instruction;
pub(crate) use unknown::{block_word, explain_unknown};

/// Keyword, flags and arguments of a line, not yet understood.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) word: Range<usize>,
    pub(crate) keyword: Option<Keyword>,
    flags: FlagWords<'a>,
    arguments: Range<usize>,
    json: JsonArray<'a>,
}

impl<'a> Head<'a> {
    /// Splits `range` of the text.
    pub(crate) fn read(text: &'a str, range: Range<usize>, language: Language) -> Self {
        let end = word_end(text.as_bytes(), range.clone());
        let word = range.start..end;
        let keyword = Keyword::find(&text[word.clone()]).filter(|keyword| keyword.is_known(language.features));
        let flags = FlagWords::scan(text, end, range.end, language.escape);
        let arguments = trim(text, flags.rest..range.end);
        let json = match keyword {
            Some(Keyword::Healthcheck) => {
                let (_, rest) = split_once_blank(text, arguments.clone());
                rest.map_or(JsonArray::No, |rest| json::read_array(text, rest))
            }
            Some(
                Keyword::Add
                | Keyword::Cmd
                | Keyword::Copy
                | Keyword::Entrypoint
                | Keyword::Run
                | Keyword::Shell
                | Keyword::Volume,
            ) => json::read_array(text, arguments.clone()),
            _ => JsonArray::No,
        };
        Self { word, keyword, flags, arguments, json }
    }

    /// Gives where the arguments behind the flags stand.
    pub(crate) fn arguments(&self) -> Range<usize> {
        self.arguments.clone()
    }

    /// Gives the head of the nested instruction of ONBUILD.
    ///
    /// A trigger is for any builder, so that it has the plain language.
    pub(crate) fn nested(&self, text: &'a str, escape: Escape) -> Option<Self> {
        let is_onbuild = self.keyword == Some(Keyword::Onbuild) && !self.arguments.is_empty();
        is_onbuild.then(|| Self::read(text, self.arguments.clone(), Language::plain(escape)))
    }

    /// Says whether here-docs may start on the line.
    pub(crate) fn takes_heredocs(&self) -> bool {
        self.json == JsonArray::No && self.keyword.is_some_and(Keyword::takes_heredocs)
    }
}

/// What a line turned out to be.
#[derive(Debug)]
pub(crate) enum Statement {
    From(From),
    Other(InstructionKind),
}

/// Everything the parsers of the instructions need.
pub(crate) struct Scope<'a> {
    line: &'a LogicalLine<'a>,
    language: Language,
    escape: Escape,
    keyword: Keyword,
    name: &'static str,
    flags: &'a FlagWords<'a>,
    arguments: Range<usize>,
    json: JsonArray<'a>,
    heredocs: Vec<Heredoc>,
    statement: Span,
    out: &'a mut Vec<Diagnostic>,
}

/// Understands a line; what is wrong with it goes to `out`.
pub(crate) fn read_statement(
    line: &LogicalLine<'_>,
    mut head: Head<'_>,
    heredocs: Vec<Heredoc>,
    language: Language,
    out: &mut Vec<Diagnostic>,
) -> Statement {
    let text = &line.text;
    let word = &text[head.word.clone()];
    let statement = line.span(head.word.start, head.arguments.end.max(head.word.end));
    let Some(keyword) = head.keyword else {
        keep(unknown_instruction(word, language, line.span(head.word.start, head.word.end)), out);
        return Statement::Other(unknown(line, head.arguments));
    };
    let mut scope = Scope {
        line,
        language,
        escape: language.escape,
        keyword,
        name: keyword.name(),
        flags: &head.flags,
        arguments: head.arguments.clone(),
        json: std::mem::replace(&mut head.json, JsonArray::No),
        heredocs,
        statement,
        out,
    };
    if let JsonArray::NotStrings(range) = &scope.json {
        let span = line.span(range.start, range.end);
        let message = "when using JSON array syntax, arrays must be comprised of strings only";
        scope.report(
            Diagnostic::error(codes::JSON_NOT_STRINGS, message, span)
                .with_help("put the value in double quotes; an array cannot hold another"),
        );
        return Statement::Other(unknown(line, head.arguments));
    }
    let kind = match keyword {
        Keyword::From => return Statement::From(scope.read_from()),
        Keyword::Onbuild => scope.read_onbuild(),
        Keyword::Arg => scope.read_arg(),
        Keyword::Env => scope.read_pairs().map(InstructionKind::Env),
        Keyword::Label => scope.read_pairs().map(InstructionKind::Label),
        Keyword::Run => scope.read_run(),
        Keyword::Copy => scope.read_copy(),
        Keyword::Add => scope.read_add(),
        Keyword::Workdir => scope.read_single().map(InstructionKind::Workdir),
        Keyword::User => scope.read_single().map(InstructionKind::User),
        Keyword::Stopsignal => scope.read_stopsignal(),
        Keyword::Maintainer => scope.read_maintainer(),
        Keyword::Expose => scope.read_expose(),
        Keyword::Volume => scope.read_volume(),
        Keyword::Cmd => Some(InstructionKind::Cmd(scope.read_command())),
        Keyword::Entrypoint => Some(InstructionKind::Entrypoint(scope.read_command())),
        Keyword::Shell => scope.read_shell(),
        Keyword::Healthcheck => scope.read_healthcheck(),
        Keyword::Include => scope.read_include(),
        Keyword::If => scope.read_if(),
        Keyword::Else => scope.read_else(),
        Keyword::Endif => scope.read_endif(),
    };
    Statement::Other(kind.unwrap_or_else(|| unknown(line, head.arguments)))
}

fn unknown(line: &LogicalLine<'_>, Range { start, end }: Range<usize>) -> InstructionKind {
    InstructionKind::Unknown(Spanned::new(line.text[start..end].to_owned(), line.span(start, end)))
}

impl<'a> Scope<'a> {
    fn report(&mut self, diagnostic: Diagnostic) {
        keep(diagnostic, self.out);
    }

    fn text(&self) -> &'a str {
        &self.line.text
    }

    fn word(&self, range: Range<usize>) -> Word {
        Word { span: self.line.span(range.start, range.end), raw: self.line.text[range].into() }
    }

    fn spanned(&self, range: Range<usize>) -> Spanned<String> {
        Spanned::new(self.line.text[range.clone()].to_owned(), self.line.span(range.start, range.end))
    }

    fn json_word(&self, (raw, range): (Cow<'_, str>, Range<u32>)) -> Word {
        Word { raw: raw.into(), span: self.json_span(&range) }
    }

    fn json_span(&self, range: &Range<u32>) -> Span {
        self.line.span(range.start as usize, range.end as usize)
    }

    /// Takes out the strings of the JSON form and where they are written; none in the other form.
    fn take_strings(&mut self) -> Option<Vec<(Cow<'a, str>, Range<u32>)>> {
        match &mut self.json {
            JsonArray::Strings(strings) => Some(std::mem::take(strings)),
            _ => None,
        }
    }

    /// Gives the arguments as words at blanks, in a list that has no room to spare: the tree keeps it.
    fn blank_words(&self) -> Vec<Word> {
        let ranges = split_blanks(self.text(), self.arguments.clone());
        let mut words = Vec::with_capacity(ranges.clone().count());
        words.extend(ranges.map(|range| self.word(range)));
        words
    }

    fn read_flags(&mut self, known: &[FlagSpec]) -> Flags {
        self.flags.read(self.line, self.keyword, known, self.language, self.out)
    }

    /// Warns of flags that the reference drops without a word (dockerfile.md §4.3).
    fn drop_flags(&mut self, who: &str) {
        if let Some(span) = self.flags.span(self.line) {
            let message = format!("{who} takes no flags: they are ignored");
            self.report(Diagnostic::warning(codes::FLAGS_IGNORED, message, span).with_help("remove them"));
        }
    }

    fn missing_arguments(&mut self, wanted: &str, help: &str) {
        let message = format!("{} requires {wanted}", self.name);
        self.report(Diagnostic::error(codes::MISSING_ARGUMENTS, message, self.statement).with_help(help));
    }

    fn read_onbuild(&mut self) -> Option<InstructionKind> {
        self.read_flags(&[]);
        let text = self.text();
        if self.arguments.is_empty() {
            self.missing_arguments("at least one argument", "write ONBUILD INSTRUCTION, as in ONBUILD COPY . /app");
            return None;
        }
        let head = Head::read(text, self.arguments.clone(), Language::plain(self.escape));
        let span = self.line.span(head.word.start, head.word.end);
        match head.keyword {
            Some(Keyword::Onbuild) => {
                let message = "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed";
                let help = "write ONBUILD once; a trigger runs in the next build only";
                self.report(Diagnostic::error(codes::ONBUILD_CHAIN, message, span).with_help(help));
                return None;
            }
            Some(keyword @ (Keyword::From | Keyword::Maintainer)) => {
                let message = format!("{} isn't allowed as an ONBUILD trigger", keyword.name());
                let help = "a trigger is an instruction that may stand inside a stage";
                self.report(Diagnostic::error(codes::ONBUILD_TRIGGER, message, span).with_help(help));
                return None;
            }
            _ => {}
        }
        let heredocs = std::mem::take(&mut self.heredocs);
        // The reference keeps the blanks at the end of the text.
        let mut trigger = text[self.arguments.start..].to_owned();
        for heredoc in &heredocs {
            trigger.push('\n');
            trigger.push_str(&String::from_utf8_lossy(&heredoc.body));
            trigger.push_str(&heredoc.name);
        }
        let statement = self.line.span(head.word.start, head.arguments.end.max(head.word.end));
        let docs_end = heredocs.last().map_or(statement.end(), |heredoc| heredoc.span.end().max(statement.end()));
        let mut problems = Vec::new();
        let (keyword, word) = (head.keyword, head.word.clone());
        let nested = read_statement(self.line, head, heredocs, Language::plain(self.escape), &mut problems);
        let Statement::Other(kind) = nested else { return None };
        for mut problem in problems {
            if Feature::ALL.iter().any(|feature| problem.help.as_deref() == Some(&feature.remedy())) {
                problem.help = Some("triggers are for any builder and have none of strake's additions".to_owned());
            }
            keep(soften(problem), self.out);
        }
        let instruction = Instruction {
            keyword: Spanned::new(Keyword::spelling(keyword, &text[word]), span),
            kind,
            span: Span::new(statement.start(), docs_end),
            lines: self.line.lines,
            docs: Vec::new(),
            check_overrides: None,
            joined: Some(text[self.arguments.clone()].into()),
            has_empty_continuation: false,
        };
        Some(InstructionKind::Onbuild(Onbuild { trigger, instruction: Box::new(instruction) }))
    }
}

/// Makes a warning of an error that only the build of a child image meets.
///
/// The reference checks a trigger's words when it stores it, but its flags and arguments only when it runs.
fn soften(mut diagnostic: Diagnostic) -> Diagnostic {
    let is_checked_at_once = matches!(
        diagnostic.code,
        codes::JSON_NOT_STRINGS | codes::PAIR_WITHOUT_EQUALS | codes::PAIR_WITHOUT_VALUE | codes::HEREDOC_DELIMITER
    );
    if diagnostic.is_error() && !is_checked_at_once {
        diagnostic.severity = Severity::Warning;
        diagnostic.message = format!("this trigger fails when it runs: {}", diagnostic.message);
    }
    diagnostic
}

/// Gives the range without whitespace at its ends.
pub(crate) fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.end - trim_start(part).len();
    let end = range.start + trim_end(part).len();
    start..end.max(start)
}
