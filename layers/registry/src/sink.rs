//! Carries bytes from the network to a blob's file: hashing and writing happen on a thread of their own.

use std::io::Write as _;

use bytes::Bytes;
use strake_layers::{Algorithm, BlobStore, Digest};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

/// Chunks on their way between the two threads.
const QUEUE: usize = 16;

/// A blob being received. Dropped early, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Sink {
    sender: mpsc::Sender<Bytes>,
    writer: JoinHandle<Result<Finish>>,
    received: u64,
}

type Finish = strake_layers::BlobWriter;

impl Sink {
    pub(crate) fn new(store: &BlobStore, algorithm: Algorithm) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(QUEUE);
        let store = store.clone();
        let writer = tokio::task::spawn_blocking(move || {
            let mut writer = store.writer_for(algorithm)?;
            while let Some(chunk) = receiver.blocking_recv() {
                writer
                    .write_all(&chunk)
                    .map_err(|error| strake_layers::Error::host("write a blob to", store.scratch(), error))?;
            }
            Ok(writer)
        });
        Self { sender, writer, received: 0 }
    }

    /// Bytes taken so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Takes the next bytes. `false`: the writer stopped, and [`Sink::finish`] tells why.
    pub(crate) async fn push(&mut self, chunk: Bytes) -> bool {
        self.received += chunk.len() as u64;
        self.sender.send(chunk).await.is_ok()
    }

    /// Verifies what was received and makes it visible in the store.
    pub(crate) async fn finish(self, expected: Option<(Digest, u64)>) -> Result<(Digest, u64)> {
        let Self { sender, writer, .. } = self;
        drop(sender);
        let lost = |error| Error::Internal(format!("the writer of a blob ended: {error}"));
        let writer = writer.await.map_err(lost)??;
        let finish =
            tokio::task::spawn_blocking(move || writer.finish(expected.as_ref().map(|(digest, size)| (digest, *size))));
        Ok(finish.await.map_err(lost)??)
    }
}
