//! Where a source goes (dockerfile.md §13.5, "Destination").

use strake_layers::{Entry, EntryKind, ImagePath};
use strake_parser::{Diagnostic, Rule, Span};

use super::super::codes;
use super::dest::{Node, NotADirectory};
use super::select::{self, Match};
use super::spread::Filter;
use super::{Copy, Fault, archive};
use crate::source::{LastLink, SourceNode, Tree};

/// Whose time a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// Its own.
    Kept,
    /// The one of what the builder makes itself.
    Made,
}

/// Warns that a source names nothing.
pub(super) fn no_match(tree: &Tree, text: &str, span: Span) -> Diagnostic {
    let message = format!("nothing in the {} matches {text:?}: nothing is copied", tree.name());
    let help = "check the spelling, and the ignore file; with a wildcard a source may be missing";
    Diagnostic::lint(Rule::CopyNoMatch, message, span).with_help(help)
}

impl Copy<'_> {
    /// Copies what a path names, wildcards and all.
    pub(super) fn copy_path(&mut self, text: &str, span: Span) -> Result<(), Fault> {
        let input = self.input;
        let path = select::clean(text, self.dest.root.is_windows)?;
        let selection = select::select(input.from, text, &path, input.op.keyword)?;
        if selection.has_wildcard && selection.matches.is_empty() {
            self.warnings.push(no_match(input.from, text, span));
        }
        for found in selection.matches {
            input.cancel.check()?;
            self.place(&found, span)?;
        }
        Ok(())
    }

    pub(super) fn place(&mut self, found: &Match, span: Span) -> Result<(), Fault> {
        let input = self.input;
        if found.node.entry.is_directory() {
            self.place_directory(input.from, &found.node, &Filter::new(None, &input.op.exclude)?)?;
            return Ok(());
        }
        let unpacks = input.op.add.as_ref().is_some_and(|add| add.unpack != Some(false));
        if let (true, EntryKind::File(content)) = (unpacks, &found.node.entry.kind) {
            let name = String::from_utf8_lossy(found.name.as_bytes()).into_owned();
            if let Some(archive) = archive::open(content, &name, input)? {
                return self.unpack(&archive, span);
            }
        }
        let mut entry = found.node.entry.clone();
        entry.path = found.name.clone();
        self.place_file(entry, Time::Kept)
    }

    /// Writes a file (anything but a directory) to the destination; its path is the name it has in a directory.
    pub(super) fn place_file(&mut self, mut entry: Entry, time: Time) -> Result<(), Fault> {
        let top = self.dest.follow(&self.target, LastLink::Follow)?.path;
        let made = self.made();
        if self.is_directory_target {
            self.dest.make_directories(&top, made).map_err(|there| self.no_directory(&there))?;
        } else if let Some(above) = top.parent() {
            self.dest.make_directories(&above, made).map_err(|there| self.no_directory(&there))?;
        }
        if self.dest.is_directory(&top) {
            let name = entry.path.clone();
            if self.dest.root.is_windows {
                super::windows::check_name(name.file_name().unwrap_or_default())?;
            }
            entry.path = self.dest.spelled(top.join_path(&name));
            return self.write_file(entry, None, time);
        }
        self.files_to_target += 1;
        if self.files_to_target == 2 {
            let (keyword, dest) = (self.input.op.keyword, &self.input.op.dest);
            let message = format!("{keyword} writes several files to {dest:?}, each over the one before");
            self.warn(codes::SLASH, message, &format!("write {dest}/ for a directory"), self.input.op.dest_span);
        }
        entry.path = top;
        self.write_file(entry, None, time)
    }

    /// Writes what is in a directory into the destination; tells how many entries that were.
    pub(super) fn place_directory(&mut self, tree: &Tree, from: &SourceNode, filter: &Filter) -> Result<usize, Fault> {
        let top = self.dest.follow(&self.target, LastLink::Follow)?.path;
        if let Some(there) = self.dest.get(&top).filter(|there| !there.is_directory()) {
            return Err(self.over_file(&there.path.clone()));
        }
        let was_there = self.dest.is_directory(&top);
        let made = self.made();
        self.dest.make_directories(&top, made).map_err(|there| self.no_directory(&there))?;
        // A directory that was there keeps owner and mode, and takes the time (dockerfile.md §13.5, "Destination" 3).
        let takes_time = was_there && !filter.has_pattern() && top != self.dest.root.path;
        if let (true, Some(there)) = (takes_time, self.dest.get(&top)) {
            let mut entry = there.clone();
            entry.path = top.clone();
            entry.meta.mtime = from.entry.meta.mtime;
            let is_made = self.dest.node_mut(&top).is_some_and(|node| node.is_made);
            self.dest.put(Node { entry, group: None, is_made });
        }
        self.spread(tree, &from.entry.path, &top, filter)
    }

    /// Writes a file (anything but a directory) to its path.
    pub(super) fn write_file(&mut self, mut entry: Entry, group: Option<usize>, time: Time) -> Result<(), Fault> {
        if self.dest.is_directory(&entry.path) {
            return Err(Fault::new(
                codes::OVER_DIRECTORY,
                format!("cannot replace the directory {} with a file", self.shown(&entry.path)),
            )
            .with_help(
                "choose another name as destination, or end it with a slash to copy into the directory of that name",
            ));
        }
        let entry = match self.deletes(&entry)? {
            true => return Ok(()),
            false => {
                self.dress.dress(&mut entry, &self.dest)?;
                entry
            }
        };
        if time == Time::Kept {
            self.newest = self.newest.max(Some(entry.meta.mtime));
        }
        self.dest.put(Node { entry, group, is_made: time == Time::Made });
        Ok(())
    }

    /// A file whose name begins with `.wh.` cannot be in an image layer: it deletes, as it does in the reference's
    /// layers (OCI image specification, layer.md, "Whiteouts").
    pub(super) fn deletes(&mut self, entry: &Entry) -> Result<bool, Fault> {
        let Some(gone) = entry.path.file_name().and_then(|name| name.strip_prefix(b".wh.")) else { return Ok(false) };
        let message =
            format!("{} cannot be in an image: a name that begins with .wh. deletes", self.shown(&entry.path));
        let help = "rename the file, or leave it out with --exclude";
        self.warn(codes::WHITEOUT, message, help, self.input.op.dest_span);
        let above = entry.path.parent().unwrap_or_default();
        if gone == b".wh..opq" {
            self.dest.hide_below(&above);
        } else if !gone.is_empty() && !gone.starts_with(b".wh.") {
            let gone = ImagePath::parse(gone).unwrap_or_default();
            self.dest.remove(&above.join_path(&gone));
        }
        Ok(true)
    }

    pub(super) fn no_directory(&self, there: &NotADirectory) -> Fault {
        let path = self.shown(&there.0);
        Fault::new(codes::DESTINATION, format!("cannot make the directory {path}: a file is there"))
            .with_help("choose another destination, or remove the file in an earlier RUN")
    }

    pub(super) fn over_file(&self, path: &ImagePath) -> Fault {
        let what = match self.dest.get(path).map(|there| &there.kind) {
            Some(EntryKind::Symlink(target)) => format!("a link to {:?}", String::from_utf8_lossy(target)),
            _ => "a file".to_owned(),
        };
        let path = self.shown(path);
        Fault::new(codes::OVER_FILE, format!("cannot copy a directory to {path}: {what} is there"))
            .with_help("name the directory as destination, or remove what is there in an earlier RUN")
    }

    /// A path of the image as its users know it.
    pub(super) fn shown(&self, path: &ImagePath) -> String {
        let below = path.strip_prefix(&self.dest.root.path).unwrap_or_else(|| path.clone());
        if self.dest.root.is_windows { super::windows::shown(&below) } else { below.to_string() }
    }
}
