//! Compresses layers while later steps run.

use std::sync::{Arc, Mutex, PoisonError};

use strake_layers::{Compression, DiffId, Layer};
use tokio::task::JoinSet;

use super::LayerBlobs;
use crate::execute::LayerReady;
use crate::request::Output;
use crate::{Error, Result};

/// Makes the compressed forms that outputs will ask for, as soon as a layer is there.
#[derive(Debug)]
pub(crate) struct Background {
    blobs: Arc<LayerBlobs>,
    wanted: Vec<Compression>,
    needs_diff_ids: bool,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Background {
    /// Makes the background work of these outputs.
    pub(crate) fn new(blobs: Arc<LayerBlobs>, outputs: &[Output]) -> Self {
        let mut wanted = Vec::new();
        for output in outputs {
            let compression = match output {
                Output::Oci { options, .. } | Output::Docker { options, .. } => options.compression,
                Output::Image { push: true, options, .. } => options.compression,
                _ => continue,
            };
            if !wanted.contains(&compression) {
                wanted.push(compression);
            }
        }
        let needs_diff_ids = outputs.iter().any(|output| !matches!(output, Output::CacheOnly));
        Self { blobs, wanted, needs_diff_ids, tasks: Arc::default() }
    }

    /// What to call with each layer of the image.
    pub(crate) fn on_layer(&self) -> LayerReady {
        let (blobs, wanted, tasks) = (Arc::clone(&self.blobs), self.wanted.clone(), Arc::clone(&self.tasks));
        Arc::new(move |layer| {
            for compression in wanted.clone() {
                let (blobs, layer) = (Arc::clone(&blobs), Arc::clone(&layer));
                let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
                // A failure shows again, and is told, when the output asks for the blob.
                tasks.spawn(async move { drop(blobs.blob(&layer, compression).await) });
            }
        })
    }

    /// The diff ID of a layer of the image.
    pub(crate) async fn diff_id(&self, layer: &Arc<Layer>) -> Result<DiffId> {
        match self.wanted.first() {
            Some(compression) => Ok(self.blobs.blob(layer, *compression).await?.0),
            None if self.needs_diff_ids => self.blobs.diff_id(layer).await,
            // Nobody will see the config.
            None => Ok(DiffId(strake_layers::Digest::of(&layer.id().0))),
        }
    }

    /// Waits for the work that is under way, after a build that failed.
    pub(crate) async fn settle(self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while let Some(done) = tasks.join_next().await {
            drop(done.map_err(|error| Error::internal(error.to_string())));
        }
    }
}
