//! Reads packed entries: first checked as a whole without making any of them, then made where somebody asks.

use std::sync::Arc;

use super::{MAGIC, tag};
use crate::{
    ContentHash, ContentSource, DeviceNumber, Entry, EntryKind, FileContent, ImagePath, Metadata, Timestamp,
    WindowsMetadata, Xattrs,
};

/// Checks the hash and the heading of packed entries; gives their number and where the first one begins. `None` where
/// the bytes are damaged or of another version.
pub(crate) fn open(bytes: &[u8]) -> Option<(usize, usize)> {
    let (body, hash) = bytes.split_last_chunk::<32>()?;
    if blake3::hash(body).as_bytes() != hash {
        return None;
    }
    let mut decoder = Decoder::new(body, MAGIC.len());
    body.strip_prefix(MAGIC)?;
    let count = usize::try_from(decoder.number()?).ok()?;
    // Every entry has more than 8 bytes; so a forged count cannot ask for more memory than the bytes are worth.
    (count <= body.len() / 8 + 1).then_some((count, decoder.at))
}

/// An entry whose parts still lie in the packed bytes; the path is in the decoder.
#[derive(Debug)]
pub(crate) struct RawEntry<'a> {
    tag: u8,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: Timestamp,
    xattrs: Vec<(&'a [u8], &'a [u8])>,
    windows: Vec<(&'a str, &'a [u8])>,
    rest: RawKind<'a>,
}

/// What follows the attributes.
#[derive(Debug)]
enum RawKind<'a> {
    Nothing,
    Target(&'a [u8]),
    Device(DeviceNumber),
    File { size: u64, hash: Option<ContentHash>, place: RawPlace<'a> },
}

/// Where the bytes of a file are said to be.
#[derive(Clone, Copy, Debug)]
enum RawPlace<'a> {
    Here(&'a [u8]),
    Offset(u64),
    NotSaid,
}

/// Reads entries one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    path: Vec<u8>,
}

impl<'a> Decoder<'a> {
    /// Reads from a position on.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, path: Vec::new() }
    }

    /// Reads from a position in the middle, given the path of the entry before it.
    pub(crate) fn after(bytes: &'a [u8], at: usize, previous: &[u8]) -> Self {
        Self { bytes, at, path: previous.to_vec() }
    }

    /// The path of the entry that was read last.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Where the next entry begins.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Tells whether nothing is left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Reads an entry; `None` where the bytes are none.
    pub(crate) fn next(&mut self) -> Option<RawEntry<'a>> {
        let tag = self.byte()?;
        let shared = usize::try_from(self.number()?).ok()?;
        let suffix = self.bytes()?;
        if shared > self.path.len() {
            return None;
        }
        self.path.truncate(shared);
        self.path.extend_from_slice(suffix);
        if !is_clean(&self.path, shared) {
            return None;
        }
        let (mode, uid, gid) = (self.small()?, self.small()?, self.small()?);
        let seconds = self.number()?;
        let seconds = (seconds >> 1).cast_signed() ^ -(seconds & 1).cast_signed();
        let mtime = Timestamp { seconds, nanos: self.small().filter(|&n| n < 1_000_000_000)? };
        let (mut xattrs, mut windows) = (Vec::new(), Vec::new());
        if tag & tag::XATTRS != 0 {
            for _ in 0..self.number()? {
                xattrs.push((self.bytes()?, self.bytes()?));
            }
        }
        if tag & tag::WINDOWS != 0 {
            for _ in 0..self.number()? {
                windows.push((std::str::from_utf8(self.bytes()?).ok()?, self.bytes()?));
            }
        }
        let rest = match tag & tag::KIND {
            tag::FILE => self.content(tag)?,
            tag::SYMLINK => RawKind::Target(self.bytes()?),
            tag::HARD_LINK => RawKind::Target(self.bytes().filter(|target| is_clean(target, 0))?),
            tag::CHAR_DEVICE | tag::BLOCK_DEVICE => {
                RawKind::Device(DeviceNumber { major: self.small()?, minor: self.small()? })
            }
            tag::DIRECTORY | tag::FIFO | tag::WHITEOUT => RawKind::Nothing,
            _ => return None,
        };
        Some(RawEntry { tag, mode, uid, gid, mtime, xattrs, windows, rest })
    }

    fn content(&mut self, tag: u8) -> Option<RawKind<'a>> {
        let size = self.number()?;
        let hash = match tag & tag::FIRST {
            0 => None,
            _ => Some(ContentHash(self.take(32)?.try_into().ok()?)),
        };
        let place = if tag & tag::SECOND == 0 {
            RawPlace::NotSaid
        } else if self.byte()? == 0 {
            RawPlace::Here(self.bytes().filter(|bytes| bytes.len() as u64 == size)?)
        } else {
            RawPlace::Offset(self.number()?)
        };
        Some(RawKind::File { size, hash, place })
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..length)?;
        self.at += length;
        Some(taken)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }
}

/// Tells whether a path is one of [`ImagePath`]; what lies before the component that holds byte `from` is known to be.
fn is_clean(path: &[u8], from: usize) -> bool {
    let start = path[..from].iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
    path.len() <= 4096
        && !path[from..].contains(&0)
        && (path.is_empty()
            || path[start..].split(|&b| b == b'/').all(|p| p.len() <= 255 && !matches!(p, b"" | b"." | b"..")))
}

impl RawEntry<'_> {
    /// Tells whether it is a directory, and whether that is implied.
    pub(crate) fn directory(&self) -> Option<bool> {
        (self.tag & tag::KIND == tag::DIRECTORY).then_some(self.tag & tag::SECOND != 0)
    }

    /// Of a file with bytes that are not here: the offset in the archive, where one was recorded.
    pub(crate) fn elsewhere(&self) -> Option<Option<u64>> {
        match self.rest {
            RawKind::File { size: 1.., place: RawPlace::Offset(offset), .. } => Some(Some(offset)),
            RawKind::File { size: 1.., place: RawPlace::NotSaid, .. } => Some(None),
            _ => None,
        }
    }

    /// Makes the entry. `source` gives the place of a content that is not here: path, offset in the layer's archive.
    pub(crate) fn make(self, path: &[u8], source: impl Fn(&ImagePath, Option<u64>) -> ContentSource) -> Entry {
        let path = ImagePath::from_clean(path);
        let mut meta =
            Metadata { mode: self.mode, uid: self.uid, gid: self.gid, mtime: self.mtime, ..Metadata::default() };
        meta.xattrs = self.xattrs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect::<Xattrs>();
        if self.tag & tag::WINDOWS != 0 {
            let records = self.windows.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
            meta.windows = Some(Box::new(WindowsMetadata { records }));
        }
        let kind = match (self.tag & tag::KIND, self.rest) {
            (tag::SYMLINK, RawKind::Target(target)) => EntryKind::Symlink(target.into()),
            (_, RawKind::Target(target)) => EntryKind::HardLink(ImagePath::from_clean(target)),
            (tag::CHAR_DEVICE, RawKind::Device(number)) => EntryKind::CharDevice(number),
            (_, RawKind::Device(number)) => EntryKind::BlockDevice(number),
            (_, RawKind::File { size, hash, place }) => {
                let source = match place {
                    RawPlace::Here(bytes) => ContentSource::Inline(Arc::from(bytes)),
                    RawPlace::Offset(offset) => source(&path, Some(offset)),
                    RawPlace::NotSaid => source(&path, None),
                };
                EntryKind::File(FileContent { size, hash, source })
            }
            (tag::FIFO, _) => EntryKind::Fifo,
            (tag::WHITEOUT, _) => EntryKind::Whiteout,
            _ => EntryKind::Directory { opaque: self.tag & tag::FIRST != 0, implicit: self.tag & tag::SECOND != 0 },
        };
        Entry { path, meta, kind }
    }
}
