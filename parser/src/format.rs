//! Brings a Dockerfile into one form without changing what it means.

use crate::ast::{Dockerfile, Escape, Form, Healthcheck, Instruction, InstructionKind};
use crate::diagnostic::Diagnostic;
use crate::instruction::Head;
use crate::keyword::Keyword;
use crate::lines::{Lines, LogicalLine};
use crate::parse::{ParseOptions, parse};
use crate::pieces::{Piece, PieceKind};
use crate::span::{LineRange, Span};

mod quoting;
mod rows;

use rows::{Layout, Row, RowKind};

/// Formats a Dockerfile; one with errors is refused with all of its problems.
///
/// Keywords become upper-case and stand at the beginning of their line, one blank behind them; lines that continue an
/// instruction are indented by four blanks, deeper ones as much deeper as they were; a blank line stands between
/// stages, more than one nowhere; blanks at the ends of lines go; the last line ends. All of the rest is the author's:
/// where lines break, the order of flags, directives, the words of comments, the bytes of here-docs, the text of ONBUILD
/// triggers, and every blank that a quote, a shell other than a Unix one or a value without quotes may give a meaning.
/// The line end of the first line is that of all.
///
/// What is formatted stays as it is when it is formatted again. As the blanks in a command are part of the cache's key,
/// a RUN whose lines are indented anew is run anew.
///
/// ```
/// let formatted = strake_parser::format(b"from a as b\nrun x &&\\\n  y\nfrom b");
/// assert_eq!(formatted.expect("no mistakes"), b"FROM a AS b\nRUN x &&\\\n    y\n\nFROM b\n");
/// ```
pub fn format(source: &[u8]) -> Result<Vec<u8>, Vec<Diagnostic>> {
    let parsed = parse(source, &ParseOptions::default());
    if parsed.has_errors() {
        return Err(parsed.diagnostics);
    }
    let dockerfile = &parsed.dockerfile;
    let mut formatter = Formatter {
        dockerfile,
        escape: dockerfile.directives.escape(),
        line_end: line_end(dockerfile),
        has_unix_shell: has_unix_shell(dockerfile),
        out: Vec::with_capacity(source.len() + source.len() / 8),
    };
    if dockerfile.source.has_bom() {
        formatter.out.extend_from_slice(b"\xef\xbb\xbf");
    }
    formatter.write_pieces(&dockerfile.pieces());
    Ok(formatter.out)
}

/// The greatest indentation that is kept in blanks; nobody wants more.
const MAX_INDENT: usize = 1_000;

/// How far the lines that continue an instruction are indented.
const INDENT: usize = 4;

fn line_end(dockerfile: &Dockerfile) -> &'static [u8] {
    let first = dockerfile.source.line_span(1).unwrap_or_default();
    if dockerfile.source.slice(first).ends_with("\r\n") { b"\r\n" } else { b"\n" }
}

/// Says whether the rules of quoting of a Unix shell hold for every command.
fn has_unix_shell(dockerfile: &Dockerfile) -> bool {
    let mut all = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    let is_other = |instruction: &Instruction| match &instruction.kind {
        InstructionKind::Shell(words) => words.first().is_some_and(|program| {
            let name = program.value.rsplit('/').next().unwrap_or_default();
            !["sh", "ash", "bash", "dash", "ksh", "zsh"].contains(&name)
        }),
        _ => false,
    };
    dockerfile.directives.escape() == Escape::Backslash && !all.any(is_other)
}

struct Formatter<'a> {
    dockerfile: &'a Dockerfile,
    escape: Escape,
    line_end: &'static [u8],
    has_unix_shell: bool,
    out: Vec<u8>,
}

impl Formatter<'_> {
    fn write_pieces(&mut self, pieces: &[Piece<'_>]) {
        let breaks = stage_breaks(pieces);
        let mut wants_blank = false;
        let mut has_any = false;
        for (index, piece) in pieces.iter().enumerate() {
            if matches!(piece.kind, PieceKind::Blank) {
                // An escape that nothing follows is left out.
                wants_blank |= self.dockerfile.source.slice(piece.span).trim().is_empty();
                continue;
            }
            // At the top a blank line keeps a comment from being read as a directive.
            let is_kept = has_any || matches!(piece.kind, PieceKind::Comment);
            if wants_blank && is_kept || breaks.binary_search(&index).is_ok() {
                self.out.extend_from_slice(self.line_end);
            }
            wants_blank = false;
            has_any = true;
            match piece.kind {
                PieceKind::Directive => self.write_line(piece.span, Trim::Nothing),
                PieceKind::Comment if self.is_shebang(piece) => self.write_line(piece.span, Trim::End),
                PieceKind::Comment => self.write_line(piece.span, Trim::Both),
                PieceKind::From(_) => self.write_instruction(piece.lines, true),
                PieceKind::Instruction(instruction) => {
                    let is_free = may_indent(&instruction.kind, self.has_unix_shell);
                    self.write_instruction(piece.lines, is_free);
                }
                PieceKind::Blank => {}
            }
        }
    }

    /// Says whether a comment in the first line looks like `#!`: only at the beginning of the line it is one.
    fn is_shebang(&self, piece: &Piece<'_>) -> bool {
        piece.lines.first() == 1 && self.dockerfile.source.slice(piece.span).trim_start().starts_with("#!")
    }

    fn write_line(&mut self, span: Span, trim: Trim) {
        let text = self.dockerfile.source.slice(span);
        let text = text.strip_suffix('\n').unwrap_or(text).trim_end_matches('\r');
        let end = match trim {
            Trim::Nothing => text.len(),
            Trim::End | Trim::Both => text.trim_end().len(),
        };
        let start = if trim == Trim::Both { text.len() - text.trim_start().len() } else { 0 };
        self.write_source(Span::new(span.start() + start, span.start() + end));
        self.out.extend_from_slice(self.line_end);
    }

    fn write_source(&mut self, span: Span) {
        self.out.extend_from_slice(&self.dockerfile.source.bytes(span));
    }

    fn write_instruction(&mut self, lines: LineRange, may_indent: bool) {
        let source = &self.dockerfile.source;
        let mut walk = Lines::starting_at(source, lines.first());
        let Some(first) = walk.next() else { return };
        let line = LogicalLine::read(&first, &mut walk, self.escape, &mut Vec::new());
        let (start, end) = line.trimmed();
        let head = Head::read(&line.text, start..end, self.dockerfile.directives.language());
        let layout = Layout {
            rows: Row::of(Lines::starting_at(source, lines.first()), walk.number(), self.escape),
            may_indent: may_indent && !line.text.contains("<<"),
            keeps_end: head.keyword == Some(Keyword::Onbuild),
        };
        let indents = layout.indents(&line.text);
        let upper: Vec<usize> = keywords(&head, &line.text).map(|at| line.source_offset(at)).collect();
        let blanks = blanks_behind(&line, head.word.end);
        for (index, row) in layout.rows.iter().enumerate() {
            let mut span = row.span;
            if let Some(indent) = indents[index] {
                let text = source.slice(span);
                span = Span::new(span.end() - text.trim_start_matches([' ', '\t']).len(), span.end());
                self.out.resize(self.out.len() + indent, b' ');
            }
            if row.kind == RowKind::Text && !row.continues && !layout.keeps_end {
                span = Span::new(span.start(), span.start() + without_end(source.slice(span)).len());
            }
            self.write_text(span, &upper, blanks);
            if row.continues {
                self.out.push(self.escape.byte());
            }
            self.out.extend_from_slice(self.line_end);
        }
        // The bodies of here-docs with their last lines, as they are.
        let bodies = Span::new(walk.offset(), source.line_span(lines.last()).map_or(0, Span::end));
        self.write_source(bodies);
        if !bodies.is_empty() && !source.slice(bodies).ends_with('\n') {
            self.out.extend_from_slice(self.line_end);
        }
    }

    /// Writes a part of a line: the bytes at `upper` in upper case, one blank instead of those at `blanks`.
    fn write_text(&mut self, span: Span, upper: &[usize], blanks: Span) {
        let mut at = span.start();
        let inside = |offset: usize| (span.start()..span.end()).contains(&offset);
        for offset in upper.iter().copied().filter(|offset| inside(*offset)) {
            self.write_source(Span::new(at, offset));
            let byte = self.dockerfile.source.text().as_bytes().get(offset).copied();
            self.out.extend(byte.map(|byte| byte.to_ascii_uppercase()));
            at = offset + 1;
            if at == blanks.start() && !blanks.is_empty() && blanks.end() <= span.end() {
                self.out.push(b' ');
                at = blanks.end();
            }
        }
        self.write_source(Span::new(at, span.end()));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trim {
    Nothing,
    End,
    Both,
}

/// Gives the pieces before which a blank line must stand: a FROM, or the comments and the IF right above it; none behind
/// an ELSE, of which the stage is the branch.
fn stage_breaks(pieces: &[Piece<'_>]) -> Vec<usize> {
    let mut breaks = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let PieceKind::From(stage) = piece.kind else { continue };
        let is_if = |piece: &Piece<'_>| match piece.kind {
            PieceKind::Instruction(instruction) => matches!(instruction.kind, InstructionKind::If(_)),
            _ => false,
        };
        let belongs = |piece: &&Piece<'_>| matches!(piece.kind, PieceKind::Comment) || is_if(piece);
        let first = index - pieces[..index].iter().rev().take_while(belongs).count();
        let is_apart = first.checked_sub(1).is_none_or(|before| match pieces[before].kind {
            PieceKind::Blank => true,
            PieceKind::Instruction(instruction) => matches!(instruction.kind, InstructionKind::Else(_)),
            _ => false,
        });
        if stage.index > 0 && !is_apart {
            breaks.push(first);
        }
    }
    breaks
}

/// Says whether blanks between the words of an instruction have no meaning, so that lines can be indented.
fn may_indent(kind: &InstructionKind, has_unix_shell: bool) -> bool {
    let command = |form: &Form| has_unix_shell || matches!(form, Form::Exec(_));
    match kind {
        InstructionKind::Arg(_)
        | InstructionKind::Copy(_)
        | InstructionKind::Add(_)
        | InstructionKind::Expose(_)
        | InstructionKind::Volume(_)
        | InstructionKind::Shell(_)
        | InstructionKind::Healthcheck(Healthcheck::None) => true,
        InstructionKind::Env(pairs) | InstructionKind::Label(pairs) => !pairs.is_legacy,
        InstructionKind::Run(run) => command(&run.command),
        InstructionKind::Cmd(form) | InstructionKind::Entrypoint(form) => command(form),
        InstructionKind::Healthcheck(Healthcheck::Command(check)) => command(&check.command),
        InstructionKind::Workdir(_)
        | InstructionKind::User(_)
        | InstructionKind::Stopsignal(_)
        | InstructionKind::Maintainer(_)
        | InstructionKind::Onbuild(_)
        | InstructionKind::Include(_)
        | InstructionKind::If(_)
        | InstructionKind::Else(_)
        | InstructionKind::Endif
        | InstructionKind::Unknown(_) => false,
    }
}

/// Gives the offsets of the letters of keywords in the text: the first one, AS of FROM, CMD and NONE of HEALTHCHECK, IF
/// of ELSE.
fn keywords(head: &Head<'_>, text: &str) -> impl Iterator<Item = usize> {
    let arguments = head.arguments();
    let second = match head.keyword {
        Some(Keyword::From) => crate::words::split_blanks(text, arguments).nth(1),
        Some(Keyword::Healthcheck | Keyword::Else) => crate::words::split_blanks(text, arguments).next(),
        _ => None,
    };
    head.word.clone().chain(second.unwrap_or_default())
}

/// Gives the blanks behind the keyword that stand in one line with it.
fn blanks_behind(line: &LogicalLine<'_>, end: usize) -> Span {
    let text = &line.text[end..];
    let count = text.len() - text.trim_start_matches([' ', '\t']).len();
    let start = line.source_offset(end.saturating_sub(1)) + 1;
    let in_line = (0..count).take_while(|at| line.source_offset(end + at) == start + at).count();
    Span::new(start, start + in_line)
}

/// Cuts blanks at the end of a line, unless a carriage return would become part of the line's end.
fn without_end(text: &str) -> &str {
    let cut = text.trim_end_matches([' ', '\t']);
    if cut.ends_with('\r') { text } else { cut }
}

#[cfg(test)]
mod tests;
