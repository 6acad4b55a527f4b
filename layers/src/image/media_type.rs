use crate::{Error, Result};

/// The media types that strake reads and writes (dockerfile.md §16.1; OCI image specification, media-types.md).
///
/// A namespace for constants and questions about media types, which descriptors carry as plain text.
#[derive(Clone, Copy, Debug)]
pub struct MediaType;

impl MediaType {
    /// OCI index.
    pub const OCI_INDEX: &'static str = "application/vnd.oci.image.index.v1+json";
    /// OCI manifest.
    pub const OCI_MANIFEST: &'static str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image configuration.
    pub const OCI_CONFIG: &'static str = "application/vnd.oci.image.config.v1+json";
    /// OCI layer, not compressed.
    pub const OCI_LAYER: &'static str = "application/vnd.oci.image.layer.v1.tar";
    /// OCI layer, gzip.
    pub const OCI_LAYER_GZIP: &'static str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    pub const OCI_LAYER_ZSTD: &'static str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// OCI empty descriptor: the two bytes `{}`.
    pub const OCI_EMPTY: &'static str = "application/vnd.oci.empty.v1+json";
    /// Docker manifest list.
    pub const DOCKER_LIST: &'static str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker manifest, version 2.
    pub const DOCKER_MANIFEST: &'static str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker image configuration.
    pub const DOCKER_CONFIG: &'static str = "application/vnd.docker.container.image.v1+json";
    /// Docker layer, not compressed.
    pub const DOCKER_LAYER: &'static str = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: &'static str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker foreign layer, gzip (windows.md §4.2).
    pub const DOCKER_FOREIGN_LAYER_GZIP: &'static str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    /// An in-toto statement (dockerfile.md §16.6).
    pub const IN_TOTO: &'static str = "application/vnd.in-toto+json";

    /// What a registry is asked for where a manifest or an index may come back.
    pub const ACCEPTED_MANIFESTS: [&'static str; 4] =
        [Self::OCI_INDEX, Self::OCI_MANIFEST, Self::DOCKER_LIST, Self::DOCKER_MANIFEST];

    /// The media type without parameters: `a/b; charset=utf-8` is `a/b`.
    pub fn essence(media_type: &str) -> &str {
        media_type.split(';').next().unwrap_or_default().trim()
    }

    /// Tells whether it is that of an index or manifest list.
    pub fn is_index(media_type: &str) -> bool {
        matches!(media_type, Self::OCI_INDEX | Self::DOCKER_LIST)
    }

    /// Tells whether it is that of an image manifest.
    pub fn is_manifest(media_type: &str) -> bool {
        matches!(media_type, Self::OCI_MANIFEST | Self::DOCKER_MANIFEST)
    }

    /// Tells whether it is that of an image configuration.
    pub fn is_config(media_type: &str) -> bool {
        matches!(media_type, Self::OCI_CONFIG | Self::DOCKER_CONFIG)
    }

    /// Tells whether it is that of a layer that strake can read.
    pub fn is_layer(media_type: &str) -> bool {
        LayerMediaType::parse(media_type).is_some()
    }

    /// Tells whether it is that of a layer that registries need not hold (windows.md §4.2).
    pub fn is_nondistributable(media_type: &str) -> bool {
        LayerMediaType::parse(media_type).is_some_and(|layer| !layer.distributable)
    }

    /// The twin of a manifest's, index's, configuration's or layer's media type in the given format; `None` where it has
    /// none, as a zstd layer in Docker's.
    pub fn converted(media_type: &str, format: ImageFormat) -> Option<&'static str> {
        let pair = match media_type {
            Self::OCI_INDEX | Self::DOCKER_LIST => (Self::OCI_INDEX, Self::DOCKER_LIST),
            Self::OCI_MANIFEST | Self::DOCKER_MANIFEST => (Self::OCI_MANIFEST, Self::DOCKER_MANIFEST),
            Self::OCI_CONFIG | Self::DOCKER_CONFIG => (Self::OCI_CONFIG, Self::DOCKER_CONFIG),
            layer => return LayerMediaType::parse(layer)?.name(format),
        };
        Some(if format == ImageFormat::Oci { pair.0 } else { pair.1 })
    }
}

/// The family of media types of an image's documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// OCI image specification.
    #[default]
    Oci,
    /// Docker image manifest, version 2, schema 2.
    Docker,
}

impl ImageFormat {
    /// The media type of a manifest.
    pub fn manifest(self) -> &'static str {
        if self == Self::Oci { MediaType::OCI_MANIFEST } else { MediaType::DOCKER_MANIFEST }
    }

    /// The media type of an index.
    pub fn index(self) -> &'static str {
        if self == Self::Oci { MediaType::OCI_INDEX } else { MediaType::DOCKER_LIST }
    }

    /// The media type of an image configuration.
    pub fn config(self) -> &'static str {
        if self == Self::Oci { MediaType::OCI_CONFIG } else { MediaType::DOCKER_CONFIG }
    }
}

/// How a layer's bytes are compressed, as its media type tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LayerEncoding {
    /// A plain tar.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// What the media type of a layer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LayerMediaType {
    /// The compression.
    pub encoding: LayerEncoding,
    /// Whether registries hold it; `false` for foreign layers.
    pub distributable: bool,
}

impl LayerMediaType {
    /// Reads the media type of a layer, in either format. Spellings that other tools wrote are understood.
    pub fn parse(media_type: &str) -> Option<Self> {
        let (rest, distributable) = if let Some(rest) = media_type.strip_prefix("application/vnd.oci.image.layer.v1.") {
            (rest, true)
        } else if let Some(rest) = media_type.strip_prefix("application/vnd.oci.image.layer.nondistributable.v1.") {
            (rest, false)
        } else if let Some(rest) = media_type.strip_prefix("application/vnd.docker.image.rootfs.diff.") {
            (rest, true)
        } else {
            (media_type.strip_prefix("application/vnd.docker.image.rootfs.foreign.diff.")?, false)
        };
        let encoding = match rest {
            "tar" => LayerEncoding::Plain,
            "tar+gzip" | "tar.gzip" => LayerEncoding::Gzip,
            "tar+zstd" | "tar.zstd" => LayerEncoding::Zstd,
            _ => return None,
        };
        Some(Self { encoding, distributable })
    }

    /// Reads the media type of a layer or fails with a message that names it.
    pub fn require(media_type: &str) -> Result<Self> {
        Self::parse(media_type).ok_or_else(|| {
            Error::Unsupported(format!(
                "a layer has the media type {media_type:?}, but only tar, tar+gzip and tar+zstd are known"
            ))
        })
    }

    /// Its name in a format; Docker's has none for zstd.
    pub fn name(self, format: ImageFormat) -> Option<&'static str> {
        use LayerEncoding::{Gzip, Plain, Zstd};
        let name = match (format, self.distributable, self.encoding) {
            (ImageFormat::Oci, true, Plain) => MediaType::OCI_LAYER,
            (ImageFormat::Oci, true, Gzip) => MediaType::OCI_LAYER_GZIP,
            (ImageFormat::Oci, true, Zstd) => MediaType::OCI_LAYER_ZSTD,
            (ImageFormat::Oci, false, Plain) => "application/vnd.oci.image.layer.nondistributable.v1.tar",
            (ImageFormat::Oci, false, Gzip) => "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            (ImageFormat::Oci, false, Zstd) => "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            (ImageFormat::Docker, true, Plain) => MediaType::DOCKER_LAYER,
            (ImageFormat::Docker, true, Gzip) => MediaType::DOCKER_LAYER_GZIP,
            (ImageFormat::Docker, false, Plain) => "application/vnd.docker.image.rootfs.foreign.diff.tar",
            (ImageFormat::Docker, false, Gzip) => MediaType::DOCKER_FOREIGN_LAYER_GZIP,
            (ImageFormat::Docker, _, Zstd) => return None,
        };
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_types_convert_both_ways() {
        for encoding in [LayerEncoding::Plain, LayerEncoding::Gzip, LayerEncoding::Zstd] {
            for distributable in [true, false] {
                let layer = LayerMediaType { encoding, distributable };
                for format in [ImageFormat::Oci, ImageFormat::Docker] {
                    match layer.name(format) {
                        Some(name) => assert_eq!(LayerMediaType::parse(name), Some(layer)),
                        None => assert_eq!((format, encoding), (ImageFormat::Docker, LayerEncoding::Zstd)),
                    }
                }
            }
        }
        assert_eq!(LayerMediaType::parse(MediaType::OCI_CONFIG), None);
        assert!(MediaType::is_nondistributable(MediaType::DOCKER_FOREIGN_LAYER_GZIP));
    }

    #[test]
    fn documents_convert_both_ways() {
        for (oci, docker) in [
            (MediaType::OCI_INDEX, MediaType::DOCKER_LIST),
            (MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST),
            (MediaType::OCI_CONFIG, MediaType::DOCKER_CONFIG),
            (MediaType::OCI_LAYER_GZIP, MediaType::DOCKER_LAYER_GZIP),
        ] {
            assert_eq!(MediaType::converted(oci, ImageFormat::Docker), Some(docker));
            assert_eq!(MediaType::converted(docker, ImageFormat::Oci), Some(oci));
        }
        assert_eq!(MediaType::converted("text/html", ImageFormat::Oci), None);
        assert_eq!(MediaType::essence("application/json; charset=utf-8"), "application/json");
    }
}
