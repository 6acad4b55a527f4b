use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::document::write_json;
use super::{ImageFormat, MediaType, Raw};
use crate::descriptor::null_is_default;
use crate::{Descriptor, Error, PlatformMatcher, Result};

/// The manifest of one image (OCI image specification, manifest.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object", rename_all = "camelCase")]
pub struct Manifest {
    #[serde(default = "two")]
    schema_version: u32,
    /// The media type, where the document itself tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The kind of artifact, where it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The index of images for several platforms (OCI image specification, image-index.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "an object", rename_all = "camelCase")]
pub struct Index {
    #[serde(default = "two")]
    schema_version: u32,
    /// The media type, where the document itself tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    #[serde(default, deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The version of both documents (OCI image specification, manifest.md, "schemaVersion").
fn two() -> u32 {
    2
}

impl Manifest {
    /// Makes a manifest of an image or an artifact.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>, format: ImageFormat) -> Self {
        Self {
            schema_version: two(),
            media_type: Some(format.manifest().to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Writes it.
    pub fn into_raw(self) -> Result<Raw<Self>> {
        let media_type = self.media_type.clone().unwrap_or_else(|| MediaType::OCI_MANIFEST.to_owned());
        Ok(Raw::new(write_json(&self, "a manifest")?, media_type, self))
    }
}

impl Index {
    /// Makes an index.
    pub fn new(manifests: Vec<Descriptor>, format: ImageFormat) -> Self {
        let media_type = Some(format.index().to_owned());
        Self { schema_version: two(), media_type, manifests, annotations: BTreeMap::new() }
    }

    /// Writes it.
    pub fn into_raw(self) -> Result<Raw<Self>> {
        let media_type = self.media_type.clone().unwrap_or_else(|| MediaType::OCI_INDEX.to_owned());
        Ok(Raw::new(write_json(&self, "an index")?, media_type, self))
    }

    /// The manifest or nested index that serves a platform best. Attestations never do; an entry that names no platform
    /// does only where no other one matches.
    pub fn select(&self, matcher: &PlatformMatcher) -> Option<&Descriptor> {
        let images = || self.manifests.iter().filter(|descriptor| !descriptor.is_attestation());
        let named: Vec<_> = images().filter_map(|d| Some((d, d.platform.as_ref()?))).collect();
        match matcher.select(named.iter().map(|(_, platform)| *platform)) {
            Some(at) => named.get(at).map(|(descriptor, _)| *descriptor),
            None => images().find(|descriptor| descriptor.platform.is_none()),
        }
    }

    /// The platforms offered, as text, for messages.
    pub fn platforms(&self) -> Vec<String> {
        let images = self.manifests.iter().filter(|descriptor| !descriptor.is_attestation());
        images.filter_map(|descriptor| Some(descriptor.platform.as_ref()?.to_string())).collect()
    }
}

/// Makes the manifest of an image whose layers are written. In [`ImageFormat::Docker`] layers get Docker's media types;
/// zstd layers have none there and are refused (dockerfile.md §16.1).
pub fn assemble_manifest(
    config: &[u8],
    layers: &[Descriptor],
    annotations: BTreeMap<String, String>,
    format: ImageFormat,
) -> Result<Raw<Manifest>> {
    let mut converted = Vec::with_capacity(layers.len());
    for layer in layers {
        let media_type = MediaType::converted(&layer.media_type, format).ok_or_else(|| {
            Error::Invalid(format!(
                "a layer of media type {:?} does not go into a Docker manifest: use OCI media types (oci-mediatypes=true)",
                layer.media_type
            ))
        })?;
        let annotations = if format == ImageFormat::Oci { layer.annotations.clone() } else { BTreeMap::new() };
        converted.push(Descriptor { media_type: media_type.to_owned(), annotations, platform: None, ..layer.clone() });
    }
    let mut manifest = Manifest::new(Descriptor::of(format.config(), config), converted, format);
    manifest.annotations = annotations;
    manifest.into_raw()
}

/// Makes an index of manifests whose descriptors name their platforms.
pub fn assemble_index(
    manifests: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
    format: ImageFormat,
) -> Result<Raw<Index>> {
    let mut index = Index::new(manifests, format);
    index.annotations = annotations;
    index.into_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Platform};

    fn layer(media_type: &str) -> Descriptor {
        Descriptor::of(media_type, b"layer").with_annotation("k", "v")
    }

    #[test]
    fn manifest_is_written_in_a_fixed_order() {
        let annotations = BTreeMap::from([("b".to_owned(), "x & <z>".to_owned()), ("a".to_owned(), "1".to_owned())]);
        let layers = [layer(MediaType::DOCKER_LAYER_GZIP)];
        let raw = assemble_manifest(b"{}", &layers, annotations, ImageFormat::Oci).expect("valid");
        let text = String::from_utf8(raw.bytes.to_vec()).expect("UTF-8");
        let empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let of_layer = Digest::of(b"layer");
        assert_eq!(
            text,
            format!(
                concat!(
                    r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                    r#""config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{}","size":2}},"#,
                    r#""layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{}","size":5,"#,
                    r#""annotations":{{"k":"v"}}}}],"annotations":{{"a":"1","b":"x & <z>"}}}}"#
                ),
                empty, of_layer
            )
        );
        assert_eq!(raw.digest, Digest::of(text.as_bytes()));
        assert!(matches!(Document::parse(raw.bytes, Some(&raw.media_type), "m"), Ok(Document::Manifest(_))));
    }

    use crate::Digest;

    #[test]
    fn docker_manifest_takes_no_zstd() {
        let gzip = [layer(MediaType::OCI_LAYER_GZIP)];
        let raw = assemble_manifest(b"{}", &gzip, BTreeMap::new(), ImageFormat::Docker).expect("valid");
        assert_eq!(raw.value.layers[0].media_type, MediaType::DOCKER_LAYER_GZIP);
        assert_eq!(raw.value.config.media_type, MediaType::DOCKER_CONFIG);
        let zstd = [layer(MediaType::OCI_LAYER_ZSTD)];
        let error = assemble_manifest(b"{}", &zstd, BTreeMap::new(), ImageFormat::Docker).expect_err("refused");
        insta::assert_snapshot!(error, @r#"a layer of media type "application/vnd.oci.image.layer.v1.tar+zstd" does not go into a Docker manifest: use OCI media types (oci-mediatypes=true)"#);
    }

    #[test]
    fn attestations_are_never_selected() {
        let mut image = Descriptor::of(MediaType::OCI_MANIFEST, b"image");
        image.platform = Some(Platform::new("linux", "amd64"));
        let mut attestation = Descriptor::of(MediaType::OCI_MANIFEST, b"attestation")
            .with_annotation("vnd.docker.reference.type", "attestation-manifest");
        attestation.platform = Some(Platform::new("linux", "amd64"));
        let index = Index::new(vec![attestation.clone(), image.clone()], ImageFormat::Oci);
        let matcher = PlatformMatcher::new(&Platform::new("linux", "amd64"));
        assert_eq!(index.select(&matcher), Some(&image));
        assert_eq!(index.platforms(), ["linux/amd64"]);
        assert_eq!(index.select(&PlatformMatcher::new(&Platform::new("linux", "s390x"))), None);
        attestation.platform = None;
        let nameless = Descriptor::of(MediaType::OCI_MANIFEST, b"image");
        let index = Index::new(vec![attestation, nameless.clone()], ImageFormat::Oci);
        assert_eq!(index.select(&matcher), Some(&nameless));
    }

    #[test]
    fn other_tools_types_read_what_is_written() {
        let raw =
            assemble_manifest(b"{}", &[layer(MediaType::OCI_LAYER)], BTreeMap::new(), ImageFormat::Oci).expect("valid");
        let read: oci_spec::image::ImageManifest = serde_json::from_slice(&raw.bytes).expect("valid for oci-spec");
        assert_eq!(read.layers().len(), 1);
        let mut image = raw.descriptor();
        image.platform = Some(Platform::new("linux", "arm64"));
        let raw = assemble_index(vec![image], BTreeMap::new(), ImageFormat::Oci).expect("valid");
        let read: oci_spec::image::ImageIndex = serde_json::from_slice(&raw.bytes).expect("valid for oci-spec");
        assert_eq!(read.manifests().len(), 1);
    }
}
