//! Finding here-docs on a line and reading their bodies (dockerfile.md §6).

use std::ops::Range;

use smol_str::SmolStr;

use crate::ast::{Heredoc, Word};
use crate::lines::{Lines, LogicalLine};
use crate::name::name_length;
use crate::source::SourceText;
use crate::span::Span;
use crate::words::plain_length;

/// The start of a here-doc, taken from a word like `2<<-"EOF"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeredocStart {
    pub(crate) name: SmolStr,
    pub(crate) expand: bool,
    pub(crate) strip_tabs: bool,
    pub(crate) fd: u32,
}

impl HeredocStart {
    /// Reads a whole word: digits, `<<`, perhaps `-`, blanks, then a delimiter without `<`.
    ///
    /// The error is a delimiter whose quotes do not match.
    pub(crate) fn parse(word: &str) -> Result<Option<Self>, String> {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let Some(rest) = word[digits..].strip_prefix("<<") else { return Ok(None) };
        let (rest, strip_tabs) = match rest.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let rest = rest.trim_start_matches(['\t', '\n', '\x0c', '\r', ' ']);
        if rest.is_empty() || rest.contains('<') {
            return Ok(None);
        }
        let Some(Unquoted { name, expand }) = unquote(rest)? else { return Ok(None) };
        // A number that does not fit says nothing useful; the shell reads the word itself.
        let fd = word[..digits].parse().unwrap_or(0);
        Ok(Some(Self { name, expand, strip_tabs, fd }))
    }
}

struct Unquoted {
    name: SmolStr,
    expand: bool,
}

/// Removes quotes and escapes of a delimiter; none when it is not one word.
fn unquote(text: &str) -> Result<Option<Unquoted>, String> {
    if plain_length(text.as_bytes()) == text.len() {
        return Ok(Some(Unquoted { name: text.into(), expand: true }));
    }
    let mut name = String::with_capacity(text.len());
    let mut expand = true;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                expand = false;
                loop {
                    match chars.next() {
                        None => return Err(format!("the quote {c} in the delimiter {text} is not closed")),
                        Some(next) if next == c => break,
                        Some('\\') if c == '"' => match chars.next() {
                            Some(next @ ('"' | '$' | '\\')) => name.push(next),
                            Some(next) => name.extend(['\\', next]),
                            None => {}
                        },
                        Some(next) => name.push(next),
                    }
                }
            }
            '\\' => name.extend(chars.next()),
            c if c.is_whitespace() => {
                // Blanks after the delimiter are no second word.
                if chars.as_str().trim().is_empty() {
                    break;
                }
                return Ok(None);
            }
            c => name.push(c),
        }
    }
    Ok((!name.is_empty()).then(|| Unquoted { name: name.into(), expand }))
}

/// Splits a line into words as the reference does to find here-docs: quotes and escapes are kept, escape is `\`.
///
/// None when the lexer fails, which disables here-docs for the line (dockerfile.md §6.2).
pub(crate) fn heredoc_words(text: &str) -> Option<Vec<Range<usize>>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            b'\'' | b'"' => {
                start.get_or_insert(at);
                at = quoted_end(text, at, 0)?;
            }
            b'\\' => {
                start.get_or_insert(at);
                at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8);
            }
            b'<' => {
                start.get_or_insert(at);
                at += 1;
                if bytes.get(at) == Some(&b'<') {
                    at += 1;
                    // Blanks between `<<` and the delimiter belong to the word.
                    while matches!(bytes.get(at), Some(b'\t' | b'\r' | b' ')) {
                        at += 1;
                    }
                }
            }
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                let end = braced_end(text, at, 0)?;
                // What stands in braces is split at blanks like the rest.
                for (offset, c) in text[at..end].char_indices() {
                    split_at(&mut words, &mut start, at + offset, c);
                }
                at = end;
            }
            _ => {
                let c = if byte.is_ascii() { char::from(byte) } else { text[at..].chars().next()? };
                split_at(&mut words, &mut start, at, c);
                at += c.len_utf8();
            }
        }
    }
    if let Some(start) = start {
        words.push(start..text.len());
    }
    Some(words)
}

fn split_at(words: &mut Vec<Range<usize>>, start: &mut Option<usize>, at: usize, c: char) {
    if !c.is_whitespace() {
        start.get_or_insert(at);
    } else if let Some(start) = start.take() {
        words.push(start..at);
    }
}

/// Gives where a quoted run that begins at `at` ends; none without the closing quote.
fn quoted_end(text: &str, at: usize, depth: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = *bytes.get(at)?;
    let mut end = at + 1;
    loop {
        match *bytes.get(end)? {
            byte if byte == quote => return Some(end + 1),
            b'\\' if quote == b'"' => end += 2,
            b'$' if quote == b'"' && bytes.get(end + 1) == Some(&b'{') => end = braced_end(text, end, depth + 1)?,
            _ => end += 1,
        }
    }
}

/// How deep braces may nest on a line that is looked through for here-docs.
const MAX_BRACES: usize = 64;

/// Gives where a `${…}` that begins at `at` ends; none when the expander would refuse it.
fn braced_end(text: &str, at: usize, depth: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut end = at + 2;
    if depth > MAX_BRACES || matches!(bytes.get(end), None | Some(b'{' | b'}' | b':')) {
        return None;
    }
    end += name_length(text[end..].chars());
    match *bytes.get(end)? {
        b'}' => return Some(end + 1),
        b':' => {
            end += 1;
            matches!(bytes.get(end)?, b'-' | b'+' | b'?').then_some(())?;
        }
        b'-' | b'+' | b'?' | b'#' | b'%' | b'/' => {}
        _ => return None,
    }
    end += 1;
    loop {
        match *bytes.get(end)? {
            b'}' => return Some(end + 1),
            b'\'' | b'"' => end = quoted_end(text, end, depth + 1)?,
            b'\\' => end += 2,
            b'$' if bytes.get(end + 1) == Some(&b'{') => end = braced_end(text, end, depth + 1)?,
            _ => end += 1,
        }
    }
}

/// The here-docs of a line with their bodies, and where the last terminator ends.
#[derive(Debug, Default)]
pub(crate) struct Bodies {
    pub(crate) heredocs: Vec<Heredoc>,
    pub(crate) end: Option<usize>,
    /// The here-doc whose terminator is missing.
    pub(crate) unterminated: Option<(SmolStr, Span)>,
    /// A delimiter that cannot be read.
    pub(crate) error: Option<(String, Span)>,
}

impl Bodies {
    /// Finds the here-docs of `line` and reads their bodies from `lines`.
    pub(crate) fn read(line: &LogicalLine<'_>, source: &SourceText, lines: &mut Lines<'_>) -> Self {
        let mut bodies = Self::default();
        for range in heredoc_words(&line.text).unwrap_or_default() {
            let raw = &line.text[range.clone()];
            let span = line.span(range.start, range.end);
            let start = match HeredocStart::parse(raw) {
                Ok(Some(start)) => start,
                Ok(None) => continue,
                Err(message) => {
                    bodies.error = Some((message, span));
                    return bodies;
                }
            };
            let word = Word { raw: raw.into(), span };
            let from = lines.offset();
            let Some(until) = find_terminator(&start, lines) else {
                bodies.unterminated = Some((start.name, span));
                bodies.end = Some(lines.offset());
                return bodies;
            };
            let span = Span::new(from, until.0);
            bodies.end = Some(until.1);
            // There is seldom a second one, and each is large.
            bodies.heredocs.reserve_exact(1);
            bodies.heredocs.push(Heredoc {
                name: start.name,
                word,
                expand: start.expand,
                strip_tabs: start.strip_tabs,
                fd: start.fd,
                body: source.bytes(span).into_owned(),
                span,
            });
        }
        bodies
    }
}

/// Reads up to the terminator and gives where its line begins and ends.
fn find_terminator(start: &HeredocStart, lines: &mut Lines<'_>) -> Option<(usize, usize)> {
    for line in lines {
        let text = if start.strip_tabs { line.text.trim_start_matches('\t') } else { line.text };
        if text == start.name {
            return Some((line.start, line.end()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(line: &str) -> Vec<String> {
        let words = heredoc_words(line).unwrap_or_default();
        let parsed = words.into_iter().map(|word| HeredocStart::parse(&line[word]));
        parsed.filter_map(|start| start.ok().flatten()).map(|start| start.name.into()).collect()
    }

    #[test]
    fn starts_are_found() {
        assert_eq!(starts("RUN <<EOF"), ["EOF"]);
        assert_eq!(starts("RUN cat <<A; x 3<<-B"), ["A;", "B"]);
        assert_eq!(starts("RUN << EOF cat"), ["EOF"]);
        assert_eq!(starts("COPY <<F1 <<\"F2\" /docs/"), ["F1", "F2"]);
        assert_eq!(starts("RUN <<'E F' cat"), ["E F"]);
        assert_eq!(starts("RUN echo ${X:-a <<EOF b}"), ["EOF"]);
    }

    #[test]
    fn look_alikes_are_none() {
        for line in [
            "RUN x <<<EOF",
            "RUN echo \"<<EOF\"",
            "RUN echo $((1<<2))",
            "RUN a<<EOF",
            "RUN <<\"\"",
            "RUN it's <<EOF",
            "RUN <<EOF \"open",
            "RUN \\<<EOF",
            "RUN <<A<<B",
            "RUN cat <<EOF ${x^}",
        ] {
            assert_eq!(starts(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn quoting_turns_expansion_off() {
        let read = |word| HeredocStart::parse(word).unwrap().unwrap();
        assert!(read("<<EOF").expand);
        assert!(!read("<<'EOF'").expand);
        assert!(!read("<<-\"EOF\"").expand);
        let start = read("5<<-EOF");
        assert!(start.strip_tabs);
        assert_eq!(start.fd, 5);
        assert!(HeredocStart::parse("<<'EOF").is_err());
    }
}
