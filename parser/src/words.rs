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
    let base = range.start;
    let end = range.end;
    let mut chars = text[range].char_indices().map(|(at, c)| (base + at, c));
    while let Some((at, c)) = chars.next() {
        if quote.is_none() && c.is_whitespace() {
            if let Some(start) = start.take() {
                words.push(start..at);
            }
            continue;
        }
        let word = *start.get_or_insert(at);
        if c == escape.char() && quote != Some('\'') {
            // An escape as the last character is dropped.
            if chars.next().is_none() {
                if at > word {
                    words.push(word..at);
                }
                return words;
            }
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && (c == '\'' || c == '"') {
            quote = Some(c);
        }
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
