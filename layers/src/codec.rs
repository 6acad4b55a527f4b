//! Entries in a compact binary form, for the store's cache of what it has already looked into.

mod decode;

pub(crate) use self::decode::{Decoder, open};
use crate::{ContentSource, Entry, EntryKind, FileContent};

/// Begins every form; the number changes with the format.
const MAGIC: &[u8; 8] = b"strkent1";
/// Larger inline contents are not kept: whoever reads the entries finds them in the tree or blob.
const MOST_INLINE: usize = 4096;

/// Serialises entries, to be read by [`crate::EntryList::unpack`]. Where contents lie is left out, but for small inline
/// ones and for offsets in an archive.
pub fn encode_entries(entries: &[Entry]) -> Vec<u8> {
    let mut out = Encoder(Vec::with_capacity(MAGIC.len() + entries.len() * 96 + 40));
    out.0.extend_from_slice(MAGIC);
    out.number(entries.len() as u64);
    let mut previous: &[u8] = b"";
    for entry in entries {
        out.entry(entry, previous);
        previous = entry.path.as_bytes();
    }
    let hash = blake3::hash(&out.0);
    out.0.extend_from_slice(hash.as_bytes());
    out.0
}

/// The first byte of an entry: its kind, and in the upper bits what follows.
mod tag {
    pub(super) const DIRECTORY: u8 = 0;
    pub(super) const FILE: u8 = 1;
    pub(super) const SYMLINK: u8 = 2;
    pub(super) const HARD_LINK: u8 = 3;
    pub(super) const CHAR_DEVICE: u8 = 4;
    pub(super) const BLOCK_DEVICE: u8 = 5;
    pub(super) const FIFO: u8 = 6;
    pub(super) const WHITEOUT: u8 = 7;
    pub(super) const KIND: u8 = 0x0f;
    pub(super) const XATTRS: u8 = 0x10;
    pub(super) const WINDOWS: u8 = 0x20;
    /// Of a directory: opaque. Of a file: has a hash.
    pub(super) const FIRST: u8 = 0x40;
    /// Of a directory: implicit. Of a file: has its content or its offset after it.
    pub(super) const SECOND: u8 = 0x80;
}

struct Encoder(Vec<u8>);

impl Encoder {
    /// Seven bits a byte, lowest first.
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn entry(&mut self, entry: &Entry, previous: &[u8]) {
        let meta = &entry.meta;
        let mut tag = match &entry.kind {
            EntryKind::Directory { opaque, implicit } => {
                tag::DIRECTORY | flag(*opaque, tag::FIRST) | flag(*implicit, tag::SECOND)
            }
            EntryKind::File(content) => {
                tag::FILE | flag(content.hash.is_some(), tag::FIRST) | flag(is_kept(content), tag::SECOND)
            }
            EntryKind::Symlink(_) => tag::SYMLINK,
            EntryKind::HardLink(_) => tag::HARD_LINK,
            EntryKind::CharDevice(_) => tag::CHAR_DEVICE,
            EntryKind::BlockDevice(_) => tag::BLOCK_DEVICE,
            EntryKind::Fifo => tag::FIFO,
            EntryKind::Whiteout => tag::WHITEOUT,
        };
        tag |= flag(!meta.xattrs.is_empty(), tag::XATTRS) | flag(meta.windows.is_some(), tag::WINDOWS);
        self.0.push(tag);
        let path = entry.path.as_bytes();
        let shared = path.iter().zip(previous).take_while(|(a, b)| a == b).count();
        self.number(shared as u64);
        self.bytes(&path[shared..]);
        self.number(meta.mode.into());
        self.number(meta.uid.into());
        self.number(meta.gid.into());
        // Zigzag: small negative times stay short.
        self.number(((meta.mtime.seconds << 1) ^ (meta.mtime.seconds >> 63)).cast_unsigned());
        self.number(meta.mtime.nanos.into());
        if !meta.xattrs.is_empty() {
            self.number(meta.xattrs.len() as u64);
            for (name, value) in &meta.xattrs {
                self.bytes(name);
                self.bytes(value);
            }
        }
        if let Some(windows) = &meta.windows {
            self.number(windows.records.len() as u64);
            for (name, value) in &windows.records {
                self.bytes(name.as_bytes());
                self.bytes(value);
            }
        }
        match &entry.kind {
            EntryKind::File(content) => self.content(content),
            EntryKind::Symlink(target) => self.bytes(target),
            EntryKind::HardLink(target) => self.bytes(target.as_bytes()),
            EntryKind::CharDevice(number) | EntryKind::BlockDevice(number) => {
                self.number(number.major.into());
                self.number(number.minor.into());
            }
            EntryKind::Directory { .. } | EntryKind::Fifo | EntryKind::Whiteout => {}
        }
    }

    fn content(&mut self, content: &FileContent) {
        self.number(content.size);
        if let Some(hash) = &content.hash {
            self.0.extend_from_slice(&hash.0);
        }
        match &content.source {
            ContentSource::Inline(bytes) if is_kept(content) => {
                self.0.push(0);
                self.bytes(bytes);
            }
            ContentSource::Archive { offset, .. } => {
                self.0.push(1);
                self.number(*offset);
            }
            ContentSource::Inline(_) | ContentSource::Host { .. } => {}
        }
    }
}

fn flag(is_set: bool, bit: u8) -> u8 {
    if is_set { bit } else { 0 }
}

fn is_kept(content: &FileContent) -> bool {
    match &content.source {
        ContentSource::Inline(bytes) => bytes.len() <= MOST_INLINE,
        ContentSource::Archive { .. } => true,
        ContentSource::Host { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::{ContentPlace, DeviceNumber, EntryList, ImagePath, Metadata, Timestamp, WindowsMetadata};

    fn sample() -> Vec<Entry> {
        let path = |text: &str| ImagePath::parse(text).unwrap();
        let mut meta = Metadata { mode: 0o4755, uid: 1, gid: u32::MAX, ..Metadata::default() };
        meta.mtime = Timestamp { seconds: -5, nanos: 999_999_999 };
        meta.xattrs.insert(b"user.x"[..].into(), b"\0\xff"[..].into());
        let mut windows = WindowsMetadata::default();
        windows.records.insert("MSWINDOWS.fileattr".into(), b"32".to_vec());
        meta.windows = Some(Box::new(windows));
        let plain = Metadata::default();
        let entry = |name: &str, meta: &Metadata, kind| Entry { path: path(name), meta: meta.clone(), kind };
        let device = DeviceNumber { major: 8, minor: u32::MAX };
        vec![
            entry("", &plain, EntryKind::Directory { opaque: true, implicit: false }),
            entry("d", &meta, EntryKind::Directory { opaque: false, implicit: true }),
            Entry::inline_file(path("d/small"), meta.clone(), &b"hello"[..]),
            Entry::inline_file(path("d/smaller"), plain.clone(), &b""[..]),
            Entry::inline_file(path("e"), plain.clone(), vec![1; MOST_INLINE + 1]),
            entry("f", &plain, EntryKind::Symlink(b"../x"[..].into())),
            entry("g", &meta, EntryKind::HardLink(path("d/small"))),
            entry("h", &plain, EntryKind::CharDevice(device)),
            entry("i", &plain, EntryKind::BlockDevice(device)),
            entry("j", &plain, EntryKind::Fifo),
            entry("k", &plain, EntryKind::Whiteout),
        ]
    }

    #[test]
    fn entries_come_back() {
        let mut entries = sample();
        let packed = EntryList::unpack(encode_entries(&entries), ContentPlace::Nowhere).unwrap();
        assert!(!packed.has_contents(), "a large file's bytes are not kept");
        let EntryKind::File(content) = &mut entries[4].kind else { panic!("the large one") };
        content.source = ContentSource::Inline(Arc::default());
        assert_eq!(format!("{:?}", packed.get(8)), format!("{:?}", entries.get(8)));
        assert_eq!(format!("{:?}", &*packed), format!("{entries:?}"));
        assert_eq!(EntryList::unpack(encode_entries(&[]), ContentPlace::Nowhere).unwrap().len(), 0);
    }

    #[test]
    fn every_damage_is_an_error() {
        let bytes = encode_entries(&sample());
        let unpack = |bytes: &[u8]| EntryList::unpack(bytes.to_vec(), ContentPlace::Nowhere);
        for cut in 0..bytes.len() {
            assert!(unpack(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        insta::assert_snapshot!(unpack(b"").unwrap_err(), @"a stored list of entries is not valid: it is damaged or of another version: prune the store, and it is made again");
        // With a right hash around wrong content nothing may panic or ask for much memory either.
        let body = &bytes[..bytes.len() - 32];
        for at in MAGIC.len()..body.len() {
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut forged = body.to_vec();
                forged[at] = value;
                let hash = blake3::hash(&forged);
                forged.extend_from_slice(hash.as_bytes());
                drop(unpack(&forged).map(|list| list.iter().count()));
            }
        }
    }
}
