use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use oci_spec::image::ANNOTATION_REF_NAME;

use super::{ANNOTATION_IMAGE_NAME, INDEX_FILE, LAYOUT_FILE, MAX_DEPTH, blob_name};
use crate::image::parse_json;
use crate::{
    Archive, ArchiveEntryKind, ArchiveFormat, ArchiveReader, BlobStore, Cancel, DOCUMENT_LIMIT, Descriptor, Digest,
    Document, Error, HostDir, ImageConfig, ImagePath, Index, Limits, Manifest, MediaType, PlatformMatcher, Raw, Result,
    WhiteoutNames,
};

/// An OCI image layout to read from: a folder or a tar. Nothing in it is trusted.
#[derive(Debug)]
pub struct OciLayout {
    name: String,
    source: Source,
    index: Index,
}

#[derive(Debug)]
enum Source {
    Folder(HostDir),
    Tar { archive: Arc<Archive>, members: BTreeMap<ImagePath, (u64, u64)> },
}

/// An image that was brought into a blob store.
#[derive(Clone, Debug)]
pub struct ImportedImage {
    /// Its manifest.
    pub manifest: Raw<Manifest>,
    /// Its configuration.
    pub config: Raw<ImageConfig>,
}

/// What the archives of `docker save` have in place of a layout.
const DOCKER_FILE: &str = "manifest.json";

/// Bytes copied between two questions whether to stop.
const CHUNK: u64 = 4 << 20;

impl OciLayout {
    /// Opens the layout in a folder or a tar, which may be compressed. `scratch` is a folder for temporary files.
    pub fn open(path: impl AsRef<Path>, scratch: impl AsRef<Path>, cancel: &Cancel) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let meta = std::fs::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::Invalid(format!("there is no OCI layout at {name}: it does not exist")),
            _ => Error::host("open", path, error),
        })?;
        let source = if meta.is_dir() {
            Source::Folder(HostDir::open(path)?)
        } else if meta.is_file() {
            Source::open_tar(path, scratch.as_ref(), cancel)?
        } else {
            return Err(Error::Invalid(format!("{name} is neither a folder nor a file, so it is no OCI layout")));
        };
        if source.size(LAYOUT_FILE)?.is_none() {
            // What older versions of docker wrote.
            if source.size(DOCKER_FILE)?.is_some() {
                return Err(Error::Invalid(format!(
                    "{name} is a docker archive, not an OCI layout: make one of it by \
                     `skopeo copy docker-archive:{name} oci:FOLDER`"
                )));
            }
            return Err(Error::Invalid(format!("{name} is no OCI layout: it has no file {LAYOUT_FILE}")));
        }
        let mut layout = Self { name, source, index: Index::new(Vec::new(), crate::ImageFormat::Oci) };
        let version: Version = parse_json(&layout.read_named(LAYOUT_FILE)?, &layout.member(LAYOUT_FILE))?;
        if !version.image_layout_version.starts_with("1.") {
            let problem = format!("its version is {:?}, but only 1.0.0 is known", version.image_layout_version);
            return Err(Error::BadDocument { what: layout.member(LAYOUT_FILE), problem });
        }
        layout.index = parse_json(&layout.read_named(INDEX_FILE)?, &layout.member(INDEX_FILE))?;
        Ok(layout)
    }

    /// The images and indexes that the layout lists.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Finds an image by tag or digest. Without either it is the one tagged `latest`, or the only one there is.
    pub fn find(&self, tag: Option<&str>, digest: Option<&Digest>) -> Result<Descriptor> {
        let images = || self.index.manifests.iter().filter(|entry| !entry.is_attestation());
        if let Some(digest) = digest {
            if let Some(entry) = self.index.manifests.iter().find(|entry| entry.digest == *digest) {
                return Ok(entry.clone());
            }
            // An image inside of an index is only in the blobs.
            return self.describe(digest);
        }
        let tagged = |tag: &str| images().find(|entry| has_tag(entry, tag));
        let found = match tag {
            Some(tag) => tagged(tag),
            None => {
                let mut all = images();
                let first = all.next();
                let is_only = all.all(|other| first.is_some_and(|first| first.digest == other.digest));
                tagged("latest").or(first.filter(|_| is_only))
            }
        };
        found.cloned().ok_or_else(|| {
            let tags: Vec<&str> =
                images().filter_map(|entry| entry.annotations.get(ANNOTATION_REF_NAME).map(String::as_str)).collect();
            let digests = || images().map(|entry| entry.digest.to_string()).collect::<Vec<_>>();
            Error::Invalid(match (tag, images().count()) {
                (_, 0) => format!("{} holds no image: its {INDEX_FILE} lists none", self.name),
                (Some(tag), _) => format!(
                    "{} has no image with the tag {tag:?}; its tags are: {}",
                    self.name,
                    if tags.is_empty() { "none".to_owned() } else { tags.join(", ") }
                ),
                (None, count) if tags.is_empty() => format!(
                    "{} holds {count} images without tags: name one of them by its digest: {}",
                    self.name,
                    digests().join(", ")
                ),
                (None, count) => {
                    format!("{} holds {count} images: name one by its tag: {}", self.name, tags.join(", "))
                }
            })
        })
    }

    /// Brings the image for a platform into a store: manifest, configuration and layers, each verified.
    pub fn import(
        &self,
        descriptor: &Descriptor,
        matcher: &PlatformMatcher,
        store: &BlobStore,
        cancel: &Cancel,
    ) -> Result<ImportedImage> {
        let mut descriptor = descriptor.clone();
        for _ in 0..=MAX_DEPTH {
            let manifest = match self.document(&descriptor)? {
                Document::Manifest(manifest) => manifest,
                Document::Index(index) => {
                    descriptor = index.value.select(matcher).cloned().ok_or_else(|| {
                        let offered = index.value.platforms();
                        let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
                        let wanted = matcher.wanted();
                        Error::Invalid(format!("{} has no image for {wanted}; it offers {offered}", self.name))
                    })?;
                    continue;
                }
            };
            store.put(&manifest.bytes)?;
            self.copy_blob(&manifest.value.config, store, cancel)?;
            for layer in &manifest.value.layers {
                let is_foreign = MediaType::is_nondistributable(&layer.media_type);
                if !(is_foreign && self.source.size(&blob_name(&layer.digest))?.is_none()) {
                    self.copy_blob(layer, store, cancel)?;
                }
            }
            let config = &manifest.value.config;
            let bytes = store.read_document(&config.digest, DOCUMENT_LIMIT)?;
            let config = Raw::parse_config(bytes, &config.media_type, &self.member(&blob_name(&config.digest)))?;
            return Ok(ImportedImage { manifest, config });
        }
        Err(Error::Limit { what: format!("nesting of {}", self.name), limit: format!("{MAX_DEPTH} indexes") })
    }

    /// Reads and verifies a manifest or an index.
    pub fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        let name = blob_name(&descriptor.digest);
        let what = self.member(&name);
        if descriptor.size > DOCUMENT_LIMIT {
            return Err(Error::Limit { what, limit: format!("{} MiB", DOCUMENT_LIMIT >> 20) });
        }
        let bytes = self.read_named(&name)?;
        verify(&bytes, descriptor, &what)?;
        Document::parse(bytes, Some(&descriptor.media_type), &what)
    }

    /// Makes the descriptor of a document that is known by its digest alone.
    fn describe(&self, digest: &Digest) -> Result<Descriptor> {
        let name = blob_name(digest);
        if self.source.size(&name)?.is_none() {
            return Err(Error::Invalid(format!("{} has nothing with the digest {digest}", self.name)));
        }
        let bytes = self.read_named(&name)?;
        verify(&bytes, &Descriptor::new("", digest.clone(), bytes.len() as u64), &self.member(&name))?;
        let found = Document::parse(bytes, None, &self.member(&name))?.descriptor();
        Ok(Descriptor { digest: digest.clone(), ..found })
    }

    fn copy_blob(&self, descriptor: &Descriptor, store: &BlobStore, cancel: &Cancel) -> Result<()> {
        if store.size(&descriptor.digest) == Some(descriptor.size) {
            return Ok(());
        }
        let name = blob_name(&descriptor.digest);
        let what = self.member(&name);
        if let Some(found) = self.source.size(&name)?.filter(|size| *size != descriptor.size) {
            return Err(Error::SizeMismatch { what, expected: descriptor.size, found });
        }
        // No more than promised is read, so that a lie costs no space.
        let mut source = self.source.open(&name, &what)?.take(descriptor.size.saturating_add(1));
        let mut writer = store.writer_for(descriptor.digest.algorithm())?;
        loop {
            cancel.check()?;
            let copied = io::copy(&mut Read::by_ref(&mut source).take(CHUNK), &mut writer);
            if copied.map_err(|error| Error::stream(&what, error))? == 0 {
                break;
            }
        }
        writer.flush().map_err(|error| Error::stream(&what, error))?;
        let finished = writer.finish(Some((&descriptor.digest, descriptor.size)));
        finished.map(drop).map_err(|error| match error {
            Error::DigestMismatch { expected, found, .. } => Error::DigestMismatch { what, expected, found },
            other => other,
        })
    }

    fn read_named(&self, name: &str) -> Result<Vec<u8>> {
        let what = self.member(name);
        let mut bytes = Vec::new();
        let read = self.source.open(name, &what)?.take(DOCUMENT_LIMIT + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::stream(&what, error))?;
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            return Err(Error::Limit { what, limit: format!("{} MiB", DOCUMENT_LIMIT >> 20) });
        }
        Ok(bytes)
    }

    fn member(&self, name: &str) -> String {
        format!("{} of {}", name, self.name)
    }
}

/// The content of `oci-layout`. `oci-spec`'s own type takes no unknown members amiss either, but names no member in errors.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Version {
    image_layout_version: String,
}

impl Source {
    fn open_tar(path: &Path, scratch: &Path, cancel: &Cancel) -> Result<Self> {
        let name = path.display().to_string();
        let mut file = File::open(path).map_err(|e| Error::host("open", path, e))?;
        let format = ArchiveFormat::detect(&mut file)?.ok_or_else(|| {
            Error::Invalid(format!("{name} is neither a folder nor a tar archive, so it is no OCI layout"))
        })?;
        // Blobs are bounded by their descriptors; a layout may well be larger than one layer.
        let limits = Limits { unpacked: 1 << 50, entries: 1_000_000, ..Limits::default() };
        let archive = Arc::new(Archive::of_file(&name, file, format, scratch, limits));
        let mut members = BTreeMap::new();
        let reader = ArchiveReader { name: &name, whiteouts: WhiteoutNames::Plain, limits, cancel };
        reader.for_each(&mut archive.reader_to_end()?, &mut |entry, _| {
            match entry.kind {
                ArchiveEntryKind::File { size, offset: Some(offset) } => members.insert(entry.path, (offset, size)),
                // The last one of a name wins; what is no plain file is not there.
                _ => members.remove(&entry.path),
            };
            Ok(())
        })?;
        Ok(Self::Tar { archive, members })
    }

    fn size(&self, name: &str) -> Result<Option<u64>> {
        let path = image_path(name)?;
        match self {
            Self::Folder(folder) => match folder.stat(&path) {
                Ok(entry) => Ok(Some(entry.size)),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            },
            Self::Tar { members, .. } => Ok(members.get(&path).map(|(_, size)| *size)),
        }
    }

    fn open(&self, name: &str, what: &str) -> Result<Box<dyn Read + '_>> {
        let path = image_path(name)?;
        let missing = || Error::Invalid(format!("{what} is missing"));
        match self {
            Self::Folder(folder) => match folder.open_file(&path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) if error.is_not_found() => Err(missing()),
                Err(error) => Err(error),
            },
            Self::Tar { archive, members } => {
                let (offset, size) = members.get(&path).ok_or_else(missing)?;
                Ok(Box::new(archive.reader(*offset, *size)?))
            }
        }
    }
}

fn image_path(name: &str) -> Result<ImagePath> {
    ImagePath::parse(name).map_err(|error| Error::Internal(format!("{name}: {error}")))
}

fn verify(bytes: &[u8], descriptor: &Descriptor, what: &str) -> Result<()> {
    let what = what.to_owned();
    if bytes.len() as u64 != descriptor.size {
        return Err(Error::SizeMismatch { what, expected: descriptor.size, found: bytes.len() as u64 });
    }
    let found = Digest::of_with(descriptor.digest.algorithm(), bytes);
    if found != descriptor.digest {
        return Err(Error::DigestMismatch { what, expected: descriptor.digest.clone(), found });
    }
    Ok(())
}

/// Tells whether an entry has a tag: alone, as tools write it, or at the end of a whole name.
fn has_tag(entry: &Descriptor, tag: &str) -> bool {
    let matches = |name: &String| name == tag || name.strip_suffix(tag).is_some_and(|rest| rest.ends_with(':'));
    [ANNOTATION_REF_NAME, ANNOTATION_IMAGE_NAME].iter().any(|key| entry.annotations.get(*key).is_some_and(matches))
}
