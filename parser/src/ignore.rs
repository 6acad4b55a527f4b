//! Ignore files (dockerfile.md §12).
//!
//! ```
//! use strake_parser::ignore::IgnoreRules;
//!
//! let rules = IgnoreRules::parse(b"*.log\n!keep.log\n")?;
//! assert!(rules.decide("a.log").ignored);
//! assert!(!rules.decide("keep.log").ignored);
//! # Ok::<(), strake_parser::ignore::IgnoreError>(())
//! ```

use crate::clean::clean_bytes;
use crate::glob;
use crate::wildcard::{Dialect, Wildcard};

/// The rules of an ignore file, or of `--exclude`.
#[derive(Clone, Debug, Default)]
pub struct IgnoreRules {
    rules: Vec<IgnoreRule>,
    has_exceptions: bool,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct IgnoreRule {
    /// The 1-based line; for `--exclude` the number of the pattern.
    pub line: usize,
    /// The line without blanks around it.
    pub text: String,
    /// Whether the rule takes back what others leave out (`!`).
    pub is_exception: bool,
    /// The pattern, cleaned, without `!`.
    pattern: Vec<u8>,
    matcher: Matcher,
}

/// How a pattern is compared, the cheapest way that does.
#[derive(Clone, Debug)]
enum Matcher {
    Exact,
    /// The path starts with these bytes of the pattern.
    Prefix,
    /// The path ends with what follows `**`; `**/x` also matches `x`.
    Suffix,
    Wildcard(Wildcard),
}

/// An ignore file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreError {
    /// The 1-based line.
    pub line: usize,
    /// The line without blanks around it.
    pub text: String,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for IgnoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for IgnoreError {}

/// What the rules say about a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether the path is left out.
    pub ignored: bool,
    /// Line and text of the rule that decided; none when no rule matched.
    pub rule: Option<(usize, String)>,
}

/// Which rules match a directory, for the paths below it.
#[derive(Clone, Debug, Default)]
pub struct IgnoreState {
    /// Empty above the root.
    matched: Vec<bool>,
}

impl IgnoreRules {
    /// Reads an ignore file.
    pub fn parse(bytes: &[u8]) -> Result<Self, IgnoreError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut rules = Self::default();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.first() == Some(&b'#') {
                continue;
            }
            let text = trim(line);
            let (is_exception, pattern) = match text.strip_prefix(b"!") {
                Some(pattern) => (true, trim(pattern)),
                None => (false, text),
            };
            if text.is_empty() {
                continue;
            }
            let mut cleaned = if pattern.is_empty() { Vec::new() } else { clean_bytes(pattern) };
            if cleaned.len() > 1 && cleaned.first() == Some(&b'/') {
                cleaned.remove(0);
            }
            // The reference looks for the mark once more when the slash is gone: `/!a` is an exception, too.
            let late = !is_exception && cleaned.first() == Some(&b'!');
            if late {
                cleaned.remove(0);
            }
            rules.push(index + 1, text, is_exception || late, cleaned)?;
        }
        Ok(rules)
    }

    /// Reads an ignore file on a Windows host, where `\` separates like `/` and escapes nothing.
    pub fn parse_for_windows_host(bytes: &[u8]) -> Result<Self, IgnoreError> {
        let slashed: Vec<u8> = bytes.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
        Self::parse(&slashed)
    }

    /// Reads patterns of `--exclude`; unlike in a file `#` is ordinary and `/x` matches nothing.
    pub fn from_patterns<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, IgnoreError> {
        let mut rules = Self::default();
        for (index, pattern) in patterns.into_iter().enumerate() {
            let text = pattern.as_ref().trim();
            if text.is_empty() {
                continue;
            }
            let cleaned = clean_bytes(text.as_bytes());
            let (is_exception, cleaned) = match cleaned.strip_prefix(b"!") {
                Some(rest) => (true, rest.to_vec()),
                None => (false, cleaned),
            };
            rules.push(index + 1, text.as_bytes(), is_exception, cleaned)?;
        }
        Ok(rules)
    }

    /// Says whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Says whether some rule takes back what others leave out.
    pub fn has_exceptions(&self) -> bool {
        self.has_exceptions
    }

    /// Gives the rules in order.
    pub fn rules(&self) -> &[IgnoreRule] {
        &self.rules
    }

    /// Decides about a slash path relative to the root, looking at its parent directories, too.
    pub fn decide(&self, path: impl AsRef<[u8]>) -> Decision {
        let path = path.as_ref();
        let mut state = IgnoreState::default();
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            state = self.enter(&state, &path[..at]).1;
        }
        self.decide_below(&state, path)
    }

    /// Decides about a path whose parent directory has the given state; for a walk downwards.
    pub fn decide_below(&self, parent: &IgnoreState, path: impl AsRef<[u8]>) -> Decision {
        self.explain(self.judge(parent, path.as_ref(), |_| {}))
    }

    /// Decides about a directory and gives the state for what is below it.
    ///
    /// A rule that cannot change the decision at the directory counts as not matching it, as in the reference.
    pub fn enter(&self, parent: &IgnoreState, dir: impl AsRef<[u8]>) -> (Decision, IgnoreState) {
        let mut matched = Vec::with_capacity(self.rules.len());
        let judged = self.judge(parent, dir.as_ref(), |matches| matched.push(matches));
        (self.explain(judged), IgnoreState { matched })
    }

    /// Says whether nothing below an ignored directory can be taken back, so that it need not be read.
    pub fn may_prune_dir(&self, dir: impl AsRef<[u8]>) -> bool {
        let dir = dir.as_ref();
        !self.rules.iter().any(|rule| rule.is_exception && may_match_below(&rule.pattern, dir))
    }

    fn push(&mut self, line: usize, text: &[u8], is_exception: bool, pattern: Vec<u8>) -> Result<(), IgnoreError> {
        let text = String::from_utf8_lossy(text).into_owned();
        if is_exception && pattern.is_empty() {
            let message =
                format!("illegal exclusion pattern: {text:?}: the ! of .dockerignore stands before a pattern");
            return Err(IgnoreError { line, text, message });
        }
        let Ok(matcher) = Matcher::new(&pattern) else {
            let message = format!(
                "syntax error in pattern {text:?}: a set needs a closing bracket and at least one member, a backslash a sign after \
                 it that has a meaning; directories are separated by /"
            );
            return Err(IgnoreError { line, text, message });
        };
        self.has_exceptions |= is_exception;
        self.rules.push(IgnoreRule { line, text, is_exception, pattern, matcher });
        Ok(())
    }

    /// Goes through the rules in order; gives whether the path is ignored and which rule decided.
    fn judge(&self, parent: &IgnoreState, path: &[u8], mut note: impl FnMut(bool)) -> (bool, Option<usize>) {
        let mut ignored = false;
        let mut decided = None;
        for (index, rule) in self.rules.iter().enumerate() {
            let inherited = parent.matched.get(index).copied().unwrap_or(false);
            let matches = inherited || (rule.is_exception == ignored && rule.matches(path));
            note(matches);
            if matches {
                ignored = !rule.is_exception;
                decided = Some(index);
            }
        }
        (ignored, decided)
    }

    fn explain(&self, (ignored, decided): (bool, Option<usize>)) -> Decision {
        let rule = decided.and_then(|index| self.rules.get(index));
        Decision { ignored, rule: rule.map(|rule| (rule.line, rule.text.clone())) }
    }
}

impl IgnoreRule {
    fn matches(&self, path: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Exact => path == self.pattern,
            Matcher::Prefix => path.starts_with(&self.pattern[..self.pattern.len() - 2]),
            Matcher::Suffix => {
                let suffix = &self.pattern[2..];
                path.ends_with(suffix) || suffix.strip_prefix(b"/").is_some_and(|rest| path == rest)
            }
            Matcher::Wildcard(wildcard) => wildcard.matches(path),
        }
    }

    /// Says whether the pattern matches everything at the top: `*`, `**` or `**/*`.
    pub(crate) fn matches_whole_root(&self) -> bool {
        !self.is_exception && matches!(self.pattern.as_slice(), b"*" | b"**" | b"**/*")
    }
}

impl Matcher {
    fn new(pattern: &[u8]) -> Result<Self, crate::wildcard::Malformed> {
        let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
        if !pattern.iter().any(is_special) {
            return Ok(Self::Exact);
        }
        let wildcard = Wildcard::parse(pattern, Dialect::Ignore)?;
        if let Some(rest) = pattern.strip_prefix(b"**")
            && !rest.iter().any(is_special)
        {
            return Ok(Self::Suffix);
        }
        if let Some(head) = pattern.strip_suffix(b"**")
            && !head.iter().any(is_special)
        {
            return Ok(Self::Prefix);
        }
        Ok(Self::Wildcard(wildcard))
    }
}

/// Says whether a pattern can match a path below `dir`; compares element by element up to a `**`.
fn may_match_below(pattern: &[u8], dir: &[u8]) -> bool {
    let mut elements = pattern.split(|byte| *byte == b'/');
    for name in dir.split(|byte| *byte == b'/') {
        let Some(element) = elements.next() else { return false };
        // A set or a class such as `\D` may hold a slash, so that elements say nothing.
        if element.windows(2).any(|two| two == b"**") || element.contains(&b'[') || element.contains(&b'\\') {
            return true;
        }
        if !glob::matches(element, name).unwrap_or(true) {
            return false;
        }
    }
    elements.next().is_some()
}

fn trim(line: &[u8]) -> &[u8] {
    match std::str::from_utf8(line) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => line.trim_ascii(),
    }
}

#[cfg(test)]
mod tests;
