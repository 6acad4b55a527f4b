//! The lexer of words (dockerfile.md §8.1, §8.2).
//!
//! It works on bytes: all its signs are ASCII, and here-doc bodies may hold bytes that are not UTF-8.

use super::pattern::Pattern;
use super::{MAX_WORD, NameSet};
use crate::codes;
use crate::name::name_length;

/// How deep `${…}` may nest.
const MAX_DEPTH: usize = 100;

/// What is done with quotes and blanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// One text.
    Word,
    /// Words, split at unquoted whitespace after expansion.
    Words,
    /// A body, in which quotes are ordinary.
    Heredoc,
}

/// Why a word cannot be expanded.
#[derive(Clone, Debug)]
pub(super) struct Reason {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Where in the input it is: from the outermost quote or dollar sign to what was read last.
    pub(super) range: std::ops::Range<usize>,
}

impl Reason {
    fn new(message: impl Into<String>, help: &str) -> Self {
        Self { code: codes::EXPANSION, message: message.into(), help: Some(help.to_owned()), range: 0..0 }
    }

    pub(super) fn too_large(what: &str, limit: usize) -> Self {
        Self {
            code: codes::EXPANSION_TOO_LARGE,
            message: format!("the expanded text of {what} is larger than {} MiB", limit >> 20),
            help: Some("keep large values in files; variables that hold each other twice grow quickly".to_owned()),
            range: 0..0,
        }
    }
}

/// What came out.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    pub(super) text: Vec<u8>,
    pub(super) words: Vec<Vec<u8>>,
    pub(super) names: NameSet,
    pub(super) has_odd_replacement: bool,
}

pub(super) struct Lexer<'a> {
    input: &'a [u8],
    at: usize,
    escape: u8,
    style: Style,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    names: NameSet,
    has_odd_replacement: bool,
    depth: usize,
    /// Where the outermost quote or dollar sign begins that is being read.
    token: usize,
}

/// Collects text, and words where they are wanted.
#[derive(Default)]
struct Sink {
    text: Vec<u8>,
    words: Option<WordSink>,
}

#[derive(Default)]
struct WordSink {
    words: Vec<Vec<u8>>,
    current: Vec<u8>,
}

impl Sink {
    /// Adds text that is not split.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        self.grow(bytes)?;
        if let Some(words) = &mut self.words {
            words.current.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Adds text that is split at whitespace.
    fn push_split(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        self.grow(bytes)?;
        let Some(words) = &mut self.words else { return Ok(()) };
        let mut at = 0;
        while let Some((c, length)) = char_at(bytes, at) {
            if c.is_whitespace() {
                words.finish();
            } else {
                words.current.extend_from_slice(&bytes[at..at + length]);
            }
            at += length;
        }
        Ok(())
    }

    fn grow(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        if self.text.len() + bytes.len() > MAX_WORD {
            return Err(Reason::too_large("a word", MAX_WORD));
        }
        self.text.extend_from_slice(bytes);
        Ok(())
    }
}

impl WordSink {
    fn finish(&mut self) {
        if !self.current.is_empty() {
            self.words.push(std::mem::take(&mut self.current));
        }
    }
}

impl<'a> Lexer<'a> {
    pub(super) fn new(input: &'a [u8], escape: u8, style: Style, lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            input,
            at: 0,
            escape,
            style,
            lookup,
            names: NameSet::default(),
            has_odd_replacement: false,
            depth: 0,
            token: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<Lexed, Reason> {
        let mut sink = Sink { words: (self.style == Style::Words).then(WordSink::default), ..Sink::default() };
        if let Err(mut reason) = self.read_until(None, false, &mut sink) {
            reason.range = self.token..self.at.max(self.token);
            return Err(reason);
        }
        let mut words = sink.words.unwrap_or_default();
        words.finish();
        Ok(Lexed {
            text: sink.text,
            words: words.words,
            names: self.names,
            has_odd_replacement: self.has_odd_replacement,
        })
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// Takes one character; a byte that is not UTF-8 counts as one.
    fn take(&mut self) -> Option<&'a [u8]> {
        let (_, length) = char_at(self.input, self.at)?;
        let taken = self.input.get(self.at..self.at + length)?;
        self.at += length;
        Some(taken)
    }

    /// Reads up to `stop`, which is taken; or to the end of the input.
    fn read_until(&mut self, stop: Option<u8>, keeps_escapes: bool, sink: &mut Sink) -> Result<(), Reason> {
        while let Some(byte) = self.peek() {
            if Some(byte) == stop {
                self.at += 1;
                return Ok(());
            }
            if stop.is_none() {
                self.token = self.at;
            }
            match byte {
                b'\'' if self.style != Style::Heredoc => self.read_single_quoted(sink)?,
                b'"' if self.style != Style::Heredoc => self.read_double_quoted(keeps_escapes, sink)?,
                b'$' => {
                    let value = self.read_dollar()?;
                    sink.push_split(&value)?;
                }
                byte if byte == self.escape => {
                    self.at += 1;
                    if keeps_escapes {
                        sink.push(&[byte])?;
                    }
                    if let Some(next) = self.take() {
                        sink.push(next)?;
                    }
                }
                _ => {
                    let run = self.take_plain(stop);
                    sink.push_split(run)?;
                }
            }
        }
        match stop {
            None => Ok(()),
            Some(stop) => {
                let stop = char::from(stop);
                let message = format!("unexpected end of statement while looking for matching {stop}");
                Err(Reason::new(message, "close what was opened, or put the escape character before a literal sign"))
            }
        }
    }

    /// Takes everything up to the next byte that means something.
    fn take_plain(&mut self, stop: Option<u8>) -> &'a [u8] {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let special = |byte: u8| matches!(byte, b'\'' | b'"' | b'$') || byte == self.escape || Some(byte) == stop;
        let length = rest.iter().skip(1).position(|byte| special(*byte)).map_or(rest.len(), |at| at + 1);
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn read_single_quoted(&mut self, sink: &mut Sink) -> Result<(), Reason> {
        let rest = self.input.get(self.at + 1..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| *byte == b'\'') else {
            self.at = self.input.len();
            let message = "unexpected end of statement while looking for matching single-quote";
            return Err(Reason::new(message, "close the quote, or put the escape character before an apostrophe"));
        };
        self.at += length + 2;
        sink.push(&rest[..length])
    }

    fn read_double_quoted(&mut self, keeps_escapes: bool, sink: &mut Sink) -> Result<(), Reason> {
        self.at += 1;
        loop {
            let Some(byte) = self.peek() else {
                let message = "unexpected end of statement while looking for matching double-quote";
                return Err(Reason::new(
                    message,
                    "close the quote, or put the escape character before a literal quote",
                ));
            };
            if byte == b'"' {
                self.at += 1;
                return Ok(());
            }
            if byte == b'$' {
                let value = self.read_dollar()?;
                sink.push(&value)?;
                continue;
            }
            if byte != self.escape {
                let taken = self.take().unwrap_or_default();
                sink.push(taken)?;
                continue;
            }
            self.at += 1;
            if keeps_escapes {
                sink.push(&[byte])?;
            }
            // Only the quote, the dollar sign and the escape itself can be escaped here.
            match self.peek() {
                None => {}
                Some(next) if next == b'"' || next == b'$' || next == self.escape => {
                    self.at += 1;
                    sink.push(&[next])?;
                }
                Some(_) => sink.push(&[byte])?,
            }
        }
    }

    /// Reads a name; what is there may be none.
    fn read_name(&mut self) -> &'a str {
        let input = self.input;
        let start = self.at;
        let mut at = start;
        let chars = std::iter::from_fn(|| {
            let (c, length) = char_at(input, at)?;
            at += length;
            Some(c)
        });
        self.at += name_length(chars);
        // A name ends at a character boundary and holds no bad byte.
        std::str::from_utf8(input.get(start..self.at).unwrap_or_default()).unwrap_or_default()
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name);
        self.names.add(name, value.is_some());
        value
    }

    /// Reads what begins with a dollar sign (dockerfile.md §8.2).
    fn read_dollar(&mut self) -> Result<Vec<u8>, Reason> {
        self.at += 1;
        if self.peek() != Some(b'{') {
            let name = self.read_name();
            if name.is_empty() {
                return Ok(b"$".to_vec());
            }
            return Ok(self.value(name).unwrap_or_default().into_bytes());
        }
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} substitutions inside each other");
            return Err(Reason::new(message, "give inner values names of their own with ARG"));
        }
        let value = self.read_braces();
        self.depth -= 1;
        value
    }

    fn read_braces(&mut self) -> Result<Vec<u8>, Reason> {
        match self.peek() {
            None => return Err(missing_brace()),
            Some(b'{' | b'}' | b':') => {
                let help = "write ${NAME}, or the escape character before a literal dollar sign";
                return Err(Reason::new("syntax error: bad substitution", help));
            }
            Some(_) => {}
        }
        let name = self.read_name();
        let Some(first) = self.take() else { return Err(missing_brace()) };
        match first {
            b"}" => Ok(self.value(name).unwrap_or_default().into_bytes()),
            b":" => {
                let Some(modifier) = self.take() else { return Err(missing_brace()) };
                match modifier {
                    b"-" | b"+" | b"?" => self.read_alternative(name, modifier[0], true),
                    _ => Err(unsupported(&[first, modifier].concat())),
                }
            }
            b"-" | b"+" | b"?" => self.read_alternative(name, first[0], false),
            b"#" | b"%" => self.read_trim(name, first[0]),
            b"/" => self.read_replace(name),
            _ => Err(unsupported(first)),
        }
    }

    /// Reads the rest of a substitution up to `stop`.
    fn read_part(&mut self, stop: u8, keeps_escapes: bool, missing: &str) -> Result<Vec<u8>, Reason> {
        let mut sink = Sink::default();
        match self.read_until(Some(stop), keeps_escapes, &mut sink) {
            Ok(()) => Ok(sink.text),
            Err(error) if error.code == codes::EXPANSION && self.peek().is_none() => {
                Err(Reason::new(missing, "write ${NAME}; a value with blanks or braces may need double quotes"))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the word of `-`, `+` and `?`.
    fn read_alternative(&mut self, name: &str, modifier: u8, empty_is_unset: bool) -> Result<Vec<u8>, Reason> {
        let word = self.read_part(b'}', false, MISSING_BRACE)?;
        let value = self.value(name);
        let is_set = value.is_some();
        let counts = value.as_ref().is_some_and(|value| !empty_is_unset || !value.is_empty());
        let value = value.unwrap_or_default().into_bytes();
        match (modifier, counts) {
            (b'-', false) | (b'+', true) => Ok(word),
            (b'+', false) => Ok(Vec::new()),
            (b'?', false) => {
                let what = if is_set { "is not allowed to be empty" } else { "is not allowed to be unset" };
                let word = String::from_utf8_lossy(&word);
                let what = if word.is_empty() { what } else { &word };
                Err(Reason {
                    code: codes::EXPANSION_REQUIRED,
                    message: format!("{name}: {what}"),
                    help: Some(format!(
                        "give {name} a value with ARG or ENV before this line; an ARG without a value takes it from \
                         --build-arg {name}=VALUE"
                    )),
                    range: 0..0,
                })
            }
            _ => Ok(value),
        }
    }

    /// Reads the pattern of `#`, `##`, `%` and `%%`.
    fn read_trim(&mut self, name: &str, modifier: u8) -> Result<Vec<u8>, Reason> {
        let word = self.read_part(b'}', true, MISSING_BRACE)?;
        let value = self.value(name).unwrap_or_default();
        let word = String::from_utf8_lossy(&word).into_owned();
        let (pattern, is_greedy) = match word.strip_prefix(char::from(modifier)) {
            Some(pattern) => (pattern, true),
            None => (word.as_str(), false),
        };
        let compiled = Pattern::parse(pattern).map_err(|error| bad_pattern(pattern, &error))?;
        let trimmed = match modifier {
            b'#' => compiled.trim_prefix(&value, is_greedy),
            _ => compiled.trim_suffix(&value, is_greedy),
        };
        trimmed.map(String::into_bytes).map_err(|error| bad_pattern(pattern, &error))
    }

    /// Reads pattern and replacement of `/` and `//`.
    fn read_replace(&mut self, name: &str) -> Result<Vec<u8>, Reason> {
        let replaces_all = self.peek() == Some(b'/');
        if replaces_all {
            self.at += 1;
        }
        let pattern = self.read_part(b'/', true, "syntax error: missing '/' in ${}")?;
        let replacement = self.read_part(b'}', true, MISSING_BRACE)?;
        let value = self.value(name).unwrap_or_default();
        let pattern = String::from_utf8_lossy(&pattern).into_owned();
        let replacement = String::from_utf8_lossy(&replacement).into_owned();
        self.has_odd_replacement |= replacement.contains('\\') || (replaces_all && replacement.contains('$'));
        let compiled = Pattern::parse(&pattern).map_err(|error| bad_pattern(&pattern, &error))?;
        match compiled.replace(&value, &replacement, replaces_all) {
            Ok(Some(replaced)) => Ok(replaced.into_bytes()),
            Ok(None) => Err(Reason::too_large("a word", MAX_WORD)),
            Err(error) => Err(bad_pattern(&pattern, &error)),
        }
    }
}

const MISSING_BRACE: &str = "syntax error: missing '}'";

fn missing_brace() -> Reason {
    Reason::new(MISSING_BRACE, "write ${NAME}, or the escape character before a literal dollar sign")
}

fn unsupported(modifier: &[u8]) -> Reason {
    let modifier = String::from_utf8_lossy(modifier);
    let help = "the modifiers are :- - :+ + :? ? # ## % %% / and //; the shell of a RUN knows more of them";
    Reason::new(format!("unsupported modifier ({modifier}) in substitution"), help)
}

fn bad_pattern(pattern: &str, error: &str) -> Reason {
    let message = format!("invalid pattern ({pattern}) in substitution: {error}");
    Reason::new(message, "in a pattern * and ? are wildcards; a backslash may stand before * ? \\ } and / only")
}

/// Gives the character at an offset with its length; a byte that is not UTF-8 stands as U+FFFD of length one.
fn char_at(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let first = *bytes.get(at)?;
    if first.is_ascii() {
        return Some((char::from(first), 1));
    }
    for length in 2..=4 {
        let slice = bytes.get(at..at + length);
        if let Some(c) = slice.and_then(|slice| std::str::from_utf8(slice).ok()).and_then(|text| text.chars().next()) {
            return Some((c, length));
        }
    }
    Some((char::REPLACEMENT_CHARACTER, 1))
}
