//! How the snapshotter's mounts reach the child.

#![cfg(target_os = "linux")]

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use strake_layers::ImagePath;
use strake_snapshotter::{Mount, MountKind};

use super::mounts;
use super::program::{Base, Op};
use super::sys::{self, Follow};
use crate::{Error, Result};

/// The base of the root file system.
pub(super) fn root(mount: &Mount) -> Result<Base> {
    match mount.kind() {
        MountKind::Detached(fd) => Ok(Base::Detached(duplicate(fd)?)),
        MountKind::Directory(path) => host_path(path),
    }
}

/// The base of a path of the host.
pub(super) fn host_path(path: &Path) -> Result<Base> {
    let bytes = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::internal(format!("the path {} holds a NUL byte", path.display())))?;
    Ok(Base::Path(bytes))
}

/// The detached trees that mounts of a step take parts of.
#[derive(Debug, Default)]
pub(super) struct Trees {
    known: Vec<(*const Mount, RawFd)>,
    /// The operations that adopt them.
    pub(super) adoptions: Vec<Op>,
}

impl Trees {
    /// The base of a tree that other mounts, or other steps, may use, too.
    pub(super) fn take(&mut self, tree: &Arc<Mount>) -> Result<Base> {
        let fd = match tree.kind() {
            MountKind::Directory(path) => return host_path(path),
            MountKind::Detached(fd) => fd,
        };
        let key = Arc::as_ptr(tree);
        if let Some((_, fd)) = self.known.iter().find(|(known, _)| *known == key) {
            return Ok(Base::Adopted(*fd));
        }
        // Since Linux 6.15 a detached mount can be cloned, and the original serves the next step, too.
        let own = match sys::clone_tree(fd.as_raw_fd()) {
            Ok(clone) => sys::own(clone),
            Err(_) => duplicate(fd)?,
        };
        let number = own.as_raw_fd();
        self.known.push((key, number));
        self.adoptions.push(Op::Adopt(own));
        Ok(Base::Adopted(number))
    }
}

/// Whether a path of a tree is a directory; what cannot be looked at counts as one.
pub(super) fn is_directory(tree: &Mount, path: &ImagePath) -> bool {
    let Ok(inner) = mounts::path(path) else { return true };
    let root = match tree.kind() {
        MountKind::Detached(fd) => fd.as_fd().try_clone_to_owned().ok(),
        MountKind::Directory(path) => File::open(path).ok().map(OwnedFd::from),
    };
    let found = root.and_then(|root| sys::open_in_root(root.as_raw_fd(), &inner, libc::O_PATH, Follow::Inside).ok());
    found.map(sys::own).is_none_or(|fd| sys::file_type(fd.as_raw_fd()) == Ok(libc::S_IFDIR))
}

fn duplicate(file: &File) -> Result<OwnedFd> {
    file.as_fd()
        .try_clone_to_owned()
        .map_err(|error| Error::environment(format!("cannot duplicate a file descriptor: {error}")))
}
