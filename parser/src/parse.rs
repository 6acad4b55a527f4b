//! Text in, tree and problems out.

use std::borrow::Cow;

use crate::ast::{Dockerfile, Escape, Instruction, InstructionKind, Stage};
use crate::codes;
use crate::diagnostic::{Diagnostic, is_full, is_full_of_warnings, keep};
use crate::features::{Feature, Language};
use crate::heredoc::Bodies;
use crate::instruction::{self, Head, Statement, explain_unknown};
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
    /// The greatest length of the file in bytes, those that it includes counted; 1 GiB where it is more.
    pub max_file: usize,
    /// The value of the build argument `BUILDKIT_SYNTAX`, which wins over `# syntax=`.
    pub syntax: Option<String>,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self { max_line: 1 << 20, max_file: 16 << 20, syntax: None }
    }
}

/// The greatest length of a file, whatever the options say: where each byte becomes a U+FFFD of three, offsets still have
/// 32 bits.
const MAX_FILE: usize = 1 << 30;

impl ParseOptions {
    /// Gives the greatest length of the file in bytes.
    pub(crate) fn largest_file(&self) -> usize {
        self.max_file.min(MAX_FILE)
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
/// A file with a thousand problems or more is not read to its end. Bytes that are given away are not copied.
pub fn parse<'a>(source: impl Into<Cow<'a, [u8]>>, options: &ParseOptions) -> Parsed {
    let source = source.into();
    let mut diagnostics = Vec::new();
    if let Some(refused) = refuse(&source, options) {
        return Parsed { dockerfile: Dockerfile::default(), diagnostics: vec![refused] };
    }
    let text = SourceText::new(source);
    let mut lines = Lines::new(&text);
    let mut comments = Vec::new();
    let directives = syntax::read_directives(&text, &mut lines, &mut comments, &mut diagnostics);
    syntax::check_frontend(&directives, options.syntax.as_deref(), &mut diagnostics);
    let mut parser = Parser { comments, diagnostics, ..Parser::new(&text, directives.language(), lines) };
    parser.read_lines();
    check_lines(Lines::new(&text), options.max_line, &mut parser.diagnostics);
    let Parser { comments, tree, mut diagnostics, .. } = parser;
    explain_unknown(&text, &mut diagnostics);
    warn_of_invalid_bytes(&text, 0, &comments, &tree.stages, &mut diagnostics);
    let Dockerfile { global_args, orphans, stages, .. } = tree;
    let dockerfile = Dockerfile { source: text, directives, comments, global_args, orphans, stages };
    // What is included, or which branch is taken, decides about the whole; it is looked at again then.
    if !needs_composing(&dockerfile) {
        check_whole(&dockerfile, &mut diagnostics);
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start());
    Parsed { dockerfile, diagnostics }
}

/// Says whether INCLUDE or IF stand in a file.
pub(crate) fn needs_composing(dockerfile: &Dockerfile) -> bool {
    let adds = |feature: &Spanned<Feature>| matches!(feature.value, Feature::If | Feature::Include);
    let is_added = |instruction: &Instruction| {
        use InstructionKind::{Else, Endif, If, Include};
        matches!(instruction.kind, If(_) | Else(_) | Endif | Include(_))
    };
    let inside = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    dockerfile.directives.features.iter().any(adds) && dockerfile.orphans.iter().chain(inside).any(is_added)
}

/// A line that was understood, FROM apart from the lines of its stage.
#[derive(Debug)]
pub(crate) enum Item {
    From(Box<Stage>),
    Other(Box<Instruction>),
}

impl Item {
    fn start(&self) -> usize {
        match self {
            Self::From(stage) => stage.from_span.start(),
            Self::Other(instruction) => instruction.span.start(),
        }
    }
}

/// Takes a tree apart into its lines, in the order of the text.
pub(crate) fn items(tree: &Dockerfile) -> Vec<Item> {
    let alone = tree.global_args.iter().chain(&tree.orphans);
    let mut items: Vec<Item> = alone.map(|instruction| Item::Other(Box::new(instruction.clone()))).collect();
    for stage in &tree.stages {
        items.extend(stage.instructions.iter().map(|instruction| Item::Other(Box::new(instruction.clone()))));
        items.push(Item::From(Box::new(Stage { instructions: Vec::new(), ..stage.clone() })));
    }
    items.sort_by_key(Item::start);
    items
}

/// The lines of an included file.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) items: Vec<Item>,
    pub(crate) comments: Vec<Span>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Reads the last of the texts of a source, which begins after so many lines.
pub(crate) fn parse_part(source: &SourceText, lines_before: usize, language: Language, options: &ParseOptions) -> Part {
    let mut lines = Lines::starting_at(source, lines_before + 1);
    let (mut comments, mut diagnostics) = (Vec::new(), Vec::new());
    syntax::pass_directives(&mut lines, language, &mut comments, &mut diagnostics);
    let mut parser = Parser { comments, diagnostics, ..Parser::new(source, language, lines) };
    parser.read_lines();
    check_lines(Lines::starting_at(source, lines_before + 1), options.max_line, &mut parser.diagnostics);
    let Parser { comments, tree, mut diagnostics, .. } = parser;
    let items = items(&tree);
    warn_of_invalid_bytes(source, lines_before, &comments, &tree.stages, &mut diagnostics);
    Part { items, comments, diagnostics }
}

/// Puts an instruction behind those that are there.
pub(crate) fn place(tree: &mut Dockerfile, source: &SourceText, instruction: Instruction) {
    if let Some(stage) = tree.stages.last_mut() {
        // A line of an included file is no part of the text of the stage.
        let file = |span: Span| source.included_at(span.start()).map(|file| file.start);
        if source.included().is_empty() || file(stage.from_span) == file(instruction.span) {
            stage.span = stage.span.join(instruction.span);
        }
        stage.instructions.push(instruction);
    } else if matches!(instruction.kind, InstructionKind::Arg(_)) {
        tree.global_args.push(instruction);
    } else {
        tree.orphans.push(instruction);
    }
}

/// Reads one ONBUILD trigger of an image; its instruction is in `dockerfile.orphans`, here-doc bodies follow its line.
///
/// Spans point into the trigger's own text.
pub fn parse_onbuild(trigger: &str, escape: Escape) -> Parsed {
    let text = SourceText::new(trigger.as_bytes());
    let mut parser = Parser::new(&text, Language::plain(escape), Lines::new(&text));
    parser.read_lines();
    let Parser { comments, tree, mut diagnostics, .. } = parser;
    let Dockerfile { global_args, mut orphans, stages, .. } = tree;
    orphans.splice(0..0, global_args);
    for instruction in &mut orphans {
        // A trigger is carried out beside the instructions of another text.
        let own = instruction.original(&text).into();
        instruction.joined.get_or_insert(own);
    }
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
    language: Language,
    lines: Lines<'a>,
    comments: Vec<Span>,
    /// The comment lines since the last instruction.
    docs: Vec<Spanned<String>>,
    /// What was read so far.
    tree: Dockerfile,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Parser<'a> {
    fn new(source: &'a SourceText, language: Language, lines: Lines<'a>) -> Self {
        let (comments, docs, tree, diagnostics) = (Vec::new(), Vec::new(), Dockerfile::default(), Vec::new());
        Self { source, language, lines, comments, docs, tree, diagnostics }
    }

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
            let line = LogicalLine::read(&physical, &mut self.lines, self.language.escape, &mut self.comments);
            let (start, end) = line.trimmed();
            if start < end {
                self.read_statement(&line, start, end);
            }
        }
        self.close_stage();
    }

    /// Gives back the room that the list of a stage was given to grow.
    fn close_stage(&mut self) {
        if let Some(stage) = self.tree.stages.last_mut() {
            stage.instructions.shrink_to_fit();
        }
    }

    fn read_comment(&mut self, physical: &PhysicalLine<'_>, start: usize) {
        let span = Span::new(start, physical.end());
        self.comments.push(span);
        syntax::warn_of_late_features(self.source.slice(span), span, &mut self.diagnostics);
        let text = self.source.slice(Span::new(start + 1, span.end()));
        let trimmed = text.trim();
        if trimmed.is_empty() {
            self.docs.clear();
            return;
        }
        let start = start + 1 + (text.len() - text.trim_start().len());
        self.docs.push(Spanned::new(trimmed.to_owned(), Span::new(start, start + trimmed.len())));
    }

    fn read_statement(&mut self, line: &LogicalLine<'_>, start: usize, end: usize) {
        let text = &line.text;
        let head = Head::read(text, start..end, self.language);
        let nested = head.nested(text, self.language.escape);
        let mut bodies = Bodies::default();
        if nested.as_ref().unwrap_or(&head).takes_heredocs()
            && memchr::memchr(b'<', text.as_bytes()).is_some_and(|at| text[at..].contains("<<"))
        {
            bodies = Bodies::read(line, self.source, &mut self.lines);
        }
        let span = Span::new(line.source_offset(start), bodies.end.unwrap_or(line.span(start, end).end()));
        let lines = LineRange::new(line.lines.first(), self.lines.number().max(line.lines.last()));
        self.report_heredocs(&bodies, span);
        let docs = std::mem::take(&mut self.docs);
        let check_overrides = syntax::read_overrides(&docs, &mut self.diagnostics).map(Box::new);
        let keyword = Spanned::new(
            Keyword::spelling(head.keyword, &text[head.word.clone()]),
            line.span(head.word.start, head.word.end),
        );
        let statement = instruction::read_statement(line, head, bodies.heredocs, self.language, &mut self.diagnostics);
        let has_empty_continuation = line.has_empty_continuation;
        let joined = line.joined(start);
        match statement {
            Statement::From(from) => {
                self.close_stage();
                self.tree.stages.push(Stage {
                    index: self.tree.stages.len(),
                    keyword,
                    base: from.base,
                    platform: from.platform,
                    after: from.after,
                    reset: from.reset,
                    reset_flag: from.reset_flag,
                    as_keyword: from.as_keyword,
                    name: from.name,
                    docs,
                    check_overrides,
                    joined,
                    from_span: span,
                    lines,
                    has_empty_continuation,
                    // Most stages have some more.
                    instructions: Vec::with_capacity(16),
                    span,
                });
            }
            Statement::Other(kind) => {
                let instruction =
                    Instruction { keyword, kind, span, lines, docs, check_overrides, joined, has_empty_continuation };
                place(&mut self.tree, self.source, instruction);
            }
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
}

/// Reports what is wrong with the file as a whole (dockerfile.md §1.4).
pub(crate) fn check_whole(tree: &Dockerfile, out: &mut Vec<Diagnostic>) {
    let own = tree.source.included().first().map_or(tree.source.text().len(), |file| file.start.saturating_sub(1));
    let end = Span::at(own);
    let help = "a Dockerfile begins with FROM IMAGE";
    // A misspelt FROM is reported itself; what follows from it is not.
    let has_unknown = out.iter().any(|found| found.code == codes::UNKNOWN_INSTRUCTION);
    let found = if tree.source.text().is_empty() {
        Diagnostic::error(codes::EMPTY, "the Dockerfile cannot be empty", end)
    } else if tree.stages.is_empty() && tree.global_args.is_empty() && tree.orphans.is_empty() {
        Diagnostic::error(codes::NO_INSTRUCTIONS, "file with no instructions", end)
    } else if let (Some(orphan), false) = (tree.orphans.first(), has_unknown) {
        let message = "no build stage in current context";
        let help = format!("put FROM IMAGE before {}; only ARG may stand before the first FROM", orphan.keyword.value);
        keep(Diagnostic::error(codes::BEFORE_FROM, message, orphan.span).with_help(help), out);
        return;
    } else if tree.stages.is_empty() && !has_unknown {
        Diagnostic::error(codes::NO_STAGES, "dockerfile contains no stages to build", end)
    } else {
        return;
    };
    keep(found.with_help(help), out);
}

/// Gives the encoding that a byte-order mark tells, where it is not that of UTF-8.
pub(crate) fn foreign_encoding(source: &[u8]) -> Option<&'static str> {
    match source {
        [0xff, 0xfe, ..] => Some("UTF-16 (little-endian)"),
        [0xfe, 0xff, ..] => Some("UTF-16 (big-endian)"),
        _ => None,
    }
}

/// Refuses what is no text, or too much of it, before anything is decoded.
fn refuse(source: &[u8], options: &ParseOptions) -> Option<Diagnostic> {
    let (code, message, help) = match foreign_encoding(source) {
        Some(encoding) => (codes::ENCODING, format!("the Dockerfile is encoded as {encoding}"), "save it as UTF-8"),
        None if source.len() > options.largest_file() => {
            // Whoever reads a stream stops a little above the limit, so that the size may not be known.
            let message =
                format!("the Dockerfile has more than {}, which is the limit", in_mib(options.largest_file()));
            (codes::FILE_TOO_LARGE, message, "move data into files of the build context")
        }
        None => return None,
    };
    Some(Diagnostic::error(code, message, Span::default()).with_help(help))
}

/// A size as people read it: whole bytes below a MiB, above it with one digit after the point.
pub(crate) fn in_mib(bytes: usize) -> String {
    if bytes < 1 << 20 {
        return format!("{bytes} bytes");
    }
    let tenths = bytes.saturating_mul(10) >> 20;
    match tenths % 10 {
        0 => format!("{} MiB", tenths / 10),
        tenth => format!("{}.{tenth} MiB", tenths / 10),
    }
}

fn check_lines(lines: Lines<'_>, limit: usize, out: &mut Vec<Diagnostic>) {
    if lines.rest() <= limit {
        return;
    }
    for line in lines.filter(|line| line.text.len() > limit) {
        let message = format!("dockerfile line greater than max allowed size of {}", in_mib(limit));
        let help = "break the line with the escape character, or move the data into a file";
        keep(Diagnostic::error(codes::LINE_TOO_LONG, message, Span::new(line.start, line.end())).with_help(help), out);
    }
}

/// Warns of bytes that are not UTF-8 outside comments and here-doc bodies, once a line (dockerfile.md §1.5); of the file
/// that begins after so many lines.
fn warn_of_invalid_bytes(
    source: &SourceText,
    lines_before: usize,
    comments: &[Span],
    stages: &[Stage],
    out: &mut Vec<Diagnostic>,
) {
    let mut offsets = source.invalid_offsets().peekable();
    if offsets.peek().is_none() {
        return;
    }
    let bodies = stages.iter().flat_map(|stage| &stage.instructions).flat_map(heredoc_spans);
    let mut kept: Vec<Span> = comments.iter().copied().chain(bodies).collect();
    kept.sort_unstable();
    let mut last_line = 0;
    for offset in offsets {
        if is_full_of_warnings(out) {
            return;
        }
        let before = kept.partition_point(|span| span.start() <= offset);
        let inside = before.checked_sub(1).and_then(|index| kept.get(index)).is_some_and(|span| offset < span.end());
        let line = source.line_of(offset);
        if inside || line == last_line || line <= lines_before {
            continue;
        }
        last_line = line;
        let start = source.line_span(line).map_or(offset, Span::start);
        let column = source.bytes(Span::new(start, offset)).len() + 1;
        let message = format!("line {} is not UTF-8 at byte {column}", line - lines_before);
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
