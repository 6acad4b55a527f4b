//! Image documents: configuration, manifest, index, and the image they describe.

mod config;
mod config_env;
mod document;
mod manifest;
mod media_type;

use std::sync::Arc;

pub use config::{ContainerConfig, Healthcheck, History, ImageConfig};
pub use document::{DOCUMENT_LIMIT, Document, Raw};
pub(crate) use document::{parse_json, write_json};
pub use manifest::{Index, Manifest, assemble_index, assemble_manifest};
pub use media_type::{ImageFormat, LayerEncoding, LayerMediaType, MediaType};

use crate::{Layer, Platform};

/// An image: its configuration and its layers, lowest first.
#[derive(Clone, Debug)]
pub struct Image {
    /// The configuration. While a build runs, its `diff_ids` are those of the layers whose tar was already made.
    pub config: ImageConfig,
    /// The layers, lowest first.
    pub layers: Vec<Arc<Layer>>,
    /// The platform it is for.
    pub platform: Platform,
}

impl Image {
    /// The image without layers that `FROM scratch` stands for (dockerfile.md §10.9).
    pub fn scratch(platform: &Platform) -> Self {
        Self { config: ImageConfig::scratch(platform), layers: Vec::new(), platform: platform.clone() }
    }
}
