use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::compress::{ArchiveFormat, BoundedReader};
use crate::{BlobStore, Descriptor, DiffId, Digest, Error, Limits, Result, sys};

/// An archive of which single files are wanted: decompressed at most once, on first use, into a file without a name.
pub struct Archive {
    name: String,
    source: Source,
    scratch: PathBuf,
    limits: Limits,
    plain: OnceLock<File>,
    /// Held while the plain form is made.
    making: Mutex<()>,
}

enum Source {
    Blob { store: BlobStore, digest: Digest, diff_id: DiffId },
    File { file: File, format: ArchiveFormat },
}

impl Archive {
    /// The archive of a layer blob.
    pub fn of_blob(store: &BlobStore, descriptor: &Descriptor, diff_id: &DiffId, limits: Limits) -> Self {
        let digest = descriptor.digest.clone();
        let source = Source::Blob { store: store.clone(), digest: digest.clone(), diff_id: diff_id.clone() };
        Self::new(format!("layer {digest}"), source, store.scratch(), limits)
    }

    /// The archive in an opened file, which must not change any more; `scratch` is a folder for the plain form.
    pub fn of_file(name: &str, file: File, format: ArchiveFormat, scratch: impl Into<PathBuf>, limits: Limits) -> Self {
        Self::new(name.to_owned(), Source::File { file, format }, scratch.into(), limits)
    }

    fn new(name: String, source: Source, scratch: PathBuf, limits: Limits) -> Self {
        Self { name, source, scratch, limits, plain: OnceLock::new(), making: Mutex::new(()) }
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads at an offset of the uncompressed bytes; 0 is their end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        sys::read_at(self.plain()?, buffer, offset).map_err(|e| Error::stream(&self.name, e))
    }

    /// Reads `size` bytes from an offset of the uncompressed bytes; it is an error where there are fewer.
    pub fn reader(self: &Arc<Self>, offset: u64, size: u64) -> Result<impl Read + Send + use<>> {
        self.plain()?;
        Ok(RangeReader { archive: Arc::clone(self), offset, left: Some(size) })
    }

    /// Reads all uncompressed bytes.
    pub(crate) fn reader_to_end(self: &Arc<Self>) -> Result<impl Read + Send + use<>> {
        self.plain()?;
        Ok(RangeReader { archive: Arc::clone(self), offset: 0, left: None })
    }

    fn plain(&self) -> Result<&File> {
        let making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if self.plain.get().is_none() {
            let file = self.make_plain()?;
            self.plain.get_or_init(|| file);
        }
        drop(making);
        self.plain.get().ok_or_else(|| Error::Internal(format!("{} was not made plain", self.name)))
    }

    fn make_plain(&self) -> Result<File> {
        let (mut file, format, diff_id) = match &self.source {
            Source::Blob { store, digest, diff_id } => {
                let mut file = store.open_blob(digest)?;
                let format = layer_format(&mut file, &self.name)?;
                (file, format, Some(diff_id))
            }
            Source::File { file, format } => {
                (file.try_clone().map_err(|e| Error::stream(&self.name, e))?, *format, None)
            }
        };
        if format == ArchiveFormat::Tar {
            return Ok(file);
        }
        file.seek(SeekFrom::Start(0)).map_err(|e| Error::stream(&self.name, e))?;
        let stream = |e| Error::stream(&self.name, e);
        let mut reader = BoundedReader::new(format, Box::new(file), self.limits, &self.name).map_err(stream)?;
        let scratch = |e| Error::host("write the uncompressed form of an archive to", &self.scratch, e);
        let mut plain = tempfile::tempfile_in(&self.scratch).map_err(scratch)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let length = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(stream(error)),
            };
            if diff_id.is_some() {
                hasher.update(&buffer[..length]);
            }
            plain.write_all(&buffer[..length]).map_err(scratch)?;
        }
        if let Some(diff_id) = diff_id {
            verify_diff_id(&self.name, hasher, diff_id)?;
        }
        Ok(plain)
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a layer blob is compressed, by its first bytes: media types of old images are not always right. Position is
/// at the start afterwards.
pub(crate) fn layer_format(file: &mut File, name: &str) -> Result<ArchiveFormat> {
    let mut start = Vec::new();
    file.take(16).read_to_end(&mut start).map_err(|e| Error::stream(name, e))?;
    file.seek(SeekFrom::Start(0)).map_err(|e| Error::stream(name, e))?;
    match ArchiveFormat::of_magic(&start) {
        None => Ok(ArchiveFormat::Tar),
        Some(format @ (ArchiveFormat::Gzip | ArchiveFormat::Zstd)) => Ok(format),
        Some(format) => Err(Error::Unsupported(format!(
            "{name} is compressed with {format}, which no image format allows for layers; make the image anew with gzip or zstd"
        ))),
    }
}

/// Compares the digest of a layer's uncompressed bytes with the one its image promises.
pub(crate) fn verify_diff_id(name: &str, hasher: Sha256, diff_id: &DiffId) -> Result<()> {
    let found = Digest::from_sha256(hasher.finalize().into());
    if found == diff_id.0 {
        return Ok(());
    }
    let what = format!("the uncompressed content of {name}");
    Err(Error::DigestMismatch { what, expected: diff_id.0.clone(), found })
}

struct RangeReader {
    archive: Arc<Archive>,
    offset: u64,
    /// What must still come; `None`: whatever there is.
    left: Option<u64>,
}

impl Read for RangeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX)).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let length = self.archive.read_at(&mut buffer[..most], self.offset).map_err(Error::into_io)?;
        if length == 0 && self.left.is_some() {
            return Err(Error::Changed { path: self.archive.name.clone() }.into_io());
        }
        self.offset += length as u64;
        self.left = self.left.map(|left| left - length as u64);
        Ok(length)
    }
}
