use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Limits, Result};

/// The form of a tar archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArchiveFormat {
    /// Not compressed.
    Tar,
    /// gzip (RFC 1952).
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// zstd (RFC 8878).
    Zstd,
}

impl fmt::Display for ArchiveFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tar => "tar",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        })
    }
}

/// Memory that one xz stream may ask for: twice what its highest preset needs (`xz -9`: 65 MiB).
const XZ_MEMORY: u64 = 128 << 20;
/// Largest window of a zstd frame: 128 MiB, the limit of the zstd program without `--long`.
const ZSTD_WINDOW_LOG: u32 = 27;

impl ArchiveFormat {
    /// The compression whose magic number the first bytes have; `None` where there is none (plain tar or no archive).
    pub fn of_magic(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Some(Self::Bzip2),
            // An empty bzip2 stream has its end mark at once.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Some(Self::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // A skippable frame may come first (RFC 8878 §3.1.2).
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Tells whether a file is a tar archive, compressed or not: by its magic number and its first header, never by
    /// its name (dockerfile.md §13.5). The file's position is at the start afterwards.
    pub fn detect(file: &mut File) -> Result<Option<Self>> {
        let stream = |e| Error::stream("archive", e);
        file.seek(SeekFrom::Start(0)).map_err(stream)?;
        let start = read_up_to(file, 512).map_err(stream)?;
        file.seek(SeekFrom::Start(0)).map_err(stream)?;
        let Some(format) = Self::of_magic(&start) else {
            return Ok(crate::tar::is_header(&start).then_some(Self::Tar));
        };
        let inner = file.try_clone().map_err(stream)?;
        // What does not decompress is no archive; it is then copied as any other file.
        let header = decoder(format, Box::new(inner)).and_then(|mut reader| read_up_to(&mut reader, 512));
        file.seek(SeekFrom::Start(0)).map_err(stream)?;
        Ok(header.is_ok_and(|header| crate::tar::is_header(&header)).then_some(format))
    }
}

fn read_up_to(reader: &mut dyn Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    reader.take(limit).read_to_end(&mut start)?;
    Ok(start)
}

/// Reads what is compressed; streams that follow one another are read as one.
pub(crate) fn decoder(format: ArchiveFormat, reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let buffered = BufReader::with_capacity(256 << 10, reader);
    Ok(match format {
        ArchiveFormat::Tar => Box::new(buffered),
        ArchiveFormat::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        ArchiveFormat::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(buffered)),
        ArchiveFormat::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(buffered, stream))
        }
        ArchiveFormat::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(buffered)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    })
}

/// Output below this is never too much for its input: zeros compress better than any sensible ratio.
const RATIO_FREE: u64 = 1 << 30;

/// Counts what goes into a decoder and what comes out, and stops where it is more than the limits allow.
pub(crate) struct BoundedReader {
    inner: Box<dyn Read + Send>,
    format: ArchiveFormat,
    consumed: Arc<AtomicU64>,
    produced: u64,
    limits: Limits,
    name: String,
}

impl BoundedReader {
    /// Decodes `reader`; `name` is what it is called in messages.
    pub(crate) fn new(
        format: ArchiveFormat,
        reader: Box<dyn Read + Send>,
        limits: Limits,
        name: &str,
    ) -> io::Result<Self> {
        let consumed = Arc::new(AtomicU64::new(0));
        let counted = CountedReader { inner: reader, count: Arc::clone(&consumed) };
        let inner = decoder(format, Box::new(counted))?;
        Ok(Self { inner, format, consumed, produced: 0, limits, name: name.to_owned() })
    }

    /// Names the compression in what a decoder says: it knows neither the file nor what it is for. What the file's own
    /// reader says stays as it is.
    fn explain(&self, error: io::Error) -> io::Error {
        let is_ours = matches!(error.get_ref(), Some(inner) if inner.is::<Error>());
        let is_files = error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted;
        if self.format == ArchiveFormat::Tar || is_ours || is_files {
            return error;
        }
        io::Error::new(io::ErrorKind::InvalidData, format!("its {} data are damaged: {error}", self.format))
    }
}

impl Read for BoundedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer).map_err(|error| self.explain(error))?;
        self.produced += length as u64;
        let limit =
            |what: &str, limit: String| Err(Error::Limit { what: format!("{what} of {}", self.name), limit }.into_io());
        if self.produced > self.limits.unpacked {
            return limit("the unpacked size", format!("{} bytes", self.limits.unpacked));
        }
        let most = self.consumed.load(Ordering::Relaxed).saturating_mul(self.limits.ratio);
        if self.produced > RATIO_FREE && self.produced > most {
            return limit("the compression ratio", format!("{}:1", self.limits.ratio));
        }
        Ok(length)
    }
}

struct CountedReader {
    inner: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for CountedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn detects_archives_by_their_bytes_only() {
        let mut header = ::tar::Header::new_ustar();
        header.set_path("x").unwrap();
        header.set_size(0);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.resize(2048, 0);
        let gzip = |data: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        };
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&tar).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&tar).unwrap();
        let cases = [
            (tar.clone(), Some(ArchiveFormat::Tar)),
            (gzip(&tar), Some(ArchiveFormat::Gzip)),
            (bzip2.finish().unwrap(), Some(ArchiveFormat::Bzip2)),
            (xz.finish().unwrap(), Some(ArchiveFormat::Xz)),
            (zstd::encode_all(&tar[..], 1).unwrap(), Some(ArchiveFormat::Zstd)),
            (gzip(b"no tar"), None),
            (gzip(&tar)[..20].to_vec(), None),
            (vec![0; 1024], None),
            (b"PK\x03\x04".to_vec(), None),
            (Vec::new(), None),
        ];
        for (bytes, expected) in cases {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            assert_eq!(ArchiveFormat::detect(&mut file).unwrap(), expected, "{:?}", &bytes[..bytes.len().min(8)]);
            assert_eq!(file.stream_position().unwrap(), 0);
        }
    }

    #[test]
    fn more_output_than_allowed_is_an_error() {
        let packed = zstd::encode_all(&vec![0_u8; 100_000][..], 1).unwrap();
        let limits = Limits { unpacked: 50_000, ..Limits::default() };
        let mut reader =
            BoundedReader::new(ArchiveFormat::Zstd, Box::new(io::Cursor::new(packed)), limits, "layer x").unwrap();
        let error = Error::stream("layer", io::copy(&mut reader, &mut io::sink()).unwrap_err());
        assert_eq!(error.to_string(), "the unpacked size of layer x exceeds the limit of 50000 bytes");
    }
}
