//! OCI image layouts: written to a folder or a tar, and read (OCI image specification, image-layout.md).

mod archive;
mod folder;
mod reader;

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::image::{ANNOTATION_CREATED, ANNOTATION_REF_NAME, OciLayoutBuilder};

pub use self::reader::{ImportedImage, OciLayout};
use crate::image::write_json;
use crate::{
    BlobStore, DOCUMENT_LIMIT, Descriptor, Digest, Document, Error, ImageFormat, Index, Manifest, MediaType, Raw,
    Reference, Result,
};

/// The annotation by which containerd knows an image's whole name.
const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";
/// The file that says that a folder is a layout.
const LAYOUT_FILE: &str = "oci-layout";
/// The file that lists the images of a layout.
const INDEX_FILE: &str = "index.json";
/// The version of the layout (image-layout.md, "oci-layout file").
const LAYOUT_VERSION: &str = "1.0.0";
/// Deepest nesting of indexes (edges.md 8).
const MAX_DEPTH: usize = 4;

/// One image or index that a layout is to hold.
#[derive(Clone, Debug)]
pub struct LayoutImage {
    /// The manifest or index, which is in the store, as is all that it refers to.
    pub descriptor: Descriptor,
    /// The names it is known by; may be none.
    pub names: Vec<Reference>,
    /// When it was made, in RFC 3339 (dockerfile.md §16.4).
    pub created: Option<String>,
}

/// Images of a blob store, ready to be written as a layout or an archive.
///
/// ```no_run
/// # use strake_layers::{BlobStore, Cancel, Layout, LayoutImage, OutputFile, Result};
/// # fn write(store: &BlobStore, image: LayoutImage) -> Result<()> {
/// let layout = Layout::collect(store, vec![image])?;
/// let mut output = OutputFile::create("image.tar")?;
/// layout.write_tar(&mut output, &Cancel::new())?;
/// output.commit()
/// # }
/// ```
#[derive(Debug)]
pub struct Layout<'a> {
    store: &'a BlobStore,
    images: Vec<LayoutImage>,
    /// All blobs and their sizes.
    blobs: BTreeMap<Digest, u64>,
    /// The manifests of `images`, where they are no indexes.
    manifests: Vec<Option<Manifest>>,
}

impl<'a> Layout<'a> {
    /// Finds all blobs that images consist of. One that is missing is an error, but for foreign layers.
    pub fn collect(store: &'a BlobStore, images: Vec<LayoutImage>) -> Result<Self> {
        let mut layout = Self { store, images: Vec::new(), blobs: BTreeMap::new(), manifests: Vec::new() };
        for image in &images {
            let manifest = match layout.add_document(&image.descriptor, 0)? {
                Document::Manifest(raw) => Some(raw.value),
                Document::Index(_) => None,
            };
            layout.manifests.push(manifest);
        }
        layout.images = images;
        Ok(layout)
    }

    /// The bytes of all blobs together.
    pub fn size(&self) -> u64 {
        self.blobs.values().sum()
    }

    fn add_document(&mut self, descriptor: &Descriptor, depth: usize) -> Result<Document> {
        let what = format!("document {}", descriptor.digest);
        if depth > MAX_DEPTH {
            return Err(Error::Limit { what: format!("nesting of {what}"), limit: format!("{MAX_DEPTH} indexes") });
        }
        let bytes = self.store.read_document(&descriptor.digest, DOCUMENT_LIMIT)?;
        self.add_blob(descriptor)?;
        let document = Document::parse(bytes, Some(&descriptor.media_type), &what)?;
        match &document {
            Document::Index(index) => {
                for inner in &index.value.manifests {
                    self.add_document(inner, depth + 1)?;
                }
            }
            Document::Manifest(manifest) => {
                self.add_blob(&manifest.value.config)?;
                for layer in &manifest.value.layers {
                    self.add_blob(layer)?;
                }
            }
        }
        Ok(document)
    }

    fn add_blob(&mut self, descriptor: &Descriptor) -> Result<()> {
        let Some(size) = self.store.size(&descriptor.digest) else {
            if MediaType::is_nondistributable(&descriptor.media_type) {
                return Ok(());
            }
            return Err(Error::BlobMissing(descriptor.digest.clone()));
        };
        if size != descriptor.size {
            let what = format!("blob {}", descriptor.digest);
            return Err(Error::SizeMismatch { what, expected: descriptor.size, found: size });
        }
        self.blobs.insert(descriptor.digest.clone(), size);
        Ok(())
    }

    /// What `index.json` lists: an entry for each name of each image, one for an image without any.
    fn index_entries(&self) -> Vec<Descriptor> {
        let mut entries = Vec::new();
        for image in &self.images {
            let mut descriptor = image.descriptor.clone();
            if let Some(created) = &image.created {
                descriptor = descriptor.with_annotation(ANNOTATION_CREATED, created);
            }
            for name in &image.names {
                let entry = descriptor.clone().with_annotation(ANNOTATION_IMAGE_NAME, name.to_string());
                entries.push(match name.tag() {
                    Some(tag) => entry.with_annotation(ANNOTATION_REF_NAME, tag),
                    None => entry,
                });
            }
            if image.names.is_empty() {
                entries.push(descriptor);
            }
        }
        entries
    }
}

/// The content of `oci-layout`.
fn layout_file() -> Result<Vec<u8>> {
    let layout = OciLayoutBuilder::default().image_layout_version(LAYOUT_VERSION).build();
    write_json(&layout.map_err(|error| Error::Internal(error.to_string()))?, LAYOUT_FILE)
}

/// The content of `index.json`.
fn index_file(entries: Vec<Descriptor>) -> Result<Raw<Index>> {
    Index::new(entries, ImageFormat::Oci).into_raw()
}

/// Where a blob lies in a layout: `blobs/sha256/0123…`.
fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm_name(), digest.hex())
}

/// The folders of a layout, parents first.
fn folders<'d>(digests: impl Iterator<Item = &'d Digest>) -> BTreeSet<String> {
    let algorithms = digests.map(|digest| format!("blobs/{}", digest.algorithm_name()));
    ["blobs".to_owned(), "blobs/sha256".to_owned()].into_iter().chain(algorithms).collect()
}

#[cfg(test)]
mod tests;
