//! Images that a build needs before it can be planned to its end.

use std::collections::HashMap;
use std::sync::Arc;

use strake_layers::{Platform, Reference};
use strake_parser::{Diagnostic, Span};

use crate::resolve::ResolvedImage;

use super::codes;

/// What is known of images.
pub type KnownImages = HashMap<ImageKey, Arc<ResolvedImage>>;

/// What tells one image of a build from another: each is resolved once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageKey {
    /// Where it comes from.
    pub source: ImageSource,
    /// The platform wanted.
    pub platform: Platform,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageSource {
    /// A registry, or the store's own images.
    Registry(Reference),
    /// An OCI image layout of this host (`oci-layout://PATH[:TAG][@DIGEST]`).
    Layout {
        /// The folder or tar, in the host's spelling.
        path: String,
        /// The tag.
        tag: Option<String>,
        /// The digest.
        digest: Option<String>,
    },
}

impl std::fmt::Display for ImageSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Registry(reference) => f.write_str(&reference.familiar()),
            Self::Layout { path, tag, digest } => {
                write!(f, "oci-layout://{path}")?;
                if let Some(tag) = tag {
                    write!(f, ":{tag}")?;
                }
                if let Some(digest) = digest {
                    write!(f, "@{digest}")?;
                }
                Ok(())
            }
        }
    }
}

/// An image that must be resolved, and where the Dockerfile asks for it.
#[derive(Clone, Debug)]
pub struct ImageRequest {
    /// Which image.
    pub key: ImageKey,
    /// The name as the Dockerfile has it, expanded.
    pub name: String,
    /// Where it is named.
    pub span: Span,
    /// What to say when there is no such image: near stage names and well-known images.
    pub help: Option<String>,
}

impl ImageRequest {
    /// Makes the located error of an image that could not be resolved.
    pub fn failed(&self, error: &crate::Error) -> Diagnostic {
        let message = format!("failed to resolve {}: {error}", self.name);
        let mut made = Diagnostic::error(codes::IMAGE, message, self.span);
        made.help = match (&self.help, error.help()) {
            (Some(near), Some(help)) if near.ends_with('?') => Some(format!("{near} If not: {help}")),
            (Some(near), Some(help)) => Some(format!("{near}; {help}")),
            (Some(near), None) => Some(near.clone()),
            (None, help) => help.map(str::to_owned),
        };
        made
    }
}
