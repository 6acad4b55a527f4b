//! Columns of text.

use strake_cli::harmless;

/// Rows whose cells begin below each other. As in Go's text/tabwriter, with which the reference writes its tables, each
/// cell but the last of a row is filled up to the width of its column.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    gap: usize,
}

impl Table {
    /// Begins a table with so many blanks between columns.
    pub(super) fn new(gap: usize) -> Self {
        Self { rows: Vec::new(), gap }
    }

    /// Adds a row; what would break the table becomes a blank.
    pub(super) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        let cell = |text: &str| harmless(text.replace(['\t', '\n', '\r'], " ").as_bytes());
        self.rows.push(cells.into_iter().map(cell).collect());
    }

    /// Gives the lines.
    pub(super) fn finish(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0) + self.gap
        };
        let count = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..count).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                out.push_str(cell);
                if at + 1 < row.len() {
                    out.extend(std::iter::repeat_n(' ', width - cell.chars().count()));
                }
            }
            out.push('\n');
        }
        out
    }
}
