//! The layers of base images: their blobs, and what is in them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::try_join_all;
use strake_layers::{Layer, LayerId, LayerReader, LayerSource, Limits};

use super::Resolver;
use super::documents::blocking;
use crate::{Error, Result};

/// One turn for each layer, so that two steps do not index one layer twice.
pub(super) type Turns = Mutex<HashMap<LayerId, Arc<tokio::sync::Mutex<()>>>>;

/// The form under which a blob that came from outside is remembered for its layer.
const PULLED: &str = "pulled";

impl Resolver {
    /// Brings the blobs of layers into the store, at the same time. Layers that were made here have none to fetch.
    pub async fn ensure_blobs(&self, layers: &[Arc<Layer>]) -> Result<()> {
        try_join_all(layers.iter().map(|layer| self.ensure_blob(layer))).await.map(drop)
    }

    async fn ensure_blob(&self, layer: &Arc<Layer>) -> Result<()> {
        let LayerSource::Blob { descriptor, diff_id } = layer.source() else { return Ok(()) };
        if self.store.blobs().size(&descriptor.digest) == Some(descriptor.size) {
            self.store.use_blob(&descriptor.digest);
        } else {
            let Some(origin) = self.repository_of(layer) else {
                return Err(Error::user(format!("the layout of the base image lacks layer {}", descriptor.digest))
                    .with_help("write the layout anew, with its foreign layers"));
            };
            self.client.fetch_blob(&origin, descriptor, self.store.blobs()).await?;
        }
        self.store.remember_blob(layer.id(), PULLED, diff_id, descriptor)?;
        Ok(())
    }

    /// Makes known what is in a layer: from what the store keeps of it, else by reading its blob once.
    pub async fn ensure_entries(&self, layer: &Arc<Layer>) -> Result<()> {
        if layer.entries().is_some() {
            return Ok(());
        }
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(layer.id()).or_default())
        };
        let _turn = turn.lock().await;
        if layer.entries().is_some() || self.load_kept(layer).await? {
            return Ok(());
        }
        let LayerSource::Blob { descriptor, diff_id } = layer.source() else {
            return Err(Error::internal(format!("nothing is kept of layer {}", layer.id())));
        };
        self.ensure_blob(layer).await?;
        // The list may be there already, and only the bytes were missing.
        if self.load_kept(layer).await? {
            return Ok(());
        }
        let (store, cancel) = (Arc::clone(&self.store), self.cancel.clone());
        let (descriptor, diff_id, id) = (descriptor.clone(), diff_id.clone(), layer.id());
        let entries = blocking(move || {
            let reader = LayerReader {
                store: store.blobs(),
                descriptor: &descriptor,
                diff_id: &diff_id,
                limits: Limits::default(),
                cancel: &cancel,
            };
            let entries = reader.index()?;
            store.store_entries(id, &entries)?;
            Ok(entries)
        });
        layer.set_entries(entries.await?.into());
        Ok(())
    }

    async fn load_kept(&self, layer: &Arc<Layer>) -> Result<bool> {
        let (store, id) = (Arc::clone(&self.store), layer.id());
        let kept = blocking(move || Ok(store.load_entries(id)?)).await?;
        match kept {
            Some(kept) if kept.has_contents() => {
                layer.set_entries(kept);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
