//! The JSON form of arguments (dockerfile.md §4.1), read as Go's `encoding/json` reads it.

use std::borrow::Cow;
use std::ops::Range;

use crate::span::short;

/// How deep values may nest, as in Go's decoder.
const MAX_DEPTH: usize = 10_000;

/// A tail read as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JsonArray<'a> {
    /// Not one whole array: the other form applies.
    No,
    /// An array that holds something that is no string; the range of that.
    NotStrings(Range<usize>),
    /// Strings and where each is written, in 32 bits so that the list can become one of words as it is.
    Strings(Vec<(Cow<'a, str>, Range<u32>)>),
}

/// Reads `range` of `text`.
pub(crate) fn read_array(text: &str, range: Range<usize>) -> JsonArray<'_> {
    let mut reader = Reader { text: &text[..range.end], at: range.start };
    reader.skip_blanks();
    if !reader.eat(b'[') {
        return JsonArray::No;
    }
    read_elements(&mut reader).unwrap_or(JsonArray::No)
}

/// Finds the string member `name` of an object that is the whole text, as the detection of `syntax` does.
pub(crate) fn read_member<'a>(text: &'a str, name: &str) -> Option<(Cow<'a, str>, Range<usize>)> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_blanks();
    if !reader.eat(b'{') {
        return None;
    }
    let mut found = None;
    reader.skip_blanks();
    if reader.eat(b'}') {
        return None;
    }
    loop {
        reader.skip_blanks();
        let key = reader.string()?;
        reader.skip_blanks();
        reader.eat(b':').then_some(())?;
        reader.skip_blanks();
        let start = reader.at;
        if reader.peek() == Some(b'"') {
            let value = reader.string()?;
            if key == name {
                found = Some((value, start..reader.at));
            }
        } else {
            reader.skip_value()?;
        }
        reader.skip_blanks();
        if reader.eat(b'}') {
            break;
        }
        reader.eat(b',').then_some(())?;
    }
    reader.skip_blanks();
    found.filter(|_| reader.at == text.len())
}

fn read_elements<'a>(reader: &mut Reader<'a>) -> Option<JsonArray<'a>> {
    // As many as there are commas, and one; the tree keeps the list.
    let commas = memchr::memchr_iter(b',', &reader.text.as_bytes()[reader.at..]).count();
    let mut strings = Vec::with_capacity(commas + 1);
    let mut other = None;
    reader.skip_blanks();
    if !reader.eat(b']') {
        loop {
            reader.skip_blanks();
            let start = reader.at;
            if reader.peek() == Some(b'"') {
                let value = reader.string()?;
                strings.push((value, short(start)..short(reader.at)));
            } else {
                reader.skip_value()?;
                other.get_or_insert(start..reader.at);
            }
            reader.skip_blanks();
            if reader.eat(b']') {
                break;
            }
            reader.eat(b',').then_some(())?;
        }
    }
    reader.skip_blanks();
    if reader.at != reader.text.len() {
        return None;
    }
    Some(match other {
        Some(range) => JsonArray::NotStrings(range),
        None => {
            // Commas may stand in strings as well.
            strings.shrink_to_fit();
            JsonArray::Strings(strings)
        }
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Reads a string; none when it is no valid one.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.eat(b'"').then_some(())?;
        let mut out = Cow::Borrowed(self.plain()?);
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(out);
                }
                b'\\' => {
                    self.at += 1;
                    let out = out.to_mut();
                    out.push(self.escape()?);
                    out.push_str(self.plain()?);
                }
                _ => return None,
            }
        }
    }

    /// Reads what stands for itself, up to a quote, an escape or a sign that a string cannot hold.
    fn plain(&mut self) -> Option<&'a str> {
        let start = self.at;
        let is_end = |byte: &u8| matches!(byte, ..0x20 | b'"' | b'\\');
        let rest = &self.text.as_bytes()[start..];
        self.at += rest.iter().position(is_end).unwrap_or(rest.len());
        self.text.get(start..self.at)
    }

    fn escape(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return None,
        })
    }

    /// Reads the digits of `\u`; half of a surrogate pair becomes U+FFFD.
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex4()?;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let value = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Some(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = before;
        }
        Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        let mut value = 0;
        for digit in digits {
            value = value * 16 + char::from(*digit).to_digit(16)?;
        }
        self.at += 4;
        Some(value)
    }

    /// Skips any value, without recursion.
    fn skip_value(&mut self) -> Option<()> {
        let mut open = Vec::new();
        loop {
            self.skip_blanks();
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                bracket @ (b'[' | b'{') => {
                    self.at += 1;
                    self.skip_blanks();
                    let close = bracket + 2;
                    if !self.eat(close) {
                        open.push(close);
                        (open.len() <= MAX_DEPTH).then_some(())?;
                        if bracket == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => self.number()?,
            }
            // After a value: close brackets, or go on to the next element.
            loop {
                let Some(close) = open.last().copied() else { return Some(()) };
                self.skip_blanks();
                if self.eat(close) {
                    open.pop();
                    continue;
                }
                self.eat(b',').then_some(())?;
                if close == b'}' {
                    self.key()?;
                }
                break;
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.skip_blanks();
        self.string()?;
        self.skip_blanks();
        self.eat(b':').then_some(())
    }

    fn literal(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then_some(())?;
        self.at += word.len();
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _signed = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Option<Vec<String>> {
        match read_array(text, 0..text.len()) {
            JsonArray::Strings(strings) => Some(strings.into_iter().map(|(value, _)| value.into_owned()).collect()),
            _ => None,
        }
    }

    #[test]
    fn string_arrays_are_read() {
        assert_eq!(strings(r#"["a", "b c"]"#).unwrap(), ["a", "b c"]);
        assert_eq!(strings(" [] ").unwrap(), [""; 0]);
        assert_eq!(strings(r#"["\u0041\n\/\ud83d\ude00\ud800x"]"#).unwrap(), ["A\n/\u{1f600}\u{fffd}x"]);
    }

    #[test]
    fn what_is_no_json_is_left_to_the_shell() {
        for text in [
            "[ 'a' ]",
            r#"["a"] x"#,
            r#"["a",]"#,
            r#"["c:\windows"]"#,
            "[",
            r#"["a"#,
            "x",
            r#"["a" "b"]"#,
            "[01]",
            "[.5]",
            "[tru]",
            "[{\"a\"}]",
            "[\"a\tb\"]",
            "[[]",
            r#"["\u12"]"#,
        ] {
            assert_eq!(read_array(text, 0..text.len()), JsonArray::No, "{text}");
        }
    }

    #[test]
    fn other_values_are_named() {
        for text in ["[1]", r#"["a", null]"#, "[[\"a\"]]", "[{\"a\":[1,{}]}]", "[true,false]", "[-0.5e+3]"] {
            assert!(matches!(read_array(text, 0..text.len()), JsonArray::NotStrings(_)), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let text = "[".repeat(1_000_000);
        assert_eq!(read_array(&text, 0..text.len()), JsonArray::No);
        let text = format!("{}{}", "[".repeat(9_000), "]".repeat(9_000));
        assert!(matches!(read_array(&text, 0..text.len()), JsonArray::NotStrings(_)));
    }

    #[test]
    fn members_of_an_object_are_found() {
        let text = r#"{"a": [1], "syntax": "x/y", "b": {}}"#;
        assert_eq!(read_member(text, "syntax").unwrap().0, "x/y");
        assert_eq!(read_member(r#"{"syntax": 1}"#, "syntax"), None);
        assert_eq!(read_member("{", "syntax"), None);
    }
}
