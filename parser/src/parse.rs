//! Text in, tree and problems out.

use crate::ast::{Dockerfile, Escape};
use crate::diagnostic::Diagnostic;
use crate::source::SourceText;

/// The limits of the input (dockerfile.md §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// The greatest length of a physical line in bytes.
    pub max_line: usize,
    /// The greatest length of the file in bytes.
    pub max_file: usize,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self { max_line: 1 << 20, max_file: 16 << 20 }
    }
}

/// A tree and every problem found, in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The tree; an instruction with an error is in it as `Unknown`.
    pub dockerfile: Dockerfile,
    /// The problems, build checks that need no more than the text included.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Says whether there can be no build.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads a Dockerfile. Never fails: what cannot be read is a diagnostic.
pub fn parse(source: &[u8], _options: &ParseOptions) -> Parsed {
    Parsed {
        dockerfile: Dockerfile { source: SourceText::new(source), ..Dockerfile::default() },
        diagnostics: Vec::new(),
    }
}

/// Reads one ONBUILD trigger of an image; its instruction is in `dockerfile.orphans`, here-doc bodies follow its line.
///
/// Spans point into the trigger's own text.
pub fn parse_onbuild(trigger: &str, _escape: Escape) -> Parsed {
    parse(trigger.as_bytes(), &ParseOptions::default())
}
