//! Flags of an instruction (dockerfile.md §4.2 to §4.4).

use std::borrow::Cow;

use crate::ast::{Escape, Word};
use crate::codes;
use crate::diagnostic::{Diagnostic, is_full, keep};
use crate::features::{self, Language};
use crate::keyword::Keyword;
use crate::lines::LogicalLine;
use crate::span::Span;
use crate::suggest::suggest;
use crate::words::{plain_length, split_at_equals, trim_start};

/// A flag word of the tail, quotes and escapes removed.
#[derive(Clone, Debug)]
struct FlagWord<'a> {
    text: Cow<'a, str>,
    start: usize,
    end: usize,
}

/// How a flag takes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlagKind {
    Bool,
    String,
    List,
}

/// A flag that an instruction knows.
pub(crate) type FlagSpec = (&'static str, FlagKind);

/// A flag that was read.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) value: Word,
    pub(crate) is_true: bool,
    pub(crate) span: Span,
}

/// The flags of one instruction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    flags: Vec<Flag>,
}

impl Flags {
    pub(crate) fn find(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.name == name)
    }

    /// Takes the value of a flag out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Word> {
        let at = self.flags.iter().position(|flag| flag.name == name)?;
        Some(self.flags.remove(at).value)
    }

    /// Takes the value of a flag out that says nothing when it is empty, as in the reference.
    pub(crate) fn take_filled(&mut self, name: &str) -> Option<Word> {
        self.take(name).filter(|value| !value.raw.is_empty())
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.find(name).is_some_and(|flag| flag.is_true)
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Flag> {
        self.flags.iter().filter(move |flag| flag.name == name)
    }
}

/// The flag words at the head of a tail, and where the arguments begin.
#[derive(Debug)]
pub(crate) struct FlagWords<'a> {
    words: Vec<FlagWord<'a>>,
    pub(crate) rest: usize,
}

impl<'a> FlagWords<'a> {
    /// Scans from `start` to `end` of the line's text.
    pub(crate) fn scan(text: &'a str, start: usize, end: usize, escape: Escape) -> Self {
        let mut words = Vec::new();
        let mut at = start;
        loop {
            let tail = &text[at..end];
            let stripped = trim_start(tail);
            at = end - stripped.len();
            if !stripped.starts_with("--") {
                return Self { words, rest: at };
            }
            let (word, length) = scan_word(stripped, escape);
            if word != "--" {
                words.push(FlagWord { text: word, start: at, end: at + length });
            } else {
                return Self { words, rest: at + length };
            }
            at += length;
        }
    }

    /// Gives the span of all the words; none without one.
    pub(crate) fn span(&self, line: &LogicalLine<'_>) -> Option<Span> {
        let (first, last) = (self.words.first()?, self.words.last()?);
        Some(line.span(first.start, last.end))
    }

    /// Checks the words against the flags that the instruction knows.
    pub(crate) fn read(
        &self,
        line: &LogicalLine<'_>,
        keyword: Keyword,
        known: &[FlagSpec],
        language: Language,
        out: &mut Vec<Diagnostic>,
    ) -> Flags {
        let mut flags = Flags::default();
        if self.words.is_empty() {
            return flags;
        }
        let added = features::flags_of(keyword).filter(|(_, feature)| language.features.contains(*feature));
        let known = known.iter().copied().chain(added.map(|(flag, _)| flag));
        flags.flags.reserve_exact(self.words.len());
        for word in &self.words {
            if let Some(flag) = self.read_word(line, keyword, word, known.clone(), &flags, out) {
                flags.flags.push(flag);
            }
        }
        flags
    }

    fn read_word(
        &self,
        line: &LogicalLine<'_>,
        keyword: Keyword,
        word: &FlagWord<'_>,
        mut known: impl Iterator<Item = FlagSpec> + Clone,
        before: &Flags,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Flag> {
        let span = line.span(word.start, word.end);
        let (flag, value) = match split_at_equals(&word.text) {
            Some((flag, value)) => (flag, Some(value)),
            None => (&*word.text, None),
        };
        let name = flag.get(2..).unwrap_or_default();
        let all = known.clone();
        let Some((name, kind)) = known.find(|(known, _)| *known == name) else {
            if !is_full(out) {
                keep(unknown_flag(keyword, flag, name, all.map(|(name, _)| name), span), out);
            }
            return None;
        };
        if kind != FlagKind::List && before.find(name).is_some() {
            let first = before.find(name).map_or(span, |first| first.span);
            let made = Diagnostic::error(codes::DUPLICATE_FLAG, format!("duplicate flag specified: {flag}"), span);
            keep(made.with_label(first, "given here first").with_help(format!("give {flag} once")), out);
            return None;
        }
        let missing = || {
            let help = match kind {
                FlagKind::Bool => format!("write {flag} or {flag}=false"),
                _ => format!("write {flag}=VALUE, without a blank"),
            };
            Diagnostic::error(codes::MISSING_FLAG_VALUE, format!("missing a value on flag: {flag}"), span)
                .with_help(help)
        };
        let mut is_true = false;
        let value = match (kind, value) {
            (FlagKind::Bool, None) => {
                is_true = true;
                ""
            }
            (FlagKind::Bool, Some(value)) if value.eq_ignore_ascii_case("true") => {
                is_true = true;
                value
            }
            (FlagKind::Bool, Some(value)) if value.eq_ignore_ascii_case("false") => value,
            (FlagKind::Bool, Some("")) => {
                keep(missing(), out);
                return None;
            }
            (FlagKind::Bool, Some(value)) => {
                let message = format!("expecting boolean value for flag {flag}, not: {value}");
                let help = match value.contains('$') {
                    true => format!("variables have no value here: write {flag} or {flag}=false"),
                    false => format!("write {flag} or {flag}=false"),
                };
                keep(Diagnostic::error(codes::FLAG_NOT_BOOLEAN, message, span).with_help(help), out);
                return None;
            }
            (_, None) => {
                keep(missing(), out);
                return None;
            }
            (_, Some(value)) => value,
        };
        // Where nothing was removed the value stands in the text as it is.
        let value_span =
            if matches!(word.text, Cow::Borrowed(_)) { line.span(word.end - value.len(), word.end) } else { span };
        Some(Flag { name, value: Word { raw: value.into(), span: value_span }, is_true, span })
    }
}

/// Flags that people write at the wrong instruction, and whose they are.
const OWNERS: &[(&str, &str)] = &[
    ("from", "COPY"),
    ("checksum", "ADD"),
    ("keep-git-dir", "ADD"),
    ("unpack", "ADD"),
    ("platform", "FROM"),
    ("mount", "RUN"),
    ("network", "RUN"),
    ("security", "RUN"),
    ("chown", "COPY and ADD"),
    ("chmod", "COPY and ADD"),
];

fn unknown_flag(
    keyword: Keyword,
    flag: &str,
    name: &str,
    names: impl Iterator<Item = &'static str> + Clone,
    span: Span,
) -> Diagnostic {
    let made = |hint: &str| Diagnostic::error(codes::UNKNOWN_FLAG, format!("unknown flag: {flag}{hint}"), span);
    if let Some((_, feature)) = features::flags_of(keyword).find(|((added, _), _)| *added == name) {
        return made("").with_help(feature.remedy());
    }
    if let Some(near) = suggest(name, names.clone()) {
        let fix = Span::new(span.start(), span.start() + flag.len());
        let made = made(&format!(" (did you mean {near}?)")).with_help(format!("write --{near}"));
        return if span.len() >= flag.len() { made.with_fix(fix, format!("--{near}")) } else { made };
    }
    let list: Vec<_> = names.map(|name| format!("--{name}")).collect();
    if list.is_empty() {
        return made("").with_help("this instruction takes no flags; put -- before an argument that begins with --");
    }
    let here = format!("the flags here are {}", list.join(", "));
    let help = match OWNERS.iter().find(|(known, _)| *known == name) {
        Some((_, owner)) => format!("{flag} is a flag of {owner}; {here}"),
        None => here,
    };
    made("").with_help(help)
}

/// Reads one word up to unquoted whitespace; quotes are removed, an escape makes the next character literal.
fn scan_word(text: &str, escape: Escape) -> (Cow<'_, str>, usize) {
    let start = plain_length(text.as_bytes());
    if matches!(text.as_bytes().get(start), None | Some(b'\t'..=b'\r' | b' ')) {
        return (Cow::Borrowed(&text[..start]), start);
    }
    let is_end = |c: char| c.is_whitespace() || c == '\'' || c == '"' || c == escape.char();
    let plain = text[start..].find(is_end).map(|at| start + at);
    let Some(plain) = plain else { return (Cow::Borrowed(text), text.len()) };
    if text[plain..].starts_with(char::is_whitespace) {
        return (Cow::Borrowed(&text[..plain]), plain);
    }
    let mut word = text[..plain].to_owned();
    let mut quote = None;
    let mut chars = text[plain..].char_indices();
    while let Some((at, c)) = chars.next() {
        if c == escape.char() {
            match chars.next() {
                Some((_, next)) => word.push(next),
                None => break,
            }
        } else if let Some(open) = quote {
            if c == open {
                quote = None;
            } else {
                word.push(c);
            }
        } else if c == '\'' || c == '"' {
            quote = Some(c);
        } else if c.is_whitespace() {
            return (Cow::Owned(word), plain + at);
        } else {
            word.push(c);
        }
    }
    (Cow::Owned(word), text.len())
}
