//! Physical lines, and the logical lines that continuations join them to (dockerfile.md §3).

use std::borrow::Cow;

use crate::ast::Escape;
use crate::source::SourceText;
use crate::span::{LineRange, Span};
use crate::words::{trim_end, trim_start};

/// One physical line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhysicalLine<'a> {
    /// Where it begins in the source.
    pub(crate) start: usize,
    /// The text without line end.
    pub(crate) text: &'a str,
    /// The 1-based number.
    pub(crate) number: usize,
}

impl<'a> PhysicalLine<'a> {
    /// Gives where the text ends, line end left out.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Gives the text without leading blanks, and where that begins.
    pub(crate) fn stripped(&self) -> (&'a str, usize) {
        let text = trim_start(self.text);
        (text, self.end() - text.len())
    }
}

/// Walks over the physical lines of a text.
#[derive(Clone, Debug)]
pub(crate) struct Lines<'a> {
    source: &'a SourceText,
    number: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(source: &'a SourceText) -> Self {
        Self { source, number: 0 }
    }

    /// Walks from the line of that number on.
    pub(crate) fn starting_at(source: &'a SourceText, number: usize) -> Self {
        Self { source, number: number.saturating_sub(1) }
    }

    /// Gives the number of the line read last.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// Gives how many bytes are left.
    pub(crate) fn rest(&self) -> usize {
        self.source.text().len() - self.offset()
    }

    /// Gives where the next line begins.
    pub(crate) fn offset(&self) -> usize {
        self.source.line_start(self.number).unwrap_or(self.source.text().len())
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = PhysicalLine<'a>;

    fn next(&mut self) -> Option<PhysicalLine<'a>> {
        let text = self.source.text();
        let start = self.offset();
        if start == text.len() {
            return None;
        }
        self.number += 1;
        let mut line = &text.as_bytes()[start..self.offset()];
        line = line.strip_suffix(b"\n").unwrap_or(line);
        // The reference trims every CR that stands before the LF.
        while let [before @ .., b'\r'] = line {
            line = before;
        }
        Some(PhysicalLine { start, text: text.get(start..start + line.len())?, number: self.number })
    }
}

/// A logical line: physical lines joined at their continuations, or one line as it is.
#[derive(Clone, Debug)]
pub(crate) struct LogicalLine<'a> {
    /// The joined text.
    pub(crate) text: Cow<'a, str>,
    /// Pairs of an offset in the text and the offset in the source that it comes from, ascending, never empty.
    pieces: Vec<(usize, usize)>,
    /// Where the first piece begins in the source.
    start: usize,
    /// The physical lines.
    pub(crate) lines: LineRange,
    /// Whether a line of blanks stands inside.
    pub(crate) has_empty_continuation: bool,
    /// Whether the text is the one physical line to its end.
    is_whole: bool,
}

impl<'a> LogicalLine<'a> {
    /// Makes the logical line that begins with `first`, and takes what continues it from `lines`.
    ///
    /// Comments inside are dropped and put into `comments`.
    pub(crate) fn read(
        first: &PhysicalLine<'a>,
        lines: &mut Lines<'a>,
        escape: Escape,
        comments: &mut Vec<Span>,
    ) -> Self {
        let (stripped, start) = first.stripped();
        let (body, mut continues) = split_continuation(stripped, escape);
        let mut line = Self {
            text: Cow::Borrowed(body),
            pieces: Vec::new(),
            start,
            lines: LineRange::new(first.number, first.number),
            has_empty_continuation: false,
            is_whole: !continues,
        };
        while continues {
            let Some(physical) = lines.next() else { break };
            line.lines = LineRange::new(first.number, physical.number);
            let (stripped, stripped_start) = physical.stripped();
            if stripped.starts_with('#') {
                comments.push(Span::new(stripped_start, physical.end()));
                continue;
            }
            if stripped.is_empty() {
                line.has_empty_continuation = true;
                continue;
            }
            let (body, more) = split_continuation(physical.text, escape);
            continues = more;
            line.pieces.push((line.text.len(), physical.start));
            if let Cow::Borrowed(first) = line.text {
                let mut joined = String::with_capacity(2 * (first.len() + body.len()));
                joined.push_str(first);
                line.text = Cow::Owned(joined);
            }
            line.text.to_mut().push_str(body);
        }
        line
    }

    /// Gives the offset in the source of the byte at `offset`.
    pub(crate) fn source_offset(&self, offset: usize) -> usize {
        if self.pieces.is_empty() {
            return self.start + offset;
        }
        let after = self.pieces.partition_point(|(logical, _)| *logical <= offset);
        match after.checked_sub(1).and_then(|index| self.pieces.get(index)) {
            Some((logical, source)) => source + (offset - logical),
            None => self.start + offset,
        }
    }

    /// Gives the span in the source of a range of the text.
    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let first = self.source_offset(start);
        if end <= start {
            return Span::at(first);
        }
        Span::new(first, self.source_offset(end - 1) + 1)
    }

    /// Gives the text from `start` on where it differs from the rest of the physical line.
    pub(crate) fn joined(&self, start: usize) -> Option<Box<str>> {
        (!self.is_whole).then(|| self.text[start..].into())
    }

    /// Gives the range of the text without blanks at its ends.
    pub(crate) fn trimmed(&self) -> (usize, usize) {
        let start = self.text.len() - trim_start(&self.text).len();
        (start, trim_end(&self.text).len().max(start))
    }
}

/// Splits the continuation mark off: an escape at the end, blanks after it allowed, that no escape precedes.
pub(crate) fn split_continuation(line: &str, escape: Escape) -> (&str, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    match trimmed.strip_suffix(escape.char()) {
        Some(before) if !before.ends_with(escape.char()) => (before, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logical(text: &str) -> LogicalLine<'static> {
        let source = SourceText::new(text.as_bytes());
        let mut lines = Lines::new(&source);
        let first = lines.next().unwrap();
        let line = LogicalLine::read(&first, &mut lines, Escape::Backslash, &mut Vec::new());
        LogicalLine { text: Cow::Owned(line.text.into_owned()), ..line }
    }

    #[test]
    fn continuations_join_without_a_blank() {
        assert_eq!(logical("echo a\\\nb").text, "echo ab");
        assert_eq!(logical("RUN a \\  \n  b").text, "RUN a   b");
        assert_eq!(logical("RUN a\\\\\nb").text, "RUN a\\\\");
        assert_eq!(logical("  RUN a\\\r\nb\r\n").text, "RUN ab");
        assert_eq!(logical("RUN a\\").text, "RUN a");
    }

    #[test]
    fn comments_and_blank_lines_inside_are_dropped() {
        let line = logical("RUN a\\\n  # note \\\n\n b\nRUN c");
        assert_eq!(line.text, "RUN a b");
        assert!(line.has_empty_continuation);
        assert_eq!(line.lines, LineRange::new(1, 4));
    }

    #[test]
    fn spans_point_into_the_source() {
        let line = logical("RUN ab\\\ncd\\\nef");
        assert_eq!(line.text, "RUN abcdef");
        assert_eq!(line.span(4, 6), Span::new(4, 6));
        assert_eq!(line.span(6, 8), Span::new(8, 10));
        assert_eq!(line.span(5, 9), Span::new(5, 13));
    }
}
