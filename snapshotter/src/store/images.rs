use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use strake_layers::{Descriptor, Digest, LayerId};

use super::{Store, write_whole};
use crate::{Error, Result};

/// The largest file that is taken for an image's record.
const LONGEST: u64 = 8 << 20;

/// An image kept under a name, and everything of the store that it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The full name with its tag.
    pub name: String,
    /// The manifest or index.
    pub manifest: Descriptor,
    /// All blobs it needs, manifests and configs among them.
    pub blobs: Vec<Digest>,
    /// All layers it needs that have no blob among `blobs`.
    pub layers: Vec<LayerId>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

impl Store {
    /// Keeps an image under its name; what it needs is not pruned while the name exists.
    pub fn put_image(&self, image: &ImageRecord) -> Result<()> {
        let bytes = serde_json::to_vec(image).map_err(|e| Error::Internal(e.to_string()))?;
        write_whole(&self.ref_path(&image.name), &bytes)
    }

    /// The image of a name.
    pub fn image(&self, name: &str) -> Result<Option<ImageRecord>> {
        let image = read_ref(self.ref_path(name))?;
        Ok(image.filter(|image| image.name == name))
    }

    /// All images, by name.
    pub fn list_images(&self) -> Result<Vec<ImageRecord>> {
        let folder = self.layout.path("refs");
        let error = |e| Error::host("read directory", &folder, e);
        let mut images = Vec::new();
        for file in fs::read_dir(&folder).map_err(error)? {
            let path = file.map_err(error)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                images.extend(read_ref(path)?);
            }
        }
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(images)
    }

    /// Takes an image's name away; tells whether there was one.
    pub fn remove_image(&self, name: &str) -> Result<bool> {
        let path = self.ref_path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::host("remove", path, error)),
        }
    }

    /// Names of images hold slashes and may be longer than a file's name.
    fn ref_path(&self, name: &str) -> PathBuf {
        self.layout.path("refs").join(format!("{}.json", blake3::hash(name.as_bytes()).to_hex()))
    }
}

/// Reads an image's record; a damaged one counts as none.
fn read_ref(path: PathBuf) -> Result<Option<ImageRecord>> {
    match fs::metadata(&path) {
        Ok(meta) if meta.len() > LONGEST => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::host("look at", path, error)),
    }
    match fs::read(&path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::host("read", path, error)),
    }
}
