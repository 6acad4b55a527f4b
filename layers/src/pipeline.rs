//! Streams cut into chunks that threads hand on: what one makes, others hash, compress or unpack meanwhile.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use sha2::{Digest as _, Sha256};

/// Bytes of one chunk (linux.md §4.7).
const CHUNK: usize = 1 << 20;
/// Chunks that wait between two threads; so memory is bounded.
const WAITING: usize = 3;

/// Hands what is written to it to several threads at once.
pub(crate) struct ChunkWriter {
    chunk: Vec<u8>,
    consumers: Vec<SyncSender<Arc<Vec<u8>>>>,
}

impl ChunkWriter {
    /// Makes a writer and one reader for each of `N` consumers.
    pub(crate) fn new<const N: usize>() -> (Self, [Receiver<Arc<Vec<u8>>>; N]) {
        let mut consumers = Vec::with_capacity(N);
        let receivers = std::array::from_fn(|_| {
            let (sender, receiver) = sync_channel(WAITING);
            consumers.push(sender);
            receiver
        });
        (Self { chunk: Vec::with_capacity(CHUNK), consumers }, receivers)
    }

    /// Sends the rest; the readers see the end.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.send()
    }

    fn send(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = Arc::new(std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK)));
        for consumer in &self.consumers {
            // A consumer that is gone has an error of its own to tell.
            consumer.send(Arc::clone(&chunk)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
        Ok(())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let data = &data[..data.len().min(CHUNK - self.chunk.len())];
        self.chunk.extend_from_slice(data);
        if self.chunk.len() == CHUNK {
            self.send()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The SHA-256 of all chunks.
pub(crate) fn hash_chunks(chunks: &Receiver<Arc<Vec<u8>>>) -> Sha256 {
    let mut hasher = Sha256::new();
    for chunk in chunks {
        hasher.update(&*chunk);
    }
    hasher
}

/// Reads a stream on a thread of its own, which hashes it, too.
pub(crate) struct HashedReader {
    chunks: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    used: usize,
    thread: JoinHandle<Sha256>,
}

impl HashedReader {
    /// Begins to read.
    pub(crate) fn new(mut inner: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(WAITING);
        let read = move || {
            let mut hasher = Sha256::new();
            loop {
                let mut chunk = Vec::with_capacity(CHUNK);
                let result = (&mut inner).take(CHUNK as u64).read_to_end(&mut chunk);
                hasher.update(&chunk);
                let ended = !matches!(result, Ok(length) if length > 0);
                // Nobody may want the rest; then the thread ends.
                if sender.send(result.map(|_| chunk)).is_err() || ended {
                    return hasher;
                }
            }
        };
        let thread = std::thread::Builder::new().name("strake-inflate".into()).spawn(read)?;
        Ok(Self { chunks, current: Vec::new(), used: 0, thread })
    }

    /// The hash of the whole stream, which must have been read to its end.
    pub(crate) fn finish(self) -> io::Result<Sha256> {
        drop(self.chunks);
        self.thread.join().map_err(|_| io::Error::other("the thread that decompresses ended unexpectedly"))
    }
}

impl Read for HashedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used == self.current.len() {
            // After the end or an error the thread is gone, and so is the channel's other side.
            let Ok(chunk) = self.chunks.recv() else { return Ok(0) };
            self.current = chunk?;
            self.used = 0;
        }
        let length = buffer.len().min(self.current.len() - self.used);
        buffer[..length].copy_from_slice(&self.current[self.used..self.used + length]);
        self.used += length;
        Ok(length)
    }
}
