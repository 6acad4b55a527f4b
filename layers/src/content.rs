use std::fs::File;
use std::io::{self, Read, Write};

use rayon::prelude::*;

use crate::{
    Cancel, ContentHash, ContentSource, Entry, EntryKind, Error, FileContent, HostDir, HostEntry, Result, Stamp,
};

/// Bytes read at once while hashing or copying.
const BUFFER: usize = 1 << 20;

impl FileContent {
    /// Opens the content for reading; it never blocks on a pipe or device.
    ///
    /// Opening and reading fail with [`Error::Changed`] (packed, see [`Error::into_io`]) where a host file has more or
    /// fewer bytes than the size, or where its stamp is not the one recorded, before or after. The hash is not looked
    /// at: who needs the certainty compares it.
    pub fn open(&self) -> Result<Box<dyn Read + Send>> {
        match &self.source {
            ContentSource::Inline(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
            ContentSource::Archive { archive, offset } => Ok(Box::new(archive.reader(*offset, self.size)?)),
            ContentSource::Host { root, path, stamp } => {
                let name = root.host_path(path).display().to_string();
                // It was there when the entry was made.
                let (file, now) = root.open_file_entry(path).map_err(Error::as_change)?;
                let reader = HostReader { file, name, stamp: *stamp, size: self.size, left: self.size, checked: false };
                if !reader.is_same(&now) {
                    return Err(Error::Changed { path: reader.name });
                }
                Ok(Box::new(reader))
            }
        }
    }

    /// Writes the content to `out`.
    pub fn copy_to(&self, out: &mut dyn Write) -> Result<()> {
        self.each_piece(&mut |piece| out.write_all(piece).map_err(|e| Error::stream("write", e)))
    }

    /// The content's hash, computed from its bytes.
    pub fn compute_hash(&self) -> Result<ContentHash> {
        let mut hasher = blake3::Hasher::new();
        self.each_piece(&mut |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        Ok(ContentHash(*hasher.finalize().as_bytes()))
    }

    fn each_piece(&self, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let ContentSource::Inline(bytes) = &self.source {
            return take(bytes);
        }
        let mut reader = self.open()?;
        let room = usize::try_from(self.size).unwrap_or(BUFFER).min(BUFFER) + 1;
        let mut buffer = vec![0; room];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => take(&buffer[..length])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::stream("content", error)),
            }
        }
    }
}

/// Reads a host file and sees whether it changes meanwhile (edges.md, 14).
struct HostReader {
    file: File,
    name: String,
    stamp: Option<Stamp>,
    size: u64,
    left: u64,
    checked: bool,
}

impl HostReader {
    fn is_same(&self, now: &HostEntry) -> bool {
        match self.stamp {
            Some(stamp) => Stamp::of(now) == stamp,
            None => now.size == self.size,
        }
    }

    fn changed(&self) -> io::Error {
        Error::Changed { path: self.name.clone() }.into_io()
    }
}

impl Read for HostReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.checked {
            return Ok(0);
        }
        let length = match self.file.read(buffer) {
            Ok(length) => length as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(Error::host("read", &self.name, error).into_io()),
        };
        if length > self.left || (length == 0 && self.left > 0) {
            return Err(self.changed());
        }
        self.left -= length;
        if length == 0 {
            let now = HostDir::stat_file(&self.file)?;
            if !self.is_same(&now) {
                return Err(self.changed());
            }
            self.checked = true;
        }
        // Not longer than the buffer, so it fits.
        Ok(usize::try_from(length).unwrap_or(0))
    }
}

/// Below so many bytes waking other threads costs more than they save.
const WORTH_THREADS: u64 = 1 << 20;

/// What opening a file costs, in bytes that could be hashed meanwhile.
const OPENING: u64 = 32 << 10;

/// Fills the content hashes that entries lack, on all threads of rayon's pool.
pub fn hash_contents(entries: &mut [Entry], cancel: &Cancel) -> Result<()> {
    let hash = |entry: &mut Entry| {
        let EntryKind::File(content) = &mut entry.kind else { return Ok(()) };
        if content.hash.is_none() {
            cancel.check()?;
            content.hash = Some(content.compute_hash()?);
        }
        Ok(())
    };
    if missing_bytes(entries) < WORTH_THREADS {
        return entries.iter_mut().try_for_each(hash);
    }
    entries.par_iter_mut().with_max_len(64).try_for_each(hash)
}

/// The bytes that have no hash yet, with something for each file's opening.
fn missing_bytes(entries: &[Entry]) -> u64 {
    let of_entry = |entry: &Entry| match &entry.kind {
        EntryKind::File(content) if content.hash.is_none() => content.size.saturating_add(OPENING),
        _ => 0,
    };
    entries.iter().map(of_entry).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{ImagePath, Metadata};

    fn host_file(dir: &tempfile::TempDir, name: &str, text: &str) -> FileContent {
        std::fs::write(dir.path().join(name), text).unwrap();
        let root = Arc::new(HostDir::open(dir.path()).unwrap());
        let path = ImagePath::parse(name).unwrap();
        let entry = root.stat(&path).unwrap();
        let source = ContentSource::Host { root, path, stamp: Some(Stamp::of(&entry)) };
        FileContent { size: entry.size, hash: None, source }
    }

    #[test]
    fn contents_come_back_and_are_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let text = "x".repeat(3_000_000);
        let mut entries: Vec<_> = [("a", ""), ("b", "hello"), ("c", &text)]
            .map(|(name, text)| Entry {
                path: ImagePath::parse(name).unwrap(),
                meta: Metadata::default(),
                kind: EntryKind::File(host_file(&dir, name, text)),
            })
            .into();
        hash_contents(&mut entries, &Cancel::new()).unwrap();
        for (entry, text) in entries.iter().zip(["", "hello", &text]) {
            let EntryKind::File(content) = &entry.kind else { panic!("no file") };
            assert_eq!(content.hash, Some(ContentHash::of(text.as_bytes())));
            let mut out = Vec::new();
            content.copy_to(&mut out).unwrap();
            assert!(out == text.as_bytes());
        }
        let cancel = Cancel::new();
        cancel.cancel();
        let EntryKind::File(content) = &mut entries[0].kind else { panic!("no file") };
        content.hash = None;
        assert!(matches!(hash_contents(&mut entries, &cancel), Err(Error::Cancelled)));
    }

    #[test]
    fn a_changed_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let shrunk = host_file(&dir, "shrunk", "hello");
        std::fs::write(dir.path().join("shrunk"), "hell").unwrap();
        let mut grown = host_file(&dir, "grown", "hello");
        if let ContentSource::Host { stamp, .. } = &mut grown.source {
            *stamp = None;
        }
        std::fs::write(dir.path().join("grown"), "hello!").unwrap();
        let gone = host_file(&dir, "gone", "hello");
        std::fs::remove_file(dir.path().join("gone")).unwrap();
        for (content, name) in [(shrunk, "shrunk"), (grown, "grown"), (gone, "gone")] {
            let error = content.compute_hash().unwrap_err();
            assert!(matches!(&error, Error::Changed { path } if path.ends_with(name)), "{error}");
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let content = host_file(&dir, "f", "hello");
        let mut reader = content.open().unwrap();
        std::fs::OpenOptions::new().append(true).open(dir.path().join("f")).unwrap().write_all(b"!").unwrap();
        let error = Error::stream("f", reader.read_to_end(&mut Vec::new()).unwrap_err());
        assert!(matches!(error, Error::Changed { .. }), "{error}");
    }
}
