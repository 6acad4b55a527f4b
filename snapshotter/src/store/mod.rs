//! The store: everything strake keeps on a machine, shared by any number of processes without a daemon.

mod entries;
mod images;
mod index;
mod layout;
mod lease;
mod prune;
mod records;
mod recovery;
mod scratch;
mod trash;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use strake_layers::{BlobStore, Cancel, NoticeSink};

use crate::lock::{FileLock, LockMode, Waiting};
use crate::{Error, Result, sys};

pub use images::ImageRecord;
pub use lease::Lease;
pub use prune::{DiskUsage, PruneOptions, PruneReport};
pub use records::Record;

pub(crate) use entries::relocate;
pub(crate) use layout::{Layout, write_whole};
pub(crate) use scratch::Scratch;
pub(crate) use trash::Trash;

use index::Index;

/// How much a loss of power may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// [`Store::sync`] waits for the disk; what it covered survives.
    #[default]
    Batch,
    /// Nothing waits for the disk: right for machines that live for one build.
    None,
}

/// For so long results that nobody keeps may be in memory alone: twice what Linux takes to write by itself
/// (`vm.dirty_expire_centisecs`, Documentation/admin-guide/sysctl/vm.rst).
const UNSYNCED_CACHE: Duration = Duration::from_secs(60);

/// The file that is there while results may be in memory alone.
const UNSYNCED: &str = "unsynced";

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Ends waiting.
    pub cancel: Cancel,
    /// Where warnings go.
    pub notices: NoticeSink,
    /// How much a loss of power may cost.
    pub durability: Durability,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cancel: Cancel::new(), notices: NoticeSink::silent(), durability: Durability::Batch }
    }
}

/// The store of one root directory (linux.md §4.1).
#[derive(Debug)]
pub struct Store {
    pub(crate) layout: Layout,
    pub(crate) index: Index,
    pub(crate) options: StoreOptions,
    pub(crate) trash: Trash,
    blobs: BlobStore,
    /// Held shared as long as the store is open; whoever gets it exclusively is alone.
    _lock: FileLock,
}

/// The right to execute the step of one key: nobody else, in this or another process, has it meanwhile.
#[derive(Debug)]
pub struct KeyLock(#[expect(dead_code, reason = "held for its drop")] FileLock);

impl Store {
    /// Opens the store at `root`, making it where there is none, and clears away what dead processes left.
    pub fn open(root: &Path, options: StoreOptions) -> Result<Self> {
        let layout = Layout::open(root)?;
        let lock_path = layout.path("lock");
        let (lock, is_alone) = match FileLock::try_acquire(&lock_path, LockMode::Exclusive)? {
            Some(lock) => (lock, true),
            None => {
                let what = format!("another process that works on the store {}", root.display());
                let waiting = Waiting { cancel: &options.cancel, notices: &options.notices, what: &what };
                (FileLock::acquire(&lock_path, LockMode::Shared, &waiting)?, false)
            }
        };
        let trash = Trash::open(layout.path("trash"));
        recovery::sweep(&layout, &trash, is_alone)?;
        let index_path = layout.path("index.sqlite");
        let index = match Index::open(&index_path, options.durability) {
            Err(error) if is_alone && index::is_damaged(&error) => {
                options.notices.warn(format!("{error}: it was thrown away, so cached steps run again"));
                for suffix in ["", "-wal", "-shm"] {
                    trash.discard(&layout.path(&format!("index.sqlite{suffix}")));
                }
                Index::open(&index_path, options.durability)?
            }
            outcome => outcome?,
        };
        let blobs = BlobStore::open(root)?;
        if is_alone {
            recovery::distrust_unsynced(&layout, &trash, &blobs)?;
            lock.share(&lock_path)?;
        }
        Ok(Self { layout, index, options, trash, blobs, _lock: lock })
    }

    /// The store's root directory.
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// The blobs. What a build takes from here it announces by [`Store::use_blob`].
    pub fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    /// The file in which the stat data of a build context are kept (linux.md §5.3).
    pub fn context_path(&self, context: &[u8; 32]) -> PathBuf {
        self.layout.path("ctx").join(format!("{}.stat", data_encoding::HEXLOWER.encode(context)))
    }

    /// Waits until nobody else executes the step of `key`, then keeps others from it until the lock is dropped.
    pub fn lock_key(&self, key: &[u8; 32]) -> Result<KeyLock> {
        let path = self.layout.path("locks").join(data_encoding::HEXLOWER.encode(key));
        let waiting = self.waiting("an equal step that is being executed elsewhere");
        FileLock::acquire(&path, LockMode::Exclusive, &waiting).map(KeyLock)
    }

    /// Waits until what was thrown away is deleted: its space is free then, and no file of it is left.
    pub fn settle(&self) {
        self.trash.settle();
    }

    /// As [`Store::sync`], for results that are nothing but cache: what the last minute brought may be lost, so that one
    /// build after the other need not wait for the disk. A loss of power costs the cache of that minute, no more: see
    /// what a restart does with it.
    pub fn sync_cache(&self) -> Result<()> {
        let synced = recovery::modified(&self.layout.path(recovery::SYNCED));
        if synced.and_then(|at| at.elapsed().ok()).is_none_or(|ago| ago >= UNSYNCED_CACHE) {
            return self.sync();
        }
        let note = self.layout.path(UNSYNCED);
        fs::write(&note, "").map_err(|e| Error::host("write", note, e))
    }

    /// As [`Store::sync`], for a result that is kept and came from the cache alone: waits only where what it came from
    /// may be in memory alone.
    pub fn sync_found(&self) -> Result<()> {
        if self.layout.path(UNSYNCED).exists() { self.sync() } else { Ok(()) }
    }

    /// Waits until what was written so far is on the disk. Called once at the end of a build.
    pub fn sync(&self) -> Result<()> {
        if self.options.durability == Durability::None {
            return Ok(());
        }
        // Made before, put in place after: what is made meanwhile counts as not covered.
        let synced = self.layout.path(recovery::SYNCED);
        let error = |e| Error::host("write", &synced, e);
        // Whoever leaves something in memory from here on says so again.
        match fs::remove_file(self.layout.path(UNSYNCED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::host("remove", self.layout.path(UNSYNCED), error));
            }
            _ => {}
        }
        // A name of its own: several builds may end at one time.
        let new = tempfile::Builder::new().prefix("synced").tempfile_in(self.root()).map_err(error)?;
        sys::sync_file_system(self.root()).map_err(|e| Error::host("sync", self.root(), e))?;
        new.persist(&synced).map_err(|e| error(e.error))?;
        Ok(())
    }

    /// Makes a folder below `tmp` for the caller alone.
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        Scratch::make(&self.layout.path("tmp"), self.trash.clone())
    }

    /// Makes a folder below `uppers` for a step.
    pub(crate) fn upper(&self) -> Result<Scratch> {
        Scratch::make(&self.layout.path("uppers"), self.trash.clone())
    }

    pub(crate) fn waiting<'a>(&'a self, what: &'a str) -> Waiting<'a> {
        Waiting { cancel: &self.options.cancel, notices: &self.options.notices, what }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // A step of a killed process holds that one's locks until it has executed its program: what was still held when
        // this store was opened is free now.
        drop(recovery::sweep(&self.layout, &self.trash, false));
    }
}

/// Seconds since 1970, for times of last use only: they never reach a result.
pub(crate) fn now() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
