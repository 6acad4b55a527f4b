#![cfg(target_os = "linux")]

mod mounts;
mod tree;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, Mode, OFlags};
use strake_layers::ImagePath;

pub(crate) use mounts::unmount_below;
pub(crate) use tree::{TreeWriter, read_xattrs, remove_xattrs, set_opaque};

/// The owner of a file that belongs to another user.
pub(crate) fn foreign_owner(path: &Path) -> io::Result<Option<u32>> {
    let owner = fs::metadata(path)?.uid();
    Ok((owner != rustix::process::geteuid().as_raw()).then_some(owner))
}

/// Lets nobody but the owner into a folder. One that is somebody else's stays as it is.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    if foreign_owner(path)?.is_some() {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Gives the owner all rights to the folders of a tree, so that it can be deleted or moved. Whatever fails shows then.
pub(crate) fn open_up(path: &Path) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    if !meta.is_dir() {
        return;
    }
    let mode = meta.permissions().mode();
    if mode & 0o700 != 0o700 {
        drop(fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o700)));
    }
    for item in fs::read_dir(path).into_iter().flatten().flatten() {
        open_up(&item.path());
    }
}

/// A path of an image as a relative one of the host.
pub(crate) fn relative_path(path: &ImagePath) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path.as_bytes()))
}

/// Gives user and group of this process.
pub(crate) fn owner() -> Option<(u32, u32)> {
    Some((rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()))
}

/// Tells whether files can be given to any owner, devices made and mounts set up.
pub(crate) fn is_privileged() -> bool {
    rustix::process::geteuid().is_root()
}

/// Gives a file or folder the time of now, where that is allowed; tells whether it is there.
pub(crate) fn mark_used(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    // A read-only store has no need of the mark.
    drop(file.set_modified(SystemTime::now()));
    true
}

/// Turns an exclusive lock into a shared one (flock(2): a lock on an open file replaces its former one).
pub(crate) fn share_lock(file: &fs::File) -> io::Result<()> {
    file.lock_shared()
}

/// Waits until the file system that holds `path` is on its disk.
pub(crate) fn sync_file_system(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::syncfs(rustix::fs::openat(CWD, path, flags, Mode::empty())?)?)
}

/// The bytes a file or folder takes on the disk, of itself.
pub(crate) fn disk_size(meta: &fs::Metadata) -> u64 {
    meta.blocks() * 512
}
