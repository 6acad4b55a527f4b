//! What the files of a build context hashed to when they were read last (linux.md §5.3).
//!
//! It is a memo, never an identity: a record counts only while everything that the host tells of the file is as it
//! was, and no record is kept of a file that changed so shortly before that a second change could look the same
//! (git's racy rule). A file that cannot be read, or was damaged, is as good as none.
//!
//! File format 1: 24 bytes of magic, BLAKE3 of all that follows, then records of 104 bytes in the order of their
//! keys: key (16: BLAKE3 of the path, cut), device, inode, size (8 each), mtime and ctime (8 seconds, 4 nanoseconds),
//! content hash (32), saves since it was used (4), 4 bytes of zero. Numbers are little-endian.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use strake_layers::{ContentHash, ImagePath, Stamp, Timestamp};

const MAGIC: &[u8; 24] = b"strake context memo 1\n\0\0";
const HEADER: usize = 24 + 32;
const RECORD: usize = 104;
const KEY: usize = 16;
/// The largest memo that is read: five million files.
const LIMIT: u64 = 512 << 20;
/// A record that was not used in so many saves is dropped.
const GREATEST_AGE: u32 = 16;
/// The coarsest clock of a file system that keeps fractions of seconds, and of one that does not (linux.md §5.3).
const TICK_NANOS: i64 = 10_000_000;
const COARSE_TICK_NANOS: i64 = 2_000_000_000;

type Key = [u8; KEY];
type Record = [u8; RECORD];

/// What tells a context from others: its folder and the device it is on.
pub(super) fn identity(root: &Path, dev: u64) -> [u8; 32] {
    let mut name = blake3::Hasher::new();
    name.update(root.as_os_str().as_encoded_bytes());
    name.update(&dev.to_le_bytes());
    *name.finalize().as_bytes()
}

/// The memo of one context.
#[derive(Debug)]
pub(super) struct Memo {
    path: PathBuf,
    /// When the build began: what changed before and is read after is not racy.
    now: Timestamp,
    old: OnceLock<Old>,
    new: Mutex<BTreeMap<Key, Record>>,
}

/// The records of the last save.
#[derive(Debug, Default)]
struct Old {
    records: Vec<u8>,
    used: Vec<AtomicBool>,
}

impl Memo {
    /// Makes the memo that is kept in the file at `path`.
    pub(super) fn new(path: PathBuf, now: Timestamp) -> Self {
        Self { path, now, old: OnceLock::new(), new: Mutex::default() }
    }

    /// The hash of a file, if it is known to look just the same.
    pub(super) fn find(&self, path: &ImagePath, stamp: &Stamp) -> Option<ContentHash> {
        let key = key_of(path);
        let old = self.old();
        let at = old.find(&key)?;
        let record = old.record(at)?;
        if record.get(KEY..KEY + 48)? != stamp_bytes(stamp) {
            return None;
        }
        if let Some(used) = old.used.get(at) {
            used.store(true, Ordering::Relaxed);
        }
        Some(ContentHash(record.get(64..96)?.try_into().ok()?))
    }

    /// Remembers the hash of a file that was read while it looked like `stamp`.
    pub(super) fn remember(&self, path: &ImagePath, stamp: &Stamp, hash: &ContentHash) {
        if self.is_racy(stamp) {
            return;
        }
        let mut record = [0; RECORD];
        let key = key_of(path);
        record[..KEY].copy_from_slice(&key);
        record[KEY..KEY + 48].copy_from_slice(&stamp_bytes(stamp));
        record[64..96].copy_from_slice(&hash.0);
        self.new.lock().unwrap_or_else(PoisonError::into_inner).insert(key, record);
    }

    /// Writes the memo, if there is anything new in it.
    pub(super) fn save(&self) -> std::io::Result<()> {
        let mut all = std::mem::take(&mut *self.new.lock().unwrap_or_else(PoisonError::into_inner));
        if all.is_empty() {
            return Ok(());
        }
        let old = self.old();
        for (at, used) in old.used.iter().enumerate() {
            let Some(record) = old.record(at) else { continue };
            let mut record: Record = *record;
            let age = if used.load(Ordering::Relaxed) { 0 } else { age_of(&record) + 1 };
            if age < GREATEST_AGE {
                record[96..100].copy_from_slice(&age.to_le_bytes());
                let mut key = [0; KEY];
                key.copy_from_slice(&record[..KEY]);
                all.entry(key).or_insert(record);
            }
        }
        let mut bytes = Vec::with_capacity(HEADER + all.len() * RECORD);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[0; 32]);
        for record in all.values() {
            bytes.extend_from_slice(record);
        }
        let hash = blake3::hash(&bytes[HEADER..]);
        bytes[24..HEADER].copy_from_slice(hash.as_bytes());
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&bytes)?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    fn old(&self) -> &Old {
        self.old.get_or_init(|| Old::read(&self.path).unwrap_or_default())
    }

    /// Tells whether the file could have changed once more without a sign of it, after it was read in this build.
    ///
    /// Where the host has no inodes or no time of their change, nothing tells that a file was replaced.
    fn is_racy(&self, stamp: &Stamp) -> bool {
        if stamp.ino == 0 || stamp.ctime == Timestamp::default() {
            return true;
        }
        let has_fractions = stamp.mtime.nanos != 0 || stamp.ctime.nanos != 0;
        let tick = if has_fractions { TICK_NANOS } else { COARSE_TICK_NANOS };
        let nanos = |time: Timestamp| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
        nanos(stamp.ctime) + i128::from(tick) > nanos(self.now)
    }
}

impl Old {
    fn read(path: &Path) -> Option<Self> {
        let file = fs::File::open(path).ok()?;
        if file.metadata().ok()?.len() > LIMIT {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes).ok()?;
        let (header, records) = bytes.split_at_checked(HEADER)?;
        let is_whole = header.starts_with(MAGIC)
            && records.len() % RECORD == 0
            && blake3::hash(records).as_bytes() == header.get(24..)?;
        if !is_whole {
            return None;
        }
        let records = bytes.split_off(HEADER);
        let used = (0..records.len() / RECORD).map(|_| AtomicBool::new(false)).collect();
        Some(Self { records, used })
    }

    fn record(&self, at: usize) -> Option<&Record> {
        self.records.get(at * RECORD..(at + 1) * RECORD)?.try_into().ok()
    }

    fn find(&self, key: &Key) -> Option<usize> {
        let (mut low, mut high) = (0, self.used.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.record(middle)?[..KEY].cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

fn key_of(path: &ImagePath) -> Key {
    let mut key = [0; KEY];
    key.copy_from_slice(&blake3::hash(path.as_bytes()).as_bytes()[..KEY]);
    key
}

fn age_of(record: &Record) -> u32 {
    record[96..100].try_into().map_or(0, u32::from_le_bytes)
}

fn stamp_bytes(stamp: &Stamp) -> [u8; 48] {
    let mut out = [0; 48];
    out[..8].copy_from_slice(&stamp.dev.to_le_bytes());
    out[8..16].copy_from_slice(&stamp.ino.to_le_bytes());
    out[16..24].copy_from_slice(&stamp.size.to_le_bytes());
    out[24..32].copy_from_slice(&stamp.mtime.seconds.to_le_bytes());
    out[32..36].copy_from_slice(&stamp.mtime.nanos.to_le_bytes());
    out[36..44].copy_from_slice(&stamp.ctime.seconds.to_le_bytes());
    out[44..].copy_from_slice(&stamp.ctime.nanos.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(ctime: i64) -> Stamp {
        let mtime = Timestamp { seconds: 5, nanos: 1 };
        Stamp { dev: 1, ino: 2, size: 3, mtime, ctime: Timestamp { seconds: ctime, nanos: 7 } }
    }

    fn open(folder: &Path) -> Memo {
        Memo::new(folder.join("memo.stat"), Timestamp::from_seconds(1000))
    }

    #[test]
    fn a_hash_is_found_while_the_file_looks_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = ImagePath::parse("a/b").expect("a path");
        let memo = open(folder.path());
        memo.remember(&path, &stamp(900), &ContentHash([7; 32]));
        memo.save().expect("saved");
        let memo = open(folder.path());
        assert_eq!(memo.find(&path, &stamp(900)), Some(ContentHash([7; 32])));
        assert_eq!(memo.find(&path, &stamp(901)), None, "another ctime");
        assert_eq!(memo.find(&path, &Stamp { ino: 3, ..stamp(900) }), None, "another inode");
        assert_eq!(memo.find(&ImagePath::root(), &stamp(900)), None);
    }

    #[test]
    fn a_file_changed_during_the_build_is_not_remembered() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = ImagePath::parse("a").expect("a path");
        let memo = open(folder.path());
        memo.remember(&path, &stamp(1000), &ContentHash([7; 32]));
        memo.save().expect("nothing to save");
        assert_eq!(open(folder.path()).find(&path, &stamp(1000)), None);
    }

    #[test]
    fn a_damaged_memo_is_no_memo() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = ImagePath::parse("a").expect("a path");
        let memo = open(folder.path());
        memo.remember(&path, &stamp(900), &ContentHash([7; 32]));
        memo.save().expect("saved");
        let mut bytes = fs::read(&memo.path).expect("there");
        let last = bytes.len() - 20;
        bytes[last] ^= 1;
        fs::write(&memo.path, &bytes).expect("written");
        assert_eq!(open(folder.path()).find(&path, &stamp(900)), None);
        fs::write(&memo.path, b"x").expect("written");
        assert_eq!(open(folder.path()).find(&path, &stamp(900)), None);
    }

    #[test]
    fn records_that_are_not_used_grow_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let (kept, lost) = (ImagePath::parse("kept").expect("a path"), ImagePath::parse("lost").expect("a path"));
        let memo = open(folder.path());
        memo.remember(&kept, &stamp(900), &ContentHash([1; 32]));
        memo.remember(&lost, &stamp(900), &ContentHash([2; 32]));
        memo.save().expect("saved");
        for round in 0..GREATEST_AGE {
            let memo = open(folder.path());
            assert!(memo.find(&kept, &stamp(900)).is_some());
            memo.remember(&ImagePath::parse("new").expect("a path"), &stamp(round.into()), &ContentHash([3; 32]));
            memo.save().expect("saved");
        }
        assert!(open(folder.path()).find(&kept, &stamp(900)).is_some());
        assert!(open(folder.path()).find(&lost, &stamp(900)).is_none());
    }
}
