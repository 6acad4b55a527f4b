//! Text of others on a terminal.

/// Makes bytes of a process harmless for a terminal: colours stay, everything that moves the cursor, sets the title or
/// clears the screen goes (edges.md 3). Text that is not UTF-8 is shown with replacement characters.
pub fn harmless(line: &[u8]) -> String {
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
}
