//! What displays that write text share.

/// Makes bytes of a process harmless for a terminal: colours stay, everything that moves the cursor, sets the title or
/// clears the screen goes (edges.md 3). Text that is not UTF-8 is shown with replacement characters.
pub(crate) fn harmless(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars, &mut out),
            // C1 controls are escape sequences in one character.
            '\u{80}'..='\u{9f}' => {}
            '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Reads an escape sequence after its ESC and keeps it if it only sets colours (`ESC [ … m`).
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            let mut parameters = String::new();
            for c in chars.by_ref() {
                if ('@'..='~').contains(&c) {
                    if c == 'm' && parameters.chars().all(|c| c.is_ascii_digit() || c == ';') {
                        out.push_str("\u{1b}[");
                        out.push_str(&parameters);
                        out.push('m');
                    }
                    return;
                }
                parameters.push(c);
            }
        }
        // OSC, DCS, SOS, PM, APC: up to BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' {
                    return;
                }
                if c == '\u{1b}' {
                    chars.next_if_eq(&'\\');
                    return;
                }
            }
        }
        _ => {
            chars.next();
        }
    }
}

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
    fn colours_stay_and_cursor_moves_go() {
        assert_eq!(harmless(b"\x1b[31mred\x1b[0m"), "\x1b[31mred\x1b[0m");
        assert_eq!(harmless(b"a\x1b[2Jb\x1b[1;1Hc"), "abc");
        assert_eq!(harmless(b"\x1b]0;title\x07x"), "x");
        assert_eq!(harmless(b"\x1b]0;title\x1b\\x"), "x");
        assert_eq!(harmless(b"\x1bcx\x9b1Jy"), "x\u{fffd}1Jy");
        assert_eq!(harmless("\u{9b}2Jz".as_bytes()), "2Jz");
    }

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
