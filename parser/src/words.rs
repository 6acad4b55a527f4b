//! Splitting a tail into words (dockerfile.md §4.6, §5).

use std::ops::Range;

use crate::ast::Escape;

/// The blank set that separates arguments: TAB, VT, FF, CR and SPACE.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x0b | 0x0c | b'\r' | b' ')
}

/// Splits at runs of the blank set; no quoting.
pub(crate) fn split_blanks(text: &str, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = range.start;
    std::iter::from_fn(move || {
        while at < range.end && is_blank(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < range.end && !is_blank(bytes[at]) {
            at += 1;
        }
        (at > start).then_some(start..at)
    })
}

/// Splits once at the first run of the blank set.
pub(crate) fn split_once_blank(text: &str, range: Range<usize>) -> (Range<usize>, Option<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut end = range.start;
    while end < range.end && !is_blank(bytes[end]) {
        end += 1;
    }
    let mut rest = end;
    while rest < range.end && is_blank(bytes[rest]) {
        rest += 1;
    }
    (range.start..end, (rest > end).then_some(rest..range.end))
}

/// Splits at whitespace outside quotes; quotes and escapes are kept (dockerfile.md §5.1).
pub(crate) fn split_quoted(text: &str, range: Range<usize>, escape: Escape) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let end = range.end;
    let mut at = range.start;
    // Gives whether a character is whitespace, and its length.
    let look = |at: usize| match text.as_bytes()[at] {
        byte @ 0..0x80 => (matches!(byte, b'\t'..=b'\r' | b' '), 1),
        _ => text[at..].chars().next().map_or((false, 1), |c| (c.is_whitespace(), c.len_utf8())),
    };
    while at < end {
        let c = text.as_bytes()[at];
        let (is_space, length) = look(at);
        if quote.is_none() && is_space {
            if let Some(start) = start.take() {
                words.push(start..at);
            }
            at += length;
            continue;
        }
        let word = *start.get_or_insert(at);
        if char::from(c) == escape.char() && quote != Some(b'\'') {
            // An escape as the last character is dropped.
            if at + 1 >= end {
                if at > word {
                    words.push(word..at);
                }
                return words;
            }
            at += look(at + 1).1;
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && (c == b'\'' || c == b'"') {
            quote = Some(c);
        }
        at += length;
    }
    if let Some(start) = start {
        words.push(start..end);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> Vec<&str> {
        let words = split_quoted(text, 0..text.len(), Escape::Backslash);
        words.into_iter().map(|word| &text[word]).collect()
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
