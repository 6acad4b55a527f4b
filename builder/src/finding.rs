//! A problem in a Dockerfile together with the file it is in.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::SerializeStruct;
use strake_parser::{Diagnostic, Dockerfile, LineRange, SourceText, Span};

/// A diagnostic and the file its spans point into.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What messages call the file: `Dockerfile`.
    pub file: Arc<str>,
    /// The text, values that are likely secrets masked.
    pub source: Arc<SourceText>,
    /// The first line of the instruction it is in, from 1.
    pub line: usize,
    /// What was found.
    pub diagnostic: Diagnostic,
    /// What else is to be said, a line each: places in other files, and where the file was included from.
    pub notes: Vec<String>,
}

/// One of the files that a Dockerfile is made of: itself, or one that it includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// What messages call it.
    pub name: Arc<str>,
    /// Its text, values that are likely secrets masked.
    pub source: Arc<SourceText>,
}

/// The lines of an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The place of its file in a list of [`SourceFile`]s; the Dockerfile itself is the first.
    pub file: usize,
    /// The first line, from 1.
    pub first: usize,
    /// The last line.
    pub last: usize,
}

/// A Dockerfile that findings are in, with the files that it includes.
#[derive(Clone, Debug)]
pub(crate) struct FoundIn {
    pub(crate) dockerfile: Arc<Dockerfile>,
    /// The file itself, then the included ones, as their texts follow each other in the source; secrets are masked.
    files: Arc<[File]>,
    /// Where they are masked.
    hidden: Arc<[Span]>,
    /// The values that are masked.
    secrets: Arc<[String]>,
}

/// Shorter secrets are not looked for in messages: they would hide words of them.
const LEAST: usize = 8;

/// One of the files whose texts make up a source.
#[derive(Debug)]
struct File {
    name: Arc<str>,
    source: Arc<SourceText>,
    start: usize,
    lines_before: usize,
    /// The INCLUDE that names it.
    at: Option<Span>,
}

impl FoundIn {
    /// Takes a parsed file and what messages call it.
    pub(crate) fn new(file: impl Into<Arc<str>>, dockerfile: Dockerfile) -> Self {
        let whole = &dockerfile.source;
        let included = whole.included();
        let hidden = strake_parser::lint::secret_values(&dockerfile);
        let part = |start: usize, end: usize| {
            let local = hidden.iter().filter(|span| (start..end).contains(&span.start()));
            let local: Vec<Span> = local.map(|span| Span::new(span.start() - start, span.end() - start)).collect();
            SourceText::new(whole.bytes(Span::new(start, end))).masked(&local)
        };
        let source = match included.first() {
            None => whole.masked(&hidden),
            Some(next) => part(0, next.start),
        };
        let texts = hidden.iter().map(|span| whole.slice(*span)).filter(|text| text.len() >= LEAST);
        let secrets = texts.map(str::to_owned).collect();
        let mut files = vec![File { name: file.into(), source: Arc::new(source), start: 0, lines_before: 0, at: None }];
        for (at, one) in included.iter().enumerate() {
            let end = included.get(at + 1).map_or(whole.text().len(), |next| next.start);
            files.push(File {
                name: one.path.as_str().into(),
                source: Arc::new(part(one.start, end)),
                start: one.start,
                lines_before: one.lines_before,
                at: Some(one.at),
            });
        }
        Self { files: files.into(), hidden: hidden.into(), secrets, dockerfile: Arc::new(dockerfile) }
    }

    /// Puts a diagnostic into the file that it points into. Places in other files, and those that the file was included
    /// from, become notes.
    pub(crate) fn finding(&self, mut diagnostic: Diagnostic) -> Finding {
        self.mask(&mut diagnostic);
        let line = self.dockerfile.lines_of(diagnostic.span).first();
        let file = self.file_at(diagnostic.span);
        let is_here = |span: Span| self.file_at(span).start == file.start;
        let local =
            |span: Span| Span::new(span.start().saturating_sub(file.start), span.end().saturating_sub(file.start));
        let (here, elsewhere) =
            std::mem::take(&mut diagnostic.labels).into_iter().partition(|label| is_here(label.span));
        diagnostic.labels = here;
        for label in &mut diagnostic.labels {
            label.span = local(label.span);
        }
        let elsewhere: Vec<strake_parser::Label> = elsewhere;
        let note = |label: &strake_parser::Label| format!("{}: {}", self.place(label.span), label.message);
        let mut notes: Vec<String> = elsewhere.iter().map(note).collect();
        // Only the Dockerfile itself is mended, and whoever does that has its text.
        let shows_secret = |span: Span| file.start > 0 && self.hidden.iter().any(|hidden| hidden.overlaps(span));
        diagnostic.fix = diagnostic.fix.filter(|fix| is_here(fix.span) && !shows_secret(fix.span));
        if let Some(fix) = &mut diagnostic.fix {
            fix.span = local(fix.span);
        }
        diagnostic.span = local(diagnostic.span);
        let mut at = file.at;
        while let Some(include) = at {
            notes.push(format!("included from {}", self.place(include)));
            at = self.file_at(include).at;
        }
        let line = line.saturating_sub(file.lines_before).max(1);
        Finding { file: Arc::clone(&file.name), source: Arc::clone(&file.source), line, diagnostic, notes }
    }

    /// Takes secrets out of what is said.
    fn mask(&self, diagnostic: &mut Diagnostic) {
        let help = diagnostic.help.iter_mut();
        let labels = diagnostic.labels.iter_mut().map(|label| &mut label.message);
        for text in std::iter::once(&mut diagnostic.message).chain(help).chain(labels) {
            for secret in self.secrets.iter() {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), "***");
                }
            }
        }
    }

    /// The first line of an instruction, counted in its own file.
    pub(crate) fn line_of(&self, instruction: Span) -> usize {
        let line = self.dockerfile.source.line_of(instruction.start());
        line.saturating_sub(self.file_at(instruction).lines_before)
    }

    /// The lines of an instruction, counted in its own file.
    pub(crate) fn location(&self, instruction: Span, lines: LineRange) -> Location {
        let file = self.index_at(instruction);
        let before = self.files[file].lines_before;
        Location { file, first: lines.first().saturating_sub(before), last: lines.last().saturating_sub(before) }
    }

    /// The file and those that it includes.
    pub(crate) fn files(&self) -> Vec<SourceFile> {
        let file = |file: &File| SourceFile { name: Arc::clone(&file.name), source: Arc::clone(&file.source) };
        self.files.iter().map(file).collect()
    }

    fn place(&self, span: Span) -> String {
        format!("{}:{}", self.file_at(span).name, self.line_of(span))
    }

    fn file_at(&self, span: Span) -> &File {
        &self.files[self.index_at(span)]
    }

    fn index_at(&self, span: Span) -> usize {
        // There is always the file itself, which begins at 0.
        self.files.partition_point(|file| file.start <= span.start()).saturating_sub(1)
    }
}

impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let found = &self.diagnostic;
        let (line, column) = self.source.line_col(found.span.start());
        let mut out = serializer.serialize_struct("Finding", 9)?;
        out.serialize_field("file", &*self.file)?;
        out.serialize_field("line", &line)?;
        out.serialize_field("column", &column)?;
        out.serialize_field("code", found.code)?;
        out.serialize_field("severity", found.severity.name())?;
        out.serialize_field("rule", &found.rule.map(strake_parser::Rule::name))?;
        out.serialize_field("message", &found.message)?;
        out.serialize_field("help", &found.help)?;
        out.serialize_field("notes", &self.notes)?;
        out.end()
    }
}
