//! Makes what was asked for out of built images.

mod annotations;
mod archive;
mod background;
mod blobs;
mod documents;
mod files;
mod image;
mod places;
mod store;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use strake_layers::{Cancel, Descriptor, Timestamp};
use strake_snapshotter::Store;

use crate::build::Built;
use crate::events::Event;
use crate::execute::Report;
use crate::request::{BuildRequest, Output};
use crate::resolve::Resolver;
use crate::{Error, Result};

pub(crate) use annotations::Annotations;
pub(crate) use background::Background;
pub(crate) use blobs::{LayerBlobs, blocking};
pub(crate) use image::{BuiltImage, Clock, Unfinished};

/// A future whose type has no name.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What all exporters of a build share.
#[derive(Debug)]
pub(crate) struct ExportContext {
    pub(crate) images: Vec<BuiltImage>,
    pub(crate) blobs: Arc<LayerBlobs>,
    pub(crate) store: Arc<Store>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) client: Arc<strake_registry::Client>,
    pub(crate) request: Arc<BuildRequest>,
    pub(crate) annotations: Annotations,
    pub(crate) epoch: Option<Timestamp>,
    pub(crate) report: Report,
    pub(crate) cancel: Cancel,
}

/// What an exporter made.
#[derive(Clone, Debug)]
pub(crate) struct Exported {
    /// What it is: `oci archive`.
    pub(crate) what: &'static str,
    /// Where it is, or its name.
    pub(crate) dest: String,
    /// The manifest or index, where it has one.
    pub(crate) manifest: Option<Descriptor>,
}

/// Makes one output of the images of a build. The output appears whole or not at all (edges.md 4).
pub(crate) trait Exporter: Send + Sync + std::fmt::Debug {
    /// What is shown while it works: `exporting to oci archive`.
    fn title(&self) -> String;

    /// Makes the output.
    fn export<'a>(&'a self, context: &'a ExportContext) -> BoxFuture<'a, Result<Vec<Exported>>>;
}

/// The exporter of an output; none for the cache alone.
fn exporter(output: &Output, request: &BuildRequest) -> Option<Box<dyn Exporter>> {
    Some(match output.clone() {
        Output::Oci { dest, tar, options } => Box::new(archive::OciExporter { dest, tar, options }),
        Output::Docker { dest, options } => Box::new(archive::DockerExporter { dest, options }),
        Output::Local { dest } => Box::new(files::LocalExporter { dest }),
        Output::Tar { dest } => Box::new(files::TarExporter { dest }),
        Output::Image { mut names, push, options } => {
            names.extend(request.tags.iter().cloned());
            Box::new(store::ImageExporter { names, push, options })
        }
        Output::CacheOnly => return None,
    })
}

/// Refuses names that no image can have, so that a build does not fail at its very end.
pub(crate) fn check_outputs(request: &BuildRequest) -> Result<()> {
    let given = request.outputs.iter().flat_map(|output| match output {
        Output::Image { names, .. } => names.as_slice(),
        _ => &[],
    });
    given.chain(&request.tags).try_for_each(|name| store::parse_name(name).map(drop))?;
    places::check(request)
}

/// Makes all outputs of a build.
pub(crate) async fn export_all(context: &ExportContext) -> Result<Built> {
    let mut built = Built::default();
    // For the cache alone no diff ID is worked out, so there is no config that could be named.
    let is_made = context.request.outputs.iter().any(|output| !matches!(output, Output::CacheOnly));
    if let [only] = context.images.as_slice()
        && is_made
    {
        let config = strake_layers::Digest::of(&only.config_bytes);
        built.config = Some(config.clone());
        built.image_id = Some(config);
    }
    for output in &context.request.outputs {
        context.cancel.check()?;
        let Some(exporter) = exporter(output, &context.request) else { continue };
        let made = context.report.step(exporter.title(), exporter.export(context)).await?;
        for one in made {
            if let Some(manifest) = &one.manifest {
                if context.images.len() > 1 {
                    built.image_id = Some(manifest.digest.clone());
                }
                built.manifest.get_or_insert_with(|| manifest.clone());
            }
            if (one.what == "image" || one.what == "push") && !built.names.contains(&one.dest) {
                built.names.push(one.dest.clone());
            }
            let digest = one.manifest.as_ref().map(|manifest| manifest.digest.to_string());
            context.report.send(Event::Exported { what: one.what.to_owned(), dest: one.dest, digest });
        }
    }
    Ok(built)
}

/// An output that standard output takes cannot be renamed into place.
fn stdout_name() -> String {
    "standard output".to_owned()
}

/// Turns the failure of an output into an error that names it.
fn output_error(dest: &str, error: &std::io::Error) -> Error {
    Error::environment(format!("cannot write {dest}: {error}"))
}
