use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use strake_layers::{Digest, LayerId};

use super::Store;
use crate::lock::{FileLock, LockMode};
use crate::{Error, Result, sys};

/// Keeps pruning away from everything that was used or made since the lease was taken. A build holds one from its
/// begin to its end; a killed one loses it.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    _lock: FileLock,
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

impl Store {
    /// Takes a lease.
    pub fn lease(&self) -> Result<Lease> {
        let folder = self.layout.path("leases");
        let error = |e| Error::host("make a file in", &folder, e);
        let _pruning = self.keep_from_pruning()?;
        let made = tempfile::Builder::new().prefix("l").tempfile_in(&folder).map_err(error)?;
        let (file, path) = made.keep().map_err(|e| error(e.error))?;
        let lock = FileLock::try_file(file, &path, LockMode::Exclusive)?
            .ok_or_else(|| Error::Internal(format!("somebody holds the new lease {}", path.display())))?;
        Ok(Lease { path, _lock: lock })
    }

    /// Marks a blob as used now; tells whether it is there.
    pub fn use_blob(&self, digest: &Digest) -> bool {
        self.mark_used(&self.blobs().path(digest))
    }

    /// Marks what is kept of a layer as used now; tells whether anything is there.
    pub fn use_layer(&self, id: LayerId) -> bool {
        self.mark_used(&self.layout.layer(id))
    }

    /// The time of last use is the time of last change of the file or folder.
    fn mark_used(&self, path: &Path) -> bool {
        // Pruning looks at times and removes under the exclusive lock: nothing goes between this mark and its use.
        let Ok(_pruning) = self.keep_from_pruning() else { return false };
        sys::mark_used(path)
    }

    fn keep_from_pruning(&self) -> Result<FileLock> {
        let waiting = self.waiting("another process that prunes the store");
        FileLock::acquire(&self.layout.path("prune.lock"), LockMode::Shared, &waiting)
    }

    /// The time at which the oldest living lease was taken; `None` where there is none. Dead leases are removed.
    pub(super) fn oldest_lease(&self) -> Result<Option<SystemTime>> {
        let folder = self.layout.path("leases");
        let error = |e| Error::host("read directory", &folder, e);
        let mut oldest = None;
        for item in fs::read_dir(&folder).map_err(error)? {
            let path = item.map_err(error)?.path();
            if FileLock::try_existing(&path, LockMode::Exclusive)?.is_some() {
                drop(fs::remove_file(&path));
                continue;
            }
            if let Ok(taken) = fs::metadata(&path).and_then(|meta| meta.modified()) {
                oldest = Some(oldest.map_or(taken, |other: SystemTime| other.min(taken)));
            }
        }
        Ok(oldest)
    }
}
