use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256, Sha512};
use tempfile::NamedTempFile;

use crate::{Algorithm, Digest, Error, Result, sys};

/// Content-addressed files below one directory: `blobs/ALGORITHM/ab/abcd…`, made in `tmp/` (linux.md §4.1).
///
/// A file appears there only after its digest was verified, by a rename; so it is whole, whoever looks. Cheap to
/// clone; any number of threads and processes may share the directory.
#[derive(Clone, Debug)]
pub struct BlobStore {
    root: Arc<Path>,
}

impl BlobStore {
    /// Opens the store below `root`; its folders are made where they are missing.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root: PathBuf = root.into();
        for folder in ["blobs/sha256", "tmp"] {
            let folder = root.join(folder);
            std::fs::create_dir_all(&folder).map_err(|e| Error::host("create", folder, e))?;
        }
        Ok(Self { root: root.into() })
    }

    /// The directory it was opened with.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder for unfinished files. A file there is locked (`flock`) while its maker lives.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Where a blob is or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let mut path = self.root.join("blobs");
        path.push(digest.algorithm_name());
        path.push(&hex[..2]);
        path.push(hex);
        path
    }

    /// Tells whether a blob is there.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// The size of a blob; `None` where it is not there.
    pub fn size(&self, digest: &Digest) -> Option<u64> {
        std::fs::metadata(self.path(digest)).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len())
    }

    /// Opens a blob for reading.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.path(digest);
        File::open(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::BlobMissing(digest.clone()),
            _ => Error::host("open", path, e),
        })
    }

    /// Reads a whole blob of at most `limit` bytes and verifies it once more.
    pub fn read_document(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.open_blob(digest)?;
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| Error::host("read", self.path(digest), e))?;
        if bytes.len() as u64 > limit {
            return Err(Error::Limit { what: format!("blob {digest}"), limit: format!("{limit} bytes") });
        }
        let found = Digest::of_with(digest.algorithm(), &bytes);
        if found != *digest {
            return Err(Error::DigestMismatch { what: format!("blob {digest}"), expected: digest.clone(), found });
        }
        Ok(bytes)
    }

    /// Begins a blob that is hashed by SHA-256.
    pub fn writer(&self) -> Result<BlobWriter> {
        self.writer_for(Algorithm::Sha256)
    }

    /// Begins a blob that is hashed by the algorithm of the digest it must have.
    pub fn writer_for(&self, algorithm: Algorithm) -> Result<BlobWriter> {
        let scratch = self.scratch();
        let file = tempfile::Builder::new().prefix("blob-").tempfile_in(&scratch);
        let file = file.map_err(|e| Error::host("create a file in", &scratch, e))?;
        // Tells the clean-up of other processes that the file is in use. Nobody else knows the name, so it never waits;
        // a file system without locks costs only that protection.
        drop(file.as_file().try_lock());
        let hasher = match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Box::new(Sha512::new())),
        };
        Ok(BlobWriter { store: self.clone(), file, buffer: Vec::with_capacity(BUFFER), hasher, written: 0 })
    }

    /// Keeps a small blob.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if self.size(&digest) == Some(bytes.len() as u64) {
            return Ok(digest);
        }
        let mut writer = self.writer()?;
        writer.write_all(bytes).map_err(|e| Error::stream("blob", e))?;
        Ok(writer.finish(None)?.0)
    }

    /// Removes a blob; tells whether it was there.
    pub fn remove(&self, digest: &Digest) -> Result<bool> {
        let path = self.path(digest);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Error::host("remove", path, e)),
        }
    }

    /// All blobs and their sizes, in order of their digests.
    pub fn list(&self) -> Result<Vec<(Digest, u64)>> {
        let mut found = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            for folder in read_names(&self.root.join("blobs").join(algorithm))? {
                for file in read_names(&folder)? {
                    let hex = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    let Ok(digest) = format!("{algorithm}:{hex}").parse::<Digest>() else { continue };
                    if let Some(size) = self.size(&digest) {
                        found.push((digest, size));
                    }
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Waits until everything written to the store's file system is on its disk.
    pub fn sync(&self) -> Result<()> {
        sys::sync_file_system(&self.root).map_err(|e| Error::host("sync", &*self.root, e))
    }
}

/// A blob being written. Dropped before [`BlobWriter::finish`], it leaves nothing behind.
pub struct BlobWriter {
    store: BlobStore,
    file: NamedTempFile,
    buffer: Vec<u8>,
    hasher: Hasher,
    written: u64,
}

enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

/// Bytes gathered before one write call.
const BUFFER: usize = 128 << 10;

impl BlobWriter {
    /// Bytes taken so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Verifies the blob against the promised digest and size, then makes it visible in the store.
    pub fn finish(mut self, expected: Option<(&Digest, u64)>) -> Result<(Digest, u64)> {
        self.flush().map_err(|e| Error::stream("blob", e))?;
        let found = match self.hasher {
            Hasher::Sha256(hasher) => Digest::from_sha256(hasher.finalize().into()),
            Hasher::Sha512(hasher) => Digest::from_sha512((*hasher).finalize().into()),
        };
        if let Some((digest, size)) = expected {
            let what = format!("blob {digest}");
            if self.written != size {
                return Err(Error::SizeMismatch { what, expected: size, found: self.written });
            }
            if found != *digest {
                return Err(Error::DigestMismatch { what, expected: digest.clone(), found });
            }
        }
        let target = self.store.path(&found);
        if self.store.size(&found) == Some(self.written) {
            return Ok((found, self.written));
        }
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::host("create", folder, e))?;
        }
        self.file.persist(&target).map_err(|e| Error::host("rename a finished blob to", target, e.error))?;
        Ok((found, self.written))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match &mut self.hasher {
            Hasher::Sha256(hasher) => hasher.update(data),
            Hasher::Sha512(hasher) => hasher.update(data),
        }
        self.written += data.len() as u64;
        if self.buffer.len() + data.len() > BUFFER {
            self.flush()?;
        }
        if data.len() >= BUFFER {
            self.write_out(data)?;
        } else {
            self.buffer.extend_from_slice(data);
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        self.write_out(&buffer)?;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }
}

impl BlobWriter {
    fn write_out(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.as_file_mut().write_all(data).map_err(|e| Error::host("write", self.file.path(), e).into_io())
    }
}

impl fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobWriter").field("file", &self.file.path()).field("written", &self.written).finish()
    }
}

/// The paths in a folder; none where it does not exist.
fn read_names(folder: &Path) -> Result<Vec<PathBuf>> {
    let items = match std::fs::read_dir(folder) {
        Ok(items) => items,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(e) => return Err(Error::host("read directory", folder, e)),
    };
    items.map(|item| item.map(|i| i.path()).map_err(|e| Error::host("read directory", folder, e))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, BlobStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path().join("store")).unwrap();
        (dir, store)
    }

    #[test]
    fn a_blob_appears_only_when_it_is_whole() {
        let (_dir, store) = store();
        let data = vec![7; 300_000];
        let digest = Digest::of(&data);
        let mut writer = store.writer().unwrap();
        writer.write_all(&data[..100]).unwrap();
        writer.write_all(&data[100..]).unwrap();
        assert!(!store.contains(&digest));
        assert_eq!(writer.finish(Some((&digest, 300_000))).unwrap(), (digest.clone(), 300_000));
        assert_eq!(store.read_document(&digest, 300_000).unwrap(), data);
        assert_eq!(store.list().unwrap(), [(digest.clone(), 300_000)]);
        assert!(store.path(&digest).ends_with(Path::new(&digest.hex()[..2]).join(digest.hex())));
        assert!(store.remove(&digest).unwrap() && !store.remove(&digest).unwrap());
        assert!(matches!(store.open_blob(&digest), Err(Error::BlobMissing(_))));
    }

    #[test]
    fn wrong_bytes_and_dropped_writers_leave_nothing() {
        let (_dir, store) = store();
        let promised = Digest::of(b"right");
        let mut writer = store.writer().unwrap();
        writer.write_all(b"wrong").unwrap();
        assert!(matches!(writer.finish(Some((&promised, 5))), Err(Error::DigestMismatch { .. })));
        let mut writer = store.writer().unwrap();
        writer.write_all(b"righ").unwrap();
        assert!(matches!(writer.finish(Some((&promised, 5))), Err(Error::SizeMismatch { .. })));
        let mut writer = store.writer().unwrap();
        writer.write_all(b"right").unwrap();
        drop(writer);
        assert_eq!(store.list().unwrap(), []);
        assert_eq!(std::fs::read_dir(store.scratch()).unwrap().count(), 0);
    }

    #[test]
    fn sha512_blobs_are_verified_too() {
        let (_dir, store) = store();
        let digest = Digest::of_with(Algorithm::Sha512, b"x");
        let mut writer = store.writer_for(Algorithm::Sha512).unwrap();
        writer.write_all(b"x").unwrap();
        writer.finish(Some((&digest, 1))).unwrap();
        assert_eq!(store.read_document(&digest, 8).unwrap(), b"x");
        assert_eq!(store.list().unwrap().len(), 1);
    }

    #[test]
    fn documents_are_bounded_and_verified() {
        let (_dir, store) = store();
        let digest = store.put(b"document").unwrap();
        assert!(matches!(store.read_document(&digest, 7), Err(Error::Limit { .. })));
        std::fs::write(store.path(&digest), b"Document").unwrap();
        assert!(matches!(store.read_document(&digest, 8), Err(Error::DigestMismatch { .. })));
    }
}
