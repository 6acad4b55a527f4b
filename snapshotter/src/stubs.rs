use std::collections::BTreeMap;

use strake_layers::{Entry, EntryKind, ImagePath, Metadata, Resolved, Rootfs};

use crate::snapshot::{MountTarget, Stack, TargetKind};
use crate::{Error, Result};

/// What a step's root needs besides its layers: mount targets that no layer has, and the attributes of directories
/// that a layer holds without listing them. It lies over the layers and under what the step writes, and counts as
/// absent when the changes are taken (linux.md §1.4).
#[derive(Clone, Debug, Default)]
pub(crate) struct Stubs(BTreeMap<ImagePath, Stub>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stub {
    meta: Metadata,
    kind: TargetKind,
    /// Whether no layer has it, so that it must not show in the changes.
    is_new: bool,
}

impl Stubs {
    /// Works out what a stack lacks.
    pub(crate) fn plan(stack: &Stack<'_>, targets: &[MountTarget]) -> Result<Self> {
        let mut stubs = Self::default();
        for path in stack.trees.iter().flat_map(|tree| tree.implicit.iter()) {
            stubs.keep_attributes(stack.rootfs, path);
        }
        for target in targets {
            stubs.add_target(stack.rootfs, target)?;
        }
        Ok(stubs)
    }

    /// Tells whether there is nothing to make.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attributes of a directory that exists for the sake of a mount only.
    pub(crate) fn new_directory(&self, path: &ImagePath) -> Option<&Metadata> {
        self.0.get(path).filter(|stub| stub.is_new && stub.kind == TargetKind::Directory).map(|stub| &stub.meta)
    }

    /// What exists for the sake of a mount only, lowest first.
    pub(crate) fn new_paths(&self) -> impl DoubleEndedIterator<Item = &ImagePath> {
        self.0.iter().filter(|(_, stub)| stub.is_new).map(|(path, _)| path)
    }

    /// The stubs as a layer.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let entry = |(path, stub): (&ImagePath, &Stub)| match stub.kind {
            TargetKind::Directory => Entry::directory(path.clone(), stub.meta.clone()),
            TargetKind::File => Entry::inline_file(path.clone(), stub.meta.clone(), Vec::new()),
        };
        self.0.iter().map(entry).collect()
    }

    fn add_target(&mut self, rootfs: &Rootfs, target: &MountTarget) -> Result<()> {
        let Resolved { existing, rest } = rootfs.resolve_partial(&target.path)?;
        let problem = |text: &str| Error::MountTarget { path: target.path.clone(), problem: text.to_owned() };
        let found = rootfs.lookup(&existing);
        let is_directory = existing.is_root() || found.is_some_and(Entry::is_directory);
        if rest.is_root() {
            return match (target.kind, is_directory) {
                (TargetKind::Directory, false) => Err(problem("the image has a file there")),
                (TargetKind::File, true) => Err(problem("the image has a directory there")),
                _ => Ok(()),
            };
        }
        if !is_directory {
            return Err(problem(&format!("{existing} is a file in the image")));
        }
        // Directories that the image has keep their attributes although they appear in the stub layer.
        for path in std::iter::once(existing.clone()).chain(existing.ancestors()) {
            self.keep_attributes(rootfs, &path);
        }
        let mut path = existing;
        let count = rest.components().count();
        for (number, name) in rest.components().enumerate() {
            path = path.join(name).map_err(|e| problem(&e.to_string()))?;
            let kind = if number + 1 == count { target.kind } else { TargetKind::Directory };
            let mode = if kind == TargetKind::Directory { 0o755 } else { 0o644 };
            let stub = Stub { meta: Metadata { mode, ..Metadata::default() }, kind, is_new: true };
            let kept = self.0.entry(path.clone()).or_insert(stub);
            if kept.kind != kind {
                return Err(problem("another mount needs a file there"));
            }
        }
        Ok(())
    }

    fn keep_attributes(&mut self, rootfs: &Rootfs, path: &ImagePath) {
        let Some(entry) = rootfs.lookup(path) else { return };
        if !path.is_root() && matches!(entry.kind, EntryKind::Directory { .. }) {
            let stub = Stub { meta: entry.meta.clone(), kind: TargetKind::Directory, is_new: false };
            self.0.entry(path.clone()).or_insert(stub);
        }
    }
}
