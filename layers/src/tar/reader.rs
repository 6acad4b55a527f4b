use std::io::Read;
use std::sync::Arc;

use crate::{
    Archive, BlobStore, Cancel, Descriptor, DeviceNumber, DiffId, Entry, Error, ImagePath, Limits, Metadata, Result,
};

/// One member of an archive, its name cleaned and all extension headers applied.
#[derive(Clone, Debug)]
pub struct ArchiveEntry {
    /// Where it is; for a whiteout the path that disappears, for [`ArchiveEntryKind::Opaque`] the directory.
    pub path: ImagePath,
    /// Mode, owner, time, extended attributes.
    pub meta: Metadata,
    /// What it is.
    pub kind: ArchiveEntryKind,
}

/// What a member of an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveEntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Bytes of its content, holes included.
        size: u64,
        /// Where its bytes begin in the uncompressed archive; `None` where they are not in one piece (a sparse file).
        offset: Option<u64>,
    },
    /// A symbolic link and its target, as written.
    Symlink(Box<[u8]>),
    /// A further name of another member.
    HardLink(ImagePath),
    /// A character device.
    CharDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A named pipe.
    Fifo,
    /// The path disappears from lower layers.
    Whiteout,
    /// The directory hides what lower layers have in it.
    Opaque,
}

/// Whether `.wh.` names have their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhiteoutNames {
    /// Yes: a layer.
    Whiteouts,
    /// No: an archive of a user, whose names are only names.
    Plain,
}

/// Reads uncompressed tar archives.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveReader<'a> {
    /// What the archive is called in messages.
    pub name: &'a str,
    /// Whether `.wh.` names have their meaning.
    pub whiteouts: WhiteoutNames,
    /// What it may cost.
    pub limits: Limits,
    /// Asked at every member.
    pub cancel: &'a Cancel,
}

impl ArchiveReader<'_> {
    /// Visits each member in order, with a reader of its content. What the visitor leaves unread is skipped.
    pub fn for_each(
        &self,
        reader: &mut dyn Read,
        visit: &mut dyn FnMut(ArchiveEntry, &mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let _ = (reader, visit);
        Err(Error::Unsupported("reading archives is not there yet".into()))
    }

    /// Reads the members of an archive as sorted entries whose contents stay in it. Duplicates, hard links and parents
    /// are resolved; contents are hashed.
    pub fn index(&self, archive: &Arc<Archive>) -> Result<Vec<Entry>> {
        let _ = archive;
        Err(Error::Unsupported("reading archives is not there yet".into()))
    }
}

/// Reads a layer blob of the store in one pass, and verifies its digest, size and diff ID on the way.
#[derive(Clone, Copy, Debug)]
pub struct LayerReader<'a> {
    /// Where the blob is.
    pub store: &'a BlobStore,
    /// The blob.
    pub descriptor: &'a Descriptor,
    /// The digest that the uncompressed tar must have.
    pub diff_id: &'a DiffId,
    /// What it may cost.
    pub limits: Limits,
    /// Asked at every member.
    pub cancel: &'a Cancel,
}

impl LayerReader<'_> {
    /// Visits each member in order, with a reader of its content. The digests are verified after the last one, so
    /// what the visitor made counts only if this returns without an error.
    pub fn for_each(&self, visit: &mut dyn FnMut(ArchiveEntry, &mut dyn Read) -> Result<()>) -> Result<()> {
        let _ = visit;
        Err(Error::Unsupported("reading archives is not there yet".into()))
    }

    /// Reads the layer's members as sorted entries: whiteouts, opaque directories, duplicates, hard links and parents
    /// resolved, contents hashed and left in the blob.
    pub fn index(&self) -> Result<Vec<Entry>> {
        Err(Error::Unsupported("reading archives is not there yet".into()))
    }
}
