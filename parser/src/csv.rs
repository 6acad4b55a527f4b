//! One record of comma-separated values, as `--mount` and `--device` take it.

use std::borrow::Cow;
use std::ops::Range;

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// The text without the quotes.
    pub(crate) text: Cow<'a, str>,
    /// Where it is in the record, quotes included.
    pub(crate) range: Range<usize>,
    /// Whether it was quoted.
    pub(crate) is_quoted: bool,
}

/// Splits a record as Go's `encoding/csv` does; the error says why that is not possible.
pub(crate) fn split(record: &str) -> Result<Vec<Field<'_>>, &'static str> {
    // As many as there are commas, and one; of those within quotes there are few.
    let mut fields = Vec::with_capacity(memchr::memchr_iter(b',', record.as_bytes()).count() + 1);
    let mut start = 0;
    loop {
        let rest = &record[start..];
        let (field, end) = match rest.strip_prefix('"') {
            Some(quoted) => split_quoted(quoted, start)?,
            None => {
                let is_end = |byte: u8| matches!(byte, b',' | b'"');
                let end = start + rest.bytes().position(is_end).unwrap_or(rest.len());
                let text = &record[start..end];
                if record[end..].starts_with('"') {
                    return Err("bare \" in non-quoted field");
                }
                (Field { text: Cow::Borrowed(text), range: start..end, is_quoted: false }, end)
            }
        };
        fields.push(field);
        if end == record.len() {
            return Ok(fields);
        }
        start = end + 1;
    }
}

/// Reads a field after its opening quote; gives it and where it ends.
fn split_quoted(quoted: &str, start: usize) -> Result<(Field<'static>, usize), &'static str> {
    let mut text = String::new();
    let mut from = 0;
    loop {
        let close = from + quoted[from..].find('"').ok_or("extraneous or missing \" in quoted-field")?;
        text.push_str(&quoted[from..close]);
        match quoted.as_bytes().get(close + 1) {
            None | Some(b',') => {
                let end = start + 1 + close + 1;
                return Ok((Field { text: Cow::Owned(text), range: start..end, is_quoted: true }, end));
            }
            Some(b'"') => {
                text.push('"');
                from = close + 2;
            }
            Some(_) => return Err("extraneous or missing \" in quoted-field"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        let texts = |record| split(record).map(|fields| fields.into_iter().map(|f| f.text).collect::<Vec<_>>());
        assert_eq!(texts("a=b,c").unwrap(), ["a=b", "c"]);
        assert_eq!(texts("\"target=/a,b\",ro").unwrap(), ["target=/a,b", "ro"]);
        assert_eq!(texts("\"a\"\"b\"").unwrap(), ["a\"b"]);
        assert_eq!(texts("a,").unwrap(), ["a", ""]);
        assert!(texts("a\"b").is_err());
        assert!(texts("\"a").is_err());
        assert!(texts("\"a\"b").is_err());
    }
}
