//! Compressed forms of layers: made when an output needs them, never twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use strake_layers::{
    Cancel, Compression, Descriptor, DiffId, Layer, LayerId, LayerOptions, LayerSource, Timestamp, diff_id_of,
    write_layer,
};
use strake_snapshotter::Store;
use tokio::sync::OnceCell;

use crate::resolve::Resolver;
use crate::{Error, Result};

/// The version of the engine that makes compressed forms; a new one makes them anew.
const ENGINE: u32 = 1;

type Cell = Arc<OnceCell<(DiffId, Descriptor)>>;

/// Makes and finds the blobs of layers.
#[derive(Debug)]
pub(crate) struct LayerBlobs {
    store: Arc<Store>,
    resolver: Arc<Resolver>,
    cancel: Cancel,
    clamp: Option<Timestamp>,
    running: Mutex<BTreeMap<(LayerId, String), Cell>>,
}

impl LayerBlobs {
    /// Makes the blobs of one build. `clamp` is the latest time that entries of new layers may have.
    pub(crate) fn new(store: Arc<Store>, resolver: Arc<Resolver>, cancel: Cancel, clamp: Option<Timestamp>) -> Self {
        Self { store, resolver, cancel, clamp, running: Mutex::default() }
    }

    /// The blob of a layer: a pulled one as it is, others in the given compression.
    pub(crate) async fn blob(&self, layer: &Arc<Layer>, compression: Compression) -> Result<(DiffId, Descriptor)> {
        if let LayerSource::Blob { diff_id, descriptor } = layer.source() {
            return Ok((diff_id.clone(), descriptor.clone()));
        }
        let form = self.form(compression);
        let cell = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(running.entry((layer.id(), form.clone())).or_default())
        };
        cell.get_or_try_init(|| self.make(layer, compression, form)).await.cloned()
    }

    /// The diff ID of a layer, without making a blob.
    pub(crate) async fn diff_id(&self, layer: &Arc<Layer>) -> Result<DiffId> {
        if let LayerSource::Blob { diff_id, .. } = layer.source() {
            return Ok(diff_id.clone());
        }
        // The diff ID depends on the clamping, so it is a form of its own when there is one.
        let form = self.diff_form();
        let known = match &form {
            None => self.store.diff_id_of(layer.id())?,
            Some(form) => self.store.blob_for(layer.id(), form)?.map(|(diff_id, _)| diff_id),
        };
        if let Some(diff_id) = known {
            return Ok(diff_id);
        }
        if form.is_some() {
            return Ok(self.blob(layer, Compression::default()).await?.0);
        }
        self.resolver.ensure_entries(layer).await?;
        let (layer, clamp, cancel) = (Arc::clone(layer), self.clamp, self.cancel.clone());
        let store = Arc::clone(&self.store);
        blocking(move || {
            let diff_id = diff_id_of(entries(&layer)?, clamp, &cancel)?;
            store.remember_diff_id(layer.id(), &diff_id)?;
            Ok(diff_id)
        })
        .await
    }

    async fn make(&self, layer: &Arc<Layer>, compression: Compression, form: String) -> Result<(DiffId, Descriptor)> {
        if let Some(known) = self.store.blob_for(layer.id(), &form)? {
            return Ok(known);
        }
        self.resolver.ensure_entries(layer).await?;
        let (layer, cancel, store) = (Arc::clone(layer), self.cancel.clone(), Arc::clone(&self.store));
        let options = LayerOptions { compression, clamp_mtime: self.clamp };
        blocking(move || {
            let written = write_layer(entries(&layer)?, options, store.blobs(), &cancel)?;
            store.remember_blob(layer.id(), &form, &written.diff_id, &written.descriptor)?;
            Ok((written.diff_id, written.descriptor))
        })
        .await
    }

    fn form(&self, compression: Compression) -> String {
        match self.clamp {
            None => format!("{compression:?} {ENGINE}"),
            Some(clamp) => format!("{compression:?} {ENGINE} clamp {}", clamp.seconds),
        }
    }

    fn diff_form(&self) -> Option<String> {
        self.clamp.map(|_| self.form(Compression::default()))
    }
}

fn entries(layer: &Layer) -> Result<&[strake_layers::Entry]> {
    match layer.entries() {
        Some(entries) => Ok(entries),
        None => Err(Error::internal(format!("the entries of layer {} are not known", layer.id()))),
    }
}

/// Runs work that blocks off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => Err(Error::internal(format!("a worker panicked: {error}"))),
        Err(_) => Err(Error::Cancelled),
    }
}
