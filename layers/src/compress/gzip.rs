use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use flate2::{Compress, FlushCompress, Status};

/// Bytes of one block. Part of the promise that equal input gives equal output; never change it without a new name in
/// `Compression`'s `Display`.
const BLOCK: usize = 512 << 10;
/// The window of deflate (RFC 1951 §2): how much of the previous block a block may refer to.
const WINDOW: usize = 32 << 10;
/// Most blocks that exist at one time, so memory stays below about 24 MiB however many threads there are.
const MOST_IN_FLIGHT: usize = 24;

/// Compresses to one gzip member on all threads of rayon's pool; its bytes do not depend on how many there are.
///
/// The input is cut into blocks of a fixed size. Each is compressed alone, with the last 32 KiB before it as preset
/// dictionary, and ends on a byte boundary (`Z_SYNC_FLUSH`), so that the pieces joined are one deflate stream.
pub(crate) struct GzipWriter<W: Write> {
    out: W,
    blocks: Arc<Blocks>,
    pending: Vec<u8>,
    previous: Arc<Vec<u8>>,
    crc: crc32fast::Hasher,
    length: u64,
    submitted: u64,
    taken: u64,
    in_flight: u64,
}

/// Blocks between the writer and the pool.
struct Blocks {
    level: flate2::Compression,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    finished: BTreeMap<u64, io::Result<Vec<u8>>>,
}

struct Job {
    index: u64,
    data: Arc<Vec<u8>>,
    previous: Arc<Vec<u8>>,
    flush: FlushCompress,
}

impl<W: Write> GzipWriter<W> {
    /// Begins a member; its header has no name and no time, and names no operating system (RFC 1952 §2.3).
    pub(crate) fn new(mut out: W, level: u32) -> io::Result<Self> {
        let level = level.min(9);
        // XFL tells slowest and fastest (RFC 1952 §2.3.1), as zlib and Go set it.
        let extra = match level {
            9 => 2,
            1 => 4,
            _ => 0,
        };
        out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, extra, 255])?;
        let in_flight = (2 * rayon::current_num_threads() + 2).min(MOST_IN_FLIGHT);
        Ok(Self {
            out,
            blocks: Arc::new(Blocks {
                level: flate2::Compression::new(level),
                state: Mutex::default(),
                done: Condvar::new(),
            }),
            pending: Vec::with_capacity(BLOCK),
            previous: Arc::default(),
            crc: crc32fast::Hasher::new(),
            length: 0,
            submitted: 0,
            taken: 0,
            in_flight: in_flight as u64,
        })
    }

    /// Ends the member and gives back what it was written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.submit(FlushCompress::Finish)?;
        while self.taken < self.submitted {
            self.take_one()?;
        }
        self.out.write_all(&self.crc.finalize().to_le_bytes())?;
        // ISIZE is the length modulo 2^32 (RFC 1952 §2.3.1).
        self.out.write_all(&self.length.to_le_bytes()[..4])?;
        Ok(self.out)
    }

    fn submit(&mut self, flush: FlushCompress) -> io::Result<()> {
        if self.submitted - self.taken >= self.in_flight {
            self.take_one()?;
        }
        let data = Arc::new(std::mem::replace(&mut self.pending, Vec::with_capacity(BLOCK)));
        let previous = std::mem::replace(&mut self.previous, Arc::clone(&data));
        let job = Job { index: self.submitted, data, previous, flush };
        self.submitted += 1;
        self.blocks.lock().waiting.push_back(job);
        let blocks = Arc::clone(&self.blocks);
        rayon::spawn(move || blocks.help());
        // What is ready meanwhile goes out early, which keeps the buffers few.
        while let Some(result) = self.blocks.take_finished(self.taken) {
            self.write_out(result)?;
        }
        Ok(())
    }

    fn take_one(&mut self) -> io::Result<()> {
        let result = self.blocks.wait_for(self.taken);
        self.write_out(result)
    }

    fn write_out(&mut self, result: io::Result<Vec<u8>>) -> io::Result<()> {
        self.taken += 1;
        self.out.write_all(&result?)
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        // A full block is kept until more comes, since the last one must be finished instead of flushed.
        if self.pending.len() == BLOCK {
            self.submit(FlushCompress::Sync)?;
        }
        let data = &data[..data.len().min(BLOCK - self.pending.len())];
        self.crc.update(data);
        self.length += data.len() as u64;
        self.pending.extend_from_slice(data);
        Ok(data.len())
    }

    /// Does nothing: a flush in the middle would move the boundaries of blocks.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> fmt::Debug for GzipWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GzipWriter").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Blocks {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_finished(&self, index: u64) -> Option<io::Result<Vec<u8>>> {
        self.lock().finished.remove(&index)
    }

    /// Waits for a block. As long as some block waits for a thread, this one compresses it: so the writer may itself
    /// run on the pool's only thread.
    fn wait_for(&self, index: u64) -> io::Result<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if let Some(result) = state.finished.remove(&index) {
                return result;
            }
            if state.waiting.is_empty() {
                state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                drop(state);
                self.help();
                state = self.lock();
            }
        }
    }

    /// Compresses the next waiting block, where there is one.
    fn help(&self) {
        let mut state = self.lock();
        let Some(job) = state.waiting.pop_front() else { return };
        drop(state);
        let result = job.compress(self.level);
        self.lock().finished.insert(job.index, result);
        self.done.notify_all();
    }
}

impl Job {
    /// Compresses with a compressor of its own: one that worked before keeps tables of then, also after
    /// `Compress::reset`, and they change (rarely) which match it takes.
    fn compress(&self, level: flate2::Compression) -> io::Result<Vec<u8>> {
        let mut compressor = Compress::new(level, false);
        let window = &self.previous[self.previous.len().saturating_sub(WINDOW)..];
        if !window.is_empty() {
            compressor.set_dictionary(window).map_err(io::Error::other)?;
        }
        // Deflate grows incompressible data by 5 bytes in 16 KiB; so one call has room for everything.
        let mut out = Vec::with_capacity(self.data.len() + self.data.len() / 1024 + 1024);
        loop {
            let consumed = usize::try_from(compressor.total_in()).map_err(io::Error::other)?;
            let status =
                compressor.compress_vec(&self.data[consumed..], &mut out, self.flush).map_err(io::Error::other)?;
            match status {
                Status::StreamEnd => return Ok(out),
                _ if out.len() == out.capacity() => out.reserve(64 << 10),
                _ if matches!(self.flush, FlushCompress::Finish) => {}
                _ => return Ok(out),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use sha2::{Digest as _, Sha256};

    use super::*;

    fn sample(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        (0..length)
            .map(|i| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if i % 7 < 4 { b'a' + (i / 50 % 20).to_le_bytes()[0] } else { state.to_le_bytes()[3] & 0x3f }
            })
            .collect()
    }

    fn compress(data: &[u8], level: u32, piece: usize) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new(), level).unwrap();
        for part in data.chunks(piece) {
            writer.write_all(part).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn bytes_do_not_depend_on_threads_or_pieces() {
        let data = sample(5 * BLOCK + 12_345);
        let expected = compress(&data, 4, 1 << 20);
        for threads in 1..=8 {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| compress(&data, 4, 777_777)), expected, "{threads} threads");
        }
        assert_eq!(compress(&data, 4, 4099), expected);
    }

    /// Noise, texts of few letters, and copies from up to 40,000 bytes before.
    fn mixed_sample(length: usize) -> Vec<u8> {
        let mut state = 9_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap()
        };
        let mut data: Vec<u8> = Vec::new();
        while data.len() < length {
            let (kind, piece) = (next() % 4, next() % 300 + 4);
            let far = next() % data.len().clamp(1, 40_000) + 1;
            for _ in 0..piece {
                data.push(match kind {
                    1 => b'a' + (next() % 7).to_le_bytes()[0],
                    2 | 3 if data.len() >= 1000 => data[data.len() - far],
                    _ => next().to_le_bytes()[0],
                });
            }
        }
        data.truncate(length);
        data
    }

    /// A compressor that is used again (`Compress::reset` of zlib-rs 0.6.8) keeps tables of its earlier block, and now
    /// and then they change what it finds; so it would show which thread took which block before.
    #[test]
    fn bytes_do_not_depend_on_earlier_blocks() {
        let data = mixed_sample(24 * BLOCK);
        for level in [1, 4] {
            let whole = compress(&data, level, 1 << 20);
            let mut joined = whole[..10].to_vec();
            for index in 0..23 {
                let job = Job {
                    index: 0,
                    data: Arc::new(data[index * BLOCK..(index + 1) * BLOCK].to_vec()),
                    previous: Arc::new(data[(index * BLOCK).saturating_sub(BLOCK)..index * BLOCK].to_vec()),
                    flush: FlushCompress::Sync,
                };
                joined.extend_from_slice(&job.compress(flate2::Compression::new(level)).unwrap());
            }
            assert!(whole[..joined.len()] == joined, "level {level}");
        }
    }

    #[test]
    fn it_is_one_member_that_others_read() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 7] {
            let data = sample(length);
            for level in [0, 1, 4, 9] {
                let packed = compress(&data, level, 1 << 16);
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut plain).unwrap();
                assert!(plain == data, "single member, {length} bytes, level {level}");
                plain.clear();
                flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut plain).unwrap();
                assert!(plain == data, "{length} bytes, level {level}");
            }
        }
    }

    #[test]
    fn dictionaries_are_used() {
        // A random block repeated: only with the window of the previous block can the second start small.
        let mut state = 7_u64;
        let noise: Vec<u8> = (0..WINDOW / 2)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state.to_le_bytes()[7]
            })
            .collect();
        let mut data = vec![0; BLOCK - noise.len()];
        data.extend_from_slice(&noise);
        let once = compress(&data, 6, 1 << 20).len();
        data.extend_from_slice(&noise);
        assert!(compress(&data, 6, 1 << 20).len() < once + 1000);
    }

    #[test]
    fn an_error_of_the_sink_comes_back() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, data: &[u8]) -> io::Result<usize> {
                if self.0 == 0 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.0 -= 1;
                Ok(data.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = GzipWriter::new(Full(2), 1).unwrap();
        let data = sample(64 * BLOCK);
        let error = writer.write_all(&data).and_then(|()| writer.finish().map(|_| ())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    /// The bytes are a promise: a new version of the compressor that changes them needs a new name in `Compression`.
    #[test]
    fn bytes_are_pinned() {
        let packed = compress(&sample(BLOCK + 1000), 4, 1 << 20);
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&packed));
        assert_eq!(digest, "b97558e41936aac3744097738fcae98f1891cfce43df5f32659e7344f17ba2d6");
    }
}
