//! Go's ways to print values, which history texts use (dockerfile.md §13, `H:`).

use std::fmt::Write as _;
use std::time::Duration;

/// Quotes like Go's `%q`.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if is_printable(c) => out.push(c),
            c => push_escape(&mut out, u32::from(c)),
        }
    }
    out.push('"');
    out
}

fn push_escape(out: &mut String, code: u32) {
    // Writing to a String cannot fail.
    let _ = match code {
        0..=0x7f => write!(out, "\\x{code:02x}"),
        0x80..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// Tells whether Go prints the character as it is. Rust's own table is asked, behind a letter, so that a combining
/// sign counts as printable.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let mut pair = String::from("a");
    pair.push(c);
    !c.is_whitespace() && pair.escape_debug().nth(1) != Some('\\')
}

/// Prints a list of words like Go's `%q`: `["a" "b"]`.
pub(super) fn quoted_list(words: &[String]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| quote(word)).collect();
    format!("[{}]", quoted.join(" "))
}

/// Prints a list of words like Go's `%v`: `[a b]`.
pub(super) fn list(words: &[String]) -> String {
    format!("[{}]", words.join(" "))
}

/// Prints a duration like Go: `1h0m0s`, `2.5s`, `250ms`.
pub(super) fn duration(value: Duration) -> String {
    let nanos = value.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    if nanos < 1_000 {
        return format!("{nanos}ns");
    }
    if nanos < 1_000_000 {
        return format!("{}µs", fraction(nanos, 1_000));
    }
    if nanos < 1_000_000_000 {
        return format!("{}ms", fraction(nanos, 1_000_000));
    }
    let minute = 60_000_000_000;
    let (minutes, rest) = (nanos / minute, nanos % minute);
    let seconds = format!("{}s", fraction(rest, 1_000_000_000));
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

fn fraction(value: u128, unit: u128) -> String {
    let digits = unit.ilog10() as usize;
    let rest = format!("{:0digits$}", value % unit);
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { (value / unit).to_string() } else { format!("{}.{rest}", value / unit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_does() {
        assert_eq!(quote("-\"q\""), r#""-\"q\"""#);
        assert_eq!(quote("a\\b\n\t\u{1}\u{7f}"), r#""a\\b\n\t\x01\x7f""#);
        assert_eq!(quote("é😀 e\u{301}"), "\"é😀 e\u{301}\"");
        assert_eq!(quote("\u{a0}\u{200b}\u{e0001}"), "\"\\u00a0\\u200b\\U000e0001\"");
    }

    #[test]
    fn durations_are_printed_as_go_does() {
        let print = |millis| duration(Duration::from_millis(millis));
        assert_eq!(print(0), "0s");
        assert_eq!(print(250), "250ms");
        assert_eq!(print(2500), "2.5s");
        assert_eq!(print(90_000), "1m30s");
        assert_eq!(print(3_600_000), "1h0m0s");
        assert_eq!(duration(Duration::from_nanos(1_500)), "1.5µs");
        assert_eq!(duration(Duration::from_nanos(7)), "7ns");
    }
}
