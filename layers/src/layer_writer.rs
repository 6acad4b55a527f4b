use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::{Scope, ScopedJoinHandle};

use sha2::{Digest as _, Sha256};

use crate::archive::layer_format;
use crate::compress::BoundedReader;
use crate::pipeline::{ChunkWriter, hash_chunks};
use crate::{
    BlobStore, BlobWriter, Cancel, Compression, Descriptor, DiffId, Digest, Entry, Error, LayerReader, Result,
    Timestamp, write_tar,
};

/// How a layer is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct LayerOptions {
    /// Compression of the blob.
    pub compression: Compression,
    /// Latest time an entry may have; later ones become it (`SOURCE_DATE_EPOCH`, dockerfile.md §17).
    pub clamp_mtime: Option<Timestamp>,
}

/// A layer that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenLayer {
    /// Digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The blob in the store, with its OCI media type.
    pub descriptor: Descriptor,
}

/// Writes sorted entries as a layer blob into the store, in one pass over their contents: this thread makes the tar,
/// one hashes it, the others compress.
pub fn write_layer(
    entries: &[Entry],
    options: LayerOptions,
    store: &BlobStore,
    cancel: &Cancel,
) -> Result<WrittenLayer> {
    write_stream(options.compression, store, |out| write_tar(entries, options.clamp_mtime, out, cancel).map(|_| ()))
}

/// Compresses a layer blob of the store anew; its diff ID is verified on the way.
pub fn recompress_layer(layer: &LayerReader<'_>, compression: Compression) -> Result<WrittenLayer> {
    let name = format!("layer {}", layer.descriptor.digest);
    let mut file = layer.store.open_blob(&layer.descriptor.digest)?;
    let format = layer_format(&mut file, &name)?;
    let stream = |e| Error::stream(&name, e);
    let mut plain = BoundedReader::new(format, Box::new(file), layer.limits, &name).map_err(stream)?;
    let written = write_stream(compression, layer.store, |out| {
        let mut buffer = vec![0; 256 << 10];
        loop {
            layer.cancel.check()?;
            match plain.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => out.write_all(&buffer[..length]).map_err(stream)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(stream(error)),
            }
        }
    })?;
    if written.diff_id != *layer.diff_id {
        return Err(Error::DigestMismatch {
            what: format!("the uncompressed content of {name}"),
            expected: layer.diff_id.0.clone(),
            found: written.diff_id.0,
        });
    }
    Ok(written)
}

/// The diff ID that [`write_layer`] would give, without compressing or keeping anything.
pub fn diff_id_of(entries: &[Entry], clamp_mtime: Option<Timestamp>, cancel: &Cancel) -> Result<DiffId> {
    std::thread::scope(|scope| {
        let (mut out, [to_hash]) = ChunkWriter::new();
        let hash = spawn(scope, "strake-sha256", move || hash_chunks(&to_hash))?;
        let made = write_tar(entries, clamp_mtime, &mut out, cancel).map(|_| ());
        let made = end(made, out);
        let hasher = join(hash)?;
        made.map(|()| diff_id(hasher))
    })
}

fn write_stream(
    compression: Compression,
    store: &BlobStore,
    make: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<WrittenLayer> {
    std::thread::scope(|scope| {
        let (mut out, [to_hash, to_pack]) = ChunkWriter::new();
        let hash = spawn(scope, "strake-sha256", move || hash_chunks(&to_hash))?;
        let pack = spawn(scope, "strake-compress", move || pack_chunks(&to_pack, compression, store))?;
        let made = end(make(&mut out), out);
        let hasher = join(hash)?;
        // Where both sides failed, the compressor's error is the cause and the maker's a broken pipe.
        let packed = join(pack)?;
        let (digest, size) = match (made, packed) {
            (Ok(()), packed) => packed?.finish(None)?,
            (Err(Error::Stream { source, .. }), Err(cause)) if source.kind() == io::ErrorKind::BrokenPipe => {
                return Err(cause);
            }
            (Err(error), _) => return Err(error),
        };
        let descriptor = Descriptor::new(compression.media_type(), digest, size);
        Ok(WrittenLayer { diff_id: diff_id(hasher), descriptor })
    })
}

fn pack_chunks(chunks: &Receiver<Arc<Vec<u8>>>, compression: Compression, store: &BlobStore) -> Result<BlobWriter> {
    let stream = |e| Error::stream("layer blob", e);
    let mut encoder = compression.encoder(store.writer()?).map_err(stream)?;
    for chunk in chunks {
        encoder.write_all(&chunk).map_err(stream)?;
    }
    encoder.finish().map_err(stream)
}

/// Ends the stream in every case, since the threads that read it wait for its end.
fn end(made: Result<()>, out: ChunkWriter) -> Result<()> {
    match made {
        Ok(()) => out.finish().map_err(|e| Error::stream("layer archive", e)),
        Err(error) => {
            drop(out);
            Err(error)
        }
    }
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    let builder = std::thread::Builder::new().name(name.into());
    builder.spawn_scoped(scope, run).map_err(|e| Error::stream("cannot start a thread", e))
}

fn join<T>(handle: ScopedJoinHandle<'_, T>) -> Result<T> {
    handle.join().map_err(|_| Error::Internal("a thread that writes a layer ended unexpectedly".into()))
}

fn diff_id(hasher: Sha256) -> DiffId {
    DiffId(Digest::from_sha256(hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImagePath, Limits, Metadata};

    fn store() -> (tempfile::TempDir, BlobStore) {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        (dir, store)
    }

    fn entries() -> Vec<Entry> {
        let meta = Metadata { mode: 0o644, ..Metadata::default() };
        let file = |name: &str, size: usize| {
            let bytes: Vec<u8> = (0..size).map(|i| (i / 3).to_le_bytes()[0]).collect();
            Entry::inline_file(ImagePath::parse(name).unwrap(), meta.clone(), bytes)
        };
        vec![file("a", 3_000_000), file("b", 0), file("c", 700)]
    }

    #[test]
    fn every_compression_has_the_same_diff_id_and_reads_back() {
        let (_dir, store) = store();
        let entries = entries();
        let cancel = Cancel::new();
        let expected = diff_id_of(&entries, None, &cancel).unwrap();
        for compression in [Compression::Uncompressed, Compression::default(), Compression::Zstd(3)] {
            let options = LayerOptions { compression, clamp_mtime: None };
            let written = write_layer(&entries, options, &store, &cancel).unwrap();
            assert_eq!(written.diff_id, expected);
            assert_eq!(store.size(&written.descriptor.digest), Some(written.descriptor.size));
            assert_eq!(written.descriptor.media_type, compression.media_type());
            let reader = LayerReader {
                store: &store,
                descriptor: &written.descriptor,
                diff_id: &expected,
                limits: Limits::default(),
                cancel: &cancel,
            };
            let back = reader.index().unwrap();
            assert_eq!(diff_id_of(&back, None, &cancel).unwrap(), expected);
            let again = recompress_layer(&reader, Compression::default()).unwrap();
            assert_eq!(again, write_layer(&entries, LayerOptions::default(), &store, &cancel).unwrap());
            let wrong = DiffId(Digest::of(b"x"));
            let wrong = LayerReader { diff_id: &wrong, ..reader };
            assert!(matches!(wrong.index(), Err(Error::DigestMismatch { .. })));
            assert!(matches!(recompress_layer(&wrong, Compression::default()), Err(Error::DigestMismatch { .. })));
        }
        assert_eq!(std::fs::read_dir(store.scratch()).unwrap().count(), 0);
    }

    #[test]
    fn a_failure_leaves_no_blob_and_tells_its_cause() {
        let (_dir, store) = store();
        let mut entries = entries();
        if let crate::EntryKind::File(content) = &mut entries[0].kind {
            content.hash = Some(crate::ContentHash::of(b"other"));
        }
        let error = write_layer(&entries, LayerOptions::default(), &store, &Cancel::new()).unwrap_err();
        assert!(matches!(&error, Error::ContentMismatch { path } if path.as_bytes() == b"a"), "{error}");
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(matches!(write_layer(&entries, LayerOptions::default(), &store, &cancel), Err(Error::Cancelled)));
        std::fs::remove_dir(store.scratch()).unwrap();
        let error = write_layer(&self::entries(), LayerOptions::default(), &store, &Cancel::new()).unwrap_err();
        assert!(error.is_not_found() && error.to_string().contains("tmp"), "{error}");
        assert_eq!(store.list().unwrap(), []);
    }
}
