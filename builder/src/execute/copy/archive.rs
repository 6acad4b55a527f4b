//! ADD unpacks archives (dockerfile.md §13.5, "Archives"). Links inside an archive never lead out of the destination.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use strake_layers::{
    Archive, ArchiveEntry, ArchiveEntryKind, ArchiveFormat, ArchiveReader, ContentHash, ContentSource, Entry,
    EntryKind, FileContent, ImagePath, Limits, Metadata, WhiteoutNames,
};
use strake_parser::Span;

use super::super::codes;
use super::dest::{MadeDirectory, Node};
use super::{Copy, CopyInput, Fault};
use crate::source::{LastLink, Root};

/// An archive that is to be unpacked.
#[derive(Debug)]
pub(super) struct Opened {
    archive: Arc<Archive>,
    name: String,
}

/// Opens a file's content as archive; nothing where it is none, whatever its name.
pub(super) fn open(content: &FileContent, name: &str, input: &CopyInput<'_>) -> Result<Option<Opened>, Fault> {
    if content.size == 0 {
        return Ok(None);
    }
    let mut file = match &content.source {
        ContentSource::Host { root, path, .. } => root.open_file(path)?,
        _ => {
            let mut start = [0; 6];
            let length = read_full(&mut *content.open()?, &mut start, name)?;
            // What is compressed has a magic number; what is not has a whole header of tar.
            if ArchiveFormat::of_magic(start.get(..length).unwrap_or_default()).is_none() && content.size < 512 {
                return Ok(None);
            }
            spool(content, input)?
        }
    };
    let Some(format) = ArchiveFormat::detect(&mut file)? else { return Ok(None) };
    file.seek(SeekFrom::Start(0)).map_err(|error| strake_layers::Error::stream(name, error))?;
    let archive = Arc::new(Archive::of_file(name, file, format, input.scratch, Limits::default()));
    Ok(Some(Opened { archive, name: name.to_owned() }))
}

fn spool(content: &FileContent, input: &CopyInput<'_>) -> Result<File, Fault> {
    let mut file = scratch_file(input)?;
    content.copy_to(&mut file)?;
    file.seek(SeekFrom::Start(0)).map_err(|error| strake_layers::Error::host("read", input.scratch, error))?;
    Ok(file)
}

fn scratch_file(input: &CopyInput<'_>) -> Result<File, Fault> {
    let file = tempfile::tempfile_in(input.scratch);
    Ok(file.map_err(|error| strake_layers::Error::host("make a file in", input.scratch, error))?)
}

fn read_full(reader: &mut dyn Read, buffer: &mut [u8], name: &str) -> Result<usize, Fault> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(strake_layers::Error::stream(name, error).into()),
        }
    }
    Ok(length)
}

/// The uncompressed bytes of an archive, from the start.
struct Whole<'a> {
    archive: &'a Archive,
    offset: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.archive.read_at(buffer, self.offset).map_err(std::io::Error::other)?;
        self.offset += length as u64;
        Ok(length)
    }
}

/// Contents that are not in one piece in their archive (sparse files), written out one after the other.
#[derive(Debug, Default)]
struct Pieces {
    file: Option<File>,
    length: u64,
    /// Entries whose content is here: where they are written to, and where the content begins.
    waiting: Vec<(ImagePath, u64)>,
}

impl Copy<'_> {
    /// Unpacks an archive into the destination, which is a directory whether it ends with a slash or not.
    pub(super) fn unpack(&mut self, opened: &Opened, span: Span) -> Result<(), Fault> {
        if self.dress.changes_modes() {
            let message = format!("--chmod does not change the modes of what {} holds", opened.name);
            let help = "set the modes when the archive is made, or by chmod in a RUN";
            self.warn(codes::MODE_IGNORED, message, help, span);
        }
        let top = self.dest.follow(&self.target, LastLink::Follow)?.path;
        let made = MadeDirectory { mode: 0o755, owner: self.made().owner };
        self.dest.make_directories(&top, made).map_err(|there| self.no_directory(&there))?;
        let root = Root { path: top, is_windows: self.dest.root.is_windows };
        let reader = ArchiveReader {
            name: &opened.name,
            whiteouts: WhiteoutNames::Plain,
            limits: Limits::default(),
            cancel: self.input.cancel,
        };
        let mut pieces = Pieces::default();
        let mut failed = None;
        let mut bytes = std::io::BufReader::with_capacity(256 << 10, Whole { archive: &opened.archive, offset: 0 });
        let read = reader.for_each(&mut bytes, &mut |member, content| {
            self.unpack_member(opened, &root, member, content, &mut pieces).map_err(|fault| {
                failed = Some(fault);
                strake_layers::Error::Cancelled
            })
        });
        match failed {
            Some(fault) => return Err(fault),
            None => read.map_err(|error| broken(&opened.name, error))?,
        }
        self.settle(pieces)
    }

    fn unpack_member(
        &mut self,
        opened: &Opened,
        root: &Root,
        member: ArchiveEntry,
        content: &mut dyn Read,
        pieces: &mut Pieces,
    ) -> Result<(), Fault> {
        let Some(name) = member.path.file_name().and_then(|name| ImagePath::parse(name).ok()) else {
            // The archive's own root says nothing about the destination.
            return Ok(());
        };
        let above = self.follow_below(root, &member.path.parent().unwrap_or_default(), LastLink::Follow)?;
        let refuse = |problem: &str| {
            Fault::new(
                codes::ARCHIVE,
                format!("cannot unpack {}: entry {:?} {problem}", opened.name, shown(&member.path)),
            )
        };
        if above.is_dangling {
            return Err(refuse("lies below a link to something that does not exist inside the destination"));
        }
        self.dest
            .make_directories(&above.path, MadeDirectory { mode: 0o755, owner: None })
            .map_err(|there| refuse(&format!("lies below {}, which is a file", self.shown(&there.0))))?;
        let at = self.dest.spelled(above.path.join_path(&name));
        let kind = match member.kind {
            ArchiveEntryKind::Directory => EntryKind::Directory { opaque: false, implicit: false },
            ArchiveEntryKind::File { size, offset } => {
                EntryKind::File(self.take_content(opened, &at, (size, offset), content, pieces)?)
            }
            ArchiveEntryKind::Symlink(target) => EntryKind::Symlink(target),
            ArchiveEntryKind::HardLink(target) => {
                let target = self.follow_below(root, &target, LastLink::Keep)?.path;
                let is_linked = self.link(&target, &at, &member.meta)?;
                return if is_linked {
                    Ok(())
                } else {
                    Err(refuse("is a hard link to something that is not in the destination"))
                };
            }
            ArchiveEntryKind::CharDevice(number) => EntryKind::CharDevice(number),
            ArchiveEntryKind::BlockDevice(number) => EntryKind::BlockDevice(number),
            ArchiveEntryKind::Fifo => EntryKind::Fifo,
            _ => return Ok(()),
        };
        let mut entry = Entry { path: at, meta: member.meta, kind };
        if entry.is_directory() {
            self.dress.dress_unpacked(&mut entry, &self.dest)?;
            self.dest.put(Node { entry, group: None, is_made: false });
            return Ok(());
        }
        self.replace(entry)
    }

    /// Writes a file of an archive, whatever is there.
    fn replace(&mut self, mut entry: Entry) -> Result<(), Fault> {
        if self.dest.is_directory(&entry.path) {
            self.dest.remove(&entry.path.clone());
        }
        if self.deletes(&entry)? {
            return Ok(());
        }
        self.dress.dress_unpacked(&mut entry, &self.dest)?;
        self.newest = self.newest.max(Some(entry.meta.mtime));
        self.dest.put(Node { entry, group: None, is_made: false });
        Ok(())
    }

    /// Gives a file a further name; owner, mode and time are those that the archive tells of the link.
    fn link(&mut self, target: &ImagePath, at: &ImagePath, meta: &Metadata) -> Result<bool, Fault> {
        let Some(found) = self.dest.get(target).cloned() else { return Ok(false) };
        if target == at {
            return Ok(true);
        }
        if found.is_directory() {
            return Ok(false);
        }
        let mut entry = found;
        if let EntryKind::HardLink(_) = entry.kind {
            let file = self.dest.base().and_then(|base| base.file_entry(target));
            entry.kind = file.map_or(entry.kind, |file| file.kind.clone());
        }
        let is_file = matches!(entry.kind, EntryKind::File(_));
        entry.path = at.clone();
        if is_file {
            entry.meta = Metadata { xattrs: entry.meta.xattrs, ..meta.clone() };
        }
        self.replace(entry)?;
        if !is_file {
            return Ok(true);
        }
        let Some(new) = self.dest.get(at).cloned() else { return Ok(true) };
        if self.dest.node_mut(target).is_none() {
            let mut first = new.clone();
            first.path = target.clone();
            self.dest.put(Node { entry: first, group: None, is_made: false });
        }
        let group = self.dest.group_of(target);
        self.dest.join(at, group, &new.meta);
        Ok(true)
    }

    fn take_content(
        &mut self,
        opened: &Opened,
        at: &ImagePath,
        (size, offset): (u64, Option<u64>),
        content: &mut dyn Read,
        pieces: &mut Pieces,
    ) -> Result<FileContent, Fault> {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; usize::try_from(size.clamp(1, 256 << 10)).unwrap_or(256 << 10)];
        let mut length = 0;
        let start = pieces.length;
        if offset.is_none() && pieces.file.is_none() {
            pieces.file = Some(scratch_file(self.input)?);
        }
        loop {
            let more = read_full(content, &mut buffer, &opened.name)?;
            let bytes = buffer.get(..more).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hasher.update(bytes);
            length += more as u64;
            if let (None, Some(file)) = (offset, &mut pieces.file) {
                let written = file.write_all(bytes);
                written.map_err(|error| strake_layers::Error::host("write to", self.input.scratch, error))?;
            }
        }
        if length != size {
            return Err(Fault::new(
                codes::ARCHIVE,
                format!("cannot unpack {}: {} ends too early", opened.name, self.shown(at)),
            ));
        }
        if offset.is_none() {
            pieces.length += length;
            pieces.waiting.push((at.clone(), start));
        }
        let source = ContentSource::Archive { archive: opened.archive.clone(), offset: offset.unwrap_or(start) };
        Ok(FileContent { size, hash: Some(ContentHash(*hasher.finalize().as_bytes())), source })
    }

    /// Tells the sparse files where their content is, now that all of it is written.
    fn settle(&mut self, pieces: Pieces) -> Result<(), Fault> {
        let Some(file) = pieces.file else { return Ok(()) };
        let archive = Arc::new(Archive::of_file(
            "unpacked files",
            file,
            ArchiveFormat::Tar,
            self.input.scratch,
            Limits::default(),
        ));
        for (path, start) in pieces.waiting {
            self.dest.change_names_of(&path, &mut |node| {
                if let EntryKind::File(content) = &mut node.entry.kind {
                    content.source = ContentSource::Archive { archive: archive.clone(), offset: start };
                }
            });
        }
        Ok(())
    }

    /// Follows links of a path of the archive as if the destination were the root.
    fn follow_below(&self, root: &Root, path: &ImagePath, last: LastLink) -> Result<crate::source::Followed, Fault> {
        Ok(self.dest.follow_in(root, path, last)?)
    }
}

fn broken(name: &str, error: strake_layers::Error) -> Fault {
    use strake_layers::{Error, ErrorKind};

    match error {
        Error::Cancelled => Fault::Other(error.into()),
        error if error.kind() == ErrorKind::User => {
            let problem = error.to_string();
            let problem = problem.strip_prefix(&format!("{name}: ")).unwrap_or(&problem);
            Fault::new(codes::ARCHIVE, format!("cannot unpack {name}: {problem}"))
                .with_help("ADD --unpack=false copies an archive as it is")
        }
        error => error.into(),
    }
}

fn shown(path: &ImagePath) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}
