//! The root file system of the image: as a folder, or as a tar.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use strake_layers::{Entry, EntryList, ImagePath, Layer, Metadata, OutputFile, Platform, Rootfs, Timestamp, write_tar};

use super::{BoxFuture, ExportContext, Exported, Exporter, blocking, stdout_name};
use crate::{Error, Result};

/// Writes the root file system into a folder.
#[derive(Debug)]
pub(super) struct LocalExporter {
    pub(super) dest: PathBuf,
}

/// Writes the root file system as a tar.
#[derive(Debug)]
pub(super) struct TarExporter {
    pub(super) dest: Option<PathBuf>,
}

impl Exporter for LocalExporter {
    fn title(&self) -> String {
        format!("exporting files to {}", self.dest.display())
    }

    fn export<'a>(&'a self, context: &'a ExportContext) -> BoxFuture<'a, Result<Vec<Exported>>> {
        Box::pin(async move {
            let entries = flattened(context).await?;
            let (dest, cancel) = (self.dest.clone(), context.cancel.clone());
            blocking(move || Ok(strake_snapshotter::write_files(&dest, entries, &cancel)?)).await?;
            Ok(vec![Exported { what: "files", dest: self.dest.display().to_string(), manifest: None }])
        })
    }
}

impl Exporter for TarExporter {
    fn title(&self) -> String {
        format!("exporting a tar to {}", shown(self.dest.as_deref()))
    }

    fn export<'a>(&'a self, context: &'a ExportContext) -> BoxFuture<'a, Result<Vec<Exported>>> {
        Box::pin(async move {
            let entries = flattened(context).await?;
            let (dest, cancel, epoch) = (self.dest.clone(), context.cancel.clone(), context.epoch);
            blocking(move || to_dest(dest.as_deref(), |out| Ok(write_tar(&entries, epoch, out, &cancel).map(drop)?)))
                .await?;
            Ok(vec![Exported { what: "tar", dest: shown(self.dest.as_deref()), manifest: None }])
        })
    }
}

/// What messages call a destination.
pub(super) fn shown(dest: Option<&Path>) -> String {
    dest.map_or_else(stdout_name, |dest| dest.display().to_string())
}

/// Calls `write` with the destination: a file that appears when all went well, or standard output.
pub(super) fn to_dest(dest: Option<&Path>, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    match dest {
        Some(path) => {
            let mut file = OutputFile::create(path)?;
            write(&mut file)?;
            Ok(file.commit()?)
        }
        None => {
            let mut out = std::io::stdout().lock();
            write(&mut out)?;
            out.flush().map_err(|error| super::output_error(&stdout_name(), &error))
        }
    }
}

/// The merged entries of all images; each platform has a folder of its own where there are several.
async fn flattened(context: &ExportContext) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for image in &context.images {
        context.resolver.ensure_blobs(&image.layers).await?;
        let mut chain = Vec::with_capacity(image.layers.len());
        for layer in &image.layers {
            chain.push(entries_of(context, layer).await?);
        }
        let mut entries = Rootfs::new(chain).flatten();
        if context.images.len() > 1 {
            entries = below_platform(entries, &image.platform, context.epoch)?;
        }
        all.extend(entries);
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

async fn entries_of(context: &ExportContext, layer: &Arc<Layer>) -> Result<EntryList> {
    context.resolver.ensure_entries(layer).await?;
    let entries = layer.entries().cloned();
    entries.ok_or_else(|| Error::internal(format!("the entries of layer {} are not known", layer.id())))
}

/// Moves entries into a folder named like `linux_amd64` (dockerfile.md §16.2).
fn below_platform(entries: Vec<Entry>, platform: &Platform, epoch: Option<Timestamp>) -> Result<Vec<Entry>> {
    let name = platform.to_string().replace('/', "_");
    let folder = ImagePath::parse(&name).map_err(|error| Error::internal(format!("{name}: {error}")))?;
    let meta = Metadata { mode: 0o755, mtime: epoch.unwrap_or_default(), ..Metadata::default() };
    let mut moved = vec![Entry::directory(folder.clone(), meta)];
    for mut entry in entries.into_iter().filter(|entry| !entry.path.is_root()) {
        entry.path = folder.join_path(&entry.path);
        if let strake_layers::EntryKind::HardLink(target) = &mut entry.kind {
            *target = folder.join_path(target);
        }
        moved.push(entry);
    }
    Ok(moved)
}
