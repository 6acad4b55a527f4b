use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{ImageConfig, Index, Manifest, MediaType};
use crate::{Descriptor, Digest, Error, Result};

/// Largest manifest, index or configuration that is read (edges.md 8).
pub const DOCUMENT_LIMIT: u64 = 8 * 1024 * 1024;
/// Deepest nesting of JSON (edges.md 8).
const NESTING_LIMIT: usize = 128;

/// A document in the bytes it came in, and what they say. The bytes are kept since the digest is theirs.
#[derive(Clone, Debug)]
pub struct Raw<T> {
    /// The bytes.
    pub bytes: Arc<[u8]>,
    /// Their digest.
    pub digest: Digest,
    /// The media type.
    pub media_type: String,
    /// What they say.
    pub value: T,
}

impl<T> Raw<T> {
    /// Joins bytes with what they say.
    pub fn new(bytes: impl Into<Arc<[u8]>>, media_type: impl Into<String>, value: T) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), bytes, media_type: media_type.into(), value }
    }

    /// A descriptor that refers to the document.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.bytes.len() as u64)
    }
}

/// What a reference to an image leads to.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are a handful of documents at a time, and nearly all are manifests"
)]
pub enum Document {
    /// One image.
    Manifest(Raw<Manifest>),
    /// Images for several platforms.
    Index(Raw<Index>),
}

impl Document {
    /// Reads a manifest or an index. `declared` is the media type that the descriptor or the registry's answer gives;
    /// it must agree with the content. `what` names the document in errors.
    pub fn parse(bytes: impl Into<Arc<[u8]>>, declared: Option<&str>, what: &str) -> Result<Self> {
        let bytes = bytes.into();
        let shape: Shape = parse_json(&bytes, what)?;
        let bad = |problem: String| Error::BadDocument { what: what.to_owned(), problem };
        let declared = declared.map(MediaType::essence).filter(|declared| is_telling(declared));
        if let (Some(inside), Some(declared)) = (&shape.media_type, declared)
            && inside != declared
        {
            return Err(bad(format!("it says to be {inside:?}, but was announced as {declared:?}")));
        }
        let media_type = shape.media_type.as_deref().or(declared);
        if shape.schema_version == Some(1) {
            return Err(Error::Unsupported(format!(
                "{what} is a Docker manifest of version 1, which was given up in 2019: push the image again with a newer tool"
            )));
        }
        // Bytes that are both would be one image here and another elsewhere (CVE-2021-41190).
        let is_index = match (shape.manifests.is_some(), shape.layers.is_some() || shape.config.is_some()) {
            (true, false) => true,
            (false, true) => false,
            (true, true) => return Err(bad("it is both a manifest and an index".to_owned())),
            (false, false) => return Err(bad("it is neither a manifest nor an index of an image".to_owned())),
        };
        let agrees = match media_type {
            None => true,
            Some(name) => {
                if is_index {
                    MediaType::is_index(name)
                } else {
                    MediaType::is_manifest(name)
                }
            }
        };
        if !agrees {
            let found = if is_index { "an index" } else { "a manifest" };
            return Err(bad(format!("it is {found}, but its media type is {:?}", media_type.unwrap_or_default())));
        }
        if is_index {
            let media_type = media_type.unwrap_or(MediaType::OCI_INDEX).to_owned();
            let value = parse_json(&bytes, what)?;
            Ok(Self::Index(Raw::new(bytes, media_type, value)))
        } else {
            let media_type = media_type.unwrap_or(MediaType::OCI_MANIFEST).to_owned();
            let value = parse_json(&bytes, what)?;
            Ok(Self::Manifest(Raw::new(bytes, media_type, value)))
        }
    }

    /// A descriptor that refers to the document.
    pub fn descriptor(&self) -> Descriptor {
        match self {
            Self::Manifest(raw) => raw.descriptor(),
            Self::Index(raw) => raw.descriptor(),
        }
    }

    /// The bytes of the document.
    pub fn bytes(&self) -> &Arc<[u8]> {
        match self {
            Self::Manifest(raw) => &raw.bytes,
            Self::Index(raw) => &raw.bytes,
        }
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Manifest(raw) => &raw.digest,
            Self::Index(raw) => &raw.digest,
        }
    }
}

impl Raw<ImageConfig> {
    /// Reads the configuration that a manifest refers to. `what` names the document in errors.
    pub fn parse_config(bytes: impl Into<Arc<[u8]>>, media_type: &str, what: &str) -> Result<Self> {
        let bytes = bytes.into();
        let value = ImageConfig::parse(&bytes, what)?;
        Ok(Self::new(bytes, media_type, value))
    }
}

/// The members that tell what a document is.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Shape {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
}

/// Media types that servers without knowledge of images put on everything say nothing.
fn is_telling(declared: &str) -> bool {
    !matches!(declared, "" | "application/json" | "application/octet-stream" | "text/plain" | "binary/octet-stream")
}

/// Reads JSON within the limits of edges.md 8. `serde_json` has a limit of its own on nesting, but not for members that it
/// skips or hands on as they are.
pub(crate) fn parse_json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    if bytes.len() as u64 > DOCUMENT_LIMIT {
        return Err(Error::Limit { what: what.to_owned(), limit: format!("{} MiB", DOCUMENT_LIMIT >> 20) });
    }
    if nesting(bytes) > NESTING_LIMIT {
        return Err(Error::Limit { what: format!("nesting of {what}"), limit: format!("{NESTING_LIMIT} levels") });
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let problem = match error.classify() {
            Category::Eof if bytes.is_empty() => "it is empty".to_owned(),
            Category::Eof => format!("it is cut off: {error}"),
            Category::Syntax => format!("it is no JSON: {error}"),
            Category::Data | Category::Io => error.to_string(),
        };
        Error::BadDocument { what: what.to_owned(), problem }
    })
}

/// How deep arrays and objects lie within each other. Right for valid JSON; the rest is refused later.
fn nesting(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

/// Writes a document; the types written here have only text keys, so this fails for bugs alone.
pub(crate) fn write_json<T: serde::Serialize>(value: &T, what: &str) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Internal(format!("{what} cannot be written as JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
        "config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,
        "digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":null}"#;

    fn error(json: &str, declared: Option<&str>) -> String {
        Document::parse(json.as_bytes(), declared, "manifest of x").expect_err("bad").to_string()
    }

    #[test]
    fn bytes_and_digest_are_those_that_came() {
        let document = Document::parse(MANIFEST.as_bytes(), Some(MediaType::OCI_MANIFEST), "manifest").expect("valid");
        assert_eq!(document.digest(), &Digest::of(MANIFEST.as_bytes()));
        assert_eq!(document.descriptor().size, MANIFEST.len() as u64);
        let Document::Manifest(raw) = document else { panic!("a manifest") };
        assert!(raw.value.layers.is_empty());
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        assert!(matches!(Document::parse(index.as_bytes(), None, "index"), Ok(Document::Index(_))));
        assert!(Document::parse(MANIFEST.as_bytes(), Some("application/json; charset=utf-8"), "manifest").is_ok());
    }

    #[test]
    fn content_that_disagrees_with_its_media_type_is_refused() {
        let said = [
            error(MANIFEST, Some(MediaType::OCI_INDEX)),
            error(&MANIFEST.replace("image.manifest", "image.index"), None),
            error(&MANIFEST.replace("\"layers\"", "\"manifests\":[],\"layers\""), None),
            error(MANIFEST, Some("text/html")),
            error("{}", None),
            error("<html>", None),
            error(r#"{"schemaVersion":1,"fsLayers":[]}"#, None),
        ];
        insta::assert_snapshot!(said.join("\n"), @r#"
        manifest of x is not valid: it says to be "application/vnd.oci.image.manifest.v1+json", but was announced as "application/vnd.oci.image.index.v1+json"
        manifest of x is not valid: it is a manifest, but its media type is "application/vnd.oci.image.index.v1+json"
        manifest of x is not valid: it is both a manifest and an index
        manifest of x is not valid: it says to be "application/vnd.oci.image.manifest.v1+json", but was announced as "text/html"
        manifest of x is not valid: it is neither a manifest nor an index of an image
        manifest of x is not valid: it is no JSON: expected value at line 1 column 1
        manifest of x is a Docker manifest of version 1, which was given up in 2019: push the image again with a newer tool
        "#);
    }

    #[test]
    fn deep_and_large_documents_are_refused() {
        insta::assert_snapshot!(error(&"[".repeat(100_000), None), @"nesting of manifest of x exceeds the limit of 128 levels");
        assert!(error(&format!(r#"{{"x":"\"{}"}}"#, "[".repeat(1000)), None).contains("neither"));
        let deep = format!(r#"{{"manifests":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        insta::assert_snapshot!(error(&deep, None), @"nesting of manifest of x exceeds the limit of 128 levels");
        let large = " ".repeat(8 * 1024 * 1024 + 1);
        insta::assert_snapshot!(error(&large, None), @"manifest of x exceeds the limit of 8 MiB");
    }
}
