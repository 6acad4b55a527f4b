use crate::{BlobStore, Cancel, Compression, Descriptor, DiffId, Entry, Error, Result, Timestamp};

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

/// Writes sorted entries as a layer blob into the store, in one pass over their contents.
pub fn write_layer(
    entries: &[Entry],
    options: LayerOptions,
    store: &BlobStore,
    cancel: &Cancel,
) -> Result<WrittenLayer> {
    let _ = (entries, options, store, cancel);
    Err(Error::Unsupported("writing layers is not there yet".into()))
}

/// The diff ID that [`write_layer`] would give, without compressing or keeping anything.
pub fn diff_id_of(entries: &[Entry], clamp_mtime: Option<Timestamp>, cancel: &Cancel) -> Result<DiffId> {
    let _ = (entries, clamp_mtime, cancel);
    Err(Error::Unsupported("writing layers is not there yet".into()))
}
