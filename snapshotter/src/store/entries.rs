use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use strake_layers::{
    Archive, ContentPlace, ContentSource, Entry, EntryKind, EntryList, HostDir, LayerId, LayerReader, Limits,
};

use super::{Store, write_whole};
use crate::{Error, Result};

/// The longest list of entries that is read.
const LONGEST: u64 = 4 << 30;

impl Store {
    /// The entries of a layer, if they are kept. Their contents lie in the layer's tree, or else in its blob; where
    /// neither is there, [`EntryList::has_contents`] says so.
    pub fn load_entries(&self, id: LayerId) -> Result<Option<EntryList>> {
        let path = self.entries_path(id);
        let bytes = match fs::metadata(&path).and_then(|meta| match meta.len() {
            0..=LONGEST => fs::read(&path),
            _ => Ok(Vec::new()),
        }) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::host("read", path, error)),
        };
        self.use_layer(id);
        let tree = ["fs", "plain"].iter().find_map(|name| HostDir::open(self.layout.layer(id).join(name)).ok());
        let tree = tree.map(Arc::new);
        let blob = match &tree {
            Some(_) => None,
            None => self.any_blob_for(id)?,
        };
        let place = match (tree, &blob) {
            (Some(root), _) => ContentPlace::Tree(root),
            (None, Some((diff_id, descriptor))) => {
                ContentPlace::Archive(Arc::new(Archive::of_blob(self.blobs(), descriptor, diff_id, Limits::default())))
            }
            (None, None) => ContentPlace::Nowhere,
        };
        // A damaged list is as good as none: the layer is read or made again.
        let Ok(entries) = EntryList::unpack(bytes, place) else { return Ok(None) };
        let Some((diff_id, descriptor)) = blob.filter(|_| !entries.has_contents()) else { return Ok(Some(entries)) };
        let reader = LayerReader {
            store: self.blobs(),
            descriptor: &descriptor,
            diff_id: &diff_id,
            limits: Limits::default(),
            cancel: &self.options.cancel,
        };
        let entries = reader.index()?;
        self.store_entries(id, &entries)?;
        Ok(Some(entries.into()))
    }

    /// Keeps the entries of a layer.
    pub fn store_entries(&self, id: LayerId, entries: &[Entry]) -> Result<()> {
        let path = self.entries_path(id);
        let folder = self.layout.layer(id);
        fs::create_dir_all(&folder).map_err(|e| Error::host("make directory", &folder, e))?;
        write_whole(&path, &strake_layers::encode_entries(entries))
    }

    fn entries_path(&self, id: LayerId) -> PathBuf {
        self.layout.layer(id).join("entries")
    }
}

/// The same entries with the contents of their files in a directory, under the same paths.
pub(crate) fn relocate(entries: &[Entry], root: &Arc<HostDir>) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    for entry in &mut entries {
        if let EntryKind::File(content) = &mut entry.kind
            && !matches!(content.source, ContentSource::Inline(_))
        {
            content.source = ContentSource::Host { root: Arc::clone(root), path: entry.path.clone(), stamp: None };
        }
    }
    entries
}
