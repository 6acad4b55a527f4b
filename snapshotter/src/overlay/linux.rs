#![cfg(target_os = "linux")]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use super::Options;
use crate::{Error, Result};

/// Set once the kernel has refused descriptors for lower directories (before 6.13): then they are named.
static NO_DESCRIPTORS: AtomicBool = AtomicBool::new(false);

/// What every overlay is mounted with: a distribution's default must not change results (linux.md §4.2). `nofollow`
/// alone keeps a forged redirect in a lower directory from being obeyed.
const OPTIONS: [(&str, &str); 4] =
    [("index", "off"), ("metacopy", "off"), ("redirect_dir", "nofollow"), ("xino", "off")];

/// Makes an overlay that is attached nowhere.
pub(super) fn mount(options: &Options<'_>) -> Result<File> {
    match mount_new(options) {
        // No lower directory can be added alone before 6.5.
        Err(Errno::INVAL | Errno::NOSYS) if options.lowers.len() <= 500 => {
            mount_old(options).map_err(|source| failure(options, source))
        }
        outcome => outcome.map(File::from).map_err(|errno| failure(options, errno.into())),
    }
}

/// A path by which this process reaches the root of a mount that is attached nowhere.
pub(super) fn path_of(mount: &File) -> PathBuf {
    // The dot makes it a directory even for those who follow no link.
    PathBuf::from(format!("/proc/self/fd/{}/.", mount.as_raw_fd()))
}

/// Tells whether this process lives in a user namespace of its own (user_namespaces(7): the first one maps all ids).
pub(super) fn is_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let fields: Vec<&str> = map.split_ascii_whitespace().collect();
    !fields.is_empty() && fields != ["0", "0", "4294967295"]
}

fn mount_new(options: &Options<'_>) -> rustix::io::Result<OwnedFd> {
    let fs = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, c"source", c"strake")?;
    for lower in options.lowers {
        set_directory(fs.as_fd(), "lowerdir+", lower)?;
    }
    if let Some((upper, work)) = options.upper {
        set_directory(fs.as_fd(), "upperdir", upper)?;
        set_directory(fs.as_fd(), "workdir", work)?;
        // We do our own syncing; without this every step would wait for the disk.
        match fsconfig_set_flag(&fs, c"volatile") {
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno),
        }
    }
    for (name, value) in OPTIONS {
        fsconfig_set_string(&fs, name, value)?;
    }
    if options.is_user_namespace {
        fsconfig_set_flag(&fs, c"userxattr")?;
    }
    fsconfig_create(&fs)?;
    let attributes = if options.upper.is_some() { MountAttrFlags::empty() } else { MountAttrFlags::MOUNT_ATTR_RDONLY };
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Gives overlay a directory by its descriptor, or where the kernel cannot take that by its name: one name may have 255
/// bytes (fsconfig(2)), so a longer one goes through the descriptor's.
fn set_directory(fs: std::os::fd::BorrowedFd<'_>, key: &str, path: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
    if !NO_DESCRIPTORS.load(Ordering::Relaxed) {
        match fsconfig_set_fd(fs, key, &directory) {
            Err(Errno::INVAL | Errno::OPNOTSUPP) => NO_DESCRIPTORS.store(true, Ordering::Relaxed),
            outcome => return outcome,
        }
    }
    let bytes = path.as_os_str().as_bytes();
    if bytes.len() < 256 {
        return fsconfig_set_string(fs, key, bytes);
    }
    fsconfig_set_string(fs, key, format!("/proc/self/fd/{}", directory.as_raw_fd()))
}

/// The way of older kernels: all lower directories in one option string of at most a page, then the mount is taken off
/// the place where it had to be made.
fn mount_old(options: &Options<'_>) -> io::Result<File> {
    let mut held = Vec::new();
    let mut name = |path: &Path| -> io::Result<String> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let name = format!("/proc/self/fd/{}", directory.as_raw_fd());
        held.push(directory);
        Ok(name)
    };
    let lowers = options.lowers.iter().map(|path| name(path)).collect::<io::Result<Vec<_>>>()?;
    let mut parts = vec![format!("lowerdir={}", lowers.join(":"))];
    let Some((upper, work)) = options.upper else {
        // A read-only view still needs a place to be mounted at for a moment.
        return Err(io::Error::new(io::ErrorKind::Unsupported, "this kernel cannot mount a view: Linux 6.5 is needed"));
    };
    parts.push(format!("upperdir={},workdir={}", name(upper)?, name(work)?));
    parts.extend(OPTIONS.map(|(key, value)| format!("{key}={value}")));
    if options.is_user_namespace {
        parts.push("userxattr".into());
    }
    let text = parts.join(",");
    // Longer strings are cut without a word (linux.md §4.2).
    if text.len() > 4095 {
        let problem = format!("{} layers are too many for this kernel: Linux 6.5 is needed", options.lowers.len());
        return Err(io::Error::new(io::ErrorKind::Unsupported, problem));
    }
    let data = CString::new(text).map_err(io::Error::other)?;
    let place = upper.with_file_name("mnt");
    match std::fs::create_dir(&place) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    rustix::mount::mount(c"strake", &place, c"overlay", MountFlags::empty(), data.as_c_str())?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let detached = rustix::mount::open_tree(CWD, &place, flags);
    rustix::mount::unmount(&place, UnmountFlags::DETACH)?;
    Ok(detached?.into())
}

fn failure(options: &Options<'_>, source: io::Error) -> Error {
    let place = options.upper.map(|(upper, _)| format!(" with the upper directory {}", upper.display()));
    Error::Mount { what: format!("an overlay of {} layers{}", options.lowers.len(), place.unwrap_or_default()), source }
}
