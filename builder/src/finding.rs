//! A problem in a Dockerfile together with the file it is in.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::SerializeStruct;
use strake_parser::{Diagnostic, Dockerfile, SourceText};

/// A diagnostic and the file its spans point into.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What messages call the file: `Dockerfile`.
    pub file: Arc<str>,
    /// The text.
    pub source: Arc<SourceText>,
    /// The first line of the instruction it is in, from 1.
    pub line: usize,
    /// What was found.
    pub diagnostic: Diagnostic,
}

/// A Dockerfile that findings are in.
#[derive(Clone, Debug)]
pub(crate) struct FoundIn {
    pub(crate) file: Arc<str>,
    pub(crate) dockerfile: Arc<Dockerfile>,
    source: Arc<SourceText>,
}

impl FoundIn {
    /// Takes a parsed file and what messages call it.
    pub(crate) fn new(file: impl Into<Arc<str>>, dockerfile: Dockerfile) -> Self {
        let source = Arc::new(dockerfile.source.clone());
        Self { file: file.into(), dockerfile: Arc::new(dockerfile), source }
    }

    /// Puts a diagnostic into the file.
    pub(crate) fn finding(&self, diagnostic: Diagnostic) -> Finding {
        let line = self.dockerfile.lines_of(diagnostic.span).first;
        Finding { file: Arc::clone(&self.file), source: Arc::clone(&self.source), line, diagnostic }
    }
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
        out.serialize_field("severity", found.severity.name())?;
        out.serialize_field("rule", &found.rule.map(strake_parser::Rule::name))?;
        out.serialize_field("message", &found.message)?;
        out.serialize_field("help", &found.help)?;
        out.end()
    }
}
