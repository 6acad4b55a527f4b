//! The physical lines of an instruction, and how far each is indented.

use super::quoting;
use super::{INDENT, MAX_INDENT};
use crate::ast::Escape;
use crate::lines::{Lines, split_continuation};
use crate::span::Span;

/// What a physical line of an instruction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
    /// A part of the text.
    Text,
    /// A comment inside.
    Comment,
    /// An empty line inside.
    Blank,
}

/// A physical line of an instruction, here-docs left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) kind: RowKind,
    /// What is written of it, without the escape and what follows that.
    pub(super) span: Span,
    text: &'a str,
    /// Whether the escape ends it.
    pub(super) continues: bool,
}

impl<'a> Row<'a> {
    /// Gives the lines up to the one with the number `last`; empty ones that follow each other are one.
    pub(super) fn of(lines: Lines<'a>, last: usize, escape: Escape) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        for line in lines.take_while(|line| line.number <= last) {
            let (stripped, start) = line.stripped();
            let (kind, text, start, continues) = if rows.is_empty() {
                let (body, continues) = split_continuation(stripped, escape);
                (RowKind::Text, body, start, continues)
            } else if stripped.starts_with('#') {
                (RowKind::Comment, stripped.trim_end(), start, false)
            } else if stripped.is_empty() {
                (RowKind::Blank, "", line.start, false)
            } else {
                let (body, continues) = split_continuation(line.text, escape);
                (RowKind::Text, body, line.start, continues)
            };
            let is_second = kind == RowKind::Blank && rows.last().is_some_and(|row| row.kind == RowKind::Blank);
            if !is_second {
                rows.push(Self { kind, span: Span::new(start, start + text.len()), text, continues });
            }
        }
        rows
    }

    /// Gives the number of columns that its blanks take; none for a line of blanks.
    fn width(&self) -> Option<usize> {
        let text = self.text.trim_start_matches([' ', '\t']);
        let blanks = &self.text.as_bytes()[..self.text.len() - text.len()];
        let width = blanks.iter().map(|blank| if *blank == b'\t' { INDENT } else { 1 }).sum();
        (!text.is_empty()).then_some(width)
    }
}

/// The lines of an instruction and what may be done to them.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) rows: Vec<Row<'a>>,
    /// Whether blanks between words have no meaning.
    pub(super) may_indent: bool,
    /// Whether blanks at the end have a meaning.
    pub(super) keeps_end: bool,
}

impl Layout<'_> {
    /// Gives the indentation of each line; none where it stays as it is. `text` is the joined text.
    pub(super) fn indents(&self, text: &str) -> Vec<Option<usize>> {
        let mut joints = Vec::new();
        let mut at = 0;
        for row in self.rows.iter().filter(|row| row.kind == RowKind::Text) {
            joints.push(at);
            at += row.text.len();
        }
        let mut free = quoting::free_joints(text, &joints).into_iter();
        let mut is_first = true;
        let is_free: Vec<bool> = self
            .rows
            .iter()
            .map(|row| {
                let is_text = row.kind == RowKind::Text;
                let is_free = is_text && free.next().unwrap_or(false) && !is_first && self.may_indent;
                is_first &= !is_text;
                is_free
            })
            .collect();
        let widths = self.rows.iter().zip(&is_free).filter(|(_, is_free)| **is_free).filter_map(|(row, _)| row.width());
        let least = widths.min().unwrap_or(0);
        let mut indents = vec![None; self.rows.len()];
        let mut below = INDENT;
        for (index, row) in self.rows.iter().enumerate().rev() {
            match row.kind {
                RowKind::Text if is_free[index] => {
                    let indent = row.width().map_or(INDENT, |width| (width - least).min(MAX_INDENT) + INDENT);
                    indents[index] = Some(indent);
                    below = indent;
                }
                RowKind::Text => below = row.width().unwrap_or(INDENT).min(MAX_INDENT),
                // A comment stands above what it speaks of.
                RowKind::Comment => indents[index] = Some(below),
                RowKind::Blank => {}
            }
        }
        indents
    }
}
