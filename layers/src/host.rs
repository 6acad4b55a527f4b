use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::{DeviceNumber, Error, ImagePath, Result, Timestamp, Xattrs, sys};

/// What a name of the host is, without following links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link; on Windows a junction, too.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// What the host tells of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// What it is.
    pub kind: HostKind,
    /// The lowest 12 bits of the mode; on Windows 0755 (as the reference sends contexts from there).
    pub mode: u32,
    /// Numeric owner; 0 where the host has none.
    pub uid: u32,
    /// Numeric group; 0 where the host has none.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Time of last change of the content.
    pub mtime: Timestamp,
    /// Time of last change of the inode; 1970 where the host has none.
    pub ctime: Timestamp,
    /// Device number; 0 where the host has none.
    pub dev: u64,
    /// Inode number; 0 where the host has none.
    pub ino: u64,
    /// Number of names.
    pub nlink: u64,
    /// What a device node stands for.
    pub rdev: DeviceNumber,
}

/// A name in a directory of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    /// The name, without a slash. On Windows as UTF-8.
    pub name: Box<[u8]>,
    /// What it is.
    pub entry: HostEntry,
}

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

impl Stamp {
    /// The stamp of an entry.
    pub fn of(entry: &HostEntry) -> Self {
        Self { dev: entry.dev, ino: entry.ino, size: entry.size, mtime: entry.mtime, ctime: entry.ctime }
    }
}

/// An opened directory of the host. Everything reached through it lies below it, whatever links are there: no
/// component of a path may be a link.
#[derive(Debug)]
pub struct HostDir {
    path: PathBuf,
    dir: sys::Dir,
}

impl HostDir {
    /// Opens a directory. Links in `path` itself are followed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let dir = sys::Dir::open(path).map_err(|e| Error::host("open directory", path, e))?;
        Ok(Self { path: path.to_owned(), dir })
    }

    /// The path it was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a directory below this one.
    pub fn open_dir(&self, path: &ImagePath) -> Result<Self> {
        let dir = self.dir.open_dir(path).map_err(|e| self.error("open directory", path, e))?;
        Ok(Self { path: self.host_path(path), dir })
    }

    /// Opens a regular file below the directory for reading. It never blocks; anything but a regular file is refused.
    pub fn open_file(&self, path: &ImagePath) -> Result<File> {
        Ok(self.open_file_entry(path)?.0)
    }

    /// As [`HostDir::open_file`], and what the opened file is.
    pub fn open_file_entry(&self, path: &ImagePath) -> Result<(File, HostEntry)> {
        let (file, entry) = self.dir.open_file(path).map_err(|e| self.error("open", path, e))?;
        if entry.kind != HostKind::File {
            return Err(self.error(
                "read",
                path,
                io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"),
            ));
        }
        Ok((file, entry))
    }

    /// What a path below the directory is.
    pub fn stat(&self, path: &ImagePath) -> Result<HostEntry> {
        self.dir.stat(path).map_err(|e| self.error("look at", path, e))
    }

    /// The target of a symbolic link, as written.
    pub fn read_link(&self, path: &ImagePath) -> Result<Vec<u8>> {
        self.dir.read_link(path).map_err(|e| self.error("read link", path, e))
    }

    /// What a directory below this one (or this one: the root path) holds, sorted bytewise by name. A name that
    /// vanishes meanwhile is left out.
    pub fn read_dir(&self, path: &ImagePath) -> Result<Vec<HostName>> {
        let mut names = self.dir.read_dir(path).map_err(|e| self.error("read directory", path, e))?;
        names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(names)
    }

    /// All extended attributes of a regular file or directory; other kinds and other hosts have none.
    pub fn xattrs(&self, path: &ImagePath) -> Result<Xattrs> {
        self.dir.xattrs(path).map_err(|e| self.error("read attributes of", path, e))
    }

    /// What an opened file is.
    pub fn stat_file(file: &File) -> io::Result<HostEntry> {
        sys::stat_file(file)
    }

    /// The host's spelling of a path below the directory, for messages and for programs; not for opening.
    pub fn host_path(&self, path: &ImagePath) -> PathBuf {
        if path.is_root() { self.path.clone() } else { self.path.join(sys::relative_path(path)) }
    }

    fn error(&self, action: &'static str, path: &ImagePath, source: io::Error) -> Error {
        Error::host(action, self.host_path(path), source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    #[test]
    fn reads_what_lies_below() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/f"), "hello").unwrap();
        std::fs::write(dir.path().join("a/z"), "").unwrap();
        let host = HostDir::open(dir.path()).unwrap();
        assert_eq!(host.stat(&path("a/b/f")).unwrap().size, 5);
        assert_eq!(host.stat(&ImagePath::root()).unwrap().kind, HostKind::Directory);
        let names = host.read_dir(&path("a")).unwrap();
        assert_eq!(names.iter().map(|n| &*n.name).collect::<Vec<_>>(), [b"b", b"z"]);
        let below = host.open_dir(&path("a/b")).unwrap();
        for _ in 0..2 {
            assert_eq!(below.read_dir(&ImagePath::root()).unwrap().len(), 1);
        }
        let text = std::io::read_to_string(below.open_file(&path("f")).unwrap()).unwrap();
        assert_eq!(text, "hello");
        assert!(host.xattrs(&path("a/b/f")).unwrap().is_empty());
    }

    #[test]
    fn missing_and_wrong_kinds_are_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        let host = HostDir::open(dir.path()).unwrap();
        let error = host.stat(&path("x/y")).unwrap_err();
        assert!(error.is_not_found() && error.to_string().contains("x"), "{error}");
        let error = host.open_file(&path("d")).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(HostDir::open(dir.path().join("nowhere")).is_err());
    }
}
