//! Built images as they lie in an OCI layout.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// An image with uncompressed layers, read from a folder.
#[derive(Clone, Debug)]
pub struct Image {
    folder: PathBuf,
    /// The manifest.
    pub manifest: Value,
    /// The config.
    pub config: Value,
    /// The config as it is written.
    pub config_text: String,
}

impl Image {
    /// Reads the first image of a layout.
    pub fn open(folder: &Path) -> Self {
        let index: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
        let manifest: Value = serde_json::from_slice(&blob(folder, &index["manifests"][0])).unwrap();
        let config_text = String::from_utf8(blob(folder, &manifest["config"])).unwrap();
        let config = serde_json::from_str(&config_text).unwrap();
        Self { folder: folder.to_owned(), manifest, config, config_text }
    }

    /// The tars of the layers, the base first.
    pub fn layers(&self) -> Vec<Vec<u8>> {
        self.manifest["layers"].as_array().unwrap().iter().map(|layer| blob(&self.folder, layer)).collect()
    }

    /// The names in one layer; folders end with `/`.
    pub fn names(&self, layer: usize) -> Vec<String> {
        let layers = self.layers();
        let mut archive = ::tar::Archive::new(layers[layer].as_slice());
        let entries = archive.entries().unwrap();
        entries.map(|entry| String::from_utf8_lossy(&entry.unwrap().path_bytes()).into_owned()).collect()
    }

    /// The digests of the uncompressed layers.
    pub fn diff_ids(&self) -> Vec<String> {
        let ids = self.config["rootfs"]["diff_ids"].as_array().unwrap();
        ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// The bytes of a file, of the topmost layer that has it.
    #[track_caller]
    pub fn file(&self, name: &str) -> String {
        for layer in self.layers().iter().rev() {
            let mut archive = ::tar::Archive::new(layer.as_slice());
            for entry in archive.entries().unwrap() {
                let mut entry = entry.unwrap();
                if *entry.path_bytes() == *name.as_bytes() {
                    let mut text = String::new();
                    entry.read_to_string(&mut text).unwrap();
                    return text;
                }
            }
        }
        panic!("no file {name}");
    }
}

fn blob(folder: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
    fs::read(folder.join("blobs").join(digest)).unwrap()
}
