#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;

use crate::host::{HostEntry, HostKind, HostName};
use crate::{DeviceNumber, ImagePath, Timestamp, Xattrs};

/// Set once the kernel has answered that it has no openat2 (before 5.6, or a filter that hides it).
static NO_OPENAT2: AtomicBool = AtomicBool::new(false);

/// An opened directory.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

impl Dir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    pub(crate) fn open_dir(&self, path: &ImagePath) -> io::Result<Self> {
        Ok(Self(self.open_beneath(path, OFlags::RDONLY | OFlags::DIRECTORY)?))
    }

    pub(crate) fn open_file(&self, path: &ImagePath) -> io::Result<(File, HostEntry)> {
        // O_NONBLOCK: a FIFO without a writer opens at once, and the caller refuses it by its kind. A device is
        // looked at before it is opened, since opening one can have effects.
        let entry = self.stat(path)?;
        if entry.kind == HostKind::Symlink {
            return Err(Errno::LOOP.into());
        }
        if !matches!(entry.kind, HostKind::File | HostKind::Fifo) {
            return Ok((self.open_beneath(path, OFlags::PATH)?.into(), entry));
        }
        let file = File::from(self.open_beneath(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?);
        let entry = stat_file(&file)?;
        Ok((file, entry))
    }

    pub(crate) fn stat(&self, path: &ImagePath) -> io::Result<HostEntry> {
        match single_name(path) {
            Some(name) => stat_at(&self.0, name),
            None => stat_fd(&self.open_beneath(path, OFlags::PATH)?),
        }
    }

    pub(crate) fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        let link = self.open_beneath(path, OFlags::PATH)?;
        match rustix::fs::readlinkat(&link, c"", Vec::new()) {
            Ok(target) => Ok(target.into_bytes()),
            // An O_PATH descriptor of anything but a link.
            Err(Errno::NOENT) => Err(Errno::INVAL.into()),
            Err(errno) => Err(errno.into()),
        }
    }

    pub(crate) fn read_dir(&self, path: &ImagePath) -> io::Result<Vec<HostName>> {
        // Opened anew in every case: the position in a directory belongs to its open file description.
        let fd = if path.is_root() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            rustix::fs::openat(&self.0, c".", flags, Mode::empty())?
        } else {
            self.open_beneath(path, OFlags::RDONLY | OFlags::DIRECTORY)?
        };
        let mut buffer = Vec::with_capacity(32 << 10);
        let mut reader = RawDir::new(fd.as_fd(), buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(item) = reader.next() {
            let item = item?;
            let name = item.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match stat_at(&fd, name) {
                Ok(entry) => names.push(HostName { name: name.to_bytes().into(), entry }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(names)
    }

    pub(crate) fn xattrs(&self, path: &ImagePath) -> io::Result<Xattrs> {
        let kind = self.stat(path)?.kind;
        if !matches!(kind, HostKind::File | HostKind::Directory) {
            return Ok(Xattrs::new());
        }
        let fd = self.open_beneath(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let list =
            match grow(|buffer| rustix::fs::flistxattr(&fd, buffer), || rustix::fs::flistxattr(&fd, &mut [0_u8; 0])) {
                Ok(list) => list,
                Err(Errno::OPNOTSUPP) => return Ok(Xattrs::new()),
                Err(errno) => return Err(errno.into()),
            };
        let mut found = Xattrs::new();
        for name in list.split(|&b| b == 0).filter(|name| !name.is_empty()) {
            let value = grow(
                |buffer| rustix::fs::fgetxattr(&fd, name, buffer),
                || rustix::fs::fgetxattr(&fd, name, &mut [0_u8; 0]),
            );
            match value {
                Ok(value) => {
                    found.insert(name.into(), value.into());
                }
                Err(Errno::NODATA) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(found)
    }

    /// Opens a path below the directory; no component may be a link, but for a last one with `O_PATH`.
    fn open_beneath(&self, path: &ImagePath, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let name: &[u8] = if path.is_root() { b"." } else { path.as_bytes() };
        if !NO_OPENAT2.load(Ordering::Relaxed) {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            loop {
                match rustix::fs::openat2(&self.0, name, flags, Mode::empty(), resolve) {
                    Ok(fd) => return Ok(fd),
                    // The kernel gives up where something is renamed meanwhile (openat2(2), EAGAIN).
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    Err(Errno::NOSYS | Errno::PERM) if self.lacks_openat2() => break,
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        self.open_stepwise(path, flags)
    }

    /// Tells whether openat2 itself is missing: it cannot even open `.`.
    fn lacks_openat2(&self) -> bool {
        let lacking =
            rustix::fs::openat2(&self.0, c".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH)
                .is_err();
        NO_OPENAT2.store(lacking, Ordering::Relaxed);
        lacking
    }

    fn open_stepwise(&self, path: &ImagePath, flags: OFlags) -> io::Result<OwnedFd> {
        let Some(last) = path.file_name() else {
            return Ok(rustix::fs::openat(&self.0, c".", flags, Mode::empty())?);
        };
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut current: Option<OwnedFd> = None;
        let depth = path.components().count();
        for name in path.components().take(depth - 1) {
            let base = current.as_ref().unwrap_or(&self.0);
            current = Some(rustix::fs::openat(base, name, step, Mode::empty())?);
        }
        Ok(rustix::fs::openat(current.as_ref().unwrap_or(&self.0), last, flags, Mode::empty())?)
    }
}

/// What an opened file is.
pub(crate) fn stat_file(file: &File) -> io::Result<HostEntry> {
    stat_fd(file)
}

/// A path of an image as a relative one of the host.
pub(crate) fn relative_path(path: &ImagePath) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path.as_bytes()))
}

/// Reads at an offset, without moving the file's position.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buffer, offset)
}

/// Waits until everything written to the file system that holds `directory` is on its disk.
pub(crate) fn sync_file_system(directory: &Path) -> io::Result<()> {
    let fd = Dir::open(directory)?;
    Ok(rustix::fs::syncfs(&fd.0)?)
}

fn single_name(path: &ImagePath) -> Option<&[u8]> {
    let name = path.as_bytes();
    (!name.is_empty() && !name.contains(&b'/')).then_some(name)
}

fn stat_at(dir: &OwnedFd, name: impl rustix::path::Arg) -> io::Result<HostEntry> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    Ok(entry_of(&rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS)?))
}

fn stat_fd(fd: impl AsFd) -> io::Result<HostEntry> {
    Ok(entry_of(&rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?))
}

fn entry_of(stat: &Statx) -> HostEntry {
    let kind = match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::Directory => HostKind::Directory,
        FileType::Symlink => HostKind::Symlink,
        FileType::CharacterDevice => HostKind::CharDevice,
        FileType::BlockDevice => HostKind::BlockDevice,
        FileType::Fifo => HostKind::Fifo,
        FileType::Socket => HostKind::Socket,
        _ => HostKind::File,
    };
    let time = |t: rustix::fs::StatxTimestamp| Timestamp { seconds: t.tv_sec, nanos: t.tv_nsec };
    HostEntry {
        kind,
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        size: stat.stx_size,
        mtime: time(stat.stx_mtime),
        ctime: time(stat.stx_ctime),
        dev: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
        ino: stat.stx_ino,
        nlink: stat.stx_nlink.into(),
        rdev: DeviceNumber { major: stat.stx_rdev_major, minor: stat.stx_rdev_minor },
    }
}

/// Reads a value whose size is not known beforehand and may change between the two calls.
fn grow(
    mut read: impl FnMut(&mut Vec<u8>) -> rustix::io::Result<usize>,
    mut size: impl FnMut() -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    loop {
        let wanted = size()?;
        if wanted == 0 {
            return Ok(Vec::new());
        }
        buffer.resize(wanted, 0);
        match read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Tells whether a link stands where none may be followed, or leads out of where the search must stay.
pub(crate) fn is_link_in_the_way(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [rustix::io::Errno::LOOP, rustix::io::Errno::XDEV].iter().any(|errno| code == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::HostDir;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    #[test]
    fn fifos_never_block_and_links_are_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(CWD, dir.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("out")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("file")).unwrap();
        let host = Arc::new(HostDir::open(dir.path()).unwrap());
        assert!(host.open_file(&path("pipe")).unwrap_err().to_string().contains("not a regular file"));
        assert_eq!(host.stat(&path("pipe")).unwrap().kind, HostKind::Fifo);
        assert!(host.open_file(&path("out/passwd")).is_err());
        assert!(host.open_file(&path("file")).is_err());
        assert!(host.stat(&path("out/passwd")).is_err());
        assert!(host.open_dir(&path("out")).is_err());
        assert_eq!(host.stat(&path("file")).unwrap().kind, HostKind::Symlink);
        assert_eq!(host.read_link(&path("file")).unwrap(), b"/etc/passwd");
        assert!(host.read_link(&path("pipe")).is_err());
    }

    #[test]
    fn stepwise_opening_holds_the_same_rules() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/f"), "x").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("l")).unwrap();
        let host = Dir::open(dir.path()).unwrap();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        assert!(host.open_stepwise(&path("a/b/f"), flags).is_ok());
        assert!(host.open_stepwise(&ImagePath::root(), flags).is_ok());
        assert!(host.open_stepwise(&path("l/b/f"), flags).is_err());
        assert!(host.open_stepwise(&path("l"), flags).is_err());
    }
}
