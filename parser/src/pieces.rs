//! The whole text of a Dockerfile as pieces in order, for editors and formatters.

use crate::ast::{Directives, Dockerfile, Instruction, Stage};
use crate::span::{LineRange, Span};

/// Whole physical lines that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// What the lines are.
    pub kind: PieceKind<'a>,
    /// The lines with their line ends.
    pub span: Span,
    /// The numbers of the lines.
    pub lines: LineRange,
}

/// What a piece of a Dockerfile is.
#[derive(Clone, Copy, Debug)]
pub enum PieceKind<'a> {
    /// A parser directive, or the list of strake's features.
    Directive,
    /// A comment outside instructions.
    Comment,
    /// A line that says nothing: blank, a continuation that nothing follows, or what was not read behind very many errors.
    Blank,
    /// The FROM that begins a stage.
    From(&'a Stage),
    /// Another instruction, with the comments inside it and the bodies of its here-docs.
    Instruction(&'a Instruction),
}

impl Dockerfile {
    /// Gives the text as pieces: joined, their [bytes](crate::SourceText::bytes) are the input.
    ///
    /// A byte-order mark is in no piece ([`crate::SourceText::has_bom`]); a file that was refused as a whole, as too
    /// large or no text, has no pieces.
    ///
    /// ```
    /// use strake_parser::{ParseOptions, parse};
    ///
    /// let input = "# base\nFROM a \\\n  AS b\n\nRUN <<EOF\nx\nEOF\n";
    /// let dockerfile = parse(input.as_bytes(), &ParseOptions::default()).dockerfile;
    /// let pieces: Vec<_> = dockerfile.pieces().iter().map(|piece| dockerfile.source.slice(piece.span)).collect();
    /// assert_eq!(pieces, ["# base\n", "FROM a \\\n  AS b\n", "\n", "RUN <<EOF\nx\nEOF\n"]);
    /// ```
    pub fn pieces(&self) -> Vec<Piece<'_>> {
        let mut statements: Vec<(LineRange, PieceKind<'_>)> = Vec::new();
        let others = self.global_args.iter().chain(&self.orphans);
        statements.extend(others.map(|instruction| (instruction.lines, PieceKind::Instruction(instruction))));
        // Those before the first FROM lie in two lists.
        statements.sort_by_key(|(lines, _)| lines.first());
        for stage in &self.stages {
            statements.push((stage.lines, PieceKind::From(stage)));
            let inside = stage.instructions.iter();
            statements.extend(inside.map(|instruction| (instruction.lines, PieceKind::Instruction(instruction))));
        }
        let directives = self.directives.lines(self);
        let mut statements = statements.into_iter().peekable();
        let mut pieces = Vec::new();
        let mut number = 1;
        while let Some(first) = self.source.line_span(number) {
            let (lines, kind) = match statements.next_if(|(lines, _)| lines.first() <= number) {
                Some((lines, kind)) => (LineRange::new(number, lines.last().max(number)), kind),
                None => {
                    let kind = match self.source.slice(first).trim_start().starts_with('#') {
                        true if directives.contains(&number) => PieceKind::Directive,
                        true => PieceKind::Comment,
                        false => PieceKind::Blank,
                    };
                    (LineRange::new(number, number), kind)
                }
            };
            let last = self.source.line_span(lines.last()).unwrap_or(first);
            pieces.push(Piece { kind, span: first.join(last), lines });
            number = lines.last() + 1;
        }
        pieces
    }
}

impl Directives {
    /// Gives the numbers of the lines that say something to the parser.
    fn lines(&self, dockerfile: &Dockerfile) -> Vec<usize> {
        let mut spans: Vec<Span> = self.features_line.into_iter().collect();
        spans.extend(self.syntax.iter().map(|value| value.span));
        spans.extend(self.escape.iter().map(|value| value.span));
        spans.extend(self.check.iter().map(|value| value.span));
        spans.into_iter().map(|span| dockerfile.source.line_of(span.start())).collect()
    }
}
