use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use strake_layers::{BlobStore, Digest};

use super::scratch::lock_path;
use super::{Layout, Trash, write_whole};
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

/// Throws away what a loss of power may have damaged: the machine was restarted, and it was made after the last time
/// that a build waited for the disk. Blobs are read again, trees are cheap to make again. Only for who is alone.
pub(super) fn distrust_unsynced(layout: &Layout, trash: &Trash, blobs: &BlobStore) -> Result<()> {
    // Hosts without it keep what they have.
    let Ok(boot) = fs::read_to_string("/proc/sys/kernel/random/boot_id") else { return Ok(()) };
    let path = layout.path("boot");
    match fs::read_to_string(&path) {
        Ok(last) if last == boot => return Ok(()),
        Ok(_) => {
            let synced = modified(&layout.path(SYNCED));
            let is_unsure = |path: &Path| modified(path) >= synced;
            for folder in names(&layout.path("trees"))? {
                // The folder's own time is that of its last use; the list's is that of its making.
                let list = folder.join("entries");
                if is_unsure(&list) || !list.exists() {
                    trash.discard(&folder);
                }
            }
            for (digest, _) in blobs.list()? {
                if is_unsure(&blobs.path(&digest)) && !is_whole(blobs, &digest) {
                    blobs.remove(&digest)?;
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::host("read", path, error)),
    }
    write_whole(&path, boot.as_bytes())
}

/// The file whose time tells until when everything is surely on the disk.
pub(super) const SYNCED: &str = "synced";

pub(super) fn modified(path: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(path).and_then(|meta| meta.modified()).ok()
}

/// Tells whether a blob still has its digest.
fn is_whole(blobs: &BlobStore, digest: &Digest) -> bool {
    let verify = || -> Result<bool> {
        let mut writer = blobs.writer_for(digest.algorithm())?;
        let mut file = blobs.open_blob(digest)?;
        io::copy(&mut file, &mut writer).map_err(|e| Error::host("read", blobs.path(digest), e))?;
        let size = writer.written();
        Ok(writer.finish(Some((digest, size))).is_ok())
    };
    verify().unwrap_or(false)
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
