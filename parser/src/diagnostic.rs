//! Problems found in a Dockerfile.

use crate::rule::Rule;
use crate::span::Span;

/// One problem: what, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The stable code (`E0101`); [`crate::codes::find`] explains it.
    pub code: &'static str,
    /// Whether the build can go on.
    pub severity: Severity,
    /// The build check that raised it.
    pub rule: Option<Rule>,
    /// What is wrong, in one line.
    pub message: String,
    /// Where it is wrong.
    pub span: Span,
    /// Other places that belong to the problem.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
    /// An edit that mends it, when that is sure.
    pub fix: Option<Box<Edit>>,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something to think about; it never fails a build.
    Note,
    /// The build goes on, unless checks are errors.
    Warning,
    /// There is no build.
    Error,
}

/// Another place that belongs to a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub message: String,
}

/// A replacement of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced.
    pub span: Span,
    /// What stands there afterwards.
    pub replacement: String,
}

/// The greatest length of a message in bytes; more is cut in the middle (edges.md 15).
const MAX_MESSAGE: usize = 4 << 10;

/// How many problems are kept of one file; nobody reads more, and they cost memory.
const MAX_PROBLEMS: usize = 1_000;

/// Keeps a problem, unless there are very many already; errors are kept longer, so that one is never lost to warnings.
pub(crate) fn keep(diagnostic: Diagnostic, out: &mut Vec<Diagnostic>) {
    let limit = if diagnostic.is_error() { 2 * MAX_PROBLEMS } else { MAX_PROBLEMS };
    if out.len() < limit {
        out.push(diagnostic);
    }
}

/// Says whether even an error would not be kept: to look on is in vain.
pub(crate) fn is_full(out: &[Diagnostic]) -> bool {
    out.len() >= 2 * MAX_PROBLEMS
}

/// Says whether a warning would not be kept, so that it need not be made.
pub(crate) fn is_full_of_warnings(out: &[Diagnostic]) -> bool {
    out.len() >= MAX_PROBLEMS
}

/// Cuts a long text in the middle.
pub(crate) fn cut_middle(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut head = limit / 2;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - limit / 2;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{} … {}", &text[..head], &text[tail..])
}

impl Diagnostic {
    /// Makes an error.
    pub fn error(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self::new(code, Severity::Error, message.into(), span)
    }

    /// Makes a warning.
    pub fn warning(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self::new(code, Severity::Warning, message.into(), span)
    }

    /// Makes the warning of a build check.
    pub fn lint(rule: Rule, message: impl Into<String>, span: Span) -> Self {
        let mut made = Self::new(rule.code(), Severity::Warning, message.into(), span);
        made.rule = Some(rule);
        made
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shorten(help.into()));
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn with_label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.labels.push(Label { span, message: message.into() });
        self
    }

    /// Adds the edit that mends it.
    #[must_use]
    pub fn with_fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some(Box::new(Edit { span, replacement: replacement.into() }));
        self
    }

    /// Makes it something to think about only.
    #[must_use]
    pub fn as_note(mut self) -> Self {
        self.severity = Severity::Note;
        self
    }

    /// Says whether there can be no build.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn new(code: &'static str, severity: Severity, message: String, span: Span) -> Self {
        Self { code, severity, rule: None, message: shorten(message), span, labels: Vec::new(), help: None, fix: None }
    }
}

impl Severity {
    /// Gives the word for it: `note`, `warning`, `error`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

fn shorten(text: String) -> String {
    if text.len() <= MAX_MESSAGE { text } else { cut_middle(&text, MAX_MESSAGE) }
}
