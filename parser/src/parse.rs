//! Text in, tree and problems out.

use crate::ast::{Dockerfile, Escape, Instruction, InstructionKind, Stage};
use crate::codes;
use crate::diagnostic::{Diagnostic, is_full, keep};
use crate::heredoc::Bodies;
use crate::instruction::{self, Head, Statement};
use crate::keyword::Keyword;
use crate::lines::{Lines, LogicalLine, PhysicalLine};
use crate::source::SourceText;
use crate::span::{LineRange, Span, Spanned};
use crate::syntax;

/// The limits of the input (dockerfile.md §1.3), and what is said from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// The greatest length of a physical line in bytes.
    pub max_line: usize,
    /// The greatest length of the file in bytes.
    pub max_file: usize,
    /// The value of the build argument `BUILDKIT_SYNTAX`, which wins over `# syntax=`.
    pub syntax: Option<String>,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self { max_line: 1 << 20, max_file: 16 << 20, syntax: None }
    }
}

/// A tree and every problem found, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The tree; an instruction with an error is in it as `Unknown`.
    pub dockerfile: Dockerfile,
    /// The problems, build checks left out ([`crate::lint`] has them).
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Says whether there can be no build.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads a Dockerfile. Never fails: what cannot be read is a diagnostic.
///
/// A file with a thousand problems or more is not read to its end.
pub fn parse(source: &[u8], options: &ParseOptions) -> Parsed {
    let mut diagnostics = Vec::new();
    if let Some(refused) = refuse(source, options) {
        return Parsed { dockerfile: Dockerfile::default(), diagnostics: vec![refused] };
    }
    let text = SourceText::new(source);
    let mut lines = Lines::new(&text);
    let mut comments = Vec::new();
    let directives = syntax::read_directives(&text, &mut lines, &mut comments, &mut diagnostics);
    syntax::check_frontend(&directives, options.syntax.as_deref(), &mut diagnostics);
    let mut parser = Parser {
        source: &text,
        escape: directives.escape(),
        lines,
        comments,
        docs: Vec::new(),
        global_args: Vec::new(),
        orphans: Vec::new(),
        stages: Vec::new(),
        diagnostics,
    };
    parser.read_lines();
    parser.check_whole();
    check_lines(&text, options.max_line, &mut parser.diagnostics);
    let Parser { comments, global_args, orphans, stages, mut diagnostics, .. } = parser;
    warn_of_invalid_bytes(&text, &comments, &stages, &mut diagnostics);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    Parsed { dockerfile: Dockerfile { source: text, directives, comments, global_args, orphans, stages }, diagnostics }
}

/// Reads one ONBUILD trigger of an image; its instruction is in `dockerfile.orphans`, here-doc bodies follow its line.
///
/// Spans point into the trigger's own text.
pub fn parse_onbuild(trigger: &str, escape: Escape) -> Parsed {
    let text = SourceText::new(trigger.as_bytes());
    let mut parser = Parser {
        source: &text,
        escape,
        lines: Lines::new(&text),
        comments: Vec::new(),
        docs: Vec::new(),
        global_args: Vec::new(),
        orphans: Vec::new(),
        stages: Vec::new(),
        diagnostics: Vec::new(),
    };
    parser.read_lines();
    let Parser { comments, global_args, mut orphans, stages, mut diagnostics, .. } = parser;
    orphans.splice(0..0, global_args);
    let count = orphans.len() + stages.len();
    let whole = Span::new(0, text.text().len());
    if count != 1 {
        let message = "onbuild trigger should be a single expression";
        let help = "the base image holds a trigger that is not one instruction; build that image anew";
        diagnostics.push(Diagnostic::error(codes::TRIGGER_NOT_SINGLE, message, whole).with_help(help));
    }
    let is_refused =
        |kind: &InstructionKind| matches!(kind, InstructionKind::Onbuild(_) | InstructionKind::Maintainer(_));
    if !stages.is_empty() || orphans.iter().any(|instruction| is_refused(&instruction.kind)) {
        let keyword = trigger.split_whitespace().next().unwrap_or_default().to_uppercase();
        let message = format!("{keyword} isn't allowed as an ONBUILD trigger");
        let help = "a trigger is an instruction that may stand inside a stage";
        diagnostics.push(Diagnostic::error(codes::ONBUILD_TRIGGER, message, whole).with_help(help));
    }
    let dockerfile = Dockerfile { source: text, comments, orphans, stages: Vec::new(), ..Dockerfile::default() };
    Parsed { dockerfile, diagnostics }
}

struct Parser<'a> {
    source: &'a SourceText,
    escape: Escape,
    lines: Lines<'a>,
    comments: Vec<Span>,
    /// The comment lines since the last instruction.
    docs: Vec<Spanned<String>>,
    global_args: Vec<Instruction>,
    orphans: Vec<Instruction>,
    stages: Vec<Stage>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Parser<'a> {
    fn read_lines(&mut self) {
        // Where a thousand lines are wrong, the tree of the others is of no use and may need much memory.
        while !is_full(&self.diagnostics) {
            let Some(physical) = self.lines.next() else { break };
            let (stripped, start) = physical.stripped();
            if stripped.starts_with('#') {
                self.read_comment(&physical, start);
                continue;
            }
            if stripped.is_empty() {
                continue;
            }
            let line = LogicalLine::read(&physical, &mut self.lines, self.escape, &mut self.comments);
            let (start, end) = line.trimmed();
            if start < end {
                self.read_statement(line, start, end);
            }
        }
    }

    fn read_comment(&mut self, physical: &PhysicalLine<'_>, start: usize) {
        let span = Span::new(start, physical.end());
        self.comments.push(span);
        let text = self.source.slice(Span::new(start + 1, span.end));
        let trimmed = text.trim();
        if trimmed.is_empty() {
            self.docs.clear();
            return;
        }
        let start = start + 1 + (text.len() - text.trim_start().len());
        self.docs.push(Spanned::new(trimmed.to_owned(), Span::new(start, start + trimmed.len())));
    }

    fn read_statement(&mut self, line: LogicalLine<'_>, start: usize, end: usize) {
        let text = &line.text;
        let head = Head::read(text, start..end, self.escape);
        let nested = head.nested(text, self.escape);
        let mut bodies = Bodies::default();
        if nested.as_ref().unwrap_or(&head).takes_heredocs() && text.contains("<<") {
            bodies = Bodies::read(&line, self.source, &mut self.lines);
        }
        let span = Span::new(line.source_offset(start), bodies.end.unwrap_or(line.span(start, end).end));
        let lines = LineRange { first: line.lines.first, last: self.lines.number().max(line.lines.last) };
        self.report_heredocs(&bodies, span);
        let docs = std::mem::take(&mut self.docs);
        let check_overrides = syntax::read_overrides(&docs, &mut self.diagnostics).map(Box::new);
        let keyword =
            Spanned::new(Keyword::spelling(&text[head.word.clone()]), line.span(head.word.start, head.word.end));
        let statement = instruction::read_statement(&line, &head, bodies.heredocs, self.escape, &mut self.diagnostics);
        let has_empty_continuation = line.has_empty_continuation;
        let mut original = line.text.into_owned();
        original.drain(..start);
        // What was joined was given room to grow.
        original.shrink_to_fit();
        match statement {
            Statement::From(from) => self.stages.push(Stage {
                index: self.stages.len(),
                keyword,
                base: from.base,
                platform: from.platform,
                as_keyword: from.as_keyword,
                name: from.name,
                docs,
                check_overrides,
                original,
                from_span: span,
                lines,
                has_empty_continuation,
                instructions: Vec::new(),
                span,
            }),
            Statement::Other(kind) => self.place(Instruction {
                keyword,
                kind,
                span,
                lines,
                docs,
                check_overrides,
                original,
                has_empty_continuation,
            }),
        }
    }

    fn place(&mut self, instruction: Instruction) {
        if let Some(stage) = self.stages.last_mut() {
            stage.span = stage.span.join(instruction.span);
            stage.instructions.push(instruction);
        } else if matches!(instruction.kind, InstructionKind::Arg(_)) {
            self.global_args.push(instruction);
        } else {
            self.orphans.push(instruction);
        }
    }

    fn report_heredocs(&mut self, bodies: &Bodies, statement: Span) {
        if let Some((message, span)) = &bodies.error {
            let help = "close the quote, or leave the quotes out to have variables expanded";
            keep(Diagnostic::error(codes::HEREDOC_DELIMITER, message, *span).with_help(help), &mut self.diagnostics);
        }
        if let Some((name, span)) = &bodies.unterminated {
            let help = format!("put {name} alone on a line after the text, without blanks around it");
            let made =
                Diagnostic::error(codes::HEREDOC_UNTERMINATED, format!("unterminated heredoc {name}"), statement);
            keep(made.with_label(*span, "it starts here").with_help(help), &mut self.diagnostics);
        }
    }

    /// Reports what is wrong with the file as a whole (dockerfile.md §1.4).
    fn check_whole(&mut self) {
        let end = Span::at(self.source.text().len());
        let help = "a Dockerfile begins with FROM IMAGE";
        // A misspelt FROM is reported itself; what follows from it is not.
        let has_unknown = self.diagnostics.iter().any(|found| found.code == codes::UNKNOWN_INSTRUCTION);
        let found = if self.source.text().is_empty() {
            Diagnostic::error(codes::EMPTY, "the Dockerfile cannot be empty", end)
        } else if self.stages.is_empty() && self.global_args.is_empty() && self.orphans.is_empty() {
            Diagnostic::error(codes::NO_INSTRUCTIONS, "file with no instructions", end)
        } else if let (Some(orphan), false) = (self.orphans.first(), has_unknown) {
            let message = "no build stage in current context";
            let help =
                format!("put FROM IMAGE before {}; only ARG may stand before the first FROM", orphan.keyword.value);
            keep(Diagnostic::error(codes::BEFORE_FROM, message, orphan.span).with_help(help), &mut self.diagnostics);
            return;
        } else if self.stages.is_empty() && !has_unknown {
            Diagnostic::error(codes::NO_STAGES, "dockerfile contains no stages to build", end)
        } else {
            return;
        };
        keep(found.with_help(help), &mut self.diagnostics);
    }
}

/// Refuses what is no text, or too much of it, before anything is decoded.
fn refuse(source: &[u8], options: &ParseOptions) -> Option<Diagnostic> {
    let encoding = match source {
        [0xff, 0xfe, ..] => "UTF-16 (little-endian)",
        [0xfe, 0xff, ..] => "UTF-16 (big-endian)",
        _ if source.len() > options.max_file => {
            let (size, limit) = (in_mib(source.len()), in_mib(options.max_file));
            let message = format!("the Dockerfile has {size}, the limit is {limit}");
            let help = "move data into files of the build context";
            return Some(Diagnostic::error(codes::FILE_TOO_LARGE, message, Span::default()).with_help(help));
        }
        _ => return None,
    };
    let message = format!("the Dockerfile is encoded as {encoding}");
    let help = "save it as UTF-8";
    Some(Diagnostic::error(codes::ENCODING, message, Span::default()).with_help(help))
}

/// A size as people read it: whole bytes below a MiB, above it with one digit after the point.
fn in_mib(bytes: usize) -> String {
    if bytes < 1 << 20 {
        return format!("{bytes} bytes");
    }
    let tenths = bytes.saturating_mul(10) >> 20;
    match tenths % 10 {
        0 => format!("{} MiB", tenths / 10),
        tenth => format!("{}.{tenth} MiB", tenths / 10),
    }
}

fn check_lines(source: &SourceText, limit: usize, out: &mut Vec<Diagnostic>) {
    if source.text().len() <= limit {
        return;
    }
    for line in Lines::new(source).filter(|line| line.text.len() > limit) {
        let message = format!("dockerfile line greater than max allowed size of {}", in_mib(limit));
        let help = "break the line with the escape character, or move the data into a file";
        keep(Diagnostic::error(codes::LINE_TOO_LONG, message, Span::new(line.start, line.end())).with_help(help), out);
    }
}

/// Warns of bytes that are not UTF-8 outside comments and here-doc bodies, once a line (dockerfile.md §1.5).
fn warn_of_invalid_bytes(source: &SourceText, comments: &[Span], stages: &[Stage], out: &mut Vec<Diagnostic>) {
    let mut kept: Vec<Span> = Vec::new();
    let mut last_line = 0;
    for offset in source.invalid_offsets() {
        if kept.is_empty() {
            kept.extend_from_slice(comments);
            kept.extend(stages.iter().flat_map(|stage| &stage.instructions).flat_map(heredoc_spans));
            kept.sort_unstable();
        }
        let before = kept.partition_point(|span| span.start <= offset);
        let inside = before.checked_sub(1).and_then(|index| kept.get(index)).is_some_and(|span| offset < span.end);
        let line = source.line_of(offset);
        if inside || line == last_line {
            continue;
        }
        last_line = line;
        let start = source.line_span(line).map_or(offset, |span| span.start);
        let column = source.bytes(Span::new(start, offset)).len() + 1;
        let message = format!("line {line} is not UTF-8 at byte {column}");
        let help = "save the file as UTF-8; each such byte becomes U+FFFD in the image";
        keep(Diagnostic::warning(codes::NOT_UTF8, message, Span::new(offset, offset + 3)).with_help(help), out);
    }
}

fn heredoc_spans(instruction: &Instruction) -> Vec<Span> {
    let kind = match &instruction.kind {
        InstructionKind::Onbuild(onbuild) => &onbuild.instruction.kind,
        kind => kind,
    };
    let copy = match kind {
        InstructionKind::Run(run) => return run.heredocs.iter().map(|heredoc| heredoc.span).collect(),
        InstructionKind::Copy(copy) => copy,
        InstructionKind::Add(add) => &add.copy,
        _ => return Vec::new(),
    };
    let bodies = copy.sources.iter().filter_map(|source| match source {
        crate::ast::CopySource::Heredoc(heredoc) => Some(heredoc.span),
        crate::ast::CopySource::Word(_) => None,
    });
    bodies.collect()
}
