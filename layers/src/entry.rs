use std::collections::BTreeMap;
use std::sync::Arc;

use crate::archive::Archive;
use crate::host::{HostDir, Stamp};
use crate::{ContentHash, ImagePath, Timestamp};

/// One line of a layer: a path, what it becomes, and where its bytes are.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is in the image. For [`EntryKind::Whiteout`] the path that disappears.
    pub path: ImagePath,
    /// Mode, owner, time, extended attributes.
    pub meta: Metadata,
    /// What it is.
    pub kind: EntryKind,
}

/// Extended attributes: full name (`security.capability`, `user.k`) and value.
pub type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// Attributes of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits with set-user, set-group and sticky: the lowest 12 bits of a mode.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Time of last change of the content.
    pub mtime: Timestamp,
    /// Extended attributes, by full name (`security.capability`, `user.k`).
    pub xattrs: Xattrs,
    /// What only Windows layers have (windows.md §2.2).
    pub windows: Option<Box<WindowsMetadata>>,
}

/// Attributes that only Windows layers have (windows.md §2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowsMetadata {
    /// PAX records as found or as they are to be written, by name: `MSWINDOWS.fileattr`, `MSWINDOWS.rawsd`, `atime`, …
    pub records: BTreeMap<String, Vec<u8>>,
}

/// What an entry is.
#[derive(Clone, Debug)]
pub enum EntryKind {
    /// A directory.
    Directory {
        /// Hides everything that lower layers have below it.
        opaque: bool,
        /// The archive did not list it; it exists since something lies below it. Where a lower layer has the
        /// directory, that one's attributes hold.
        implicit: bool,
    },
    /// A regular file.
    File(FileContent),
    /// A symbolic link and its target, as written.
    Symlink(Box<[u8]>),
    /// A further name of a file of the same layer, which sorts or comes before it.
    HardLink(ImagePath),
    /// A character device.
    CharDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A named pipe.
    Fifo,
    /// The path of a lower layer disappears.
    Whiteout,
}

/// The number of a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceNumber {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// The content of a regular file.
#[derive(Clone, Debug)]
pub struct FileContent {
    /// Size in bytes.
    pub size: u64,
    /// BLAKE3 of the bytes, where already known.
    pub hash: Option<ContentHash>,
    /// Where the bytes are.
    pub source: ContentSource,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub enum ContentSource {
    /// Here.
    Inline(Arc<[u8]>),
    /// In a file below an opened directory of this host (a build context, a materialised tree).
    Host {
        /// The directory.
        root: Arc<HostDir>,
        /// The file below it, in the host's spelling of names.
        path: ImagePath,
        /// What the file looked like; where given, a file that looks otherwise when it is read has changed.
        stamp: Option<Stamp>,
    },
    /// In an archive, at an offset of its uncompressed bytes.
    Archive {
        /// The archive.
        archive: Arc<Archive>,
        /// Offset of the first byte.
        offset: u64,
    },
}

impl Entry {
    /// Makes a directory entry that is neither opaque nor implicit.
    pub fn directory(path: ImagePath, meta: Metadata) -> Self {
        Self { path, meta, kind: EntryKind::Directory { opaque: false, implicit: false } }
    }

    /// Makes an entry for a file whose bytes are given.
    pub fn inline_file(path: ImagePath, meta: Metadata, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let content = FileContent {
            size: bytes.len() as u64,
            hash: Some(ContentHash::of(&bytes)),
            source: ContentSource::Inline(bytes),
        };
        Self { path, meta, kind: EntryKind::File(content) }
    }

    /// Makes a whiteout of `path`.
    pub fn whiteout(path: ImagePath) -> Self {
        Self { path, meta: Metadata::default(), kind: EntryKind::Whiteout }
    }

    /// Tells whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, EntryKind::Directory { .. })
    }
}
