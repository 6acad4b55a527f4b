use std::fmt::Debug;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strake_layers::{EntryList, HostDir, ImagePath, Layer, LayerId, Metadata, Rootfs};

use crate::store::{Scratch, Store};
use crate::stubs::Stubs;
use crate::sys::TreeWriter;
use crate::{Error, Result, commit};

/// Turns layers into what a step runs in.
///
/// Layers and trees are always given lowest first.
pub trait Snapshotter: Debug + Send + Sync {
    /// What it is called in messages: `overlay`, `copy`.
    fn name(&self) -> &'static str;

    /// Writes a layer out as a tree, unless it is there already. The layer has its entries afterwards. `below` is
    /// the view of the layers under it, which decides where entries go whose parents the layer does not list.
    fn materialise(&self, layer: &Layer, below: Option<&Rootfs>) -> Result<Tree>;

    /// Makes a writable child of a stack of trees, in which every target exists without being part of what the step
    /// changed.
    fn prepare(&self, stack: &Stack<'_>, targets: &[MountTarget]) -> Result<ActiveSnapshot>;

    /// Shows a stack of trees to a step besides its root.
    fn view(&self, stack: &Stack<'_>, access: Access) -> Result<Mount>;
}

/// A layer written out as a directory. It is shared and never written to.
#[derive(Clone, Debug)]
pub struct Tree {
    pub(crate) id: LayerId,
    pub(crate) path: PathBuf,
    pub(crate) entries: EntryList,
    /// Directories that the layer's archive did not list.
    pub(crate) implicit: Arc<[ImagePath]>,
}

/// A stack of trees with the merged view of their entries.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a> {
    /// The trees, lowest first.
    pub trees: &'a [Tree],
    /// The view of the same layers.
    pub rootfs: &'a Arc<Rootfs>,
}

/// A place in a step's root at which something will be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountTarget {
    /// Where; links on the way are followed inside the root.
    pub path: ImagePath,
    /// What must be there.
    pub kind: TargetKind,
}

/// What a mount target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// A directory.
    Directory,
    /// Anything but a directory.
    File,
}

/// Whether a view may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Writing is refused where the host can do that.
    ReadOnly,
    /// What is written is thrown away with the view.
    Private,
}

/// A file system for a step. What belongs to it goes when it is dropped.
#[derive(Debug)]
pub struct Mount {
    kind: MountKind,
    _owned: Option<Scratch>,
}

/// What a [`Mount`] is for whoever puts it in place.
#[derive(Debug)]
pub enum MountKind {
    /// A mount that is attached nowhere: the descriptor is for `move_mount`.
    Detached(File),
    /// A directory of the host, to be bound or entered.
    Directory(PathBuf),
}

/// A writable child of a stack: what one step runs in. Dropped without a commit, it leaves nothing.
#[derive(Debug)]
pub struct ActiveSnapshot {
    pub(crate) store: Arc<Store>,
    pub(crate) scratch: Scratch,
    pub(crate) rootfs: Arc<Rootfs>,
    pub(crate) trees: Vec<Tree>,
    pub(crate) stubs: Stubs,
    pub(crate) form: Form,
}

/// How a snapshot records what changes.
#[derive(Debug)]
pub(crate) enum Form {
    /// In the upper directory of an overlay.
    Overlay {
        /// The directories below it, highest first.
        lowers: Vec<PathBuf>,
        /// Whether overlay keeps its marks as `user.overlay.*`.
        is_user_namespace: bool,
    },
    /// In a whole copy, compared with what it was.
    Copy {
        /// What it was.
        before: Vec<crate::scan::Found>,
    },
}

impl Tree {
    pub(crate) fn new(id: LayerId, path: PathBuf, entries: EntryList) -> Self {
        let implicit = entries.implicit().into_iter().map(|entry| entry.path.clone()).collect();
        Self { id, path, entries, implicit }
    }

    /// The layer's identity.
    pub fn id(&self) -> LayerId {
        self.id
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The layer's entries.
    pub fn entries(&self) -> &EntryList {
        &self.entries
    }
}

impl Mount {
    pub(crate) fn new(kind: MountKind, owned: Option<Scratch>) -> Self {
        Self { kind, _owned: owned }
    }

    /// Names a directory of the host, which stays when the mount is dropped.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::new(MountKind::Directory(path.into()), None)
    }

    /// What it is.
    pub fn kind(&self) -> &MountKind {
        &self.kind
    }

    /// Makes directories that are missing, a parent before what is in it; what exists is left as it is. Links are not
    /// followed: the paths are resolved ones.
    pub fn make_directories(&self, paths: &[ImagePath], meta: &Metadata) -> Result<()> {
        let root = match &self.kind {
            MountKind::Detached(mount) => crate::overlay::path_of(mount),
            MountKind::Directory(path) => path.clone(),
        };
        let error = |source| Error::host("make directories in", &root, source);
        let mut writer = TreeWriter::new(&root).map_err(error)?;
        for path in paths {
            writer.directory(path, Some(meta)).map_err(error)?;
        }
        writer.finish().map_err(error)
    }
}

impl ActiveSnapshot {
    /// The file system for the step. It must be gone when the snapshot is committed.
    pub fn mount(&self) -> Result<Mount> {
        match &self.form {
            Form::Overlay { lowers, is_user_namespace } => {
                let (upper, work) = (self.upper(), self.scratch.path().join("work"));
                let options = crate::overlay::Options {
                    lowers,
                    upper: Some((&upper, &work)),
                    is_user_namespace: *is_user_namespace,
                };
                Ok(Mount::new(MountKind::Detached(crate::overlay::mount(&options)?), None))
            }
            Form::Copy { .. } => Ok(Mount::new(MountKind::Directory(self.upper()), None)),
        }
    }

    /// Makes a layer of what the step changed. The directory becomes the layer's tree, without a copy.
    pub fn commit(self) -> Result<Layer> {
        commit::commit(&self)
    }

    /// Throws the snapshot away.
    pub fn discard(self) {
        drop(self);
    }

    /// The directory that the step writes to.
    pub(crate) fn upper(&self) -> PathBuf {
        self.scratch.path().join("fs")
    }

    pub(crate) fn open_upper(&self) -> Result<Arc<HostDir>> {
        Ok(Arc::new(HostDir::open(self.upper())?))
    }
}
