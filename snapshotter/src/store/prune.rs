use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use strake_layers::{Digest, LayerId};

use super::{Store, now};
use crate::lock::{FileLock, LockMode};
use crate::{Error, Result, sys};

/// What to prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Also what images need, and the images' names with it.
    pub all: bool,
    /// Stop once the store has no more bytes than this; without it everything that may go goes.
    pub keep_storage: Option<u64>,
    /// Only what was not used for this long.
    pub until: Option<Duration>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// What pruning removed, or would have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Each thing and its bytes, in the order of removal.
    pub removed: Vec<(String, u64)>,
    /// Bytes in all.
    pub bytes: u64,
}

/// What takes how much room, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Unpacked layers.
    pub trees: u64,
    /// Compressed layers, manifests and configs.
    pub blobs: u64,
    /// Cache mounts.
    pub caches: u64,
    /// The index, running steps, scratch space and what is being deleted.
    pub other: u64,
}

impl DiskUsage {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.trees + self.blobs + self.caches + self.other
    }
}

/// Something that may be removed.
#[derive(Debug)]
struct Candidate {
    name: String,
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
    cost: Duration,
    /// A cache mount's lock file: one that is in use stays.
    lock: Option<PathBuf>,
}

impl Candidate {
    /// Old, large and cheap to make again goes first (linux.md §4.9).
    fn score(&self, now: SystemTime) -> f64 {
        let age = now.duration_since(self.used).unwrap_or_default().as_secs_f64() + 1.0;
        // Only a rank: the precision of a double is more than enough.
        let bytes = Duration::from_millis(self.bytes).as_secs_f64();
        age * bytes / (self.cost.as_secs_f64() + 1.0)
    }
}

impl Store {
    /// Removes what is not needed. What a running build uses stays, whatever the options.
    pub fn prune(&self, options: &PruneOptions) -> Result<PruneReport> {
        let now_time = SystemTime::now();
        let mut candidates = self.candidates(options)?;
        candidates.sort_by(|a, b| b.score(now_time).total_cmp(&a.score(now_time)).then_with(|| a.name.cmp(&b.name)));
        let mut total = if options.keep_storage.is_some() { self.disk_usage()?.total() } else { u64::MAX };
        let waiting = self.waiting("the builds that take things from the store just now");
        let _alone = FileLock::acquire(&self.layout.path("prune.lock"), LockMode::Exclusive, &waiting)?;
        let lease = self.oldest_lease()?;
        let mut report = PruneReport::default();
        for candidate in candidates {
            self.options.cancel.check()?;
            if options.keep_storage.is_some_and(|keep| total <= keep) {
                break;
            }
            // Looked at again, since a build may have used it meanwhile.
            let Some(used) = last_use(&candidate.path) else { continue };
            let is_leased = lease.is_some_and(|taken| used >= taken);
            let is_young = options.until.is_some_and(|until| used + until > now_time);
            if is_leased || is_young || used != candidate.used {
                continue;
            }
            if !options.dry_run && !self.remove(&candidate)? {
                continue;
            }
            total = total.saturating_sub(candidate.bytes);
            report.bytes += candidate.bytes;
            report.removed.push((candidate.name, candidate.bytes));
        }
        if !options.dry_run {
            self.prune_facts(options, lease.is_some())?;
        }
        Ok(report)
    }

    /// Measures the store.
    pub fn disk_usage(&self) -> Result<DiskUsage> {
        let mut usage = DiskUsage::default();
        for (name, part) in [("trees", &mut usage.trees), ("blobs", &mut usage.blobs), ("caches", &mut usage.caches)] {
            *part = measure(&self.layout.path(name));
        }
        for name in ["uppers", "tmp", "trash", "index.sqlite", "index.sqlite-wal", "ctx", "logs"] {
            usage.other += measure(&self.layout.path(name));
        }
        Ok(usage)
    }

    /// Notes what a tree takes and what making it took, for pruning.
    pub(crate) fn note_tree(&self, id: LayerId, bytes: u64, cost: Duration) -> Result<()> {
        let number = |value: u128| i64::try_from(value).unwrap_or(i64::MAX);
        self.index.change(
            "INSERT OR REPLACE INTO tree (layer, bytes, cost_ms) VALUES (?1, ?2, ?3)",
            rusqlite::params![id.0, number(bytes.into()), number(cost.as_millis())],
        )?;
        Ok(())
    }

    fn candidates(&self, options: &PruneOptions) -> Result<Vec<Candidate>> {
        let images = if options.all { Vec::new() } else { self.list_images()? };
        let pinned_blobs: HashSet<&Digest> =
            images.iter().flat_map(|image| image.blobs.iter().chain([&image.manifest.digest])).collect();
        let pinned_layers: HashSet<LayerId> = images.iter().flat_map(|image| image.layers.iter().copied()).collect();
        let mut found = Vec::new();
        for (digest, bytes) in self.blobs().list()? {
            let path = self.blobs().path(&digest);
            if pinned_blobs.contains(&digest) {
                continue;
            }
            let Some(used) = last_use(&path) else { continue };
            found.push(Candidate {
                name: format!("blob {digest}"),
                path,
                bytes,
                used,
                cost: Duration::ZERO,
                lock: None,
            });
        }
        let known = self.known_trees()?;
        for path in children(&self.layout.path("trees"))? {
            let Some(id) = path.file_name().and_then(|name| LayerId::from_hex(name.to_str()?)) else { continue };
            if pinned_layers.contains(&id) {
                continue;
            }
            let Some(used) = last_use(&path) else { continue };
            let (bytes, cost) = known.get(&id).copied().unwrap_or_else(|| (measure(&path), Duration::ZERO));
            found.push(Candidate { name: format!("layer {id}"), path, bytes, used, cost, lock: None });
        }
        for folder in children(&self.layout.path("caches"))? {
            for path in children(&folder)? {
                let Some(used) = last_use(&path) else { continue };
                let what = fs::read_to_string(path.join("name")).unwrap_or_default();
                let (name, lock) = (format!("cache mount {what}"), Some(path.join("lock")));
                let (bytes, cost) = (measure(&path), Duration::from_secs(60));
                found.push(Candidate { name, path, bytes, used, cost, lock });
            }
        }
        Ok(found)
    }

    fn known_trees(&self) -> Result<HashMap<LayerId, (u64, Duration)>> {
        let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
        self.index.with(|connection| {
            let mut statement = connection.prepare("SELECT layer, bytes, cost_ms FROM tree")?;
            let rows = statement.query_map([], |row| {
                let cost = Duration::from_millis(unsigned(row.get(2)?));
                Ok((LayerId(row.get(0)?), (unsigned(row.get(1)?), cost)))
            })?;
            rows.collect()
        })
    }

    /// Takes a candidate out of sight; tells whether it went.
    fn remove(&self, candidate: &Candidate) -> Result<bool> {
        let _idle = match &candidate.lock {
            None => None,
            Some(lock) => match FileLock::try_acquire(lock, LockMode::Exclusive)? {
                None => return Ok(false),
                held => held,
            },
        };
        self.trash.discard(&candidate.path);
        Ok(!candidate.path.exists())
    }

    /// Forgets records by age, images' names where all goes, and sizes of trees that are gone.
    fn prune_facts(&self, options: &PruneOptions, is_leased: bool) -> Result<()> {
        if options.all && options.keep_storage.is_none() && options.until.is_none() && !is_leased {
            for image in self.list_images()? {
                self.remove_image(&image.name)?;
            }
        }
        let age = match options.until {
            Some(until) => i64::try_from(until.as_secs()).unwrap_or(i64::MAX),
            None if options.keep_storage.is_some() || is_leased => return Ok(()),
            None => -1,
        };
        self.index.change("DELETE FROM record WHERE used < ?1", [now().saturating_sub(age)])?;
        let gone: Vec<LayerId> =
            self.known_trees()?.into_keys().filter(|id| !self.layout.layer(*id).exists()).collect();
        for id in gone {
            self.index.change("DELETE FROM tree WHERE layer = ?1", [id.0])?;
        }
        Ok(())
    }
}

fn last_use(path: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(path).and_then(|meta| meta.modified()).ok()
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let error = |e| Error::host("read directory", folder, e);
    fs::read_dir(folder).map_err(error)?.map(|item| item.map(|item| item.path()).map_err(error)).collect()
}

/// The bytes that a file or a tree takes; what vanishes meanwhile counts nothing.
fn measure(path: &Path) -> u64 {
    let items = walkdir::WalkDir::new(path).into_iter().flatten();
    items.filter_map(|item| item.metadata().ok()).map(|meta| sys::disk_size(&meta)).sum()
}
