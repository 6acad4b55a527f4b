#![cfg(not(target_os = "linux"))]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strake_layers::{DeviceNumber, ImagePath, Metadata, Timestamp};

use crate::scan::Xattrs;

/// Writes a tree below one directory, with what every host has: directories, files, hard links and times.
#[derive(Debug)]
pub(crate) struct TreeWriter {
    root: PathBuf,
}

impl TreeWriter {
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        fs::metadata(root)?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn directory(&mut self, path: &ImagePath, _meta: Option<&Metadata>) -> io::Result<()> {
        let full = self.host(path);
        if fs::symlink_metadata(&full).is_ok_and(|meta| !meta.is_dir()) {
            fs::remove_file(&full)?;
        }
        fs::create_dir_all(full)
    }

    pub(crate) fn file(&mut self, path: &ImagePath) -> io::Result<File> {
        let full = self.place(path)?;
        File::options().read(true).write(true).create_new(true).open(full)
    }

    pub(crate) fn finish_file(&self, file: &File, meta: &Metadata) -> io::Result<()> {
        file.set_modified(system_time(meta.mtime))
    }

    pub(crate) fn move_in(&mut self, from: &Path, path: &ImagePath, meta: &Metadata) -> io::Result<()> {
        self.finish_file(&File::options().write(true).open(from)?, meta)?;
        fs::rename(from, self.place(path)?)
    }

    pub(crate) fn link_in(&mut self, from: &Path, path: &ImagePath) -> io::Result<()> {
        fs::hard_link(from, self.place(path)?)
    }

    pub(crate) fn hard_link(&mut self, path: &ImagePath, target: &ImagePath) -> io::Result<()> {
        let target = self.host(target);
        fs::hard_link(target, self.place(path)?)
    }

    pub(crate) fn symlink(&mut self, _path: &ImagePath, _target: &[u8], _meta: &Metadata) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "symbolic links are not made on this host"))
    }

    pub(crate) fn device(
        &mut self,
        path: &ImagePath,
        _is_block: bool,
        _number: DeviceNumber,
        _meta: &Metadata,
    ) -> io::Result<()> {
        self.file(path).map(drop)
    }

    pub(crate) fn fifo(&mut self, path: &ImagePath, _meta: &Metadata) -> io::Result<()> {
        self.file(path).map(drop)
    }

    pub(crate) fn whiteout(&mut self, _path: &ImagePath) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn opaque(&mut self, _is_user_namespace: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn remove(&mut self, path: &ImagePath) -> io::Result<()> {
        let full = self.host(path);
        match fs::symlink_metadata(&full) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(full),
            Ok(_) => fs::remove_file(full),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn clear(&mut self, path: &ImagePath) -> io::Result<()> {
        let full = self.host(path);
        match fs::remove_dir_all(&full) {
            Ok(()) => fs::create_dir(full),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        Ok(())
    }

    fn place(&mut self, path: &ImagePath) -> io::Result<PathBuf> {
        self.remove(path)?;
        let full = self.host(path);
        if let Some(parent) = full.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(full)
    }

    fn host(&self, path: &ImagePath) -> PathBuf {
        if path.is_root() { self.root.clone() } else { self.root.join(relative_path(path)) }
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    let nanos = Duration::from_nanos(time.nanos.into());
    match u64::try_from(time.seconds) {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds) + nanos,
        Err(_) => UNIX_EPOCH,
    }
}

pub(crate) fn foreign_owner(path: &Path) -> io::Result<Option<u32>> {
    fs::metadata(path).map(|_| None)
}

pub(crate) fn make_private(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn open_up(_path: &Path) {}

pub(crate) fn relative_path(path: &ImagePath) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(path.as_bytes()).into_owned())
}

/// Gives user and group of this process; files have no such owners here.
pub(crate) fn owner() -> Option<(u32, u32)> {
    None
}

pub(crate) fn is_privileged() -> bool {
    false
}

pub(crate) fn mark_used(path: &Path) -> bool {
    let mut options = File::options();
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt as _;
        // FILE_WRITE_ATTRIBUTES, and FILE_FLAG_BACKUP_SEMANTICS, without which no folder can be opened.
        options.access_mode(0x0100).custom_flags(0x0200_0000);
    }
    #[cfg(not(windows))]
    options.read(true);
    match options.open(path) {
        Ok(file) => {
            drop(file.set_modified(SystemTime::now()));
            true
        }
        Err(_) => path.exists(),
    }
}

/// Turns an exclusive lock into a shared one. On Windows a file would have both (LockFileEx, "Remarks"), so the first one
/// goes before: whoever gets in between finds a store that nobody uses yet, and shares it in turn.
pub(crate) fn share_lock(file: &File) -> io::Result<()> {
    // The standard library unlocks twice, to be sure, and Wine complains about the second time.
    drop(file.unlock());
    file.lock_shared()
}

pub(crate) fn sync_file_system(_path: &Path) -> io::Result<()> {
    Ok(())
}

pub(crate) fn disk_size(meta: &fs::Metadata) -> u64 {
    meta.len()
}

pub(crate) fn unmount_below(_folders: &[&Path]) -> io::Result<()> {
    Ok(())
}

pub(crate) fn read_xattrs(_path: &Path) -> io::Result<Xattrs> {
    Ok(Xattrs::new())
}

pub(crate) fn remove_xattrs(_path: &Path, _names: &[Box<[u8]>]) -> io::Result<()> {
    Ok(())
}

pub(crate) fn set_opaque(_path: &Path, _is_user_namespace: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
