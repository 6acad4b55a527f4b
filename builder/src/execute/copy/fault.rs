//! What goes wrong in a copy, before it is known where in the Dockerfile that stands.

use strake_parser::{Diagnostic, Span};

use crate::Error;

/// Why an instruction failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// What the Dockerfile or its author can mend, each with its place; several are all of the same kind.
    Located(Vec<Diagnostic>),
    /// Anything else.
    Other(Error),
}

/// Why a part of a copy failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// A mistake of the author.
    User {
        /// The stable code.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Anything else.
    Other(Error),
}

impl Fault {
    /// Makes the fault of a mistake.
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self::User { code, message: message.into(), help: None }
    }

    /// Adds what to do.
    pub(super) fn with_help(mut self, text: impl Into<String>) -> Self {
        if let Self::User { help, .. } = &mut self {
            *help = Some(text.into());
        }
        self
    }

    /// Adds the place.
    pub(super) fn at(self, span: Span) -> CopyError {
        match self {
            Self::User { code, message, help } => {
                let mut found = Diagnostic::error(code, message, span);
                found.help = help;
                CopyError::Located(vec![found])
            }
            Self::Other(error) => CopyError::Other(error),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<strake_layers::Error> for Fault {
    fn from(error: strake_layers::Error) -> Self {
        Self::Other(error.into())
    }
}

impl From<Error> for CopyError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<strake_layers::Error> for CopyError {
    fn from(error: strake_layers::Error) -> Self {
        Self::Other(error.into())
    }
}
