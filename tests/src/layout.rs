//! OCI image layouts, written document by document, so that they can lie.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use strake_layers::Digest;

use crate::Tar;

/// The static shell that the base image is made of.
pub const BUSYBOX: &str = "/bin/busybox";

/// An uncompressed layer (OCI image specification, "Media Types").
pub const MEDIA_TYPE_TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// A layer, and what the documents say of it where that is not the truth.
#[derive(Clone, Debug, Default)]
pub struct LayoutLayer {
    /// The bytes of the blob.
    pub bytes: Vec<u8>,
    /// The media type; empty for [`MEDIA_TYPE_TAR`].
    pub media_type: &'static str,
    /// Another diff ID than the bytes have.
    pub diff_id: Option<String>,
    /// Another digest than the bytes have; the blob lies under it.
    pub digest: Option<String>,
    /// Another size than the bytes have.
    pub size: Option<u64>,
}

impl LayoutLayer {
    /// A layer of which the truth is told.
    pub fn new(tar: Tar) -> Self {
        Self { bytes: tar.finish(), ..Self::default() }
    }
}

/// Writes OCI image layouts.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    layers: Vec<LayoutLayer>,
    env: Vec<String>,
    os: Option<&'static str>,
}

impl Layout {
    /// Begins an image without layers.
    pub fn new() -> Self {
        Self { env: vec!["PATH=/bin".to_owned()], ..Self::default() }
    }

    /// The image the tests build upon: busybox under the names of what scripts use, in one layer.
    pub fn busybox() -> Self {
        let program = fs::read(BUSYBOX).unwrap_or_default();
        let mut tar = Tar::new().dir("bin/").file("bin/busybox", &program);
        for name in "sh cat ls echo sleep kill mkdir rm mv cp ln touch stat test true false date dd seq printf id wc \
                     head env find sync grep sha256sum chmod readlink rmdir trap mkfifo"
            .split_whitespace()
        {
            tar = tar.symlink(&format!("bin/{name}"), "busybox");
        }
        Self::new().layer(LayoutLayer::new(tar.dir("tmp/")))
    }

    /// Makes it an image of another system than Linux.
    #[must_use]
    pub fn os(mut self, os: &'static str) -> Self {
        self.os = Some(os);
        self
    }

    /// Adds a layer.
    #[must_use]
    pub fn layer(mut self, layer: LayoutLayer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Writes the layout into a folder.
    pub fn write(&self, folder: &Path) {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let put = |bytes: &[u8], name: Option<&str>| {
            let digest = name.map_or_else(|| Digest::of(bytes).to_string(), str::to_owned);
            fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).unwrap();
            digest
        };
        let mut descriptors = Vec::new();
        let mut diff_ids = Vec::new();
        for layer in &self.layers {
            let digest = put(&layer.bytes, layer.digest.as_deref());
            diff_ids.push(layer.diff_id.clone().unwrap_or_else(|| Digest::of(&layer.bytes).to_string()));
            let media_type = if layer.media_type.is_empty() { MEDIA_TYPE_TAR } else { layer.media_type };
            let size = layer.size.unwrap_or(layer.bytes.len() as u64);
            descriptors.push(json!({"mediaType": media_type, "digest": digest, "size": size}));
        }
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let document = |value: &Value| {
            let bytes = serde_json::to_vec(value).unwrap();
            (put(&bytes, None), bytes.len())
        };
        let (config, config_size) = document(&json!({
            "architecture": architecture,
            "os": self.os.unwrap_or("linux"),
            "config": {"Env": self.env},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }));
        let (manifest, manifest_size) = document(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": config_size,
            },
            "layers": descriptors,
        }));
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": manifest, "size": manifest_size,
        }]});
        fs::write(folder.join("index.json"), index.to_string()).unwrap();
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }
}
