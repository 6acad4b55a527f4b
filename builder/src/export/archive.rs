//! OCI layouts and docker archives.

use std::path::PathBuf;
use std::sync::Arc;

use strake_layers::{Cancel, Layout, LayoutImage, Reference, Timestamp};
use strake_snapshotter::Store;

use super::documents::{self, Documents};
use super::files::{shown, to_dest};
use super::image::rfc3339;
use super::{BoxFuture, ExportContext, Exported, Exporter, blocking};
use crate::request::ImageOptions;
use crate::{Error, Result};

/// Writes an OCI image layout: a tar, or a folder.
#[derive(Debug)]
pub(super) struct OciExporter {
    pub(super) dest: Option<PathBuf>,
    pub(super) tar: bool,
    pub(super) options: ImageOptions,
}

/// Writes a docker archive.
#[derive(Debug)]
pub(super) struct DockerExporter {
    pub(super) dest: Option<PathBuf>,
    pub(super) options: ImageOptions,
}

impl Exporter for OciExporter {
    fn title(&self) -> String {
        format!("exporting an OCI image to {}", shown(self.dest.as_deref()))
    }

    fn export<'a>(&'a self, context: &'a ExportContext) -> BoxFuture<'a, Result<Vec<Exported>>> {
        Box::pin(async move {
            let ready = Ready::make(context, &self.options).await?;
            let exported = ready.exported(if self.tar { "oci archive" } else { "oci layout" }, self.dest.as_deref());
            let (dest, tar) = (self.dest.clone(), self.tar);
            blocking(move || {
                let layout = Layout::collect(ready.store.blobs(), vec![ready.image])?;
                match (tar, dest) {
                    (false, Some(folder)) => Ok(layout.write_folder(folder, &ready.cancel)?),
                    (false, None) => Err(Error::user("an OCI layout that is no tar needs a folder")),
                    (true, dest) => to_dest(dest.as_deref(), |out| Ok(layout.write_tar(out, &ready.cancel)?)),
                }
            })
            .await?;
            Ok(vec![exported])
        })
    }
}

impl Exporter for DockerExporter {
    fn title(&self) -> String {
        format!("exporting a docker archive to {}", shown(self.dest.as_deref()))
    }

    fn export<'a>(&'a self, context: &'a ExportContext) -> BoxFuture<'a, Result<Vec<Exported>>> {
        Box::pin(async move {
            let options = ImageOptions { docker_media_types: true, ..self.options.clone() };
            let ready = Ready::make(context, &options).await?;
            let exported = ready.exported("docker archive", self.dest.as_deref());
            let dest = self.dest.clone();
            blocking(move || {
                let layout = Layout::collect(ready.store.blobs(), vec![ready.image])?;
                to_dest(dest.as_deref(), |out| Ok(layout.write_docker_archive(out, &ready.cancel)?))
            })
            .await?;
            Ok(vec![exported])
        })
    }
}

/// Everything that an archive needs, in the store.
struct Ready {
    store: Arc<Store>,
    image: LayoutImage,
    cancel: Cancel,
}

impl Ready {
    async fn make(context: &ExportContext, options: &ImageOptions) -> Result<Self> {
        let Documents { top, pulled, .. } = documents::make(context, options).await?;
        context.resolver.ensure_blobs(&pulled).await?;
        let names = options.names.iter().chain(&context.request.tags);
        let names = names.map(|name| {
            Reference::parse(name)
                .map_err(|error| Error::user(format!("the name of the image: {error}")).with_help(error.help()))
        });
        // The time of the build, but for the fraction, which nobody can use.
        let time = context.epoch.unwrap_or(Timestamp { nanos: 0, ..context.request.now });
        let image =
            LayoutImage { descriptor: top, names: names.collect::<Result<_>>()?, created: Some(rfc3339(time)?) };
        Ok(Self { store: Arc::clone(&context.store), image, cancel: context.cancel.clone() })
    }

    fn exported(&self, what: &'static str, dest: Option<&std::path::Path>) -> Exported {
        Exported { what, dest: shown(dest), manifest: Some(self.image.descriptor.clone()) }
    }
}
