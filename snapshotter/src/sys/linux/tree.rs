use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use strake_layers::{DeviceNumber, ImagePath, Metadata, Timestamp};

use crate::scan::Xattrs;

/// The namespaces in which overlay keeps its marks: in the first user namespace and in others.
const MARKS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// Writes a tree below one directory. Paths come in the order of [`ImagePath`]; every step down is one `openat` that
/// follows no link, so nothing in the tree can lead out of it (linux.md §4.3).
#[derive(Debug)]
pub(crate) struct TreeWriter {
    root: OwnedFd,
    /// The directories from the root to the one being filled.
    open: Vec<OpenDir>,
    is_privileged: bool,
}

/// A directory being filled. What it shall look like is set when it is left, since filling changes its times.
#[derive(Debug)]
struct OpenDir {
    path: ImagePath,
    fd: OwnedFd,
    finish: Finish,
}

#[derive(Debug)]
enum Finish {
    /// Takes these attributes.
    Take(Box<Metadata>),
    /// Gets the time back that it had, and the mode where that had to be changed.
    Restore(Timestamp, Option<Mode>),
}

impl TreeWriter {
    /// Begins to write below an existing directory.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        let root = rustix::fs::openat(CWD, root, DIRECTORY, Mode::empty())?;
        Ok(Self { root, open: Vec::new(), is_privileged: super::is_privileged() })
    }

    /// Makes a directory or, where there is one, gives it these attributes; `None` leaves those of an existing one.
    pub(crate) fn directory(&mut self, path: &ImagePath, meta: Option<&Metadata>) -> io::Result<()> {
        let Some(name) = path.file_name() else {
            self.leave_to(path)?;
            if self.open.is_empty() {
                self.enter_root()?;
            }
            self.set_finish(meta);
            return Ok(());
        };
        let parent = self.parent(path)?;
        let made = match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) if kind_of(parent, name)? == Some(FileType::Directory) => false,
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
                rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
                true
            }
            Err(errno) => return Err(errno.into()),
        };
        self.enter(path.clone(), name)?;
        if made && meta.is_none() {
            self.set_finish(Some(&Metadata { mode: 0o755, ..Metadata::default() }));
        }
        self.set_finish(meta);
        Ok(())
    }

    /// Makes an empty regular file to be written, then given to [`TreeWriter::finish_file`].
    pub(crate) fn file(&mut self, path: &ImagePath) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make =
            |parent: BorrowedFd<'_>, name: &[u8]| rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR);
        Ok(self.make(path, make)?.into())
    }

    /// Gives a file its attributes, in the order in which none takes another away.
    pub(crate) fn finish_file(&self, file: &File, meta: &Metadata) -> io::Result<()> {
        set_attributes(file.as_fd(), meta, self.is_privileged)
    }

    /// Moves a file of the same file system into the tree and gives it its attributes.
    pub(crate) fn move_in(&mut self, from: &Path, path: &ImagePath, meta: &Metadata) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, from, flags, Mode::empty())?;
        set_attributes(file.as_fd(), meta, self.is_privileged)?;
        self.make(path, |parent, name| rustix::fs::renameat(CWD, from, parent, name))
    }

    /// Gives a finished file of the same file system, which may be a link, a name in the tree.
    pub(crate) fn link_in(&mut self, from: &Path, path: &ImagePath) -> io::Result<()> {
        self.make(path, |parent, name| rustix::fs::linkat(CWD, from, parent, name, AtFlags::empty()))
    }

    /// Gives a file of the tree a further name.
    pub(crate) fn hard_link(&mut self, path: &ImagePath, target: &ImagePath) -> io::Result<()> {
        let holder = self.walk(&target.parent().unwrap_or_default())?;
        let source = target.file_name().ok_or(Errno::PERM)?;
        self.make(path, |parent, name| rustix::fs::linkat(&holder, source, parent, name, AtFlags::empty()))
    }

    /// Makes a symbolic link.
    pub(crate) fn symlink(&mut self, path: &ImagePath, target: &[u8], meta: &Metadata) -> io::Result<()> {
        self.make(path, |parent, name| rustix::fs::symlinkat(target, parent, name))?;
        self.finish_name(path, meta)
    }

    /// Makes a device node; without privileges an empty file stands for it.
    pub(crate) fn device(
        &mut self,
        path: &ImagePath,
        is_block: bool,
        number: DeviceNumber,
        meta: &Metadata,
    ) -> io::Result<()> {
        let kind = if is_block { FileType::BlockDevice } else { FileType::CharacterDevice };
        let mode = Mode::from_raw_mode(meta.mode & 0o7777);
        let device = rustix::fs::makedev(number.major, number.minor);
        self.make(path, |parent, name| match rustix::fs::mknodat(parent, name, kind, mode, device) {
            // In a user namespace (linux.md §3): recorded, not made.
            Err(Errno::PERM) => rustix::fs::mknodat(parent, name, FileType::RegularFile, mode, 0),
            outcome => outcome,
        })?;
        self.finish_name(path, meta)
    }

    /// Makes a named pipe.
    pub(crate) fn fifo(&mut self, path: &ImagePath, meta: &Metadata) -> io::Result<()> {
        let mode = Mode::from_raw_mode(meta.mode & 0o7777);
        self.make(path, |parent, name| rustix::fs::mknodat(parent, name, FileType::Fifo, mode, 0))?;
        self.finish_name(path, meta)
    }

    /// Makes what overlay takes for the absence of a lower layer's entry.
    pub(crate) fn whiteout(&mut self, path: &ImagePath) -> io::Result<()> {
        self.make(path, |parent, name| rustix::fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0))
    }

    /// Lets the directory entered last hide what lower layers have in it.
    pub(crate) fn opaque(&mut self, is_user_namespace: bool) -> io::Result<()> {
        let dir = self.open.last().ok_or(Errno::NOENT)?;
        Ok(rustix::fs::fsetxattr(&dir.fd, mark("opaque", is_user_namespace), b"y", XattrFlags::empty())?)
    }

    /// Removes what is at a path, if anything, with all that is below it.
    pub(crate) fn remove(&mut self, path: &ImagePath) -> io::Result<()> {
        let Some(name) = path.file_name() else { return self.clear(path) };
        let Some(parent) = self.existing_parent(path)? else { return Ok(()) };
        remove_name(parent, name)
    }

    /// Removes everything below a directory.
    pub(crate) fn clear(&mut self, path: &ImagePath) -> io::Result<()> {
        let dir = match self.walk(path) {
            Ok(dir) => dir,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        clear_dir(&dir)
    }

    /// Gives the directories that are still open their attributes.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        while let Some(dir) = self.open.pop() {
            self.leave(&dir)?;
        }
        Ok(())
    }

    /// Makes an entry by a call that fails where there is one already: that one is removed then.
    fn make<T>(
        &mut self,
        path: &ImagePath,
        call: impl Fn(BorrowedFd<'_>, &[u8]) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        let name = path.file_name().ok_or(Errno::ISDIR)?;
        let parent = self.parent(path)?;
        match call(parent, name) {
            Err(Errno::EXIST) => {
                remove_name(parent, name)?;
                Ok(call(parent, name)?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// The directory that holds `path`, entered. Missing ones are made 0755.
    fn parent(&mut self, path: &ImagePath) -> io::Result<BorrowedFd<'_>> {
        self.leave_to(&path.parent().unwrap_or_default())?;
        if self.open.is_empty() {
            self.enter_root()?;
        }
        let depth = self.open.len() - 1;
        let mut reached = self.open.last().map(|dir| dir.path.clone()).unwrap_or_default();
        let count = path.components().count();
        for name in path.components().take(count.saturating_sub(1)).skip(depth) {
            reached = reached.join(name).map_err(io::Error::other)?;
            let holder = self.top()?;
            match rustix::fs::mkdirat(holder, name, Mode::RWXU) {
                Ok(()) => {
                    self.enter(reached.clone(), name)?;
                    self.set_finish(Some(&Metadata { mode: 0o755, ..Metadata::default() }));
                }
                Err(Errno::EXIST) => self.enter(reached.clone(), name)?,
                Err(errno) => return Err(errno.into()),
            }
        }
        self.top()
    }

    /// As [`TreeWriter::parent`], but nothing is made; `None` where there is no such directory.
    fn existing_parent(&mut self, path: &ImagePath) -> io::Result<Option<BorrowedFd<'_>>> {
        let parent = path.parent().unwrap_or_default();
        match self.walk(&parent) {
            Ok(_) => self.parent(path).map(Some),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn top(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.open.last().ok_or(Errno::NOENT)?.fd.as_fd())
    }

    /// Opens a directory of the tree without entering it.
    fn walk(&self, path: &ImagePath) -> io::Result<OwnedFd> {
        let mut current = rustix::fs::openat(&self.root, c".", DIRECTORY, Mode::empty())?;
        for name in path.components() {
            current = rustix::fs::openat(&current, name, DIRECTORY, Mode::empty())?;
        }
        Ok(current)
    }

    fn enter_root(&mut self) -> io::Result<()> {
        let fd = rustix::fs::openat(&self.root, c".", DIRECTORY, Mode::empty())?;
        self.push(ImagePath::root(), fd, None)
    }

    fn enter(&mut self, path: ImagePath, name: &[u8]) -> io::Result<()> {
        let mut mode = None;
        if !self.is_privileged {
            // Only root gets into a directory whatever its mode.
            let stat = rustix::fs::statat(self.top()?, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            let old = Mode::from_raw_mode(stat.st_mode & 0o7777);
            if is_directory && !old.contains(Mode::RWXU) {
                rustix::fs::chmodat(self.top()?, name, old | Mode::RWXU, AtFlags::empty())?;
                mode = Some(old);
            }
        }
        let fd = rustix::fs::openat(self.top()?, name, DIRECTORY, Mode::empty())?;
        self.push(path, fd, mode)
    }

    fn push(&mut self, path: ImagePath, fd: OwnedFd, mode: Option<Mode>) -> io::Result<()> {
        let stat = rustix::fs::fstat(&fd)?;
        let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        let finish = Finish::Restore(Timestamp { seconds: stat.st_mtime, nanos }, mode);
        self.open.push(OpenDir { path, fd, finish });
        Ok(())
    }

    fn set_finish(&mut self, meta: Option<&Metadata>) {
        if let (Some(dir), Some(meta)) = (self.open.last_mut(), meta) {
            dir.finish = Finish::Take(Box::new(meta.clone()));
        }
    }

    /// Leaves the directories that do not hold `path`.
    fn leave_to(&mut self, path: &ImagePath) -> io::Result<()> {
        while let Some(dir) = self.open.pop_if(|dir| !path.starts_with(&dir.path)) {
            self.leave(&dir)?;
        }
        Ok(())
    }

    fn leave(&self, dir: &OpenDir) -> io::Result<()> {
        match &dir.finish {
            Finish::Take(meta) => set_attributes(dir.fd.as_fd(), meta, self.is_privileged),
            Finish::Restore(time, mode) => {
                if let Some(mode) = mode {
                    rustix::fs::fchmod(&dir.fd, *mode)?;
                }
                Ok(rustix::fs::futimens(&dir.fd, &times(*time))?)
            }
        }
    }

    /// Owner, mode and time of a link, node or pipe that was just made.
    fn finish_name(&self, path: &ImagePath, meta: &Metadata) -> io::Result<()> {
        let parent = self.top()?;
        let name = path.file_name().ok_or(Errno::ISDIR)?;
        if self.is_privileged {
            let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if kind_of(parent, name)? != Some(FileType::Symlink) {
            // mknod obeys the umask, and a change of owner clears bits.
            rustix::fs::chmodat(parent, name, Mode::from_raw_mode(meta.mode & 0o7777), AtFlags::empty())?;
        }
        Ok(rustix::fs::utimensat(parent, name, &times(meta.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Owner first (it clears setuid bits and capabilities), then mode, extended attributes, times.
fn set_attributes(fd: BorrowedFd<'_>, meta: &Metadata, is_privileged: bool) -> io::Result<()> {
    if is_privileged {
        rustix::fs::fchown(fd, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)))?;
    }
    rustix::fs::fchmod(fd, Mode::from_raw_mode(meta.mode & 0o7777))?;
    for (name, value) in &meta.xattrs {
        set_xattr(fd, name, value, is_privileged)?;
    }
    Ok(rustix::fs::futimens(fd, &times(meta.mtime))?)
}

fn set_xattr(fd: BorrowedFd<'_>, name: &[u8], value: &[u8], is_privileged: bool) -> io::Result<()> {
    // An image must not forge what overlay believes.
    if MARKS.iter().any(|mark| name.starts_with(mark)) {
        return Ok(());
    }
    match rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()) {
        Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::INVAL)
            if !(is_privileged && name == b"security.capability") =>
        {
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}

fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn kind_of(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<FileType>> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn remove_name(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    match kind_of(parent, name)? {
        None => Ok(()),
        Some(FileType::Directory) => {
            clear_dir(&rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?)?;
            Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
        }
        Some(_) => Ok(rustix::fs::unlinkat(parent, name, AtFlags::empty())?),
    }
}

fn clear_dir(dir: &OwnedFd) -> io::Result<()> {
    // Emptied folders go before their parents without recursion on the call stack being deeper than the tree,
    // whose depth a path's greatest length bounds.
    let mut names = Vec::new();
    for item in rustix::fs::Dir::read_from(dir)? {
        let name = item?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.iter().try_for_each(|name| remove_name(dir.as_fd(), name))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
        || Errno::from_io_error(error) == Some(Errno::LOOP)
}

fn mark(name: &str, is_user_namespace: bool) -> Vec<u8> {
    [MARKS[usize::from(is_user_namespace)], name.as_bytes()].concat()
}

/// The extended attributes of a file or directory that matter to a layer or to overlay. The path leads through no link,
/// since the caller has just listed it and nobody else writes there.
pub(crate) fn read_xattrs(path: &Path) -> io::Result<Xattrs> {
    let mut names = [0; 1 << 10];
    let list = match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => names[..length].to_vec(),
        Err(Errno::RANGE) => {
            // The kernel's own limit (xattr(7)).
            let mut names = vec![0; 64 << 10];
            let length = rustix::fs::llistxattr(path, &mut names)?;
            names.truncate(length);
            names
        }
        Err(Errno::NOTSUP) => return Ok(Xattrs::new()),
        Err(errno) => return Err(errno.into()),
    };
    let mut found = Xattrs::new();
    for name in list.split(|&b| b == 0) {
        if name != b"security.capability" && !MARKS.iter().any(|mark| name.starts_with(mark)) {
            continue;
        }
        let mut value = vec![0; 64 << 10];
        match rustix::fs::lgetxattr(path, name, &mut value) {
            Ok(length) => drop(found.insert(name.into(), value[..length].into())),
            Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(found)
}

/// Lets a directory hide what lower layers have in it.
pub(crate) fn set_opaque(path: &Path, is_user_namespace: bool) -> io::Result<()> {
    Ok(rustix::fs::lsetxattr(path, mark("opaque", is_user_namespace), b"y", XattrFlags::empty())?)
}

/// Removes extended attributes of a file or directory.
pub(crate) fn remove_xattrs(path: &Path, names: &[Box<[u8]>]) -> io::Result<()> {
    for name in names {
        match rustix::fs::lremovexattr(path, &**name) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
