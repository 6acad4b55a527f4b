use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strake_layers::{ImagePath, Metadata, Rootfs};

use crate::apply::{Placing, Target};
use crate::lock::{FileLock, LockMode, Waiting};
use crate::store::{Store, write_whole};
use crate::{Error, Result, sys};

/// How steps share a cache mount (dockerfile.md §13.3, linux.md §1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// All steps see one directory at once.
    Shared,
    /// Each step takes an idle instance or makes a new one.
    Private,
    /// One step at a time has the one instance.
    Locked,
}

/// Mode, user and group of a cache that is asked for without them (dockerfile.md §13.3).
const PLAIN_OWNER: [u32; 3] = [0o755, 0, 0];

/// What cache mount a step wants.
#[derive(Clone, Debug)]
pub struct CacheRequest {
    /// Keeps the caches of different users of a store apart.
    pub namespace: String,
    /// The cache's id.
    pub id: String,
    /// How it is shared.
    pub sharing: Sharing,
    /// Permission bits of a new instance. Caches with other bits or owners are other caches.
    pub mode: u32,
    /// Owner of a new instance.
    pub uid: u32,
    /// Group of a new instance.
    pub gid: u32,
    /// What a new instance holds at first: a directory of a root file system.
    pub seed: Option<CacheSeed>,
}

impl CacheRequest {
    fn owner(&self) -> [u32; 3] {
        [self.mode, self.uid, self.gid]
    }
}

/// The first content of a cache mount.
#[derive(Clone, Debug)]
pub struct CacheSeed {
    /// Tells one seed from another: caches with different seeds are different caches.
    pub identity: [u8; 32],
    /// The root file system (`from=`).
    pub rootfs: Arc<Rootfs>,
    /// The directory in it (`source=`), resolved; or a file, which the cache then holds under its name.
    pub source: ImagePath,
}

/// An instance of a cache mount, held until dropped.
#[derive(Debug)]
pub struct CacheMount {
    path: PathBuf,
    _lock: FileLock,
}

impl CacheMount {
    /// The directory to mount.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// Takes an instance of a cache mount, waiting where sharing demands it.
    pub fn cache_mount(&self, request: &CacheRequest) -> Result<CacheMount> {
        // An id is never a path (linux.md §4.1).
        let mut hasher = blake3::Hasher::new();
        for part in [request.namespace.as_bytes(), request.id.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(request.seed.as_ref().map_or(&[][..], |seed| &seed.identity));
        // Those of other owners or modes are other caches, as with the reference: nobody finds files that are not theirs.
        let owner = request.owner();
        if owner != PLAIN_OWNER {
            hasher.update(b"owner");
            for number in owner {
                hasher.update(&number.to_le_bytes());
            }
        }
        let folder = self.layout.path("caches").join(hasher.finalize().to_hex().as_str());
        fs::create_dir_all(&folder).map_err(|e| Error::host("make directory", &folder, e))?;
        match request.sharing {
            Sharing::Shared => self.take_first(&folder, LockMode::Shared, request),
            Sharing::Locked => self.take_first(&folder, LockMode::Exclusive, request),
            Sharing::Private => self.take_idle(&folder, request),
        }
    }

    fn take_first(&self, folder: &Path, mode: LockMode, request: &CacheRequest) -> Result<CacheMount> {
        let what = format!("the cache mount {} that another step holds", request.id);
        let waiting = Waiting { cancel: &self.options.cancel, notices: &self.options.notices, what: &what };
        let instance = folder.join("0");
        loop {
            self.make_instance(&instance, request)?;
            let lock = match FileLock::acquire(&instance.join("lock"), mode, &waiting) {
                Ok(lock) => lock,
                // It was pruned between the two calls.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            if let Some(mount) = taken(&instance, lock)? {
                return Ok(mount);
            }
        }
    }

    fn take_idle(&self, folder: &Path, request: &CacheRequest) -> Result<CacheMount> {
        for number in 0_u32.. {
            let instance = folder.join(number.to_string());
            self.make_instance(&instance, request)?;
            match FileLock::try_acquire(&instance.join("lock"), LockMode::Exclusive) {
                Ok(Some(lock)) => {
                    if let Some(mount) = taken(&instance, lock)? {
                        return Ok(mount);
                    }
                }
                Ok(None) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Internal("no number is left for a cache mount".into()))
    }

    /// Makes an instance where there is none. It appears by a rename, so whoever sees it sees its seed whole.
    fn make_instance(&self, instance: &Path, request: &CacheRequest) -> Result<()> {
        if instance.exists() {
            return Ok(());
        }
        let scratch = self.scratch()?;
        let new = scratch.path().join("instance");
        let data = new.join("data");
        fs::create_dir_all(&data).map_err(|e| Error::host("make directory", &data, e))?;
        let mut meta = Metadata { mode: request.mode, uid: request.uid, gid: request.gid, ..Metadata::default() };
        if let Some(seed) = &request.seed {
            let mut entries = Vec::new();
            for entry in seed.rootfs.walk(&seed.source) {
                let Some(path) = entry.path.strip_prefix(&seed.source) else { continue };
                let mut entry = entry.clone();
                if path.is_root() && entry.is_directory() {
                    // It is the cache itself, and stays what it is unless something else was asked for.
                    if request.owner() == PLAIN_OWNER {
                        meta = entry.meta;
                    }
                    continue;
                }
                // A file alone keeps its name.
                let name = seed.source.file_name().and_then(|name| ImagePath::parse(name).ok());
                entry.path = if path.is_root() { name.unwrap_or_default() } else { path };
                entries.push(entry);
            }
            Target::merged(&data, &self.options).apply(&entries, &Placing::Copy)?;
        }
        meta.mtime.seconds = crate::store::now();
        let mut writer = sys::TreeWriter::new(&data).map_err(|e| Error::host("open", &data, e))?;
        writer.directory(&ImagePath::root(), Some(&meta)).map_err(|e| Error::host("prepare", &data, e))?;
        writer.finish().map_err(|e| Error::host("prepare", &data, e))?;
        write_whole(&new.join("name"), request.id.as_bytes())?;
        write_whole(&new.join("lock"), b"")?;
        match fs::rename(&new, instance) {
            Ok(()) => Ok(()),
            // Another step was faster.
            Err(_) if instance.join("data").is_dir() => Ok(()),
            Err(error) => Err(Error::host("make cache mount", instance, error)),
        }
    }
}

/// The mount of a locked instance; `None` if it was pruned before the lock was had.
fn taken(instance: &Path, lock: FileLock) -> Result<Option<CacheMount>> {
    let path = instance.join("data");
    if !path.is_dir() {
        return Ok(None);
    }
    // The time of last use, for pruning.
    sys::mark_used(instance);
    Ok(Some(CacheMount { path, _lock: lock }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;
    use strake_layers::Entry;

    fn request(id: &str, sharing: Sharing) -> CacheRequest {
        let namespace = String::new();
        CacheRequest { namespace, id: id.into(), sharing, mode: 0o750, uid: 0, gid: 0, seed: None }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), StoreOptions::default()).unwrap();
        (dir, store)
    }

    #[test]
    fn caches_of_other_owners_are_other_caches() {
        let (_dir, store) = store();
        let plain = CacheRequest { mode: 0o755, ..request("k", Sharing::Shared) };
        let path = |request: &CacheRequest| store.cache_mount(request).unwrap().path().to_owned();
        let other = CacheRequest { uid: 5, ..plain.clone() };
        assert_eq!(path(&plain), path(&plain));
        assert_eq!(path(&other), path(&other));
        assert_ne!(path(&plain), path(&other));
        assert_ne!(path(&plain), path(&request("k", Sharing::Shared)), "another mode");
    }

    #[test]
    fn shared_caches_meet_and_private_ones_do_not() {
        let (_dir, store) = store();
        let take = |id: &str, sharing| store.cache_mount(&request(id, sharing)).unwrap();
        let one = take("../../etc", Sharing::Shared);
        let two = take("../../etc", Sharing::Shared);
        assert_eq!(one.path(), two.path());
        assert!(one.path().starts_with(store.root().join("caches")));
        let one = take("p", Sharing::Private);
        let two = take("p", Sharing::Private);
        assert_ne!(one.path(), two.path());
        fs::write(one.path().join("f"), "x").unwrap();
        let path = one.path().to_owned();
        drop(one);
        let again = take("p", Sharing::Private);
        assert_eq!(again.path(), path);
        assert!(again.path().join("f").exists());
    }

    #[test]
    fn a_locked_cache_excludes() {
        let (_dir, store) = store();
        let store = Arc::new(store);
        let one = store.cache_mount(&request("l", Sharing::Locked)).unwrap();
        let waiter = std::thread::spawn({
            let store = Arc::clone(&store);
            move || store.cache_mount(&request("l", Sharing::Locked)).unwrap().path().to_owned()
        });
        assert!(!waiter.is_finished());
        let path = one.path().to_owned();
        drop(one);
        assert_eq!(waiter.join().unwrap(), path);
    }

    #[test]
    fn a_new_instance_begins_with_its_seed_and_an_old_one_does_not() {
        let (_dir, store) = store();
        let parse = |text: &str| ImagePath::parse(text).unwrap();
        let entries = vec![
            Entry::directory(parse("a"), Metadata { mode: 0o700, ..Metadata::default() }),
            Entry::inline_file(parse("a/f"), Metadata { mode: 0o644, ..Metadata::default() }, b"seed".to_vec()),
            Entry::inline_file(parse("b"), Metadata::default(), b"other".to_vec()),
        ];
        let rootfs = Arc::new(Rootfs::new(vec![entries.into()]));
        let seed = Some(CacheSeed { identity: [1; 32], rootfs, source: parse("a") });
        let request = CacheRequest { seed, ..request("s", Sharing::Locked) };
        let mount = store.cache_mount(&request).unwrap();
        assert_eq!(fs::read_to_string(mount.path().join("f")).unwrap(), "seed");
        assert!(!mount.path().join("b").exists());
        fs::write(mount.path().join("f"), "changed").unwrap();
        drop(mount);
        let mount = store.cache_mount(&request).unwrap();
        assert_eq!(fs::read_to_string(mount.path().join("f")).unwrap(), "changed");
    }
}
