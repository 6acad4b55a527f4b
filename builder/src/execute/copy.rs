//! COPY and ADD: the entries of their layer, from sources and the current root (dockerfile.md §13.5).
//!
//! Nothing is written and no content is moved. The instruction is carried out on [`dest::Dest`], a view of the current
//! root with changes on top; what differs from the root at the end is the layer.

mod archive;
mod dest;
mod directories;
mod dress;
mod emit;
mod fault;
mod owner;
mod parents;
mod place;
mod select;
mod spread;
pub(super) mod step;
#[cfg(test)]
mod tests;
mod windows;

use std::path::Path;
use std::sync::Arc;

use strake_layers::{Cancel, Entry, ImagePath, Rootfs, Timestamp};
use strake_parser::{Diagnostic, Span};

pub(super) use directories::{Directories, make_directories};
pub(crate) use fault::CopyError;
pub(super) use step::{copy, located, tree};

use self::dest::{Dest, MadeDirectory};
use self::dress::Dress;
use self::fault::Fault;
use super::codes;
use crate::plan::graph::{CopyOp, Source, SourceKind};
use crate::source::{FetchedFile, Root, Tree};

/// What a copy needs.
#[derive(Debug)]
pub(crate) struct CopyInput<'a> {
    /// The instruction.
    pub op: &'a CopyOp,
    /// The current root of the stage.
    pub base: &'a Rootfs,
    /// What paths are read from.
    pub from: &'a Tree,
    /// For each source of [`CopyOp::sources`] what was fetched for it; `None` for paths and here-documents.
    pub fetched: &'a [Option<Fetched>],
    /// `SOURCE_DATE_EPOCH`.
    pub epoch: Option<Timestamp>,
    /// A folder for what must be unpacked to be read.
    pub scratch: &'a Path,
    /// Asked now and then.
    pub cancel: &'a Cancel,
}

/// What was fetched for a source of ADD.
#[derive(Clone, Debug)]
pub(crate) enum Fetched {
    /// A download.
    File(FetchedFile),
    /// A git checkout: the tree.
    Tree(Tree),
}

/// What a copy made.
#[derive(Debug)]
pub(crate) struct Copied {
    /// The layer's entries, in order, with their hashes.
    pub entries: Vec<Entry>,
    /// What the author should know.
    pub warnings: Vec<Diagnostic>,
}

/// A copy at work.
#[derive(Debug)]
struct Copy<'a> {
    input: &'a CopyInput<'a>,
    dest: Dest<'a>,
    /// Where the destination is, counted from the root of the image; its links are not followed yet.
    target: ImagePath,
    /// Whether the destination was written as a directory.
    is_directory_target: bool,
    dress: Dress,
    /// The latest time among the files that were copied.
    newest: Option<Timestamp>,
    /// How many files were written to a destination that is no directory.
    files_to_target: usize,
    warnings: Vec<Diagnostic>,
}

/// Works out the layer of a COPY or ADD.
pub(crate) fn copy_entries(input: &CopyInput<'_>) -> Result<Copied, CopyError> {
    let op = input.op;
    let mut copy = Copy::new(input)?;
    let mut missing = Vec::new();
    for (at, source) in op.sources.iter().enumerate() {
        input.cancel.check()?;
        let fetched = input.fetched.get(at).and_then(Option::as_ref);
        let Err(fault) = copy.copy_source(source, fetched) else { continue };
        let place = place_of(&fault, source.span, op.dest_span);
        let is_missing = matches!(fault, Fault::User { code: codes::NOT_FOUND, .. });
        match fault.at(place) {
            CopyError::Located(found) if is_missing => missing.extend(found),
            error if missing.is_empty() => return Err(error),
            _ => break,
        }
    }
    if missing.is_empty() { copy.finish() } else { Err(CopyError::Located(missing)) }
}

/// Finds a source that is missing before its copy begins, as the copy would say it.
pub(super) fn missing(tree: &Tree, op: &CopyOp, source: &Source) -> Option<Diagnostic> {
    let SourceKind::Path(text) = &source.kind else { return None };
    match select::look(tree, text, op).map_err(|fault| fault.at(source.span)) {
        Err(CopyError::Located(mut found)) => found.pop(),
        _ => None,
    }
}

/// Errors about the destination stand there, all others at the source.
fn place_of(fault: &Fault, source: Span, dest: Span) -> Span {
    match fault {
        Fault::User { code, .. } if matches!(*code, codes::OVER_DIRECTORY | codes::OVER_FILE | codes::DESTINATION) => {
            dest
        }
        _ => source,
    }
}

impl<'a> Copy<'a> {
    fn new(input: &'a CopyInput<'a>) -> Result<Self, CopyError> {
        let op = input.op;
        let is_windows = op.platform.os == "windows";
        let root = if is_windows { Root { path: crate::source::files_root(), is_windows } } else { Root::default() };
        let (target, is_directory_target) = destination(op).map_err(|fault| fault.at(op.dest_span))?;
        // A bad pattern is an error whether a source needs it or not.
        spread::Filter::new(None, &op.exclude).map_err(|fault| fault.at(op.dest_span))?;
        let mut warnings = Vec::new();
        let dress = Dress::new(input, &mut warnings).map_err(|fault| fault.at(op.owner_span))?;
        let base = (!op.link).then_some(input.base);
        Ok(Self {
            input,
            dest: Dest::new(base, root),
            target,
            is_directory_target,
            dress,
            newest: None,
            files_to_target: 0,
            warnings,
        })
    }

    fn copy_source(&mut self, source: &Source, fetched: Option<&Fetched>) -> Result<(), Fault> {
        let input = self.input;
        match (&source.kind, fetched) {
            (SourceKind::Path(path), _) if input.op.parents => self.copy_with_parents(path, source.span),
            (SourceKind::Path(path), _) => self.copy_path(path, source.span),
            (SourceKind::Inline { name, bytes }, _) => self.copy_text(name, bytes),
            (SourceKind::Http(_), Some(Fetched::File(file))) => self.copy_download(file, source.span),
            (SourceKind::Git(_), Some(Fetched::Tree(tree))) => self.copy_checkout(tree),
            _ => Err(Fault::Other(crate::Error::internal("a source of ADD was not fetched"))),
        }
    }

    /// Attributes of directories that the instruction makes of itself.
    fn made(&self) -> MadeDirectory {
        self.dress.made_directory()
    }

    fn warn(&mut self, code: &'static str, message: String, help: &str, span: Span) {
        self.warnings.push(Diagnostic::warning(code, message, span).with_help(help));
    }

    fn copy_text(&mut self, name: &str, bytes: &Arc<[u8]>) -> Result<(), Fault> {
        let name =
            ImagePath::clean(name).map_err(|error| Fault::new(codes::DESTINATION, format!("{name:?}: {error}")))?;
        let meta = strake_layers::Metadata { mode: 0o644, ..Default::default() };
        let entry = Entry::inline_file(name, meta, Arc::clone(bytes));
        self.place_file(entry, place::Time::Made)
    }

    fn copy_download(&mut self, file: &FetchedFile, span: Span) -> Result<(), Fault> {
        if self.input.op.add.as_ref().is_some_and(|add| add.unpack == Some(true))
            && let Some(archive) = archive::open(&file.content, &file.name, self.input)?
        {
            return self.unpack(&archive, span);
        }
        let name = ImagePath::clean(&file.name)
            .map_err(|error| Fault::new(codes::DOWNLOAD, format!("{:?}: {error}", file.name)))?;
        let meta = strake_layers::Metadata { mode: 0o600, mtime: file.mtime, ..Default::default() };
        let entry = Entry { path: name, meta, kind: strake_layers::EntryKind::File(file.content.clone()) };
        self.place_file(entry, place::Time::Kept)
    }

    fn copy_checkout(&mut self, tree: &Tree) -> Result<(), Fault> {
        let root = tree.get(&tree.root().path)?;
        let root = root.ok_or_else(|| Fault::new(codes::NOT_FOUND, format!("{} is empty", tree.name())))?;
        self.place_directory(tree, &root, &spread::Filter::new(None, &self.input.op.exclude)?).map(|_| ())
    }
}

/// Reads the destination: where it is, and whether it was written as a directory.
fn destination(op: &CopyOp) -> Result<(ImagePath, bool), Fault> {
    if op.platform.os == "windows" {
        return windows::destination(&op.dest, &op.workdir);
    }
    let is_directory = matches!(op.dest.as_str(), "" | "." | "..")
        || op.dest.ends_with('/')
        || op.dest.ends_with("/.")
        || op.dest.ends_with("/..");
    let path = ImagePath::clean(&op.workdir).and_then(|workdir| workdir.join(&op.dest));
    let path = path.map_err(|error| Fault::new(codes::DESTINATION, format!("destination {:?}: {error}", op.dest)))?;
    Ok((path, is_directory))
}
