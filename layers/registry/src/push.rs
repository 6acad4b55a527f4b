use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use strake_layers::{BlobStore, Descriptor, Digest, MediaType, Reference};

use crate::auth::{Scope, push_scope};
use crate::client::{Client, Repository, is_absent, not_a_registry};
use crate::error::{Error, Result};
use crate::pull::image_place;
use crate::reply::Reply;
use crate::resolve::blob_place;
use crate::retry::{Attempts, Failure};
use crate::target::shown;
use crate::transport::{Payload, Request};
use crate::upload::FilePart;

/// The largest manifest that registries take (distribution specification, "Pushing Manifests": at least 4 MiB).
const MANIFEST_LIMIT: usize = 4 << 20;

/// Blobs that are pushed at the same time.
const PARALLEL: usize = 4;

/// The size of a chunk where a registry does not take a blob in one piece.
const CHUNK: u64 = 16 << 20;

/// How a blob got to the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// An image to be pushed.
#[derive(Clone, Debug)]
pub struct ImagePush<'a> {
    /// The manifest's or index's media type.
    pub media_type: &'a str,
    /// Its bytes.
    pub manifest: &'a [u8],
    /// The config and the layers it refers to.
    pub blobs: &'a [Descriptor],
    /// The images it was built upon. What the store has not got of their blobs is mounted from there, or fetched.
    pub bases: &'a [Reference],
}

impl Client {
    /// Brings a blob to a registry, where it is not there yet. `bases` are images that may have it: those on the same
    /// registry are asked for a mount first, and a blob that the store has not got is fetched from any of them.
    pub async fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        store: &BlobStore,
        bases: &[Reference],
    ) -> Result<Pushed> {
        self.until_stopped(self.push_blob_now(reference, descriptor, store, bases)).await
    }

    async fn push_blob_now(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        store: &BlobStore,
        bases: &[Reference],
    ) -> Result<Pushed> {
        let upload = Upload { client: self, target: Repository::of(reference), descriptor, store, bases };
        let mut attempts = self.attempts(blob_place("push", reference, &descriptor.digest));
        // A registry that refuses a mount today refuses it in a minute: each repository is tried once.
        let mut mounts: Vec<&str> = bases
            .iter()
            .filter(|other| {
                Repository::of(other).registry == upload.target.registry && other.repository() != upload.target.name
            })
            .map(Reference::repository)
            .collect();
        mounts.reverse();
        let mut mode = Mode::Whole;
        loop {
            let failure = match upload.attempt(&mut mounts, mode, &mut attempts).await {
                Ok(pushed) => return Ok(pushed),
                Err(failure) => failure,
            };
            if mode == Mode::Whole && failure.has_status(StatusCode::PAYLOAD_TOO_LARGE) && descriptor.size > CHUNK {
                mode = Mode::Chunks;
                continue;
            }
            attempts.after(failure).await?;
        }
    }

    /// Gives a manifest or index to a registry, under the reference's tag, or by its digest where there is none.
    pub async fn push_manifest(&self, reference: &Reference, media_type: &str, bytes: &[u8]) -> Result<Digest> {
        self.until_stopped(self.push_manifest_now(reference, media_type, bytes)).await
    }

    async fn push_manifest_now(&self, reference: &Reference, media_type: &str, bytes: &[u8]) -> Result<Digest> {
        if bytes.len() > MANIFEST_LIMIT {
            return Err(Error::Layers(strake_layers::Error::Limit {
                what: format!("the manifest of {reference} with {} bytes", bytes.len()),
                limit: format!("{MANIFEST_LIMIT} bytes that registries take"),
            }));
        }
        let digest = Digest::of(bytes);
        let mut attempts = self.attempts(image_place("push", reference));
        if let Some(wanted) = reference.digest().filter(|wanted| **wanted != digest) {
            return Err(Error::Invalid(format!(
                "cannot push {reference}: the image has digest {digest}, not {wanted}"
            )));
        }
        let body = Bytes::copy_from_slice(bytes);
        loop {
            match self.put_manifest(reference, media_type, &body, &digest, &mut attempts).await {
                Ok(()) => return Ok(digest),
                Err(failure) => attempts.after(failure).await?,
            }
        }
    }

    async fn put_manifest(
        &self,
        reference: &Reference,
        media_type: &str,
        body: &Bytes,
        digest: &Digest,
        attempts: &mut Attempts<'_>,
    ) -> Result<(), Failure> {
        let target = Repository::of(reference);
        let scope = push_scope(&target.name, None);
        let name = reference.tag().map_or_else(|| digest.to_string(), str::to_owned);
        let url = self.url(&target, &format!("manifests/{name}"), attempts).await?;
        let kind = HeaderValue::from_str(media_type).map_err(|_| {
            Failure::Fatal(Error::Invalid(format!("cannot push {reference}: {media_type:?} is no media type")))
        })?;
        let request = Request::new(Method::PUT, url).header(CONTENT_TYPE, kind).payload(Payload::Bytes(body.clone()));
        let reply = self.send(&target, &scope, request, attempts).await?;
        if !matches!(reply.status(), StatusCode::CREATED | StatusCode::ACCEPTED) {
            return Err(self.unexpected(reply, attempts).await);
        }
        if let Some(found) = reply.text("docker-content-digest") {
            return confirm(found, digest);
        }
        // The registry did not say what it stored: ask.
        let url = self.url(&target, &format!("manifests/{digest}"), attempts).await?;
        let mut request = Request::new(Method::HEAD, url);
        for accepted in MediaType::ACCEPTED_MANIFESTS {
            request = request.header(reqwest::header::ACCEPT, HeaderValue::from_static(accepted));
        }
        let reply = self.send(&target, &scope, request, attempts).await?;
        match (reply.status(), reply.text("docker-content-digest")) {
            (StatusCode::OK, Some(found)) => confirm(found, digest),
            (StatusCode::OK, None) if reply.content_length() == Some(body.len() as u64) => Ok(()),
            _ => Err(Failure::refused(format!(
                "the registry says it took the manifest, but has none with digest {digest}"
            ))),
        }
    }

    /// Pushes the blobs of an image, then its manifest. The manifest comes last, so a tag never names half an image.
    ///
    /// Foreign layers are left where they are (windows.md 4.2).
    pub async fn push_image(&self, reference: &Reference, image: &ImagePush<'_>, store: &BlobStore) -> Result<Digest> {
        self.until_stopped(async {
            let mut seen = BTreeSet::new();
            let wanted: Vec<_> = image
                .blobs
                .iter()
                .filter(|blob| !MediaType::is_nondistributable(&blob.media_type) && seen.insert(blob.digest.clone()))
                .map(|blob| Box::pin(self.push_blob_now(reference, blob, store, image.bases)))
                .collect();
            let mut pushes = stream::iter(wanted).buffer_unordered(PARALLEL);
            while let Some(pushed) = pushes.next().await {
                pushed?;
            }
            self.push_manifest_now(reference, image.media_type, image.manifest).await
        })
        .await
    }

    /// Tells before a build whether its push will be allowed: begins an upload and gives it up.
    pub async fn check_push(&self, reference: &Reference) -> Result<()> {
        self.until_stopped(async {
            let target = Repository::of(reference);
            let scope = push_scope(&target.name, None);
            let mut attempts = self.attempts(image_place("push", reference));
            loop {
                match self.begin_and_cancel(&target, &scope, &mut attempts).await {
                    Ok(()) => return Ok(()),
                    Err(failure) => attempts.after(failure).await?,
                }
            }
        })
        .await
    }

    async fn begin_and_cancel(
        &self,
        target: &Repository,
        scope: &Scope,
        attempts: &mut Attempts<'_>,
    ) -> Result<(), Failure> {
        let url = self.url(target, "blobs/uploads/", attempts).await?;
        let request = Request::new(Method::POST, url).payload(Payload::Bytes(Bytes::new()));
        let reply = self.send(target, scope, request, attempts).await?;
        if reply.status() != StatusCode::ACCEPTED {
            return Err(self.unexpected(reply, attempts).await);
        }
        let session = session_url(&reply)?;
        // A registry that cannot cancel forgets the session by itself.
        drop(self.send(target, scope, Request::new(Method::DELETE, session), attempts).await);
        Ok(())
    }

    /// A failure of an answer to a push: a success that is none, as the page of a proxy, is one, too.
    async fn unexpected(&self, reply: Reply, attempts: &mut Attempts<'_>) -> Failure {
        if reply.status().is_success() || reply.status().is_redirection() {
            return not_a_registry(&reply);
        }
        self.failure(reply, attempts).await
    }
}

/// In how many requests a blob is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Whole,
    Chunks,
}

/// A blob on its way to a repository.
struct Upload<'a> {
    client: &'a Client,
    target: Repository,
    descriptor: &'a Descriptor,
    store: &'a BlobStore,
    bases: &'a [Reference],
}

impl Upload<'_> {
    async fn attempt(
        &self,
        mounts: &mut Vec<&str>,
        mode: Mode,
        attempts: &mut Attempts<'_>,
    ) -> Result<Pushed, Failure> {
        if self.is_present(attempts).await? {
            return Ok(Pushed::Present);
        }
        let Some(session) = self.begin(mounts, attempts).await? else { return Ok(Pushed::Mounted) };
        self.ensure_stored().await?;
        match mode {
            Mode::Whole => self.send_whole(session, attempts).await?,
            Mode::Chunks => self.send_chunks(session, attempts).await?,
        }
        Ok(Pushed::Uploaded)
    }

    /// Fetches the blob of a base that was never looked into, and could not be mounted.
    async fn ensure_stored(&self) -> Result<()> {
        let digest = &self.descriptor.digest;
        let mut error = Error::Layers(strake_layers::Error::BlobMissing(digest.clone()));
        for base in self.bases {
            if self.store.size(digest) == Some(self.descriptor.size) {
                break;
            }
            if let Err(failed) = Box::pin(self.client.fetch_blob_once(base, self.descriptor, self.store)).await {
                error = failed;
            }
        }
        if self.store.size(digest) == Some(self.descriptor.size) { Ok(()) } else { Err(error) }
    }

    fn scope(&self, from: Option<&str>) -> Scope {
        push_scope(&self.target.name, from)
    }

    async fn is_present(&self, attempts: &mut Attempts<'_>) -> Result<bool, Failure> {
        let Descriptor { digest, size, .. } = self.descriptor;
        let url = self.client.url(&self.target, &format!("blobs/{digest}"), attempts).await?;
        let reply =
            self.client.send(&self.target, &self.scope(None), Request::new(Method::HEAD, url), attempts).await?;
        match reply.status() {
            StatusCode::OK if reply.media_type().as_deref() == Some("text/html") => Err(not_a_registry(&reply)),
            // A damaged copy of another size is replaced.
            StatusCode::OK => Ok(reply.content_length().is_none_or(|length| length == *size)),
            status if is_absent(status) || status == StatusCode::METHOD_NOT_ALLOWED => Ok(false),
            _ => Err(self.client.failure(reply, attempts).await),
        }
    }

    /// Begins an upload; `None`: the blob was mounted, and there is nothing to send.
    async fn begin(&self, mounts: &mut Vec<&str>, attempts: &mut Attempts<'_>) -> Result<Option<Url>, Failure> {
        while let Some(from) = mounts.pop() {
            let mut url = self.client.url(&self.target, "blobs/uploads/", attempts).await?;
            url.query_pairs_mut().append_pair("mount", &self.descriptor.digest.to_string()).append_pair("from", from);
            let request = Request::new(Method::POST, url).payload(Payload::Bytes(Bytes::new()));
            // Whatever stands against a mount, no right to read the other repository for one, stands not against a push.
            let Ok(reply) = self.client.send(&self.target, &self.scope(Some(from)), request, attempts).await else {
                continue;
            };
            match reply.status() {
                StatusCode::CREATED => {
                    if let Some(found) = reply.text("docker-content-digest") {
                        confirm(found, &self.descriptor.digest)?;
                    }
                    return Ok(None);
                }
                // Refused, but the session it opens instead is as good as any; it is used when no mount is left to try.
                StatusCode::ACCEPTED if mounts.is_empty() => return session_url(&reply).map(Some),
                _ => {}
            }
        }
        let url = self.client.url(&self.target, "blobs/uploads/", attempts).await?;
        let request = Request::new(Method::POST, url).payload(Payload::Bytes(Bytes::new()));
        let reply = self.client.send(&self.target, &self.scope(None), request, attempts).await?;
        match reply.status() {
            StatusCode::ACCEPTED => session_url(&reply).map(Some),
            _ => Err(self.client.unexpected(reply, attempts).await),
        }
    }

    async fn send_whole(&self, session: Url, attempts: &mut Attempts<'_>) -> Result<(), Failure> {
        let payload = Payload::File(self.part(0, self.descriptor.size));
        let request =
            Request::new(Method::PUT, self.with_digest(session)).header(CONTENT_TYPE, octets()).payload(payload);
        let reply = self.client.send(&self.target, &self.scope(None), request, attempts).await?;
        self.confirm_upload(reply, attempts).await
    }

    /// Sends chunks (distribution specification, "Pushing a blob in chunks").
    async fn send_chunks(&self, mut session: Url, attempts: &mut Attempts<'_>) -> Result<(), Failure> {
        let size = self.descriptor.size;
        let mut offset = 0;
        while offset < size {
            let length = CHUNK.min(size - offset);
            let range = HeaderValue::from_str(&format!("{offset}-{}", offset + length - 1));
            let request = Request::new(Method::PATCH, session.clone())
                .header(CONTENT_TYPE, octets())
                .header(CONTENT_RANGE, range.map_err(|error| Error::Internal(error.to_string()))?)
                .payload(Payload::File(self.part(offset, length)));
            let reply = self.client.send(&self.target, &self.scope(None), request, attempts).await?;
            if reply.status() != StatusCode::ACCEPTED {
                return Err(self.client.unexpected(reply, attempts).await);
            }
            session = session_url(&reply)?;
            offset += length;
            attempts.note_progress();
        }
        let request = Request::new(Method::PUT, self.with_digest(session)).payload(Payload::Bytes(Bytes::new()));
        let reply = self.client.send(&self.target, &self.scope(None), request, attempts).await?;
        self.confirm_upload(reply, attempts).await
    }

    async fn confirm_upload(&self, reply: Reply, attempts: &mut Attempts<'_>) -> Result<(), Failure> {
        match reply.status() {
            StatusCode::CREATED => match reply.text("docker-content-digest") {
                Some(found) => confirm(found, &self.descriptor.digest),
                None if self.is_present(attempts).await? => Ok(()),
                None => Err(Failure::refused("the registry says it took the blob, but has none with its digest")),
            },
            _ => Err(self.client.unexpected(reply, attempts).await),
        }
    }

    fn part(&self, offset: u64, length: u64) -> FilePart {
        FilePart {
            path: self.store.path(&self.descriptor.digest),
            digest: self.descriptor.digest.clone(),
            offset,
            length,
            total: self.descriptor.size,
        }
    }

    fn with_digest(&self, mut session: Url) -> Url {
        session.query_pairs_mut().append_pair("digest", &self.descriptor.digest.to_string());
        session
    }
}

fn octets() -> HeaderValue {
    HeaderValue::from_static("application/octet-stream")
}

/// Where an upload goes on; registries give it whole or relative.
fn session_url(reply: &Reply) -> Result<Url, Failure> {
    let location = reply.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let url = location.and_then(|text| reply.url.join(text).ok());
    let url = url.ok_or_else(|| Failure::refused("it opened an upload without saying where"))?;
    // Bytes that go to a registry over TLS are not sent in the clear because it says so.
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && reply.url.scheme() == "http");
    if is_safe { Ok(url) } else { Err(Failure::refused(format!("an upload to {} is not made", shown(&url)))) }
}

/// Compares the digest that a registry confirms with the one that was pushed.
fn confirm(found: &str, digest: &Digest) -> Result<(), Failure> {
    // A registry may confirm by another algorithm; it is the same content, which it verified.
    match found.parse::<Digest>() {
        Ok(found) if found == *digest || found.algorithm() != digest.algorithm() => Ok(()),
        _ => Err(Failure::refused(format!("the registry confirms digest {found}, but {digest} was pushed"))),
    }
}
