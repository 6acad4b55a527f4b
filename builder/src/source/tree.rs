//! A tree that COPY, ADD and bind mounts read from, whatever it is made of.

use std::sync::Arc;

use strake_layers::{Entry, EntryKind, ImagePath, Metadata, Rootfs};

use super::context::Context;
use super::links::{Followed, LastLink, Root, Seen};
use crate::Result;

/// A tree that COPY, ADD and bind mounts read from.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    kind: Kind,
    root: Root,
    name: String,
}

#[derive(Clone, Debug)]
enum Kind {
    Context(Arc<Context>),
    Rootfs(Arc<Rootfs>),
}

/// Something in a tree.
#[derive(Clone, Debug)]
pub(crate) struct SourceNode {
    /// What it is: never a whiteout nor a hard link, which stands as the file it names.
    pub entry: Entry,
    /// Equal for names of one file.
    pub id: Option<FileId>,
}

/// What tells a file from others of its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileId {
    /// On the host: device and inode.
    Host(u64, u64),
    /// In a layer: where the entry lies in memory, for as long as the layer does.
    Layer(usize),
}

impl Tree {
    /// Makes the tree of a context.
    pub(crate) fn context(context: Arc<Context>) -> Self {
        let name = context.name().to_owned();
        Self { kind: Kind::Context(context), root: Root::default(), name }
    }

    /// Makes the tree of an image or a stage; `name` is for messages: `stage "build"`.
    pub(crate) fn rootfs(rootfs: Arc<Rootfs>, is_windows: bool, name: impl Into<String>) -> Self {
        let path = if is_windows { files_root() } else { ImagePath::root() };
        Self { kind: Kind::Rootfs(rootfs), root: Root { path, is_windows }, name: name.into() }
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where paths count from.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Tells whether its files belong to nobody: those of a context are root's in an image.
    pub(crate) fn as_context(&self) -> Option<&Arc<Context>> {
        match &self.kind {
            Kind::Context(context) => Some(context),
            Kind::Rootfs(_) => None,
        }
    }

    /// What is at a path, from the top of the tree; links are not followed.
    pub(crate) fn get(&self, path: &ImagePath) -> Result<Option<SourceNode>> {
        match &self.kind {
            Kind::Context(context) => context.get(path),
            Kind::Rootfs(rootfs) => {
                let found = if self.root.is_windows { rootfs.lookup_folded(path) } else { rootfs.lookup(path) };
                if let Some(entry) = found {
                    return Ok(Some(layer_node(rootfs, entry)));
                }
                // The root is there even where no layer says so.
                let is_root = path.is_root() || *path == self.root.path;
                let root = Entry::directory(path.clone(), Metadata { mode: 0o755, ..Metadata::default() });
                Ok(is_root.then_some(SourceNode { entry: root, id: None }))
            }
        }
    }

    /// What a directory holds, in the order of names.
    pub(crate) fn children(&self, path: &ImagePath) -> Result<Arc<[SourceNode]>> {
        match &self.kind {
            Kind::Context(context) => context.children(path),
            Kind::Rootfs(rootfs) => {
                Ok(rootfs.read_dir(path).into_iter().map(|entry| layer_node(rootfs, entry)).collect())
            }
        }
    }

    /// Says that all below a path will be asked for.
    pub(crate) fn prepare(&self, path: &ImagePath) -> Result<()> {
        match &self.kind {
            Kind::Context(context) => context.load(path),
            Kind::Rootfs(_) => Ok(()),
        }
    }

    /// Follows the links on a path that counts from the tree's root.
    pub(crate) fn follow(&self, path: &ImagePath, last: LastLink) -> Result<Followed> {
        self.root.follow(path, last, &mut |at| {
            Ok(self.get(at)?.map(|node| Seen {
                path: node.entry.path,
                link: match node.entry.kind {
                    EntryKind::Symlink(target) => Some(target),
                    _ => None,
                },
            }))
        })
    }

    /// The names in the nearest directory above a path that is there, for suggestions.
    pub(crate) fn names_near(&self, path: &ImagePath) -> Vec<String> {
        let above =
            path.ancestors().find(|above| self.get(above).ok().flatten().is_some_and(|node| node.entry.is_directory()));
        let Some(children) = above.and_then(|above| self.children(&above).ok()) else { return Vec::new() };
        children.iter().map(|child| self.below_root(&child.entry.path)).collect()
    }

    /// A path as a Dockerfile would name it.
    pub(crate) fn below_root(&self, path: &ImagePath) -> String {
        let path = path.strip_prefix(&self.root.path).unwrap_or_else(|| path.clone());
        String::from_utf8_lossy(path.as_bytes()).into_owned()
    }
}

/// The directory that is the drive `C:` in a layer of Windows (windows.md §2.1).
pub(crate) fn files_root() -> ImagePath {
    ImagePath::parse("Files").unwrap_or_default()
}

fn layer_node(rootfs: &Rootfs, entry: &Entry) -> SourceNode {
    let mut copy = entry.clone();
    let file = match &entry.kind {
        EntryKind::HardLink(_) => rootfs.file_entry(&entry.path),
        EntryKind::File(_) => Some(entry),
        _ => None,
    };
    if let Some(file) = file {
        copy.kind = file.kind.clone();
        copy.meta = file.meta.clone();
    }
    SourceNode { entry: copy, id: file.map(|file| FileId::Layer(std::ptr::from_ref(file) as usize)) }
}
