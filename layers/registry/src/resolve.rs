use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, StatusCode};
use strake_layers::{
    BlobStore, DOCUMENT_LIMIT, Descriptor, Digest, Document, Index, Manifest, MediaType, Platform, PlatformMatcher,
    Raw, Reference, WindowsIsolation,
};

use crate::auth::pull_scope;
use crate::client::{Client, Repository, not_a_registry};
use crate::error::{Error, Place, Result};
use crate::retry::{Attempts, Failure};
use crate::transport::Request;

/// How deep indexes may be nested (edges: 8).
const NESTING: usize = 4;

/// What a reference means now.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The index that the name meant, the outermost one, where it meant one.
    pub index: Option<Raw<Index>>,
    /// The manifest of the image.
    pub manifest: Raw<Manifest>,
    /// The platform as the index tells it; without an index only the config knows.
    pub platform: Option<Platform>,
}

/// A document's bytes with the media type that the registry gave.
struct Fetched {
    bytes: Vec<u8>,
    media_type: Option<String>,
}

/// What is asked for below `manifests/`.
enum Wanted<'a> {
    Tag(&'a str),
    Digest(&'a Digest),
}

impl Client {
    /// Finds out what a reference means, and reads the manifest of the image for a platform.
    ///
    /// Documents that `store` has are not fetched again, and fetched ones are kept there: a tag then costs one HEAD
    /// request, which Docker Hub does not count, and a digest costs none.
    pub async fn resolve(
        &self,
        reference: &Reference,
        platform: &PlatformMatcher,
        store: Option<&BlobStore>,
    ) -> Result<Resolved> {
        self.until_stopped(self.resolve_now(reference, platform, store)).await
    }

    async fn resolve_now(
        &self,
        reference: &Reference,
        matcher: &PlatformMatcher,
        store: Option<&BlobStore>,
    ) -> Result<Resolved> {
        let wanted = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Wanted::Digest(digest),
            (None, tag) => Wanted::Tag(tag.unwrap_or("latest")),
        };
        let what = reference.to_string();
        let mut document = self.document(reference, &wanted, None, store).await?;
        let (mut outermost, mut platform) = (None, None);
        for _ in 0..=NESTING {
            let index = match document {
                Document::Manifest(manifest) => return Ok(Resolved { index: outermost, manifest, platform }),
                Document::Index(index) => index,
            };
            let next = select(&index.value, matcher, &what)?.clone();
            platform = next.platform.clone().or(platform);
            outermost.get_or_insert(index);
            document = self.document(reference, &Wanted::Digest(&next.digest), Some(&next), store).await?;
        }
        Err(Error::Layers(strake_layers::Error::Limit {
            what: format!("the nesting of indexes of {what}"),
            limit: format!("{NESTING} levels"),
        }))
    }

    /// Reads a small blob whole: a config, an attestation. It is verified, and must not be larger than `limit`.
    pub async fn fetch_document(&self, reference: &Reference, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
        if descriptor.size > limit {
            return Err(Error::Layers(strake_layers::Error::Limit {
                what: format!("{} of {}", descriptor.digest, reference.name()),
                limit: format!("{limit} bytes"),
            }));
        }
        self.until_stopped(async {
            let mut sources = self.try_sources(reference, blob_place("pull", reference, &descriptor.digest));
            loop {
                let (source, attempts) = sources.current();
                match self.read_blob(source, descriptor, limit, attempts).await {
                    Ok(bytes) => return Ok(bytes),
                    Err(failure) => sources.after(failure).await?,
                }
            }
        })
        .await
    }

    async fn read_blob(
        &self,
        source: &Repository,
        descriptor: &Descriptor,
        limit: u64,
        attempts: &mut Attempts<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let url = self.url(source, &format!("blobs/{}", descriptor.digest), attempts).await?;
        let reply = self.send(source, &pull_scope(&source.name), Request::new(Method::GET, url), attempts).await?;
        if reply.status() != StatusCode::OK {
            return Err(self.failure(reply, attempts).await);
        }
        let bytes = reply.document(limit, &self.inner.options, attempts).await?;
        verify(&bytes, Some(&descriptor.digest), Some(descriptor.size))?;
        Ok(bytes)
    }

    /// Reads a manifest or index, from the store where it has it.
    async fn document(
        &self,
        reference: &Reference,
        wanted: &Wanted<'_>,
        descriptor: Option<&Descriptor>,
        store: Option<&BlobStore>,
    ) -> Result<Document> {
        let object = match wanted {
            Wanted::Tag(_) => reference.to_string(),
            Wanted::Digest(digest) => format!("{}@{digest}", reference.name()),
        };
        let declared = descriptor.map(|descriptor| descriptor.media_type.as_str());
        if let (Wanted::Digest(digest), Some(store)) = (wanted, store)
            && let Some(bytes) = read_stored(store, digest).await?
        {
            return Ok(Document::parse(bytes, declared, &object)?);
        }
        let is_part = descriptor.is_some();
        let place = Place { action: "pull", host: reference.registry().to_owned(), object: object.clone(), is_part };
        let size = descriptor.map(|descriptor| descriptor.size);
        let mut sources = self.try_sources(reference, place);
        let fetched = loop {
            let (source, attempts) = sources.current();
            match self.manifest_from(source, wanted, size, store, attempts).await {
                Ok(fetched) => break fetched,
                Err(failure) => sources.after(failure).await?,
            }
        };
        let media_type = fetched.media_type.as_deref().or(declared);
        let document = Document::parse(fetched.bytes, media_type, &object)?;
        if let Some(store) = store {
            let (store, bytes) = (store.clone(), document.bytes().clone());
            let kept = tokio::task::spawn_blocking(move || store.put(&bytes)).await;
            kept.map_err(|error| Error::Internal(format!("keeping a manifest: {error}")))??;
        }
        Ok(document)
    }

    async fn manifest_from(
        &self,
        source: &Repository,
        wanted: &Wanted<'_>,
        size: Option<u64>,
        store: Option<&BlobStore>,
        attempts: &mut Attempts<'_>,
    ) -> Result<Fetched, Failure> {
        if let (Wanted::Tag(tag), Some(store)) = (wanted, store)
            && let Some(bytes) = self.stored_for_tag(source, tag, store, attempts).await?
        {
            return Ok(Fetched { bytes, media_type: None });
        }
        self.fetch_manifest(source, wanted, size, attempts).await
    }

    /// Asks what digest a tag means, and reads it from the store; `None` where either knows nothing.
    async fn stored_for_tag(
        &self,
        source: &Repository,
        tag: &str,
        store: &BlobStore,
        attempts: &mut Attempts<'_>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let url = self.url(source, &format!("manifests/{tag}"), attempts).await?;
        let request = accept_manifests(Request::new(Method::HEAD, url));
        let reply = self.send(source, &pull_scope(&source.name), request, attempts).await?;
        // A registry that has no HEAD is asked by GET, which then also brings the words of its refusal.
        let digest = reply.text("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        match digest.filter(|_| reply.status() == StatusCode::OK) {
            Some(digest) => Ok(read_stored(store, &digest).await?),
            None => Ok(None),
        }
    }

    async fn fetch_manifest(
        &self,
        source: &Repository,
        wanted: &Wanted<'_>,
        size: Option<u64>,
        attempts: &mut Attempts<'_>,
    ) -> Result<Fetched, Failure> {
        let target = match wanted {
            Wanted::Tag(tag) => (*tag).to_owned(),
            Wanted::Digest(digest) => digest.to_string(),
        };
        let url = self.url(source, &format!("manifests/{target}"), attempts).await?;
        let request = accept_manifests(Request::new(Method::GET, url));
        let reply = self.send(source, &pull_scope(&source.name), request, attempts).await?;
        if reply.status() != StatusCode::OK {
            return Err(self.failure(reply, attempts).await);
        }
        let media_type = reply.media_type();
        if media_type.as_deref() == Some("text/html") {
            return Err(not_a_registry(&reply));
        }
        let announced = reply.text("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        let bytes = reply.document(DOCUMENT_LIMIT, &self.inner.options, attempts).await?;
        let expected = match wanted {
            Wanted::Digest(digest) => Some(*digest),
            Wanted::Tag(_) => announced.as_ref(),
        };
        verify(&bytes, expected, size)?;
        Ok(Fetched { bytes, media_type })
    }
}

/// The place of messages about a blob.
pub(crate) fn blob_place(action: &'static str, reference: &Reference, digest: &Digest) -> Place {
    let object = format!("blob {digest} of {}", reference.name());
    Place { action, host: reference.registry().to_owned(), object, is_part: action == "pull" }
}

fn accept_manifests(mut request: Request) -> Request {
    for media_type in MediaType::ACCEPTED_MANIFESTS {
        request = request.header(ACCEPT, HeaderValue::from_static(media_type));
    }
    request
}

async fn read_stored(store: &BlobStore, digest: &Digest) -> Result<Option<Vec<u8>>> {
    if !store.contains(digest) {
        return Ok(None);
    }
    let (store, digest) = (store.clone(), digest.clone());
    let read = tokio::task::spawn_blocking(move || store.read_document(&digest, DOCUMENT_LIMIT)).await;
    // A copy that is damaged or was pruned meanwhile is fetched again.
    Ok(read.map_err(|error| Error::Internal(format!("reading a manifest: {error}")))?.ok())
}

/// Compares content with what was promised of it.
fn verify(bytes: &[u8], digest: Option<&Digest>, size: Option<u64>) -> Result<(), Failure> {
    if let Some(size) = size
        && bytes.len() as u64 != size
    {
        return Err(Failure::wrong(format!("the answer has {} bytes, but {size} were promised", bytes.len())));
    }
    if let Some(digest) = digest {
        let found = Digest::of_with(digest.algorithm(), bytes);
        if found != *digest {
            return Err(Failure::wrong(format!("the content has digest {found}, but {digest} was promised")));
        }
    }
    Ok(())
}

/// Chooses the entry of an index for a platform.
fn select<'a>(index: &'a Index, matcher: &PlatformMatcher, what: &str) -> Result<&'a Descriptor> {
    let is_document = |descriptor: &&Descriptor| {
        MediaType::is_index(&descriptor.media_type) || MediaType::is_manifest(&descriptor.media_type)
    };
    let entries: Vec<&Descriptor> = index.manifests.iter().filter(is_document).collect();
    // Attestations say that they are for unknown/unknown (dockerfile.md 16.6).
    let candidates: Vec<(&Descriptor, &Platform)> = entries
        .iter()
        .filter_map(|descriptor| Some((*descriptor, descriptor.platform.as_ref()?)))
        .filter(|(_, platform)| platform.os != "unknown")
        .collect();
    let choose = |matcher: &PlatformMatcher| matcher.select(candidates.iter().map(|(_, platform)| *platform));
    if let Some(at) = choose(matcher) {
        return Ok(candidates[at].0);
    }
    // An index of one entry that names no platform leaves nothing to choose; the config tells whether it fits.
    if let ([only], true) = (entries.as_slice(), candidates.is_empty()) {
        return Ok(only);
    }
    let mut offered: Vec<String> = Vec::new();
    for (_, platform) in &candidates {
        let text = platform.to_string();
        if !offered.contains(&text) {
            offered.push(text);
        }
    }
    let isolated =
        matcher.wanted().is_windows() && choose(&matcher.clone().with_isolation(WindowsIsolation::HyperV)).is_some();
    Err(Error::NoPlatform {
        object: what.to_owned(),
        wanted: matcher.wanted().to_string(),
        offered,
        help: if candidates.is_empty() {
            "choose another image or tag".to_owned()
        } else if isolated {
            "this host can run it with --isolation=hyperv".to_owned()
        } else {
            "choose one of these with --platform, or another image or tag".to_owned()
        },
    })
}
