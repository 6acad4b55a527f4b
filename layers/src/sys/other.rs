#![cfg(not(target_os = "linux"))]

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::host::{HostEntry, HostKind, HostName};
use crate::{DeviceNumber, ImagePath, Timestamp, Xattrs};

/// A directory, by its absolute path without links (on Windows with the `\\?\` prefix, which lifts the limit of 260
/// characters). The standard library opens files with share-delete there.
#[derive(Debug)]
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = std::fs::canonicalize(path)?;
        if !std::fs::metadata(&path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self(path))
    }

    pub(crate) fn open_dir(&self, path: &ImagePath) -> io::Result<Self> {
        let full = self.checked(path)?;
        if !std::fs::symlink_metadata(&full)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self(full))
    }

    pub(crate) fn open_file(&self, path: &ImagePath) -> io::Result<(File, HostEntry)> {
        let full = self.checked(path)?;
        let entry = entry_of(&std::fs::symlink_metadata(&full)?)?;
        match entry.kind {
            HostKind::File => {}
            HostKind::Symlink => return Err(link_error()),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
        }
        let file = File::open(&full)?;
        let entry = stat_file(&file)?;
        Ok((file, entry))
    }

    pub(crate) fn stat(&self, path: &ImagePath) -> io::Result<HostEntry> {
        entry_of(&std::fs::symlink_metadata(self.checked(path)?)?)
    }

    pub(crate) fn read_link(&self, path: &ImagePath) -> io::Result<Vec<u8>> {
        let target = std::fs::read_link(self.checked(path)?)?;
        name_bytes(target.as_os_str())
    }

    pub(crate) fn read_dir(&self, path: &ImagePath) -> io::Result<Vec<HostName>> {
        let full = self.checked(path)?;
        if std::fs::symlink_metadata(&full)?.is_symlink() {
            return Err(link_error());
        }
        let mut names = Vec::new();
        for item in std::fs::read_dir(full)? {
            let item = item?;
            let name = name_bytes(&item.file_name())?.into();
            // Does not follow links; costs no further call on Windows.
            match item.metadata() {
                Ok(meta) => names.push(HostName { name, entry: entry_of(&meta)? }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(names)
    }

    pub(crate) fn xattrs(&self, _path: &ImagePath) -> io::Result<Xattrs> {
        Ok(Xattrs::new())
    }

    /// The full path, once no component but the last was seen to be a link.
    fn checked(&self, path: &ImagePath) -> io::Result<PathBuf> {
        let mut full = self.0.clone();
        let depth = path.components().count();
        for (index, name) in path.components().enumerate() {
            let name = std::str::from_utf8(name).map_err(|_| name_error())?;
            if name.contains(['\\', ':']) && cfg!(windows) {
                return Err(name_error());
            }
            full.push(name);
            if index + 1 < depth && std::fs::symlink_metadata(&full)?.is_symlink() {
                return Err(link_error());
            }
        }
        Ok(full)
    }
}

/// What an opened file is.
pub(crate) fn stat_file(file: &File) -> io::Result<HostEntry> {
    entry_of(&file.metadata()?)
}

/// A path of an image as a relative one of the host.
pub(crate) fn relative_path(path: &ImagePath) -> PathBuf {
    path.components().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// Reads at an offset. The file's position moves; strake never uses it beside this.
#[cfg(windows)]
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Reads at an offset, without moving the file's position.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

/// Tells whether a link stands where none may be followed. Here that is told by the kind of what is found.
pub(crate) fn is_link_in_the_way(_error: &io::Error) -> bool {
    false
}

/// Does nothing: without a call for whole file systems, the host writes in its own time.
pub(crate) fn sync_file_system(_directory: &Path) -> io::Result<()> {
    Ok(())
}

fn entry_of(meta: &Metadata) -> io::Result<HostEntry> {
    let kind = match meta.file_type() {
        t if t.is_symlink() => HostKind::Symlink,
        t if t.is_dir() => HostKind::Directory,
        _ => HostKind::File,
    };
    Ok(HostEntry {
        kind,
        mode: 0o755,
        uid: 0,
        gid: 0,
        size: meta.len(),
        mtime: timestamp(meta)?,
        ctime: Timestamp::default(),
        dev: 0,
        ino: 0,
        nlink: 1,
        rdev: DeviceNumber { major: 0, minor: 0 },
    })
}

fn timestamp(meta: &Metadata) -> io::Result<Timestamp> {
    let out_of_range = |_| io::Error::new(io::ErrorKind::InvalidData, "its time is out of range");
    let modified = meta.modified()?;
    match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => {
            let seconds = i64::try_from(after.as_secs()).map_err(out_of_range)?;
            Ok(Timestamp { seconds, nanos: after.subsec_nanos() })
        }
        Err(before) => {
            let before = before.duration();
            let seconds = -i64::try_from(before.as_secs()).map_err(out_of_range)?;
            Ok(match before.subsec_nanos() {
                0 => Timestamp { seconds, nanos: 0 },
                nanos => Timestamp { seconds: seconds - 1, nanos: 1_000_000_000 - nanos },
            })
        }
    }
}

fn name_bytes(name: &std::ffi::OsStr) -> io::Result<Vec<u8>> {
    Ok(name.to_str().ok_or_else(name_error)?.as_bytes().to_vec())
}

fn name_error() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a name is not valid on this host")
}

fn link_error() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a part of the path is a link")
}
