//! A problem in a Dockerfile together with the file it is in.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::SerializeStruct;
use strake_parser::{Diagnostic, SourceText};

/// A diagnostic and the file its spans point into.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What messages call the file: `Dockerfile`.
    pub file: Arc<str>,
    /// The text.
    pub source: Arc<SourceText>,
    /// What was found.
    pub diagnostic: Diagnostic,
}

impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let found = &self.diagnostic;
        let (line, column) = self.source.line_col(found.span.start);
        let mut out = serializer.serialize_struct("Finding", 8)?;
        out.serialize_field("file", &*self.file)?;
        out.serialize_field("line", &line)?;
        out.serialize_field("column", &column)?;
        out.serialize_field("code", found.code)?;
        out.serialize_field("severity", if found.is_error() { "error" } else { "warning" })?;
        out.serialize_field("rule", &found.rule.map(|rule| rule.name()))?;
        out.serialize_field("message", &found.message)?;
        out.serialize_field("help", &found.help)?;
        out.end()
    }
}
