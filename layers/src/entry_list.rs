//! The entries of a layer, made only where somebody looks.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

use crate::archive::Archive;
use crate::codec::{Decoder, open};
use crate::rootfs::{ParentCheck, is_implicit};
use crate::{ContentSource, Entry, Error, HostDir, ImagePath, Result};

/// So many packed entries are made at once; few in tests, whose layers are small.
const CHUNK: usize = if cfg!(test) { 3 } else { 64 };

/// The entries of a layer in order of their paths, shared. A whiteout comes before an entry of the same path.
///
/// Those of a layer from the store stay packed until somebody looks at them: a step upon a base of 30,000 files asks for a
/// dozen. To use it as a slice makes all of them.
#[derive(Clone)]
pub struct EntryList(Arc<Inner>);

struct Inner {
    packed: Option<Packed>,
    whole: OnceLock<Box<[Entry]>>,
}

struct Packed {
    bytes: Box<[u8]>,
    place: ContentPlace,
    len: usize,
    chunks: Vec<Chunk>,
    /// The positions of directories that the layer's archive did not list.
    implicit: Vec<usize>,
    has_all_parents: bool,
    has_contents: bool,
}

struct Chunk {
    /// Where it begins, and the path of the entry before it.
    at: usize,
    previous: Box<[u8]>,
    first: Box<[u8]>,
    entries: OnceLock<Box<[Entry]>>,
}

/// Where the contents of packed entries lie that are not packed with them.
#[derive(Clone, Debug)]
pub enum ContentPlace {
    /// In files of a directory, under the entries' own paths.
    Tree(Arc<HostDir>),
    /// In the layer's archive.
    Archive(Arc<Archive>),
    /// Nobody knows.
    Nowhere,
}

impl ContentPlace {
    fn source(&self, path: &ImagePath, offset: Option<u64>) -> ContentSource {
        match (self, offset) {
            (Self::Tree(root), _) => ContentSource::Host { root: Arc::clone(root), path: path.clone(), stamp: None },
            (Self::Archive(archive), Some(offset)) => ContentSource::Archive { archive: Arc::clone(archive), offset },
            _ => ContentSource::Inline(Arc::from([])),
        }
    }

    fn has(&self, offset: Option<u64>) -> bool {
        match self {
            Self::Tree(_) => true,
            Self::Archive(_) => offset.is_some(),
            Self::Nowhere => false,
        }
    }
}

impl EntryList {
    /// Reads what [`crate::encode_entries`] made. Every entry is checked now and made when somebody looks at it.
    pub fn unpack(bytes: Vec<u8>, place: ContentPlace) -> Result<Self> {
        let packed = Packed::read(bytes.into(), place).ok_or_else(|| Error::BadDocument {
            what: "a stored list of entries".into(),
            problem: "it is damaged or of another version: prune the store, and it is made again".into(),
        })?;
        Ok(Self(Arc::new(Inner { packed: Some(packed), whole: OnceLock::new() })))
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.packed().map_or_else(|| self.whole().len(), |packed| packed.len)
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry at a position.
    pub fn get(&self, at: usize) -> Option<&Entry> {
        match self.packed() {
            Some(packed) => packed.chunk(at / CHUNK).get(at % CHUNK),
            None => self.whole().get(at),
        }
    }

    /// Directories that the layer's archive did not list.
    pub fn implicit(&self) -> Vec<&Entry> {
        match self.packed() {
            Some(packed) => packed.implicit.iter().filter_map(|at| self.get(*at)).collect(),
            None => self.whole().iter().filter(|entry| is_implicit(entry)).collect(),
        }
    }

    /// Tells whether the bytes of every file can be read. Of entries that were never packed that is so.
    pub fn has_contents(&self) -> bool {
        self.0.packed.as_ref().is_none_or(|packed| packed.has_contents)
    }

    /// The directory in which all contents lie under the entries' own paths, where the list was read for it.
    pub fn tree(&self) -> Option<&Arc<HostDir>> {
        match self.0.packed.as_ref()?.place {
            ContentPlace::Tree(ref root) => Some(root),
            _ => None,
        }
    }

    /// Tells whether two lists are the same one.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Tells whether there is an entry for every directory above another entry.
    pub(crate) fn has_all_parents(&self) -> bool {
        match self.packed() {
            Some(packed) => packed.has_all_parents,
            None => {
                let mut check = ParentCheck::default();
                self.whole().iter().all(|entry| check.take(entry.path.as_bytes(), entry.is_directory()))
            }
        }
    }

    /// In a range, the first position whose path `before` is not true of; it is true of those in front only.
    pub(crate) fn partition(&self, range: Range<usize>, before: impl Fn(&[u8]) -> bool) -> usize {
        let within = |entries: &[Entry]| entries.partition_point(|entry| before(entry.path.as_bytes()));
        let Some(packed) = self.packed() else {
            return range.start + within(self.whole().get(range).unwrap_or_default());
        };
        if range.is_empty() {
            return range.start;
        }
        // The chunk that holds the position, by the first paths of those after it.
        let (first, last) = (range.start / CHUNK, range.end.div_ceil(CHUNK));
        let later = packed.chunks.get(first + 1..last).unwrap_or_default();
        let chunk = first + later.partition_point(|chunk| before(&chunk.first));
        let base = chunk * CHUNK;
        let (from, to) = (range.start.max(base), range.end.min(base + CHUNK));
        from + within(packed.chunk(chunk).get(from - base..to - base).unwrap_or_default())
    }

    /// The packed form, as long as nobody asked for all entries.
    fn packed(&self) -> Option<&Packed> {
        self.0.packed.as_ref().filter(|_| self.0.whole.get().is_none())
    }

    fn whole(&self) -> &[Entry] {
        self.0.whole.get_or_init(|| match &self.0.packed {
            Some(packed) => packed.make(0, packed.len),
            None => Box::default(),
        })
    }
}

impl Packed {
    /// Checks every entry. No entry is made, so that this costs a small part of it.
    fn read(bytes: Box<[u8]>, place: ContentPlace) -> Option<Self> {
        let (len, start) = open(&bytes)?;
        let body = bytes.len().checked_sub(32)?;
        let mut packed = Self {
            chunks: Vec::with_capacity(len.div_ceil(CHUNK)),
            implicit: Vec::new(),
            has_all_parents: true,
            has_contents: true,
            bytes,
            place,
            len,
        };
        let mut decoder = Decoder::new(&packed.bytes[..body], start);
        let mut parents = ParentCheck::default();
        for at in 0..len {
            let begins = at.is_multiple_of(CHUNK).then(|| (decoder.position(), Box::from(decoder.path())));
            let raw = decoder.next()?;
            if let Some((at, previous)) = begins {
                let first = Box::from(decoder.path());
                packed.chunks.push(Chunk { at, previous, first, entries: OnceLock::new() });
            }
            if raw.directory() == Some(true) {
                packed.implicit.push(at);
            }
            packed.has_contents &= raw.elsewhere().is_none_or(|offset| packed.place.has(offset));
            packed.has_all_parents &= parents.take(decoder.path(), raw.directory().is_some());
        }
        decoder.is_at_end().then_some(())?;
        Some(packed)
    }

    fn chunk(&self, number: usize) -> &[Entry] {
        let Some(chunk) = self.chunks.get(number) else { return &[] };
        chunk.entries.get_or_init(|| self.make(number, CHUNK.min(self.len - number * CHUNK)))
    }

    /// Makes so many entries from a chunk on.
    fn make(&self, chunk: usize, count: usize) -> Box<[Entry]> {
        let Some(chunk) = self.chunks.get(chunk) else { return Box::default() };
        let mut decoder = Decoder::after(&self.bytes, chunk.at, &chunk.previous);
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let raw = decoder.next().expect("every entry was read once when the list was checked");
            entries.push(raw.make(decoder.path(), |path, offset| self.place.source(path, offset)));
        }
        entries.into()
    }
}

impl Deref for EntryList {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        self.whole()
    }
}

impl<'a> IntoIterator for &'a EntryList {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.whole().iter()
    }
}

impl From<Vec<Entry>> for EntryList {
    fn from(entries: Vec<Entry>) -> Self {
        Self(Arc::new(Inner { packed: None, whole: OnceLock::from(entries.into_boxed_slice()) }))
    }
}

impl fmt::Debug for EntryList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryList({})", self.len())
    }
}
