//! How layers are compressed, and how anything compressed is read.

mod decode;
mod gzip;

use std::fmt;
use std::io::{self, Write};

use zstd::zstd_safe::CParameter;

pub use decode::ArchiveFormat;
pub(crate) use decode::BoundedReader;

use gzip::GzipWriter;

/// How a layer blob is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    Uncompressed,
    /// gzip of a level 0 to 9.
    Gzip(u32),
    /// zstd of a level 1 to 22.
    Zstd(i32),
}

impl Default for Compression {
    /// gzip level 4 (architecture.md, decision 5).
    fn default() -> Self {
        Self::Gzip(4)
    }
}

/// The name under which compressed forms are remembered: it changes whenever the bytes would.
impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uncompressed => f.write_str("uncompressed-1"),
            Self::Gzip(level) => write!(f, "gzip-{level}-1"),
            Self::Zstd(level) => write!(f, "zstd-{level}-1"),
        }
    }
}

impl Compression {
    /// The OCI media type of a layer compressed so (OCI image specification, layer.md).
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Uncompressed => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip(_) => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd(_) => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// Begins to compress into `out`.
    pub(crate) fn encoder<W: Write>(self, out: W) -> io::Result<Encoder<W>> {
        Ok(match self {
            Self::Uncompressed => Encoder::Plain(out),
            Self::Gzip(level) => Encoder::Gzip(Box::new(GzipWriter::new(out, level)?)),
            Self::Zstd(level) => Encoder::Zstd(zstd_encoder(out, level, zstd_workers())?),
        })
    }
}

/// Compresses what is written to it; its bytes do not depend on the number of threads.
pub(crate) enum Encoder<W: Write> {
    Plain(W),
    Gzip(Box<GzipWriter<W>>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Ends the stream and gives back what it was written to.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(writer) => writer.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(data),
            Self::Gzip(writer) => writer.write(data),
            Self::Zstd(encoder) => encoder.write(data),
        }
    }

    /// Flushes nothing that would change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(_) | Self::Zstd(_) => Ok(()),
        }
    }
}

/// Bytes of one zstd job. Fixed, since the library's own choice is part of the output.
const ZSTD_JOB: u32 = 2 << 20;
/// More workers would hold more memory than they save time.
const MOST_ZSTD_WORKERS: usize = 8;

/// At least one: with none the library cuts its input otherwise, and the bytes differ.
fn zstd_workers() -> u32 {
    u32::try_from(rayon::current_num_threads().clamp(1, MOST_ZSTD_WORKERS)).unwrap_or(1)
}

fn zstd_encoder<W: Write>(out: W, level: i32, workers: u32) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, level.clamp(1, 22))?;
    encoder.multithread(workers)?;
    encoder.set_parameter(CParameter::JobSize(ZSTD_JOB))?;
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstd_bytes_do_not_depend_on_workers() {
        let data: Vec<u8> = (0..9_000_000_u32).map(|i| (i.wrapping_mul(i) >> 11).to_le_bytes()[0] & 0x1f).collect();
        let pack = |workers, piece| {
            let mut encoder = zstd_encoder(Vec::new(), 3, workers).unwrap();
            for part in data.chunks(piece) {
                encoder.write_all(part).unwrap();
            }
            encoder.finish().unwrap()
        };
        let expected = pack(1, 1 << 20);
        for workers in [2, 3, 8] {
            assert!(pack(workers, 1 << 20) == expected, "{workers} workers");
        }
        assert!(pack(2, 4099) == expected, "other pieces");
        assert!(zstd::decode_all(&expected[..]).unwrap() == data);
    }

    #[test]
    fn every_compression_comes_back() {
        for compression in [Compression::Uncompressed, Compression::default(), Compression::Zstd(3)] {
            let mut encoder = compression.encoder(Vec::new()).unwrap();
            encoder.write_all(b"hello").unwrap();
            let packed = encoder.finish().unwrap();
            let format = ArchiveFormat::of_magic(&packed).unwrap_or(ArchiveFormat::Tar);
            let mut plain = String::new();
            io::Read::read_to_string(
                &mut decode::decoder(format, Box::new(io::Cursor::new(packed))).unwrap(),
                &mut plain,
            )
            .unwrap();
            assert_eq!(plain, "hello");
        }
    }
}
