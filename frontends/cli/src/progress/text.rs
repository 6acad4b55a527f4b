//! What displays that write text share.

/// Cuts what a process writes into lines. A carriage return starts the line anew, as it does on a terminal.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

/// A line without an end is shown when it gets this long.
const LONGEST: usize = 64 << 10;

impl Lines {
    /// Takes bytes and gives each complete line.
    pub(crate) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.rest.extend_from_slice(piece);
            if self.rest.ends_with(b"\n") || self.rest.len() > LONGEST {
                line(visible(&self.rest));
                self.rest.clear();
            }
        }
    }

    /// Gives what has no line end yet.
    pub(crate) fn flush(&mut self, line: impl FnOnce(&[u8])) {
        if !self.rest.is_empty() {
            line(visible(&self.rest));
            self.rest.clear();
        }
    }
}

/// What of a line a terminal would show: without its end, and from the last carriage return.
fn visible(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let start = line.iter().rposition(|b| *b == b'\r').map_or(0, |at| at + 1);
    &line[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_newlines_and_restart_at_returns() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        lines.push(b"a\nb", |line| seen.push(line.to_vec()));
        lines.push(b"c\r\n10%\r20%\n", |line| seen.push(line.to_vec()));
        lines.push(b"end", |line| seen.push(line.to_vec()));
        lines.flush(|line| seen.push(line.to_vec()));
        assert_eq!(seen, [&b"a"[..], b"bc", b"20%", b"end"]);
    }
}
