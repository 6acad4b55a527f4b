//! A file as the body of a request, and a watch on whether it gets on.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use strake_layers::{Digest, Notice, NoticeSink};
use tokio::sync::mpsc;

/// Bytes read from the file at a time.
const CHUNK: usize = 256 << 10;

/// How often progress is reported at most.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// A part of a blob's file.
#[derive(Clone, Debug)]
pub(crate) struct FilePart {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    /// The first byte.
    pub(crate) offset: u64,
    /// How many bytes.
    pub(crate) length: u64,
    /// The size of the whole blob.
    pub(crate) total: u64,
}

/// Follows one body while it is sent.
pub(crate) struct Watch<'a> {
    part: &'a FilePart,
    sent: Arc<AtomicU64>,
    notices: NoticeSink,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(part: &'a FilePart, notices: NoticeSink) -> Self {
        Self { part, sent: Arc::default(), notices }
    }

    /// The body. A thread reads ahead by a few chunks.
    pub(crate) fn body(&self) -> reqwest::Body {
        let (sender, receiver) = mpsc::channel::<std::io::Result<Bytes>>(4);
        let part = self.part.clone();
        // Not joined: it ends when the receiver is dropped or the part is read.
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = read_part(&part, &sender) {
                drop(sender.blocking_send(Err(error)));
            }
        }));
        let sent = self.sent.clone();
        let notices = self.notices.clone();
        let (digest, offset, total) = (self.part.digest.clone(), self.part.offset, self.part.total);
        let mut reported = Instant::now();
        let chunks =
            stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|item| (item, receiver)) });
        reqwest::Body::wrap_stream(futures_util::StreamExt::inspect(chunks, move |item| {
            let Ok(chunk) = item else { return };
            let done = sent.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64 + offset;
            if done == total || reported.elapsed() >= REPORT_EVERY {
                reported = Instant::now();
                notices.send(Notice::Transfer { digest: digest.clone(), action: "push", done, total: Some(total) });
            }
        }))
    }

    /// Ends when no byte was taken for `idle`, or no answer came within `answer` after the last one.
    pub(crate) async fn stalled(&self, idle: Duration, answer: Duration) -> String {
        let mut seen = 0;
        let mut since = Instant::now();
        loop {
            let sent = self.sent.load(Ordering::Relaxed);
            if sent != seen {
                seen = sent;
                since = Instant::now();
            }
            let is_done = sent == self.part.length;
            let limit = if is_done { answer } else { idle };
            let left = limit.saturating_sub(since.elapsed());
            if left.is_zero() {
                let what = if is_done { "no answer to the last byte" } else { "no byte taken" };
                return format!("{what} within {} s, {sent} bytes were sent", limit.as_secs());
            }
            tokio::time::sleep(left.min(Duration::from_millis(500))).await;
        }
    }
}

fn read_part(part: &FilePart, sender: &mpsc::Sender<std::io::Result<Bytes>>) -> std::io::Result<()> {
    let mut file = File::open(&part.path)?;
    file.seek(SeekFrom::Start(part.offset))?;
    let mut left = part.length;
    while left > 0 {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
        let mut chunk = vec![0; size];
        file.read_exact(&mut chunk)?;
        left -= size as u64;
        if sender.blocking_send(Ok(Bytes::from(chunk))).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
