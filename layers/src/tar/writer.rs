use std::collections::HashMap;
use std::io::{self, Read, Write};

use super::header::{BLOCK, Header, pad};
use super::pax::{Records, format_time, parse_time};
use crate::{
    Cancel, ContentHash, DeviceNumber, Entry, EntryKind, Error, FileContent, ImagePath, Metadata, Result, Timestamp,
};

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TarSummary {
    /// Bytes of the archive.
    pub size: u64,
    /// Members.
    pub members: u64,
}

/// Writes sorted entries as a tar archive (linux.md §4.4): a pure function of the entries.
///
/// Times later than `clamp_mtime` become it; those of Linux layers are whole seconds. Implicit directories are left out. A file whose bytes have not the
/// entry's size and hash fails the archive, by name. Errors of `out` come back through [`Error::stream`].
pub fn write_tar(
    entries: &[Entry],
    clamp_mtime: Option<Timestamp>,
    out: &mut dyn Write,
    cancel: &Cancel,
) -> Result<TarSummary> {
    let mut writer = Writer { out, clamp_mtime, head: Vec::new(), buffer: Vec::new(), summary: TarSummary::default() };
    let first_names = first_names(entries);
    for entry in entries {
        cancel.check()?;
        writer.write_entry(entry, entries, &first_names)?;
    }
    writer.head.resize(writer.head.len() + 2 * BLOCK, 0);
    writer.flush_head()?;
    Ok(writer.summary)
}

/// For each file that has a link sorting before it: the first of these links, which must be written as the file. A
/// link to what only a lower layer has stays as it is.
fn first_names(entries: &[Entry]) -> HashMap<&ImagePath, &ImagePath> {
    let mut first: HashMap<&ImagePath, &ImagePath> = HashMap::new();
    for entry in entries {
        if let EntryKind::HardLink(target) = &entry.kind
            && entry.path < *target
            && find_content(entries, target).is_some()
        {
            first.entry(target).or_insert(&entry.path);
        }
    }
    first
}

/// Bytes read from a file at once.
const BUFFER: usize = 256 << 10;

struct Writer<'a> {
    out: &'a mut dyn Write,
    clamp_mtime: Option<Timestamp>,
    /// Header blocks (and padding before them) that were not yet written out.
    head: Vec<u8>,
    buffer: Vec<u8>,
    summary: TarSummary,
}

impl Writer<'_> {
    fn write_entry(
        &mut self,
        entry: &Entry,
        entries: &[Entry],
        first_names: &HashMap<&ImagePath, &ImagePath>,
    ) -> Result<()> {
        let path = &entry.path;
        let name = path.as_bytes();
        match &entry.kind {
            EntryKind::Whiteout => return self.write_marker(path, &whiteout_name(path)?),
            EntryKind::Directory { opaque, implicit } => {
                refuse_marker_name(path)?;
                if !implicit {
                    let name = if path.is_root() { b"./".to_vec() } else { [name, b"/"].concat() };
                    self.write_header(entry, &Member { name: &name, type_flag: b'5', ..Member::default() })?;
                }
                if *opaque {
                    let separator: &[u8] = if path.is_root() { b"" } else { b"/" };
                    self.write_marker(path, &[name, separator, b".wh..wh..opq"].concat())?;
                }
                return Ok(());
            }
            _ => refuse_marker_name(path)?,
        }
        match &entry.kind {
            EntryKind::File(content) => match first_names.get(path) {
                Some(first) => self.write_link(entry, first),
                None => self.write_file(entry, content),
            },
            EntryKind::HardLink(target) => match first_names.get(target) {
                Some(&first) if first == path => {
                    let content = find_content(entries, target).ok_or_else(|| self.missing(entry, target))?;
                    self.write_file(entry, content)
                }
                Some(&first) => self.write_link(entry, first),
                None => self.write_link(entry, target),
            },
            EntryKind::Symlink(target) => {
                self.write_header(entry, &Member { name, link: target, type_flag: b'2', ..Member::default() })
            }
            EntryKind::CharDevice(device) => {
                self.write_header(entry, &Member { name, type_flag: b'3', device: *device, ..Member::default() })
            }
            EntryKind::BlockDevice(device) => {
                self.write_header(entry, &Member { name, type_flag: b'4', device: *device, ..Member::default() })
            }
            EntryKind::Fifo => self.write_header(entry, &Member { name, type_flag: b'6', ..Member::default() }),
            EntryKind::Directory { .. } | EntryKind::Whiteout => Ok(()),
        }
    }

    fn missing(&self, entry: &Entry, target: &ImagePath) -> Error {
        Error::Internal(format!("{} is a link to {target}, which its layer does not have", entry.path))
    }

    /// Writes the empty file that stands for a whiteout: mode, owner and time 0.
    fn write_marker(&mut self, path: &ImagePath, name: &[u8]) -> Result<()> {
        let marker = Entry { path: path.clone(), meta: Metadata::default(), kind: EntryKind::Whiteout };
        self.write_header(&marker, &Member { name, type_flag: b'0', ..Member::default() })
    }

    fn write_link(&mut self, entry: &Entry, target: &ImagePath) -> Result<()> {
        let member =
            Member { name: entry.path.as_bytes(), link: target.as_bytes(), type_flag: b'1', ..Member::default() };
        self.write_header(entry, &member)
    }

    fn write_header(&mut self, entry: &Entry, member: &Member<'_>) -> Result<()> {
        let meta = &entry.meta;
        let header = Header {
            name: member.name,
            link: member.link,
            type_flag: member.type_flag,
            mode: meta.mode & 0o7777 | windows_type_bits(meta, member.type_flag),
            uid: meta.uid,
            gid: meta.gid,
            size: member.size,
            mtime: self.time_of(entry),
            device: member.device,
            records: self.records(entry)?,
        };
        header.write(&mut self.head).ok_or_else(|| {
            Error::Invalid(format!("the device number of {} is too large for an image layer", entry.path))
        })?;
        self.summary.members += 1;
        if self.head.len() >= BUFFER {
            self.flush_head()?;
        }
        Ok(())
    }

    fn clamp(&self, time: Timestamp) -> Timestamp {
        self.clamp_mtime.map_or(time, |latest| time.min(latest))
    }

    /// The time that a member has. Linux layers have whole seconds, as the reference writes them: fractions would cost
    /// every file three more blocks. Windows layers keep theirs (windows.md §2.2).
    fn time_of(&self, entry: &Entry) -> Timestamp {
        let time = self.clamp(entry.meta.mtime);
        if entry.meta.windows.is_some() { time } else { Timestamp::from_seconds(time.seconds) }
    }

    fn records(&self, entry: &Entry) -> Result<Records> {
        let mut records = Records::default();
        for (name, value) in &entry.meta.xattrs {
            // A record's name ends at the first `=` (POSIX), so such an attribute would come back as another one.
            if name.contains(&b'=') || name.contains(&0) {
                let name = String::from_utf8_lossy(name);
                let problem = format!(
                    "{} has an extended attribute {name:?}, which no layer can hold: its name has a `=` or a NUL byte",
                    entry.path
                );
                return Err(Error::Invalid(problem));
            }
            records.push([b"SCHILY.xattr.", &name[..]].concat(), &value[..]);
        }
        for (name, value) in entry.meta.windows.iter().flat_map(|windows| &windows.records) {
            let is_time = matches!(name.as_str(), "atime" | "ctime" | "LIBARCHIVE.creationtime");
            match parse_time(value).filter(|_| is_time) {
                Some(time) => records.push(name.as_str(), format_time(self.clamp(time))),
                None => records.push(name.as_str(), &value[..]),
            }
        }
        Ok(records)
    }

    /// Writes a file while its bytes are compared with the entry.
    fn write_file(&mut self, entry: &Entry, content: &FileContent) -> Result<()> {
        let name = entry.path.as_bytes();
        self.write_header(entry, &Member { name, type_flag: b'0', size: content.size, ..Member::default() })?;
        if content.size == 0 && content.hash == Some(ContentHash::of(b"")) {
            return Ok(());
        }
        self.flush_head()?;
        let mut reader = content.open()?;
        let mut hasher = content.hash.map(|_| blake3::Hasher::new());
        self.buffer.resize(BUFFER, 0);
        let mut total = 0;
        loop {
            let piece = match reader.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => &self.buffer[..length],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::stream(entry.path.to_string(), error)),
            };
            total += piece.len() as u64;
            if total > content.size {
                break;
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
            self.out.write_all(piece).map_err(|e| Error::stream("layer archive", e))?;
        }
        if total != content.size {
            return Err(Error::Changed { path: entry.path.to_string() });
        }
        if hasher.is_some_and(|hasher| content.hash != Some(ContentHash(*hasher.finalize().as_bytes()))) {
            return Err(Error::ContentMismatch { path: entry.path.clone() });
        }
        self.summary.size += total;
        pad(&mut self.head, total);
        Ok(())
    }

    fn flush_head(&mut self) -> Result<()> {
        self.out.write_all(&self.head).map_err(|e| Error::stream("layer archive", e))?;
        self.summary.size += self.head.len() as u64;
        self.head.clear();
        Ok(())
    }
}

/// What of a header does not come from the entry's metadata.
struct Member<'a> {
    name: &'a [u8],
    link: &'a [u8],
    type_flag: u8,
    size: u64,
    device: DeviceNumber,
}

impl Default for Member<'_> {
    fn default() -> Self {
        Self { name: b"", link: b"", type_flag: b'0', size: 0, device: DeviceNumber { major: 0, minor: 0 } }
    }
}

/// Windows layers carry the type in the mode, too (windows.md §2.2).
fn windows_type_bits(meta: &Metadata, type_flag: u8) -> u32 {
    match (&meta.windows, type_flag) {
        (None, _) => 0,
        (Some(_), b'5') => 0o040_000,
        (Some(_), b'2') => 0o120_000,
        (Some(_), _) => 0o100_000,
    }
}

fn whiteout_name(path: &ImagePath) -> Result<Vec<u8>> {
    let Some(name) = path.file_name() else {
        return Err(Error::Internal("a whiteout of the root".into()));
    };
    let folder = &path.as_bytes()[..path.as_bytes().len() - name.len()];
    Ok([folder, b".wh.", name].concat())
}

/// A real file called `.wh.x` would delete `x` in whoever unpacks the layer.
fn refuse_marker_name(path: &ImagePath) -> Result<()> {
    if path.file_name().is_some_and(|name| name.starts_with(b".wh.")) {
        return Err(Error::Invalid(format!(
            "{path} cannot be part of an image: names that begin with `.wh.` mean deleted files in layers; rename it"
        )));
    }
    Ok(())
}

fn find_content<'a>(entries: &'a [Entry], path: &ImagePath) -> Option<&'a FileContent> {
    let start = entries.partition_point(|entry| entry.path < *path);
    entries[start..].iter().take_while(|entry| entry.path == *path).find_map(|entry| match &entry.kind {
        EntryKind::File(content) => Some(content),
        _ => None,
    })
}
