//! The text of a Dockerfile, decoded, with its lines.

use std::borrow::Cow;

use crate::span::{Span, short};

/// The byte-order mark of UTF-8.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The decoded text of a Dockerfile.
///
/// A byte-order mark is dropped. Each byte that is not UTF-8 stands in the text as U+FFFD, as it does in the image
/// config that the reference writes (dockerfile.md §1.5); [`SourceText::bytes`] gives the original bytes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceText {
    text: String,
    line_starts: Vec<u32>,
    invalid: Vec<(usize, u8)>,
    has_bom: bool,
    included: Vec<IncludedText>,
}

/// The text of an included file, which stands behind the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncludedText {
    /// The path of the file below the root of the build context.
    pub path: String,
    /// Where the text begins in the whole.
    pub start: usize,
    /// The number of lines before it.
    pub lines_before: usize,
    /// The INCLUDE that names the file.
    pub at: Span,
}

impl SourceText {
    /// Decodes `bytes`, which are at most 1 GiB; what is given away is not copied.
    pub fn new<'a>(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        let bytes = bytes.into();
        let has_bom = bytes.starts_with(BOM);
        let (text, invalid) = match bytes {
            Cow::Owned(bytes) if !has_bom => {
                String::from_utf8(bytes).map_or_else(|error| decode(error.as_bytes()), |text| (text, Vec::new()))
            }
            bytes => decode(bytes.strip_prefix(BOM).unwrap_or(&bytes)),
        };
        let line_ends = memchr::memchr_iter(b'\n', text.as_bytes());
        // Counting is quick, and the list gets no room that it does not need.
        let mut line_starts = Vec::with_capacity(line_ends.clone().count() + 1);
        line_starts.push(0);
        line_starts.extend(line_ends.map(|at| short(at + 1)));
        Self { text, line_starts, invalid, has_bom, included: Vec::new() }
    }

    /// Puts the text of an included file behind what is there; gives the number of lines before it.
    pub(crate) fn append(&mut self, path: &str, bytes: &[u8], at: Span) -> usize {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
            self.line_starts.push(short(self.text.len()));
        }
        let (start, lines_before) = (self.text.len(), self.line_count());
        self.included.push(IncludedText { path: path.to_owned(), start, lines_before, at });
        let (text, invalid) = decode(bytes.strip_prefix(BOM).unwrap_or(bytes));
        self.invalid.extend(invalid.into_iter().map(|(offset, byte)| (start + offset, byte)));
        self.line_starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| short(start + at + 1)));
        self.text.push_str(&text);
        lines_before
    }

    /// Gives the texts of included files, which follow the file's own, in their order.
    pub fn included(&self) -> &[IncludedText] {
        &self.included
    }

    /// Gives the included file that an offset lies in; none for the file itself.
    pub fn included_at(&self, offset: usize) -> Option<&IncludedText> {
        let after = self.included.partition_point(|file| file.start <= offset);
        self.included.get(after.checked_sub(1)?)
    }

    /// Gives the whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the text of a span; the empty string when the span does not lie on character boundaries.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start()..span.end()).unwrap_or_default()
    }

    /// Gives what is left of the line from an offset on, without its line end.
    pub(crate) fn rest_of_line(&self, offset: usize) -> &str {
        let end = self.line_start(self.line_of(offset)).unwrap_or(self.text.len());
        let rest = self.slice(Span::new(offset, end));
        rest.strip_suffix('\n').unwrap_or(rest).trim_end_matches('\r')
    }

    /// Gives the original bytes of a span, also those that are not UTF-8.
    pub fn bytes(&self, span: Span) -> Cow<'_, [u8]> {
        let text = self.slice(span);
        let bad = self.invalid_within(span);
        if bad.is_empty() {
            return Cow::Borrowed(text.as_bytes());
        }
        let mut out = Vec::with_capacity(text.len());
        let mut from = span.start();
        for (at, byte) in bad {
            out.extend_from_slice(self.slice(Span::new(from, *at)).as_bytes());
            out.push(*byte);
            from = at + char::REPLACEMENT_CHARACTER.len_utf8();
        }
        out.extend_from_slice(self.slice(Span::new(from, span.end())).as_bytes());
        Cow::Owned(out)
    }

    /// Gives the text with signs in place of what stands in the spans: nothing else changes its line, its column or its
    /// offset.
    #[must_use]
    pub fn masked(&self, spans: &[Span]) -> Self {
        let mut out = self.clone();
        for span in spans {
            let Some(hidden) = self.text.get(span.start()..span.end()) else { continue };
            let mask: String = hidden.chars().map(mask).collect();
            out.text.replace_range(span.start()..span.end(), &mask);
            out.invalid.retain(|(at, _)| !(span.start()..span.end()).contains(at));
        }
        out
    }

    /// Gives where the line after so many others begins; after a final line end that is the end of the text.
    pub(crate) fn line_start(&self, lines_before: usize) -> Option<usize> {
        self.line_starts.get(lines_before).map(|start| *start as usize)
    }

    /// Says whether the input began with a byte-order mark.
    pub fn has_bom(&self) -> bool {
        self.has_bom
    }

    /// Gives the offsets in the text of those U+FFFD that stand for a byte that was not UTF-8, ascending.
    pub fn invalid_offsets(&self) -> impl Iterator<Item = usize> + '_ {
        self.invalid.iter().map(|(at, _)| *at)
    }

    /// Says whether a byte of a span was not UTF-8.
    pub(crate) fn has_invalid(&self, span: Span) -> bool {
        !self.invalid_within(span).is_empty()
    }

    fn invalid_within(&self, span: Span) -> &[(usize, u8)] {
        let first = self.invalid.partition_point(|(at, _)| *at < span.start());
        let last = self.invalid.partition_point(|(at, _)| *at < span.end());
        self.invalid.get(first..last).unwrap_or_default()
    }

    /// Gives the number of physical lines; a final line end does not begin another line.
    pub fn line_count(&self) -> usize {
        match self.line_starts.last() {
            Some(last) if *last as usize == self.text.len() => self.line_starts.len() - 1,
            _ => self.line_starts.len(),
        }
    }

    /// Gives the 1-based line of an offset.
    pub fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start as usize <= offset).max(1)
    }

    /// Gives the 1-based line, and column in characters, of an offset.
    pub fn line_col(&self, offset: usize) -> (usize, usize) {
        let line = self.line_of(offset);
        let start = self.line_start(line - 1).unwrap_or(0);
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let column = self.slice(Span::new(start, end)).chars().count() + 1;
        (line, column)
    }

    /// Gives the text of a 1-based line without its line end; none when there is no such line.
    pub fn line(&self, number: usize) -> Option<&str> {
        let span = self.line_span(number)?;
        Some(self.slice(span).trim_end_matches(['\r', '\n']))
    }

    /// Gives the span of a 1-based line with its line end; none when there is no such line.
    pub fn line_span(&self, number: usize) -> Option<Span> {
        if number == 0 || number > self.line_count() {
            return None;
        }
        let end = self.line_start(number).unwrap_or(self.text.len());
        Some(Span::new(self.line_start(number - 1)?, end))
    }
}

/// Gives a sign of as many bytes; lines keep their ends.
fn mask(c: char) -> char {
    match c.len_utf8() {
        _ if matches!(c, '\n' | '\r') => c,
        1 => '*',
        2 => '\u{b7}',
        3 => '\u{2022}',
        _ => '\u{10101}',
    }
}

/// Decodes as Go's JSON encoder does: one U+FFFD for every bad byte.
fn decode(bytes: &[u8]) -> (String, Vec<(usize, u8)>) {
    let mut rest = bytes;
    let mut text = String::with_capacity(bytes.len());
    let mut invalid = Vec::new();
    loop {
        let error = match std::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                return (text, invalid);
            }
            Err(error) => error,
        };
        let (valid, bad) = rest.split_at(error.valid_up_to());
        text.push_str(&String::from_utf8_lossy(valid));
        let Some((byte, after)) = bad.split_first() else {
            return (text, invalid);
        };
        invalid.push((text.len(), *byte));
        text.push(char::REPLACEMENT_CHARACTER);
        rest = after;
    }
}
