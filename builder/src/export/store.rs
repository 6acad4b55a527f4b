//! The image in the store, under its names, and in the registries of these.

use std::collections::BTreeSet;

use strake_layers::{DOCUMENT_LIMIT, Descriptor, MediaType, Reference};
use strake_registry::ImagePush;
use strake_snapshotter::ImageRecord;

use super::documents::{self, Documents};
use super::{BoxFuture, ExportContext, Exported, Exporter};
use crate::request::ImageOptions;
use crate::{Error, Result};

/// Keeps the image, and pushes it where that is asked for.
#[derive(Debug)]
pub(super) struct ImageExporter {
    pub(super) names: Vec<String>,
    pub(super) push: bool,
    pub(super) options: ImageOptions,
}

impl Exporter for ImageExporter {
    fn title(&self) -> String {
        let verb = if self.push { "pushing" } else { "naming" };
        match self.names.as_slice() {
            [] => "keeping the image".to_owned(),
            names => format!("{verb} {}", names.join(", ")),
        }
    }

    fn export<'a>(&'a self, context: &'a ExportContext) -> BoxFuture<'a, Result<Vec<Exported>>> {
        Box::pin(self.run(context))
    }
}

impl ImageExporter {
    async fn run(&self, context: &ExportContext) -> Result<Vec<Exported>> {
        let names: Vec<Reference> = self.names.iter().map(|name| parse_name(name)).collect::<Result<_>>()?;
        let documents = documents::make(context, &self.options).await?;
        if !self.push {
            // An image of the store owns all of its bytes; a pushed one is in its registry.
            context.resolver.ensure_blobs(&documents.pulled).await?;
        }
        let mut made = Vec::new();
        for name in &names {
            self.keep(context, name, &documents)?;
            made.push(exported("image", name, &documents.top));
        }
        if self.push {
            if names.is_empty() {
                return Err(Error::user("there is no name to push to").with_help("add --tag REGISTRY/NAME:TAG"));
            }
            for name in &names {
                push(context, name, &documents).await?;
                made.push(exported("push", name, &documents.top));
            }
        }
        Ok(made)
    }

    fn keep(&self, context: &ExportContext, name: &Reference, documents: &Documents) -> Result<()> {
        let record = ImageRecord {
            name: name.to_string(),
            manifest: documents.top.clone(),
            blobs: std::iter::once(&documents.top).chain(&documents.below).map(|blob| blob.digest.clone()).collect(),
            layers: context.images.iter().flat_map(|image| &image.layers).map(|layer| layer.id()).collect(),
            created: context.request.now.seconds,
        };
        context.store.put_image(&record)?;
        Ok(())
    }
}

fn exported(what: &'static str, name: &Reference, top: &Descriptor) -> Exported {
    Exported { what, dest: name.to_string(), manifest: Some(top.clone()) }
}

/// A name to keep or push an image under: without a digest, which only its content can give.
pub(super) fn parse_name(name: &str) -> Result<Reference> {
    let reference = Reference::parse(name)
        .map_err(|error| Error::user(format!("the name of the image: {error}")).with_help(error.help()))?;
    if reference.digest().is_some() {
        return Err(Error::user(format!("the image name {name:?} has a digest"))
            .with_help("an image's digest comes from its content: give a name and a tag only"));
    }
    Ok(reference)
}

/// Pushes layers and configs, then manifests, then what the name will mean. Layers of a base image that are not here are
/// mounted from its repository, or fetched.
async fn push(context: &ExportContext, name: &Reference, documents: &Documents) -> Result<()> {
    let bases: BTreeSet<String> = documents
        .pulled
        .iter()
        .filter_map(|layer| context.resolver.repository_of(layer))
        .map(|r| r.to_string())
        .collect();
    let bases: Vec<Reference> = bases.iter().filter_map(|text| Reference::parse(text).ok()).collect();
    let (manifests, blobs): (Vec<Descriptor>, Vec<Descriptor>) =
        documents.below.iter().cloned().partition(|blob| MediaType::is_manifest(&blob.media_type));
    for manifest in &manifests {
        let at = name.clone().with_digest(manifest.digest.clone());
        push_document(context, &at, manifest, &blobs, &bases).await?;
    }
    push_document(context, name, &documents.top, &blobs, &bases).await
}

async fn push_document(
    context: &ExportContext,
    name: &Reference,
    document: &Descriptor,
    blobs: &[Descriptor],
    bases: &[Reference],
) -> Result<()> {
    let store = context.store.blobs();
    let bytes = store.read_document(&document.digest, DOCUMENT_LIMIT)?;
    let image = ImagePush { media_type: &document.media_type, manifest: &bytes, blobs, bases };
    context.client.push_image(name, &image, store).await?;
    Ok(())
}
