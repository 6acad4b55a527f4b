use std::sync::OnceLock;

use crate::{DiffId, Entry, EntryList, LayerId, Result};

/// A layer: a sorted list of entries with an identity.
///
/// Entries of a [`LayerSource::Blob`] are set once somebody has read them; a layer nobody looks into never has any.
#[derive(Clone, Debug)]
pub struct Layer {
    id: LayerId,
    key: LayerId,
    source: LayerSource,
    entries: OnceLock<EntryList>,
}

/// Where a layer comes from, which tells where its bytes live.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "an image has at most some hundred layers")]
pub enum LayerSource {
    /// A pull or an import: a compressed blob.
    Blob {
        /// The digest of the uncompressed tar, from the image's config.
        diff_id: DiffId,
        /// The blob: digest, size, media type.
        descriptor: crate::Descriptor,
    },
    /// A RUN: the materialised tree of what it changed.
    Upper,
    /// COPY, ADD, WORKDIR: the build context, other layers, a download.
    Plan,
}

/// Whether modification times are part of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimesInId {
    /// Equal but for times is different.
    Counted,
    /// Equal but for times is equal.
    Ignored,
}

impl Layer {
    /// Makes the layer of a blob, without looking into it.
    pub fn from_blob(descriptor: crate::Descriptor, diff_id: DiffId) -> Self {
        let id = LayerId::of_blob(&diff_id);
        Self { id, key: id, source: LayerSource::Blob { diff_id, descriptor }, entries: OnceLock::new() }
    }

    /// Makes the layer of what a RUN changed. Every file must have its content hash.
    pub fn from_upper(entries: Vec<Entry>) -> Result<Self> {
        let entries = crate::canonical::sort(entries)?;
        let id = crate::canonical::layer_id(&entries, TimesInId::Counted)?;
        Ok(Self { id, key: id, source: LayerSource::Upper, entries: OnceLock::from(EntryList::from(entries)) })
    }

    /// Makes the layer of a COPY, ADD or WORKDIR. Every file must have its content hash.
    pub fn from_plan(entries: Vec<Entry>) -> Result<Self> {
        let entries = crate::canonical::sort(entries)?;
        let id = crate::canonical::layer_id(&entries, TimesInId::Counted)?;
        let key = crate::canonical::layer_id(&entries, TimesInId::Ignored)?;
        Ok(Self { id, key, source: LayerSource::Plan, entries: OnceLock::from(EntryList::from(entries)) })
    }

    /// Makes the layer of an earlier RUN from its record; its entries are set when somebody looks into it.
    pub fn from_record(id: LayerId) -> Self {
        Self { id, key: id, source: LayerSource::Upper, entries: OnceLock::new() }
    }

    /// Tells whether the layer is one of no entries. Of a blob nobody has looked into that is not known, and `false`.
    pub fn is_empty(&self) -> bool {
        self.id == crate::canonical::empty_id()
    }

    /// The identity of the exact layer: its tree and its compressed forms are kept under it.
    pub fn id(&self) -> LayerId {
        self.id
    }

    /// The identity that keys of later steps use: as [`Layer::id`], but for a plan without times (linux.md §5.2).
    pub fn key(&self) -> LayerId {
        self.key
    }

    /// Where it comes from.
    pub fn source(&self) -> &LayerSource {
        &self.source
    }

    /// The entries in order of their paths; `None` for a blob nobody has looked into.
    pub fn entries(&self) -> Option<&EntryList> {
        self.entries.get()
    }

    /// Gives a blob's layer its entries, sorted. A second call changes nothing.
    pub fn set_entries(&self, entries: EntryList) {
        self.entries.get_or_init(|| entries);
    }
}
