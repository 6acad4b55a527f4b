use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::lock::{FileLock, LockMode};
use crate::{Error, Result};

use super::trash::Trash;

/// A folder of one owner, below `uppers` or `tmp`. Beside it lies a lock file which its owner holds: when the owner
/// dies, the next start finds the lock free and clears the folder away. Dropping it does the same.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    trash: Trash,
    _lock: FileLock,
}

impl Scratch {
    /// Makes a new folder.
    pub(super) fn make(parent: &Path, trash: Trash) -> Result<Self> {
        // The lock is made and held before the folder exists: a folder without a held lock has no owner.
        let made = tempfile::Builder::new().prefix("s").rand_bytes(10).suffix(".lock").tempfile_in(parent);
        let error = |e| Error::host("make a file in", parent, e);
        let (file, lock_file) = made.map_err(error)?.keep().map_err(|e| error(e.error))?;
        let lock = FileLock::try_file(file, &lock_file, LockMode::Exclusive)?
            .ok_or_else(|| Error::Internal(format!("somebody holds the new lock {}", lock_file.display())))?;
        let path = lock_file.with_extension("");
        fs::create_dir(&path).map_err(|e| Error::host("make directory", &path, e))?;
        Ok(Self { path, trash, _lock: lock })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.trash.discard(&self.path);
        // The file goes before its lock is freed (by dropping `lock`), so nobody can find it unlocked.
        drop(fs::remove_file(lock_path(&self.path)));
    }
}

/// The lock file of a scratch folder.
pub(super) fn lock_path(folder: &Path) -> PathBuf {
    let mut name = OsString::from(folder);
    name.push(".lock");
    name.into()
}
