//! Manifests and configs: from a registry, the store's own images, or an OCI image layout.

use std::path::Path;
use std::sync::Arc;

use strake_layers::{
    DOCUMENT_LIMIT, Digest, Document, ImageConfig, Layer, LayerMediaType, Manifest, MediaType, OciLayout, Platform,
    PlatformMatcher, Raw, Reference,
};

use super::{ResolvedImage, Resolver};
use crate::plan::ImageKey;
use crate::{Error, Result};

/// The manifest that a name means.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) index: Option<Digest>,
    pub(super) manifest: Raw<Manifest>,
    /// The registry's name of it, by which its blobs can be fetched.
    pub(super) origin: Option<Reference>,
}

/// How deep indexes may be nested (edges.md 8).
const NESTING: usize = 4;

impl Resolver {
    /// Looks for an image that this store keeps under a name.
    pub(super) async fn of_store(&self, reference: &Reference, platform: &Platform) -> Result<Option<Found>> {
        let (store, name, platform) = (Arc::clone(&self.store), reference.to_string(), platform.clone());
        let origin = reference.clone();
        blocking(move || {
            let Some(record) = store.image(&name)? else { return Ok(None) };
            let mut descriptor = record.manifest;
            let mut index = None;
            for _ in 0..=NESTING {
                if !store.use_blob(&descriptor.digest) {
                    return Ok(None);
                }
                let bytes = store.blobs().read_document(&descriptor.digest, DOCUMENT_LIMIT)?;
                match Document::parse(bytes, Some(&descriptor.media_type), &name)? {
                    Document::Manifest(manifest) => return Ok(Some(Found { index, manifest, origin: Some(origin) })),
                    Document::Index(found) => {
                        let Some(next) = found.value.select(&PlatformMatcher::new(&platform)) else { return Ok(None) };
                        let next = next.clone();
                        index.get_or_insert_with(|| found.digest.clone());
                        descriptor = next;
                    }
                }
            }
            Ok(None)
        })
        .await
    }

    /// Reads an image of a layout into the store.
    pub(super) async fn import_layout(
        &self,
        path: &Path,
        tag: Option<&str>,
        digest: Option<&str>,
        platform: &Platform,
    ) -> Result<Found> {
        let (store, path, cancel) = (Arc::clone(&self.store), path.to_owned(), self.cancel.clone());
        let (tag, platform) = (tag.map(str::to_owned), platform.clone());
        let digest: Option<Digest> = digest
            .map(str::parse)
            .transpose()
            .map_err(|error| Error::user(format!("the digest of the image layout {}: {error}", path.display())))?;
        blocking(move || {
            let layout = OciLayout::open(&path, store.blobs().scratch(), &cancel)?;
            let descriptor = layout.find(tag.as_deref(), digest.as_ref())?;
            let matcher = PlatformMatcher::new(&platform);
            let imported = layout.import(&descriptor, &matcher, store.blobs(), &cancel)?;
            let index = (imported.manifest.digest != descriptor.digest).then_some(descriptor.digest);
            Ok(Found { index, manifest: imported.manifest, origin: None })
        })
        .await
    }

    /// Reads the config of a manifest and makes the image of both.
    pub(super) async fn read_image(&self, key: &ImageKey, found: Found) -> Result<ResolvedImage> {
        let name = key.source.to_string();
        let manifest = &found.manifest.value;
        if !MediaType::is_config(&manifest.config.media_type) {
            return Err(Error::user(format!(
                "{name} is no image but an artifact of type {:?}",
                manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type)
            )));
        }
        let config_bytes = self.config_bytes(&found, &name).await?;
        let what = format!("the config of {name}");
        let config = ImageConfig::parse(&config_bytes, &what)?;
        let (layers, diff_ids) = (&manifest.layers, &config.diff_ids);
        if layers.len() != diff_ids.len() {
            return Err(Error::Layers(strake_layers::Error::BadDocument {
                what,
                problem: format!(
                    "its diff IDs number {}, but the layers of its manifest {}",
                    diff_ids.len(),
                    layers.len()
                ),
            }));
        }
        let mut made = Vec::with_capacity(layers.len());
        for (descriptor, diff_id) in layers.iter().zip(diff_ids) {
            LayerMediaType::require(&descriptor.media_type)?;
            made.push(Arc::new(Layer::from_blob(descriptor.clone(), diff_id.clone())));
        }
        Ok(ResolvedImage {
            source: key.source.clone(),
            platform: key.platform.clone(),
            name,
            config,
            config_bytes,
            manifest: found.manifest.descriptor(),
            index: found.index,
            layers: made,
        })
    }

    async fn config_bytes(&self, found: &Found, name: &str) -> Result<Arc<[u8]>> {
        let descriptor = found.manifest.value.config.clone();
        let store = Arc::clone(&self.store);
        let digest = descriptor.digest.clone();
        let kept = blocking(move || {
            if !store.use_blob(&digest) {
                return Ok(None);
            }
            // A copy that is damaged is fetched again.
            Ok(store.blobs().read_document(&digest, DOCUMENT_LIMIT).ok())
        });
        if let Some(bytes) = kept.await? {
            return Ok(bytes.into());
        }
        let Some(origin) = &found.origin else {
            return Err(Error::user(format!("{name} lacks its config {}", descriptor.digest)));
        };
        let bytes = self.client.fetch_document(origin, &descriptor, DOCUMENT_LIMIT).await?;
        let store = Arc::clone(&self.store);
        blocking(move || {
            store.blobs().put(&bytes)?;
            Ok(bytes.into())
        })
        .await
    }
}

/// Runs work that blocks on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal(format!("resolving: {error}"))),
    }
}
