//! From the members of an archive, in its order, to a layer's entries (linux.md §4.3).

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::ops::Bound;
use std::sync::Arc;

use super::member::{ArchiveEntry, ArchiveEntryKind};
use crate::{Archive, ContentHash, ContentSource, DeviceNumber, Entry, EntryKind, FileContent, ImagePath, Metadata};

/// Collects members; each one acts upon those before it as unpacking would.
#[derive(Default)]
pub(super) struct IndexBuilder {
    nodes: BTreeMap<ImagePath, Node>,
    /// Paths that disappear from lower layers.
    whiteouts: BTreeMap<ImagePath, ()>,
    inodes: Vec<Inode>,
    symlinks: usize,
    inline: u64,
    /// The directory that was last found to exist, with no link on its way.
    known_parent: Option<ImagePath>,
    buffer: Vec<u8>,
}

enum Node {
    Directory {
        meta: Metadata,
        opaque: bool,
        implicit: bool,
    },
    File(usize),
    Symlink(Metadata, Box<[u8]>),
    CharDevice(Metadata, DeviceNumber),
    BlockDevice(Metadata, DeviceNumber),
    Fifo(Metadata),
    /// A link to something that only a lower layer has.
    ForeignLink(Metadata, ImagePath),
}

/// A file, which any number of names may share.
struct Inode {
    meta: Metadata,
    content: FileContent,
    home: ImagePath,
}

/// Most links on the way of one path, as the kernel has it (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// Sparse files are kept in memory, since they are nowhere in one piece; more than this is refused.
const MOST_INLINE: u64 = 64 << 20;
/// Bytes hashed at once.
const BUFFER: usize = 256 << 10;

impl IndexBuilder {
    /// Takes one member and reads its content, for its hash.
    pub(super) fn add(
        &mut self,
        member: ArchiveEntry,
        content: &mut dyn Read,
        archive: &Arc<Archive>,
    ) -> Result<(), Problem> {
        let path = self.place(&member.path)?;
        let meta = member.meta;
        let node = match member.kind {
            ArchiveEntryKind::Whiteout => {
                if path.is_root() {
                    return Err(Problem::Bad("it is a whiteout of the root".into()));
                }
                self.whiteouts.insert(path, ());
                return Ok(());
            }
            ArchiveEntryKind::Opaque => return self.make_opaque(&path),
            ArchiveEntryKind::Directory => {
                self.add_directory(&path, meta);
                return Ok(());
            }
            ArchiveEntryKind::File { size, offset } => {
                let content = self.read_content(size, offset, content, archive)?;
                self.inodes.push(Inode { meta, content, home: path.clone() });
                Node::File(self.inodes.len() - 1)
            }
            ArchiveEntryKind::HardLink(target) => match self.link(meta, &path, &target)? {
                Some(node) => node,
                None => return Ok(()),
            },
            ArchiveEntryKind::Symlink(target) => {
                self.symlinks += 1;
                Node::Symlink(meta, target)
            }
            ArchiveEntryKind::CharDevice(number) => Node::CharDevice(meta, number),
            ArchiveEntryKind::BlockDevice(number) => Node::BlockDevice(meta, number),
            ArchiveEntryKind::Fifo => Node::Fifo(meta),
        };
        self.replace(&path, node);
        Ok(())
    }

    /// Where a member really lies: its parents are followed where they are links of this archive, and made where they
    /// are missing.
    fn place(&mut self, path: &ImagePath) -> Result<ImagePath, Problem> {
        let Some(name) = path.file_name() else { return Ok(path.clone()) };
        let parent = path.parent().unwrap_or_default();
        if self.known_parent.as_ref() == Some(&parent) {
            return Ok(path.clone());
        }
        let resolved = self.resolve(&parent)?;
        for directory in std::iter::once(resolved.clone()).chain(resolved.ancestors()) {
            if self.nodes.contains_key(&directory) || directory.is_root() {
                break;
            }
            self.nodes.insert(directory, Node::Directory { meta: implicit_meta(), opaque: false, implicit: true });
        }
        if resolved == parent {
            self.known_parent = Some(parent);
            return Ok(path.clone());
        }
        let name = ImagePath::parse(name).map_err(|e| Problem::Bad(e.to_string()))?;
        Ok(resolved.join_path(&name))
    }

    /// Follows links of this archive in all components of a directory's path.
    fn resolve(&self, directory: &ImagePath) -> Result<ImagePath, Problem> {
        let mut done = ImagePath::root();
        let mut left: Vec<Vec<u8>> = directory.components().rev().map(<[u8]>::to_vec).collect();
        let mut followed = 0;
        while let Some(name) = left.pop() {
            if name == b".." {
                done = done.parent().unwrap_or_default();
                continue;
            }
            let next = ImagePath::parse(&name).map_err(|e| Problem::Bad(e.to_string()))?;
            let next = done.join_path(&next);
            match self.nodes.get(&next) {
                None | Some(Node::Directory { .. }) => done = next,
                Some(Node::Symlink(_, target)) => {
                    followed += 1;
                    if followed > MOST_LINKS {
                        return Err(Problem::Bad("its parent is a loop of links".into()));
                    }
                    if target.starts_with(b"/") {
                        done = ImagePath::root();
                    }
                    let parts = target.split(|&b| b == b'/').filter(|part| !matches!(*part, b"" | b"."));
                    left.extend(parts.rev().map(<[u8]>::to_vec));
                    if left.len() > 4096 {
                        return Err(Problem::Bad("its parent is a loop of links".into()));
                    }
                }
                Some(_) => return Err(Problem::Bad(format!("its parent {next} is not a directory"))),
            }
        }
        Ok(done)
    }

    fn add_directory(&mut self, path: &ImagePath, meta: Metadata) {
        match self.nodes.get_mut(path) {
            Some(Node::Directory { meta: old, implicit, .. }) => {
                *old = meta;
                *implicit = false;
            }
            _ => self.replace(path, Node::Directory { meta, opaque: false, implicit: false }),
        }
    }

    fn make_opaque(&mut self, path: &ImagePath) -> Result<(), Problem> {
        let path = self.resolve(path)?;
        match self.nodes.get_mut(&path) {
            Some(Node::Directory { opaque, .. }) => *opaque = true,
            Some(_) => return Err(Problem::Bad("it makes something opaque that is no directory".into())),
            None => {
                let node = Node::Directory { meta: implicit_meta(), opaque: true, implicit: true };
                self.nodes.insert(path, node);
            }
        }
        Ok(())
    }

    /// The node of a hard link; `None` where it names itself.
    fn link(&mut self, meta: Metadata, path: &ImagePath, target: &ImagePath) -> Result<Option<Node>, Problem> {
        let parent = self.resolve(&target.parent().unwrap_or_default())?;
        let name = ImagePath::parse(target.file_name().unwrap_or_default()).map_err(|e| Problem::Bad(e.to_string()))?;
        let target = parent.join_path(&name);
        Ok(Some(match self.nodes.get(&target) {
            // GNU tar writes such a link when it is given a name twice.
            Some(Node::File(_)) if target == *path => return Ok(None),
            Some(Node::File(inode)) => Node::File(*inode),
            Some(Node::Directory { .. }) => return Err(Problem::Bad("it is a hard link to a directory".into())),
            Some(Node::Symlink(old, link)) => {
                let node = Node::Symlink(old.clone(), link.clone());
                self.symlinks += 1;
                node
            }
            Some(Node::CharDevice(old, number)) => Node::CharDevice(old.clone(), *number),
            Some(Node::BlockDevice(old, number)) => Node::BlockDevice(old.clone(), *number),
            Some(Node::Fifo(old)) => Node::Fifo(old.clone()),
            Some(Node::ForeignLink(old, link)) => Node::ForeignLink(old.clone(), link.clone()),
            None if target == *path => return Err(Problem::Bad("it is a hard link to itself".into())),
            None => Node::ForeignLink(meta, target),
        }))
    }

    /// Puts a node at its path; what was there goes, with all below it.
    fn replace(&mut self, path: &ImagePath, node: Node) {
        let old = self.nodes.insert(path.clone(), node);
        if matches!(old, Some(Node::Directory { .. })) {
            let below = (Bound::Excluded(path), Bound::Unbounded);
            let gone: Vec<_> =
                self.nodes.range(below).map(|(p, _)| p).take_while(|p| p.starts_with(path)).cloned().collect();
            for path in gone {
                self.nodes.remove(&path);
            }
            let below = (Bound::Excluded(path), Bound::Unbounded);
            let gone: Vec<_> =
                self.whiteouts.range(below).map(|(p, ())| p).take_while(|p| p.starts_with(path)).cloned().collect();
            for path in gone {
                self.whiteouts.remove(&path);
            }
            self.known_parent = None;
        }
    }

    fn read_content(
        &mut self,
        size: u64,
        offset: Option<u64>,
        content: &mut dyn Read,
        archive: &Arc<Archive>,
    ) -> Result<FileContent, Problem> {
        let mut hasher = blake3::Hasher::new();
        let mut kept = Vec::new();
        if offset.is_none() {
            self.inline = self.inline.saturating_add(size);
            if self.inline > MOST_INLINE {
                return Err(Problem::Bad("sparse files of more than 64 MiB are not supported; store it dense".into()));
            }
        }
        self.buffer.resize(BUFFER, 0);
        loop {
            let piece = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => &self.buffer[..length],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Problem::Stream(error)),
            };
            hasher.update(piece);
            if offset.is_none() {
                kept.extend_from_slice(piece);
            }
        }
        let source = match offset {
            Some(offset) if size > 0 => ContentSource::Archive { archive: Arc::clone(archive), offset },
            _ => ContentSource::Inline(kept.into()),
        };
        Ok(FileContent { size, hash: Some(ContentHash(*hasher.finalize().as_bytes())), source })
    }

    /// The entries in order of their paths.
    pub(super) fn finish(mut self) -> Vec<Entry> {
        // A file's first name is where it was stored; if that name was replaced, the first one left.
        let mut homes: Vec<Option<ImagePath>> = vec![None; self.inodes.len()];
        for (path, node) in &self.nodes {
            if let Node::File(inode) = node
                && (homes[*inode].is_none() || *path == self.inodes[*inode].home)
            {
                homes[*inode] = Some(path.clone());
            }
        }
        let mut entries = Vec::with_capacity(self.nodes.len() + self.whiteouts.len());
        for (path, node) in self.nodes {
            // Together with a whiteout of its own path, a directory hides all of the lower one; anything else does so
            // anyhow.
            let hides = !self.whiteouts.is_empty() && self.whiteouts.remove(&path).is_some();
            let (meta, kind) = match node {
                Node::Directory { meta, opaque, implicit } => {
                    (meta, EntryKind::Directory { opaque: opaque || hides, implicit: implicit && !hides })
                }
                Node::File(inode) => {
                    let file = &self.inodes[inode];
                    match &homes[inode] {
                        Some(home) if *home != path => (file.meta.clone(), EntryKind::HardLink(home.clone())),
                        _ => (file.meta.clone(), EntryKind::File(file.content.clone())),
                    }
                }
                Node::Symlink(meta, target) => (meta, EntryKind::Symlink(target)),
                Node::CharDevice(meta, number) => (meta, EntryKind::CharDevice(number)),
                Node::BlockDevice(meta, number) => (meta, EntryKind::BlockDevice(number)),
                Node::Fifo(meta) => (meta, EntryKind::Fifo),
                Node::ForeignLink(meta, target) => (meta, EntryKind::HardLink(target)),
            };
            entries.push(Entry { path, meta, kind });
        }
        if !self.whiteouts.is_empty() {
            entries.extend(self.whiteouts.into_keys().map(Entry::whiteout));
            // Two sorted runs, which the standard sort merges in one pass.
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        }
        entries
    }
}

/// What is wrong with a member.
pub(super) enum Problem {
    Bad(String),
    Stream(io::Error),
}

/// What a directory gets that no archive lists and no lower layer has (linux.md §4.3).
fn implicit_meta() -> Metadata {
    Metadata { mode: 0o755, ..Metadata::default() }
}
