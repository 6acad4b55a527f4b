//! What the network must tell before a build is planned: which image a name means now.
//!
//! Asking costs one HEAD request for a tag and none for a digest: documents are kept in the blob store by digest.
//! Layers are not fetched until somebody looks into them.

mod documents;
mod layers;
mod resolver;

use std::sync::Arc;

use strake_layers::{Descriptor, Digest, ImageConfig, Layer, Platform};

use crate::plan::ImageSource;

pub use resolver::{Resolver, Unresolved};

/// An image as it was found.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// Where it came from.
    pub source: ImageSource,
    /// The platform that was asked for.
    pub platform: Platform,
    /// What messages call it.
    pub name: String,
    /// The config.
    pub config: ImageConfig,
    /// The config's bytes as found.
    pub config_bytes: Arc<[u8]>,
    /// The manifest: digest, size, media type.
    pub manifest: Descriptor,
    /// The digest of the index that the name meant, where it meant one.
    pub index: Option<Digest>,
    /// The layers, lowest first; their blobs need not be here.
    pub layers: Vec<Arc<Layer>>,
}

#[cfg(test)]
mod tests;
