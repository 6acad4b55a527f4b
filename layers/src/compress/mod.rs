//! How layers are compressed, and how anything compressed is read.

use std::fmt;

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
}
