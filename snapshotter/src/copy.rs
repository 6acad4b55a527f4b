use std::sync::Arc;

use strake_layers::{DeviceNumber, HostKind, ImagePath, Layer, Rootfs};

use crate::apply::{Flavour, Placing, Target};
use crate::scan::{Attributes, Found, scan};
use crate::snapshot::{Access, ActiveSnapshot, Form, Mount, MountKind, MountTarget, Snapshotter, Stack, Tree};
use crate::store::{Scratch, Store};
use crate::stubs::Stubs;
use crate::trees::{self, Trees};
use crate::{Error, Result, sys};

/// The snapshotter for hosts without mounts: a snapshot is a whole copy, and changes are found by comparing it with
/// what it was (linux.md §4.5).
#[derive(Clone, Debug)]
pub struct CopySnapshotter {
    store: Arc<Store>,
    trees: Trees,
}

impl CopySnapshotter {
    /// Makes the snapshotter of a store.
    pub fn new(store: Arc<Store>) -> Self {
        let trees = Trees::new(Arc::clone(&store), Flavour::Plain);
        Self { store, trees }
    }

    /// Copies a stack of trees into a new folder.
    fn copy(&self, stack: &Stack<'_>) -> Result<Scratch> {
        let scratch = self.store.upper()?;
        let fs = trees::make_folder(&scratch, "fs")?;
        let target = Target::merged(&fs, &self.store.options);
        for tree in stack.trees {
            target.apply(&tree.entries, &Placing::Copy)?;
        }
        Ok(scratch)
    }
}

impl Snapshotter for CopySnapshotter {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn materialise(&self, layer: &Layer, below: Option<&Rootfs>) -> Result<Tree> {
        self.trees.materialise(layer, below)
    }

    fn prepare(&self, stack: &Stack<'_>, targets: &[MountTarget]) -> Result<ActiveSnapshot> {
        let stubs = Stubs::plan(stack, targets)?;
        let scratch = self.copy(stack)?;
        let fs = scratch.path().join("fs");
        if !stubs.is_empty() {
            Target::merged(&fs, &self.store.options).apply(&stubs.entries(), &Placing::Copy)?;
        }
        trees::set_root(&fs, stack.rootfs)?;
        let before = scan(&fs, Attributes::Skip, &self.store.options.cancel)?;
        Ok(ActiveSnapshot {
            store: Arc::clone(&self.store),
            scratch,
            rootfs: Arc::clone(stack.rootfs),
            trees: stack.trees.to_vec(),
            stubs,
            form: Form::Copy { before },
        })
    }

    fn view(&self, stack: &Stack<'_>, access: Access) -> Result<Mount> {
        // One layer without marks is its own view.
        if let ([tree], Access::ReadOnly) = (stack.trees, access) {
            return Ok(Mount::new(MountKind::Directory(tree.path.clone()), None));
        }
        let scratch = self.copy(stack)?;
        Ok(Mount::new(MountKind::Directory(scratch.path().join("fs")), Some(scratch)))
    }
}

/// What differs from an earlier state, in the form of an upper directory: all directories, what is new or looks
/// different, and a whiteout for what is gone.
pub(crate) fn changed(snapshot: &ActiveSnapshot, before: &[Found]) -> Result<Vec<Found>> {
    let upper = snapshot.upper();
    remove_stubs(snapshot)?;
    let now = scan(&upper, Attributes::Read, &snapshot.store.options.cancel)?;
    Ok(compare(before, now))
}

/// Joins two sorted states.
fn compare(before: &[Found], now: Vec<Found>) -> Vec<Found> {
    let mut changed = Vec::new();
    let mut old = before.iter().peekable();
    let mut holders = Holders::default();
    for item in now {
        while let Some(gone) = old.next_if(|old| old.path < item.path) {
            changed.extend(holders.whiteout(gone));
        }
        let was = old.next_if(|old| old.path == item.path);
        holders.enter(&item.path, item.is_directory());
        // The time of change of an inode cannot be set back by a step.
        let is_same = was.is_some_and(|was| was.stat == item.stat);
        if item.is_directory() || !is_same {
            changed.push(item);
        }
    }
    changed.extend(old.filter_map(|gone| holders.whiteout(gone)));
    changed
}

/// What is above the current path in the new state, and whether it can hold something.
#[derive(Default)]
struct Holders(Vec<(ImagePath, bool)>);

impl Holders {
    fn enter(&mut self, path: &ImagePath, is_directory: bool) {
        while self.0.pop_if(|(above, _)| !path.starts_with(above)).is_some() {}
        self.0.push((path.clone(), is_directory));
    }

    /// A whiteout for what is gone, unless what held it is gone, too, or is no directory any more.
    fn whiteout(&mut self, gone: &Found) -> Option<Found> {
        while self.0.pop_if(|(above, _)| !gone.path.starts_with(above)).is_some() {}
        let is_held = self.0.last().is_none_or(|(_, is_directory)| *is_directory);
        self.0.push((gone.path.clone(), false));
        let mut whiteout = gone.clone();
        whiteout.stat.kind = HostKind::CharDevice;
        whiteout.stat.rdev = DeviceNumber { major: 0, minor: 0 };
        whiteout.link = None;
        is_held.then_some(whiteout)
    }
}

/// Removes what was made for mounts, where the step left it as it was; directories above keep their times.
fn remove_stubs(snapshot: &ActiveSnapshot) -> Result<()> {
    let upper = snapshot.upper();
    let dir = snapshot.open_upper()?;
    let error = |path: &ImagePath, e| Error::host("remove the mount point", crate::apply::host_path(&upper, path), e);
    // Deepest first, so that a folder is empty when its turn comes; one writer each, since the order is not theirs.
    for path in snapshot.stubs.new_paths().rev() {
        let is_idle = match dir.stat(path) {
            Ok(stat) if stat.kind == HostKind::Directory => dir.read_dir(path)?.is_empty(),
            Ok(stat) => stat.kind == HostKind::File && stat.size == 0,
            Err(_) => false,
        };
        if is_idle {
            let mut writer = sys::TreeWriter::new(&upper).map_err(|e| error(path, e))?;
            writer.remove(path).map_err(|e| error(path, e))?;
            writer.finish().map_err(|e| error(path, e))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
