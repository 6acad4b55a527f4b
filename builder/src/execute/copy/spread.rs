//! Copying what is in a directory (dockerfile.md §13.5, "A directory source copies its contents").

use std::collections::BTreeMap;
use std::sync::Arc;

use strake_layers::{EntryKind, ImagePath};
use strake_parser::glob;
use strake_parser::ignore::IgnoreRules;

use super::super::codes;
use super::dest::Node;
use super::place::Time;
use super::{Copy, Fault};
use crate::source::{FileId, SourceNode, Tree};

/// What of a directory is copied. Paths count from that directory.
#[derive(Debug)]
pub(super) struct Filter {
    /// `--parents`: the one thing that is.
    include: Option<Include>,
    /// `--exclude`.
    exclude: Option<IgnoreRules>,
}

#[derive(Debug)]
struct Include {
    rules: IgnoreRules,
    names: Vec<Vec<u8>>,
}

/// A directory in which the copy is at work.
#[derive(Debug)]
struct Level {
    children: Arc<[SourceNode]>,
    next: usize,
    /// Where it goes.
    target: ImagePath,
    /// The directory itself, as long as it was not written.
    unwritten: Option<SourceNode>,
}

impl Filter {
    /// Makes a filter of a pattern that says what is copied and of those that say what is not.
    pub(super) fn new(include: Option<&ImagePath>, exclude: &[String]) -> Result<Self, Fault> {
        let include = match include {
            Some(path) => {
                let text = String::from_utf8_lossy(path.as_bytes()).into_owned();
                let rules = IgnoreRules::from_patterns([&text])
                    .map_err(|error| Fault::new(codes::PATTERN, format!("source {text:?}: {error}")))?;
                Some(Include { rules, names: path.components().map(<[u8]>::to_vec).collect() })
            }
            None => None,
        };
        let rules = IgnoreRules::from_patterns(exclude)
            .map_err(|error| Fault::new(codes::PATTERN, format!("--exclude={}: {}", error.text, error.message)))?;
        Ok(Self { include, exclude: (!exclude.is_empty()).then_some(rules) })
    }

    /// Tells whether everything is copied, so that no path need be looked at.
    fn is_open(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Tells whether only part of the directory is meant.
    pub(super) fn has_pattern(&self) -> bool {
        self.include.is_some()
    }

    fn takes(&self, path: &ImagePath) -> bool {
        let is_included = self.include.as_ref().is_none_or(|include| include.rules.decide(path.as_bytes()).ignored);
        is_included && !self.exclude.as_ref().is_some_and(|rules| rules.decide(path.as_bytes()).ignored)
    }

    /// Tells whether anything below a directory can be taken.
    fn looks_into(&self, path: &ImagePath) -> bool {
        let is_excluded = self
            .exclude
            .as_ref()
            .is_some_and(|rules| rules.decide(path.as_bytes()).ignored && rules.may_prune_dir(path.as_bytes()));
        !is_excluded && self.include.as_ref().is_none_or(|include| include.reaches(path))
    }
}

impl Include {
    /// Tells whether the pattern can match at or below a directory: each of its names does, up to the first `**`.
    fn reaches(&self, path: &ImagePath) -> bool {
        for (pattern, name) in self.names.iter().zip(path.components()) {
            if pattern.windows(2).any(|pair| pair == b"**") {
                return true;
            }
            if !glob::matches(pattern, name).unwrap_or(true) {
                return false;
            }
        }
        true
    }
}

impl Copy<'_> {
    /// Copies what is in a directory into another one, which exists; tells how many entries that were.
    pub(super) fn spread(
        &mut self,
        tree: &Tree,
        from: &ImagePath,
        to: &ImagePath,
        filter: &Filter,
    ) -> Result<usize, Fault> {
        if filter.include.is_none() {
            tree.prepare(from)?;
        }
        let mut links: BTreeMap<FileId, ImagePath> = BTreeMap::new();
        let mut copied = 0;
        let top = Level { children: tree.children(from)?, next: 0, target: to.clone(), unwritten: None };
        let mut levels = vec![top];
        while let Some(level) = levels.last_mut() {
            let Some(child) = level.children.get(level.next).cloned() else {
                levels.pop();
                continue;
            };
            level.next += 1;
            let below = if filter.is_open() {
                ImagePath::root()
            } else {
                child.entry.path.strip_prefix(from).unwrap_or_default()
            };
            let name = child.entry.path.file_name().and_then(|name| ImagePath::parse(name).ok()).unwrap_or_default();
            let target = self.dest.spelled(level.target.join_path(&name));
            let is_taken = filter.takes(&below);
            if is_taken {
                copied += 1;
                for level in &mut levels {
                    if let Some(directory) = level.unwritten.take() {
                        self.write_above(&directory, &level.target)?;
                    }
                }
            }
            if child.entry.is_directory() {
                if is_taken {
                    self.input.cancel.check()?;
                    self.write_directory(&child, &target)?;
                }
                if filter.looks_into(&below) {
                    let children = tree.children(&child.entry.path)?;
                    levels.push(Level { children, next: 0, target, unwritten: (!is_taken).then_some(child) });
                }
            } else if is_taken {
                self.write_child(child, target, &mut links)?;
            }
        }
        Ok(copied)
    }

    fn write_child(
        &mut self,
        child: SourceNode,
        target: ImagePath,
        links: &mut BTreeMap<FileId, ImagePath>,
    ) -> Result<(), Fault> {
        self.refuse_twin(&child, &target)?;
        let mut group = None;
        if let (Some(id), EntryKind::File(_)) = (child.id, &child.entry.kind) {
            match links.get(&id) {
                Some(first) => group = self.dest.group_of(&first.clone()),
                None => {
                    links.insert(id, target.clone());
                }
            }
        }
        let mut entry = child.entry;
        entry.path = target;
        self.write_file(entry, group, Time::Kept)
    }

    /// Writes a directory above something that was asked for: one that is there takes the source's mode, and keeps the
    /// rest.
    fn write_above(&mut self, directory: &SourceNode, target: &ImagePath) -> Result<(), Fault> {
        let Some(there) = self.dest.get(target).filter(|there| there.is_directory()) else {
            return self.write_directory(directory, target);
        };
        let mut entry = there.clone();
        entry.meta.mode = directory.entry.meta.mode;
        let is_made = self.dest.node_mut(target).is_some_and(|node| node.is_made);
        self.dest.put(Node { entry, group: None, is_made });
        Ok(())
    }

    /// Writes a directory below a source: what is there takes the source's mode, owner and time.
    fn write_directory(&mut self, directory: &SourceNode, target: &ImagePath) -> Result<(), Fault> {
        if self.dest.get(target).is_some_and(|there| !there.is_directory()) {
            return Err(self.over_file(target));
        }
        self.refuse_twin(directory, target)?;
        let mut entry = directory.entry.clone();
        entry.path = target.clone();
        self.dress.dress(&mut entry, &self.dest)?;
        self.dest.put(Node { entry, group: None, is_made: false });
        Ok(())
    }

    /// Two names of one source that Windows takes for the same are an error (windows.md §5.2).
    fn refuse_twin(&self, child: &SourceNode, target: &ImagePath) -> Result<(), Fault> {
        if !self.dest.root.is_windows {
            return Ok(());
        }
        let (name, there) = (child.entry.path.file_name(), target.file_name());
        if name == there || !self.dest.is_new(target) {
            return super::windows::check_name(name.unwrap_or_default());
        }
        Err(Fault::new(
            codes::WINDOWS_NAME,
            format!(
                "{} and {} differ only in upper and lower case, which are the same on Windows",
                String::from_utf8_lossy(name.unwrap_or_default()),
                self.shown(target)
            ),
        )
        .with_help("rename one of them, or leave it out by --exclude"))
    }
}
