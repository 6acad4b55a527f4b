//! The snapshotter over the kernel's overlay file system.

mod linux;
mod other;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strake_layers::{Layer, LayerId, Rootfs};

use crate::Result;
use crate::apply::{Flavour, Placing, Target};
use crate::snapshot::{Access, ActiveSnapshot, Form, Mount, MountKind, MountTarget, Snapshotter, Stack, Tree};
use crate::store::{Scratch, Store};
use crate::stubs::Stubs;
use crate::trees::{self, Trees};

#[cfg(target_os = "linux")]
use linux as host;
#[cfg(not(target_os = "linux"))]
use other as host;

/// A stack of more layers than this has its lowest ones merged: the kernel takes 500 (linux.md §4.2), and some room is
/// for stubs.
const MOST_LOWERS: usize = 400;

/// How many layers are left when a stack is merged, so that the next steps find the same lower part.
const LEFT_LOWERS: usize = 200;

/// What to mount.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "Linux alone mounts"))]
pub(crate) struct Options<'a> {
    /// The directories below, highest first.
    pub(crate) lowers: &'a [PathBuf],
    /// The upper and the work directory; without them nobody can write.
    pub(crate) upper: Option<(&'a Path, &'a Path)>,
    /// Whether overlay keeps its marks as `user.overlay.*`.
    pub(crate) is_user_namespace: bool,
}

/// Makes an overlay that is attached nowhere.
pub(crate) fn mount(options: &Options<'_>) -> Result<File> {
    host::mount(options)
}

/// The snapshotter for Linux hosts on which overlay can be mounted (linux.md §4.2).
#[derive(Clone, Debug)]
pub struct OverlaySnapshotter {
    store: Arc<Store>,
    trees: Trees,
    is_user_namespace: bool,
}

/// A path by which this process reaches the root of a mount that is attached nowhere.
pub(crate) fn path_of(mount: &File) -> PathBuf {
    host::path_of(mount)
}

impl OverlaySnapshotter {
    /// Makes the snapshotter of a store, if overlay can be mounted there: it is tried.
    pub fn new(store: Arc<Store>) -> Result<Self> {
        let is_user_namespace = host::is_user_namespace();
        let trees = Trees::new(Arc::clone(&store), Flavour::Overlay { is_user_namespace });
        let snapshotter = Self { store, trees, is_user_namespace };
        let scratch = snapshotter.store.upper()?;
        for name in ["lower", "fs", "work"] {
            trees::make_folder(&scratch, name)?;
        }
        let (upper, work) = (scratch.path().join("fs"), scratch.path().join("work"));
        mount(&Options {
            lowers: &[scratch.path().join("lower")],
            upper: Some((&upper, &work)),
            is_user_namespace: snapshotter.is_user_namespace,
        })?;
        Ok(snapshotter)
    }

    fn flavour(&self) -> Flavour {
        Flavour::Overlay { is_user_namespace: self.is_user_namespace }
    }

    /// The directories of a stack, highest first, the stubs above all.
    fn lowers(&self, stack: &Stack<'_>, stubs: &Stubs, scratch: &Scratch) -> Result<Vec<PathBuf>> {
        let mut lowers = Vec::with_capacity(stack.trees.len() + 1);
        if !stubs.is_empty() {
            let folder = trees::make_folder(scratch, "stubs")?;
            Target::new(&folder, self.flavour(), &self.store.options).apply(&stubs.entries(), &Placing::Copy)?;
            lowers.push(folder);
        }
        let mut trees: Vec<&Tree> = stack.trees.iter().filter(|tree| !tree.entries.is_empty()).collect();
        // Overlay refuses a directory that comes twice (two steps with equal results). The upper one alone does the same:
        // whatever the lower one says of a path, the upper one says again.
        let mut seen = HashSet::new();
        trees.reverse();
        trees.retain(|tree| seen.insert(tree.id));
        trees.reverse();
        let merged = if trees.len() > MOST_LOWERS {
            let upper_part = trees.split_off(trees.len() - LEFT_LOWERS);
            Some(self.merge(&std::mem::replace(&mut trees, upper_part))?)
        } else {
            None
        };
        lowers.extend(trees.iter().rev().map(|tree| tree.path.clone()));
        lowers.extend(merged);
        if lowers.is_empty() {
            lowers.push(trees::make_folder(scratch, "empty")?);
        }
        Ok(lowers)
    }

    /// One tree in the place of many, its files being further names of theirs. Kept, since the next step needs it, too.
    fn merge(&self, trees: &[&Tree]) -> Result<PathBuf> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"strake merged trees 1\0");
        for tree in trees {
            hasher.update(tree.path.as_os_str().as_encoded_bytes());
            hasher.update(&[0]);
        }
        let id = LayerId(*hasher.finalize().as_bytes());
        let path = self.store.layout.layer(id).join(self.flavour().folder());
        let _making = self.store.lock_key(&id.0)?;
        if self.store.use_layer(id) && path.is_dir() {
            return Ok(path);
        }
        let begin = std::time::Instant::now();
        let scratch = self.store.scratch()?;
        let fs = trees::make_folder(&scratch, "fs")?;
        let target = Target::merged(&fs, &self.store.options);
        for tree in trees {
            target.apply(&tree.entries, &Placing::Link(&tree.path))?;
        }
        let tree = trees::install(&self.store, id, &fs, &[], self.flavour(), begin)?;
        Ok(tree.path)
    }
}

impl Snapshotter for OverlaySnapshotter {
    fn name(&self) -> &'static str {
        "overlay"
    }

    fn materialise(&self, layer: &Layer, below: Option<&Rootfs>) -> Result<Tree> {
        self.trees.materialise(layer, below)
    }

    fn prepare(&self, stack: &Stack<'_>, targets: &[MountTarget]) -> Result<ActiveSnapshot> {
        let stubs = Stubs::plan(stack, targets)?;
        let scratch = self.store.upper()?;
        let fs = trees::make_folder(&scratch, "fs")?;
        trees::make_folder(&scratch, "work")?;
        trees::set_root(&fs, stack.rootfs)?;
        let lowers = self.lowers(stack, &stubs, &scratch)?;
        Ok(ActiveSnapshot {
            store: Arc::clone(&self.store),
            scratch,
            rootfs: Arc::clone(stack.rootfs),
            trees: stack.trees.to_vec(),
            stubs,
            form: Form::Overlay { lowers, is_user_namespace: self.is_user_namespace },
        })
    }

    fn view(&self, stack: &Stack<'_>, access: Access) -> Result<Mount> {
        let scratch = self.store.upper()?;
        let stubs = Stubs::plan(stack, &[])?;
        let mut lowers = self.lowers(stack, &stubs, &scratch)?;
        let (upper, work) = (scratch.path().join("fs"), scratch.path().join("work"));
        if access == Access::Private {
            trees::make_folder(&scratch, "fs")?;
            trees::make_folder(&scratch, "work")?;
            trees::set_root(&upper, stack.rootfs)?;
        } else if lowers.len() == 1 {
            // Without an upper directory the kernel wants two.
            let empty = scratch.path().join("nothing");
            std::fs::create_dir(&empty).map_err(|e| crate::Error::host("make directory", &empty, e))?;
            lowers.push(empty);
        }
        let detached = mount(&Options {
            lowers: &lowers,
            upper: (access == Access::Private).then_some((&upper, &work)),
            is_user_namespace: self.is_user_namespace,
        })?;
        Ok(Mount::new(MountKind::Detached(detached), Some(scratch)))
    }
}
