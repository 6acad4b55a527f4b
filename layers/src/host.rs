use std::fs::File;
use std::path::{Path, PathBuf};

use crate::{Error, ImagePath, Result, Timestamp};

/// What identifies the state of a host file: when all of it is equal, so are the bytes, but for git's racy case
/// (linux.md §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Device number; 0 where the host has none.
    pub dev: u64,
    /// Inode number; 0 where the host has none.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Time of last change of the content.
    pub mtime: Timestamp,
    /// Time of last change of the inode.
    pub ctime: Timestamp,
}

/// An opened directory of the host. Everything reached through it lies below it, whatever links are there.
#[derive(Debug)]
pub struct HostDir {
    path: PathBuf,
}

impl HostDir {
    /// Opens a directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let meta = std::fs::metadata(path).map_err(|e| Error::host("open", path, e))?;
        if !meta.is_dir() {
            return Err(Error::host("open", path, std::io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The path it was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a regular file below the directory for reading; links are not followed.
    pub fn open_file(&self, path: &ImagePath) -> Result<File> {
        let full = self.path.join(String::from_utf8_lossy(path.as_bytes()).as_ref());
        File::open(&full).map_err(|e| Error::host("open", full, e))
    }
}
