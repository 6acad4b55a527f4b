//! Positions in a Dockerfile.

/// A range of byte offsets into the decoded source text.
///
/// Offsets have 32 bits, since a tree holds very many of them: no text is larger ([`crate::ParseOptions::max_file`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    start: u32,
    end: u32,
}

/// Gives an offset or a number of a line, which is small enough in any text that is read.
pub(crate) fn short(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

impl Span {
    /// Makes a span; an `end` before `start` is raised to `start`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: short(start), end: short(end.max(start)) }
    }

    /// Gives the offset of the first byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// Gives the offset after the last byte.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// Makes the empty span at `offset`.
    pub fn at(offset: usize) -> Self {
        Self::new(offset, offset)
    }

    /// Says whether the span holds no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Gives the number of bytes.
    pub fn len(self) -> usize {
        self.end() - self.start()
    }

    /// Says whether a byte is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Gives the smallest span that holds both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A value and where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Pairs a value with its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// The physical lines of an instruction, 1-based, both inclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LineRange {
    first: u32,
    last: u32,
}

impl LineRange {
    /// Makes the range of the lines from `first` to `last`.
    pub fn new(first: usize, last: usize) -> Self {
        Self { first: short(first), last: short(last) }
    }

    /// Gives the number of the first line.
    pub fn first(self) -> usize {
        self.first as usize
    }

    /// Gives the number of the last line, here-doc bodies included.
    pub fn last(self) -> usize {
        self.last as usize
    }
}
