use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::scratch::lock_path;
use super::{Layout, Trash};
use crate::lock::{FileLock, LockMode};
use crate::{Error, Result, sys};

/// Clears away what processes left that were killed (edges.md 2): mounts first, then folders. `is_alone` tells that
/// no other process has the store open, so that whatever has no owner now will never have one.
pub(super) fn sweep(layout: &Layout, trash: &Trash, is_alone: bool) -> Result<()> {
    let mut dead = Vec::new();
    for name in ["uppers", "tmp"] {
        dead.extend(find_dead(&layout.path(name), is_alone)?);
    }
    let folders: Vec<&Path> = dead.iter().map(|found| found.path.as_path()).collect();
    if folders.iter().any(|path| path.starts_with(layout.path("uppers"))) {
        sys::unmount_below(&folders).map_err(|e| Error::host("remove the mounts left in", layout.root(), e))?;
    }
    for found in dead {
        trash.discard(&found.path);
        drop(fs::remove_file(lock_path(&found.path)));
    }
    if is_alone {
        for name in ["locks", "leases"] {
            for path in names(&layout.path(name))? {
                drop(fs::remove_file(path));
            }
        }
    }
    Ok(())
}

struct Dead {
    path: PathBuf,
    /// Held while the folder is cleared away, so that only one process does it.
    _lock: Option<FileLock>,
}

fn find_dead(folder: &Path, is_alone: bool) -> Result<Vec<Dead>> {
    let mut dead = Vec::new();
    for path in names(folder)? {
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        if is_lock {
            // Its folder is being made or cleared away, unless nobody is there to do it.
            if is_alone && !path.with_extension("").exists() {
                dead.push(Dead { path, _lock: None });
            }
            continue;
        }
        let lock = FileLock::try_existing(&lock_path(&path), LockMode::Exclusive)?;
        if lock.is_some() || is_alone {
            dead.push(Dead { path, _lock: lock });
        }
    }
    Ok(dead)
}

fn names(folder: &Path) -> Result<Vec<PathBuf>> {
    let error = |e: io::Error| Error::host("read directory", folder, e);
    let list = match fs::read_dir(folder) {
        Ok(list) => list,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(error(e)),
    };
    list.map(|item| item.map(|item| item.path()).map_err(error)).collect()
}
