use std::sync::PoisonError;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderValue, RANGE};
use reqwest::{Method, StatusCode, Url};
use strake_layers::{BlobStore, Descriptor, Notice, Reference};

use crate::auth::pull_scope;
use crate::client::{Client, Repository, not_a_registry};
use crate::error::{Error, Place, Result};
use crate::options::ForeignUrls;
use crate::reply::Reply;
use crate::resolve::blob_place;
use crate::retry::{Attempts, Failure};
use crate::sink::Sink;
use crate::target::{Registry, is_private};
use crate::transport::{Redirects, Request};

/// So many new bytes make earlier failures forgotten.
const PROGRESS: u64 = 1 << 20;

/// How often progress is reported at most.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Where a blob is asked for.
enum Origin<'a> {
    Registry(&'a Repository),
    Foreign(&'a Url, Redirects),
}

impl Client {
    /// Brings a blob into the store, verified. A second call for the same blob waits for the first one.
    pub async fn fetch_blob(&self, reference: &Reference, descriptor: &Descriptor, store: &BlobStore) -> Result<()> {
        self.until_stopped(self.fetch_blob_once(reference, descriptor, store)).await
    }

    pub(crate) async fn fetch_blob_once(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        store: &BlobStore,
    ) -> Result<()> {
        let digest = &descriptor.digest;
        let is_there = || store.size(digest) == Some(descriptor.size);
        if is_there() {
            return Ok(());
        }
        let turn = {
            let mut fetching = self.inner.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            fetching.entry(digest.clone()).or_default().clone()
        };
        let guard = turn.lock().await;
        let result = if is_there() { Ok(()) } else { self.fetch_from_anywhere(reference, descriptor, store).await };
        drop(guard);
        let mut fetching = self.inner.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        // Two holders: the map and this call. More: others wait.
        if fetching.get(digest).is_some_and(|held| std::sync::Arc::strong_count(held) <= 2) {
            fetching.remove(digest);
        }
        result
    }

    async fn fetch_from_anywhere(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        store: &BlobStore,
    ) -> Result<()> {
        let place = blob_place("pull", reference, &descriptor.digest);
        let mut sink = None;
        let mut sources = self.try_sources(reference, place.clone());
        let error = loop {
            let (source, attempts) = sources.current();
            let failure = match self.fetch_into(&Origin::Registry(source), descriptor, store, &mut sink, attempts).await
            {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            match sources.after(failure).await {
                Ok(()) => {}
                Err(error @ Error::NotFound(_)) => break error,
                Err(error) => return Err(error),
            }
        };
        if self.inner.options.foreign_urls == ForeignUrls::Refused {
            return Err(hint_foreign(error, descriptor));
        }
        // The registry chose these addresses; they must not reach into a network that it is not in itself (edges: 10).
        let rule =
            if Registry::new(reference.registry()).is_private() { Redirects::Registry } else { Redirects::Public };
        for url in descriptor.urls.iter().filter_map(|text| Url::parse(text).ok()) {
            if url.scheme() != "https" || (rule == Redirects::Public && is_private(&url)) {
                continue;
            }
            let mut attempts = self.attempts(place.clone());
            let mut sink = None;
            loop {
                let failure = match self
                    .fetch_into(&Origin::Foreign(&url, rule), descriptor, store, &mut sink, &mut attempts)
                    .await
                {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                };
                match attempts.after(failure).await {
                    Ok(()) => {}
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(_) => break,
                }
            }
        }
        Err(error)
    }

    /// One attempt. What was received stays in `sink` for the next one.
    async fn fetch_into(
        &self,
        origin: &Origin<'_>,
        descriptor: &Descriptor,
        store: &BlobStore,
        sink: &mut Option<Sink>,
        attempts: &mut Attempts<'_>,
    ) -> Result<(), Failure> {
        let received = sink.as_ref().map_or(0, Sink::received);
        // A complete one is here only when it turned out wrong, so it begins anew.
        if received >= descriptor.size {
            *sink = None;
        }
        let from = sink.as_ref().map_or(0, Sink::received);
        let mut reply = self.ask_for_blob(origin, descriptor, from, attempts).await?;
        let is_resumed = match reply.status() {
            StatusCode::OK => false,
            StatusCode::PARTIAL_CONTENT if from > 0 && continues_at(&reply, from, descriptor.size) => true,
            // Range is refused, or lies: from the start.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
                *sink = None;
                reply = self.ask_for_blob(origin, descriptor, 0, attempts).await?;
                if reply.status() != StatusCode::OK {
                    return Err(self.failure(reply, attempts).await);
                }
                false
            }
            _ => return Err(self.failure(reply, attempts).await),
        };
        if !is_resumed {
            *sink = None;
        }
        self.receive(reply, descriptor, store, sink, attempts).await?;
        let Some(whole) = sink.take() else { return Ok(()) };
        match whole.finish(Some((descriptor.digest.clone(), descriptor.size))).await {
            Ok(_) => Ok(()),
            Err(Error::Layers(
                error @ (strake_layers::Error::DigestMismatch { .. } | strake_layers::Error::SizeMismatch { .. }),
            )) => Err(Failure::wrong(error.to_string())),
            Err(error) => Err(Failure::Fatal(error)),
        }
    }

    async fn ask_for_blob(
        &self,
        origin: &Origin<'_>,
        descriptor: &Descriptor,
        from: u64,
        attempts: &mut Attempts<'_>,
    ) -> Result<Reply, Failure> {
        let mut request = match origin {
            Origin::Registry(source) => {
                Request::new(Method::GET, self.url(source, &format!("blobs/{}", descriptor.digest), attempts).await?)
            }
            Origin::Foreign(url, rule) => {
                let mut request = Request::new(Method::GET, (*url).clone());
                request.redirects = *rule;
                request
            }
        };
        if from > 0 {
            let range = HeaderValue::from_str(&format!("bytes={from}-"));
            request = request.header(RANGE, range.map_err(|error| Error::Internal(error.to_string()))?);
        }
        match origin {
            Origin::Registry(source) => self.send(source, &pull_scope(&source.name), request, attempts).await,
            Origin::Foreign(..) => self.inner.transport.send(&request, attempts).await,
        }
    }

    /// Receives the body until the blob is complete.
    async fn receive(
        &self,
        mut reply: Reply,
        descriptor: &Descriptor,
        store: &BlobStore,
        sink: &mut Option<Sink>,
        attempts: &mut Attempts<'_>,
    ) -> Result<(), Failure> {
        let size = descriptor.size;
        let into = sink.get_or_insert_with(|| Sink::new(store, descriptor.digest.algorithm()));
        let begun = into.received();
        if reply.media_type().as_deref() == Some("text/html")
            && reply.content_length().is_some_and(|length| length != size)
        {
            return Err(not_a_registry(&reply));
        }
        if begun == 0
            && let Some(length) = reply.content_length()
            && length != size
        {
            return Err(Failure::wrong(format!("the registry has {length} bytes, but {size} were promised")));
        }
        let mut counted = begun;
        let mut reported = Instant::now();
        while let Some(chunk) = reply.chunk(self.inner.options.limits.idle, attempts).await? {
            let done = into.received() + chunk.len() as u64;
            if done > size {
                *sink = None;
                return Err(Failure::wrong(format!(
                    "the registry sends more than the {size} bytes that were promised"
                )));
            }
            if !into.push(chunk).await {
                // The writer's error is the one that matters: a full disk.
                let Some(broken) = sink.take() else { return Ok(()) };
                let error = broken.finish(None).await.err();
                return Err(Failure::Fatal(
                    error.unwrap_or_else(|| Error::Internal("the writer of a blob stopped".to_owned())),
                ));
            }
            if done - counted >= PROGRESS {
                counted = done;
                attempts.note_progress();
            }
            if done == size || reported.elapsed() >= REPORT_EVERY {
                reported = Instant::now();
                let notice =
                    Notice::Transfer { digest: descriptor.digest.clone(), action: "pull", done, total: Some(size) };
                self.inner.options.notices.send(notice);
            }
        }
        let done = into.received();
        if done < size {
            return Err(Failure::broken(format!("the body ended after {done} of {size} bytes")));
        }
        Ok(())
    }
}

/// Tells whether a 206 continues where it should (RFC 9110, section 14.4).
fn continues_at(reply: &Reply, from: u64, size: u64) -> bool {
    let Some(range) = reply.text("content-range").and_then(|text| text.trim().strip_prefix("bytes ")) else {
        return false;
    };
    let Some((span, total)) = range.split_once('/') else { return false };
    let starts = span.split('-').next().and_then(|first| first.trim().parse::<u64>().ok()) == Some(from);
    starts && (total.trim() == "*" || total.trim().parse() == Ok(size))
}

/// Says of a missing foreign layer that it may be had elsewhere.
fn hint_foreign(error: Error, descriptor: &Descriptor) -> Error {
    match error {
        Error::NotFound(mut failed) if !descriptor.urls.is_empty() => {
            failed.help = Some("the layer is a foreign one: allow its own addresses with --foreign-urls".to_owned());
            Error::NotFound(failed)
        }
        error => error,
    }
}

/// The place of messages about a whole image.
pub(crate) fn image_place(action: &'static str, reference: &Reference) -> Place {
    Place { action, host: reference.registry().to_owned(), object: reference.to_string(), is_part: false }
}
