//! Splitting a tail into words (dockerfile.md §4.6, §5).

use std::ops::Range;

use crate::ast::Escape;

/// The blank set that separates arguments: TAB, VT, FF, CR and SPACE.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x0b | 0x0c | b'\r' | b' ')
}

/// The bytes that stand for themselves in every word: ASCII that is no blank, no control, no quote and no escape.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'\'' | b'"' | b'\\' | b'`');
        byte += 1;
    }
    plain
};

/// Gives how many bytes at the head stand for themselves in every word.
pub(crate) fn plain_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !PLAIN[usize::from(*byte)]).unwrap_or(bytes.len())
}

/// Gives where the word at the head of a range ends, at the first of the blank set.
pub(crate) fn word_end(bytes: &[u8], range: Range<usize>) -> usize {
    let mut end = range.start + plain_length(&bytes[range.clone()]);
    while end < range.end && !is_blank(bytes[end]) {
        end += 1;
    }
    end
}

/// As [`str::trim_start`], quick where ASCII follows.
pub(crate) fn trim_start(text: &str) -> &str {
    let is_word = |byte: &u8| !matches!(byte, b'\t'..=b'\r' | b' ');
    let trimmed = &text[text.bytes().position(|byte| is_word(&byte)).unwrap_or(text.len())..];
    if trimmed.as_bytes().first().is_none_or(u8::is_ascii) { trimmed } else { trimmed.trim_start() }
}

/// As [`str::trim_end`], quick where ASCII stands before.
pub(crate) fn trim_end(text: &str) -> &str {
    let is_word = |byte: &u8| !matches!(byte, b'\t'..=b'\r' | b' ');
    let trimmed = &text[..text.as_bytes().iter().rposition(is_word).map_or(0, |last| last + 1)];
    if trimmed.as_bytes().last().is_none_or(u8::is_ascii) { trimmed } else { trimmed.trim_end() }
}

/// As `split_once('=')`, quick for the short names that stand before.
pub(crate) fn split_at_equals(text: &str) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == b'=')?;
    Some((&text[..at], &text[at + 1..]))
}

/// Splits at runs of the blank set; no quoting.
pub(crate) fn split_blanks(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> + Clone {
    let bytes = text.as_bytes();
    let mut at = range.start;
    std::iter::from_fn(move || {
        while at < range.end && is_blank(bytes[at]) {
            at += 1;
        }
        let start = at;
        at = word_end(bytes, at..range.end);
        (at > start).then_some(start..at)
    })
}

/// Splits once at the first run of the blank set.
pub(crate) fn split_once_blank(text: &str, range: Range<usize>) -> (Range<usize>, Option<Range<usize>>) {
    let bytes = text.as_bytes();
    let end = word_end(bytes, range.clone());
    let mut rest = end;
    while rest < range.end && is_blank(bytes[rest]) {
        rest += 1;
    }
    (range.start..end, (rest > end).then_some(rest..range.end))
}

/// Splits at whitespace outside quotes; quotes and escapes are kept (dockerfile.md §5.1).
pub(crate) fn split_quoted(text: &str, range: Range<usize>, escape: Escape) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let Range { start: mut at, end } = range;
    // Gives whether a character is whitespace, and its length.
    let look = |at: usize| match bytes[at] {
        byte @ 0..0x80 => (matches!(byte, b'\t'..=b'\r' | b' '), 1),
        _ => text[at..].chars().next().map_or((false, 1), |c| (c.is_whitespace(), c.len_utf8())),
    };
    std::iter::from_fn(move || {
        while at < end {
            let (is_space, length) = look(at);
            if !is_space {
                break;
            }
            at += length;
        }
        let start = at;
        let mut quote = None;
        loop {
            at += plain_length(&bytes[at..end]);
            if at == end {
                break;
            }
            let byte = bytes[at];
            let (is_space, length) = look(at);
            if quote.is_none() && is_space {
                return Some(start..at);
            }
            if byte == escape.byte() && quote != Some(b'\'') {
                // An escape as the last character is dropped.
                if at + 1 >= end {
                    let before = std::mem::replace(&mut at, end);
                    return (before > start).then_some(start..before);
                }
                at += look(at + 1).1;
            } else if quote == Some(byte) {
                quote = None;
            } else if quote.is_none() && (byte == b'\'' || byte == b'"') {
                quote = Some(byte);
            }
            at += length;
        }
        (end > start).then_some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> Vec<&str> {
        let words = split_quoted(text, 0..text.len(), Escape::Backslash);
        words.map(|word| &text[word]).collect()
    }

    #[test]
    fn quotes_and_escapes_protect_blanks_and_stay() {
        assert_eq!(quoted(r#"A=1 B="two words" C='$A'"#), ["A=1", r#"B="two words""#, "C='$A'"]);
        assert_eq!(quoted(r"a\ b c"), [r"a\ b", "c"]);
        assert_eq!(quoted(r#""a\" b" c"#), [r#""a\" b""#, "c"]);
        assert_eq!(quoted(r"'a\' b"), [r"'a\'", "b"]);
        assert_eq!(quoted(r"a\"), ["a"]);
        assert_eq!(quoted(r"\"), [""; 0]);
        assert_eq!(quoted(r#""" x"#), [r#""""#, "x"]);
        assert_eq!(quoted("X=${V:?need V}"), ["X=${V:?need", "V}"]);
    }

    #[test]
    fn blanks_split_without_quoting() {
        let text = " a\t\"b c\" ";
        let words: Vec<_> = split_blanks(text, 0..text.len()).map(|word| &text[word]).collect();
        assert_eq!(words, ["a", "\"b", "c\""]);
    }
}
