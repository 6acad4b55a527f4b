//! Resolves image names, each once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use strake_layers::{Cancel, Layer, LayerId, LayerSource, PlatformMatcher, Reference};
use strake_parser::Diagnostic;
use strake_registry::Client;
use strake_snapshotter::Store;
use tokio::sync::OnceCell;

use super::ResolvedImage;
use super::documents::Found;
use super::layers::Turns;
use crate::execute::Report;
use crate::plan::{ImageKey, ImageRequest, ImageSource};
use crate::{Error, Finding, Result};

/// The registry of names without one: such a name may also be an image of the store.
const DEFAULT_REGISTRY: &str = "docker.io";

/// Where the blob of a layer can be fetched.
pub(super) type Origins = HashMap<LayerId, Reference>;

/// Resolves images of one build and fetches their layers.
#[derive(Debug)]
pub struct Resolver {
    pub(super) client: Arc<Client>,
    pub(super) store: Arc<Store>,
    pub(super) cancel: Cancel,
    resolved: Mutex<HashMap<ImageKey, Arc<OnceCell<Arc<ResolvedImage>>>>>,
    pub(super) origins: Mutex<Origins>,
    pub(super) turns: Turns,
}

/// Images that could not be resolved.
#[derive(Debug)]
pub struct Unresolved(pub(super) Vec<(ImageRequest, Error)>);

impl Unresolved {
    /// Gives each image's error on its own; none where the build was asked to stop.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let stopped = self.0.iter().any(|(_, error)| error.is_cancelled());
        self.0.iter().filter(|_| !stopped).map(|(request, error)| request.failed(error)).collect()
    }

    /// Makes the build's error of it; `finding` adds the file to a diagnostic.
    pub fn locate(self, finding: impl Fn(Diagnostic) -> Finding) -> Error {
        let mut failed = self.0;
        if let Some(at) = failed.iter().position(|(_, error)| error.is_cancelled()) {
            return failed.swap_remove(at).1;
        }
        let is_of_user = |error: &Error| error.kind() == strake_layers::ErrorKind::User;
        if failed.len() > 1 && failed.iter().all(|(_, error)| is_of_user(error)) {
            return Error::Dockerfile(failed.iter().map(|(request, error)| finding(request.failed(error))).collect());
        }
        // What is not the user's fault decides the exit code.
        let at = failed.iter().position(|(_, error)| !is_of_user(error)).unwrap_or(0);
        if failed.is_empty() {
            return Error::internal("resolving failed without an error");
        }
        let (request, error) = failed.swap_remove(at);
        let mut found = request.failed(&error);
        for (other, error) in failed.iter().filter(|(other, _)| other.span != request.span) {
            found = found.with_label(other.span, format!("failed to resolve {}, too: {error}", other.name));
        }
        let found = Box::new(finding(found));
        Error::Step { finding: found, step: title(&request), source: Some(Box::new(error)) }
    }
}

fn title(request: &ImageRequest) -> String {
    format!("[internal] load metadata for {}", request.key.source)
}

impl Resolver {
    /// Makes a resolver for one build.
    pub fn new(client: Arc<Client>, store: Arc<Store>, cancel: Cancel) -> Self {
        Self { client, store, cancel, resolved: Mutex::default(), origins: Mutex::default(), turns: Turns::default() }
    }

    /// Resolves images at the same time. With `pull` a registry is asked even for what the store has as its own.
    pub(crate) async fn resolve_all(
        &self,
        requests: &[ImageRequest],
        pull: bool,
        report: &Report,
    ) -> Result<Vec<(ImageKey, Arc<ResolvedImage>)>, Unresolved> {
        let all = requests.iter().map(|request| report.step(title(request), self.resolve(&request.key, pull)));
        let mut found = Vec::with_capacity(requests.len());
        let mut failed = Vec::new();
        for (request, result) in requests.iter().zip(join_all(all).await) {
            match result {
                Ok(image) => found.push((request.key.clone(), image)),
                Err(error) => failed.push((request.clone(), error)),
            }
        }
        if failed.is_empty() { Ok(found) } else { Err(Unresolved(failed)) }
    }

    /// Resolves an image; a second call waits for the first and takes its result.
    ///
    /// A name without registry (`myapp:dev`) is first looked for among the images that this store keeps, as builders
    /// with a local image store do; any name is looked for there when its registry does not know it.
    pub async fn resolve(&self, key: &ImageKey, pull: bool) -> Result<Arc<ResolvedImage>> {
        let cell = {
            let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(resolved.entry(key.clone()).or_default())
        };
        let image = cell.get_or_try_init(async || self.resolve_now(key, pull).await.map(Arc::new)).await?;
        Ok(Arc::clone(image))
    }

    async fn resolve_now(&self, key: &ImageKey, pull: bool) -> Result<ResolvedImage> {
        let found = match &key.source {
            ImageSource::Layout { path, tag, digest } => {
                self.import_layout(Path::new(path), tag.as_deref(), digest.as_deref(), &key.platform).await?
            }
            ImageSource::Registry(reference) => self.of_name(reference, key, pull).await?,
        };
        let image = self.read_image(key, found).await?;
        if let ImageSource::Registry(reference) = &key.source {
            let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
            for layer in &image.layers {
                origins.entry(layer.id()).or_insert_with(|| reference.clone());
            }
        }
        Ok(image)
    }

    async fn of_name(&self, reference: &Reference, key: &ImageKey, pull: bool) -> Result<Found> {
        let is_local_name = reference.registry() == DEFAULT_REGISTRY && reference.digest().is_none();
        if is_local_name
            && !pull
            && let Some(found) = self.of_store(reference, &key.platform).await?
        {
            return Ok(found);
        }
        let matcher = PlatformMatcher::new(&key.platform);
        match self.client.resolve(reference, &matcher, Some(self.store.blobs())).await {
            Ok(resolved) => Ok(Found {
                index: resolved.index.map(|index| index.digest.clone()),
                manifest: resolved.manifest,
                origin: Some(reference.clone()),
            }),
            Err(error @ strake_registry::Error::NotFound(_)) if !is_local_name || pull => {
                self.of_store(reference, &key.platform).await?.ok_or(Error::Registry(error))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the repository that a layer of a base image came from.
    pub fn repository_of(&self, layer: &Layer) -> Option<Reference> {
        if !matches!(layer.source(), LayerSource::Blob { .. }) {
            return None;
        }
        self.origins.lock().unwrap_or_else(PoisonError::into_inner).get(&layer.id()).cloned()
    }
}
