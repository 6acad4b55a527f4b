//! Variables, quotes and escapes of a word (dockerfile.md §8).

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use crate::ast::{Escape, Word};
use crate::codes;
use crate::diagnostic::{Diagnostic, cut_middle};
use crate::span::Span;

mod lexer;
mod pattern;

use lexer::{Lexer, Reason, Style};

/// The greatest size of an expanded word in bytes (edges.md 15).
pub(crate) const MAX_WORD: usize = 1 << 20;

/// The greatest size of all expanded words of an instruction in bytes (edges.md 15).
const MAX_INSTRUCTION: usize = 16 << 20;

/// The greatest length of a word in a message (edges.md 15); more is cut in the middle.
const MAX_SHOWN: usize = 1 << 10;

/// Expands the words of one instruction in one environment.
///
/// The bounds of one instruction are shared by its words: 1 MiB a word, 16 MiB in all.
///
/// ```
/// use strake_parser::{Escape, Expander, Word};
///
/// let lookup = |name: &str| (name == "V").then(|| "1.2".to_owned());
/// let expander = Expander::new(Escape::Backslash, &lookup);
/// let word = Word { raw: "app-${V:-0}.tgz".into(), ..Word::default() };
/// assert_eq!(expander.word(&word)?.text, "app-1.2.tgz");
/// # Ok::<(), strake_parser::ExpandError>(())
/// ```
pub struct Expander<'a> {
    escape: Escape,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    remaining: Cell<usize>,
    names: RefCell<NameSet>,
}

impl std::fmt::Debug for Expander<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expander").field("escape", &self.escape).finish_non_exhaustive()
    }
}

/// The variables that an expansion asked for, each once, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Those that have a value.
    pub used: Vec<String>,
    /// Those that have none.
    pub unset: Vec<String>,
}

/// Names with a quick way to tell whether one is there already.
#[derive(Debug, Default)]
pub(crate) struct NameSet {
    names: Names,
    seen: HashSet<String>,
}

impl NameSet {
    pub(crate) fn add(&mut self, name: &str, is_set: bool) {
        if self.seen.contains(name) {
            return;
        }
        self.seen.insert(name.to_owned());
        if is_set {
            self.names.used.push(name.to_owned());
        } else {
            self.names.unset.push(name.to_owned());
        }
    }

    fn extend(&mut self, names: &Names) {
        for name in &names.used {
            self.add(name, true);
        }
        for name in &names.unset {
            self.add(name, false);
        }
    }
}

/// An expanded word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The text.
    pub text: String,
    /// The variables asked for.
    pub names: Names,
    /// What is likely not meant (dockerfile.md §8.2.6).
    pub warnings: Vec<Diagnostic>,
}

/// A word that cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpandError {
    /// The stable code.
    pub code: &'static str,
    /// What is wrong, ready to be shown.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Where the word is.
    pub span: Span,
}

impl std::fmt::Display for ExpandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExpandError {}

impl From<ExpandError> for Diagnostic {
    fn from(error: ExpandError) -> Self {
        let mut made = Self::error(error.code, error.message, error.span);
        made.help = error.help;
        made
    }
}

impl<'a> Expander<'a> {
    /// Makes an expander; `lookup` gives the value of a name, and folds case where the target wants that.
    pub fn new(escape: Escape, lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { escape, lookup, remaining: Cell::new(MAX_INSTRUCTION), names: RefCell::default() }
    }

    /// Expands a word to one text.
    pub fn word(&self, word: &Word) -> Result<Expansion, ExpandError> {
        let lexer = Lexer::new(word.raw.as_bytes(), self.escape.byte(), Style::Word, self.lookup);
        let lexed = self.finish(lexer, word.raw.as_bytes(), word.span)?;
        let mut warnings = Vec::new();
        if lexed.has_odd_replacement {
            let message = format!("a backslash or dollar sign in the replacement of {:?} stays as it is", word.raw);
            let help = "leave the backslash out: quotes and escapes are not removed there";
            warnings.push(Diagnostic::warning(codes::ODD_REPLACEMENT, message, word.span).with_help(help));
        }
        Ok(Expansion { text: into_string(lexed.text), names: lexed.names.names, warnings })
    }

    /// Expands a word and splits the result at unquoted whitespace (EXPOSE).
    pub fn words(&self, word: &Word) -> Result<Vec<String>, ExpandError> {
        let lexer = Lexer::new(word.raw.as_bytes(), self.escape.byte(), Style::Words, self.lookup);
        let lexed = self.finish(lexer, word.raw.as_bytes(), word.span)?;
        Ok(lexed.words.into_iter().map(into_string).collect())
    }

    /// Expands the body of a here-doc: quotes are ordinary, the escape is always `\` (dockerfile.md §8.4).
    pub fn heredoc(&self, body: &[u8], span: Span) -> Result<Vec<u8>, ExpandError> {
        let lexer = Lexer::new(body, b'\\', Style::Heredoc, self.lookup);
        Ok(self.finish(lexer, body, span)?.text)
    }

    /// Gives every variable that this expander was asked for so far.
    pub fn names(&self) -> Names {
        self.names.borrow().names.clone()
    }

    fn finish(&self, lexer: Lexer<'_>, source: &[u8], span: Span) -> Result<lexer::Lexed, ExpandError> {
        let lexed = lexer.run().map_err(|reason| wrap(&reason, source, span))?;
        self.names.borrow_mut().extend(&lexed.names.names);
        match self.remaining.get().checked_sub(lexed.text.len()) {
            Some(remaining) => self.remaining.set(remaining),
            None => return Err(wrap(&Reason::too_large("an instruction", MAX_INSTRUCTION), source, span)),
        }
        Ok(lexed)
    }
}

/// Words the reason as the reference does (dockerfile.md §8.2.7), but of a here-document with the lines that are meant.
fn wrap(reason: &Reason, source: &[u8], span: Span) -> ExpandError {
    let range = reason.range.start.min(source.len())..reason.range.end.min(source.len());
    let lines = lines_around(source, &range);
    let shown = cut_middle(&String::from_utf8_lossy(&source[lines]), MAX_SHOWN);
    // The word stands in the text as it is, unless a line ends within it or tabs were stripped.
    let is_exact = span.len() == source.len() && !range.is_empty();
    let span = if is_exact { Span::new(span.start() + range.start, span.start() + range.end) } else { span };
    ExpandError {
        code: reason.code,
        message: format!("failed to process {shown:?}: {}", cut_middle(&reason.message, MAX_SHOWN)),
        help: reason.help.clone(),
        span,
    }
}

/// Gives the lines that a range lies in, the last line end left out.
fn lines_around(source: &[u8], range: &std::ops::Range<usize>) -> std::ops::Range<usize> {
    let start = source[..range.start].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let end = source[range.end..].iter().position(|byte| *byte == b'\n').map_or(source.len(), |at| range.end + at);
    start..end
}

/// Bytes that were cut from text at ASCII characters are text.
fn into_string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests;
