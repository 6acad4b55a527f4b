//! The steps COPY and ADD as the scheduler sees them.

use std::sync::Arc;

use strake_layers::{Entry, EntryKind, Layer, LayerId, Rootfs};
use strake_parser::Diagnostic;

use super::{Copied, CopyError, CopyInput, Fetched, copy_entries};
use crate::cache::{Kept, KeyBuilder, StepKey};
use crate::execute::{Made, StepWork, codes, foreign};
use crate::plan::graph::{CopyFrom, CopyOp, Source, SourceKind};
use crate::source::Tree;
use crate::{Error, Result};

/// Up to so many entries a miss is explained file by file, else by their directories (linux.md §5.4).
const EXPLAINED: usize = 500;

/// Carries out a COPY or ADD.
pub(in crate::execute) async fn copy(work: &StepWork<'_>, op: &CopyOp) -> Result<Made> {
    let session = work.session;
    let from = tree(work, &op.from).await?;
    let mut fetched = Vec::with_capacity(op.sources.len());
    for source in &op.sources {
        let options = op.add.as_ref();
        fetched.push(match &source.kind {
            SourceKind::Http(url) => {
                let checksum = options.and_then(|add| add.checksum.as_deref());
                let file = session.sources.download(url, checksum).await;
                Some(Fetched::File(file.map_err(|error| not_fetched(work, error, source))?))
            }
            SourceKind::Git(git) => {
                let tree = session.sources.checkout(git, options).await;
                Some(Fetched::Tree(tree.map_err(|error| not_fetched(work, error, source))?))
            }
            SourceKind::Path(_) | SourceKind::Inline { .. } => None,
        });
    }
    // A copy that does not look at what is below does not make it be fetched.
    let looks_below =
        !op.link || op.chown.as_deref().is_some_and(|owner| owner.bytes().any(|b| b.is_ascii_alphabetic()));
    let base = if looks_below { session.rootfs(&work.below.layers).await? } else { Rootfs::new(Vec::new()) };
    if looks_below {
        foreign::judge(work).await?;
    }
    let task = Task {
        op: op.clone(),
        base,
        from,
        fetched,
        epoch: session.clock.epoch,
        scratch: session.store.blobs().scratch(),
        cancel: session.cancel.clone(),
    };
    let copied = tokio::task::spawn_blocking(move || task.run()).await;
    let copied = copied.map_err(|error| Error::internal(format!("a copy ended abnormally: {error}")))?;
    let copied = copied.map_err(|error| located(work, error))?;
    let layer = Arc::new(Layer::from_plan(copied.entries)?);
    keep(work, op.keyword, layer, copied.warnings, !op.link)
}

/// A copy with everything it needs, for a thread of its own.
struct Task {
    op: CopyOp,
    base: Rootfs,
    from: Tree,
    fetched: Vec<Option<Fetched>>,
    epoch: Option<strake_layers::Timestamp>,
    scratch: std::path::PathBuf,
    cancel: strake_layers::Cancel,
}

impl Task {
    fn run(self) -> Result<Copied, CopyError> {
        copy_entries(&CopyInput {
            op: &self.op,
            base: &self.base,
            from: &self.from,
            fetched: &self.fetched,
            epoch: self.epoch,
            scratch: &self.scratch,
            cancel: &self.cancel,
        })
    }
}

/// The tree that paths of an instruction are read from.
pub(in crate::execute) async fn tree(work: &StepWork<'_>, from: &CopyFrom) -> Result<Tree> {
    let (name, platform) = match from {
        CopyFrom::Context | CopyFrom::NamedContext(_) => return work.session.sources.tree(from).await,
        CopyFrom::Scratch => ("empty root `scratch`".to_owned(), None),
        CopyFrom::Stage(id) => {
            let stage = &work.graph.stages[id.0];
            (format!("stage {:?}", stage.display), Some(&stage.platform))
        }
        CopyFrom::Image(id) => {
            let image = &work.graph.images[id.0].resolved;
            (format!("image {}", image.name), Some(&image.platform))
        }
    };
    let rootfs = work.session.rootfs(&work.layers_of(from)?).await?;
    let is_windows = platform.is_some_and(|platform| platform.os == "windows");
    Ok(Tree::rootfs(Arc::new(rootfs), is_windows, name))
}

/// Gives the error of a download or a clone its place: the source.
fn not_fetched(work: &StepWork<'_>, error: Error, source: &Source) -> Error {
    work.session.locate(codes::DOWNLOAD, work.step, source.span, error)
}

/// Gives an error its place.
pub(in crate::execute) fn located(work: &StepWork<'_>, error: CopyError) -> Error {
    match error {
        CopyError::Located(found) => {
            let mut found: Vec<_> = found.into_iter().map(|one| work.session.finding(work.step, one)).collect();
            match (found.len(), found.pop()) {
                (1, Some(one)) => Error::Step { finding: Box::new(one), step: work.step.title.clone(), source: None },
                (_, last) => Error::Dockerfile(found.into_iter().chain(last).collect()),
            }
        }
        CopyError::Other(error) => error,
    }
}

/// Makes the result of a layer that was worked out from its sources.
///
/// Working it out costs no more than finding out whether it changed, so it is always done; what a record of an equal
/// result adds is the time at which that was made, which keeps the image the same.
pub(in crate::execute) fn keep(
    work: &StepWork<'_>,
    keyword: &str,
    layer: Arc<Layer>,
    warnings: Vec<Diagnostic>,
    depends_on_below: bool,
) -> Result<Made> {
    let session = work.session;
    for warning in warnings {
        session.warn(session.finding(work.step, warning));
    }
    let mut builder = KeyBuilder::new(keyword);
    builder.add("instruction", &work.step.title);
    if depends_on_below {
        builder.add_layers("what is below", work.below.layers.iter().map(|layer| layer.key()));
    }
    builder.add_layers("content", [layer.key()]);
    let mut key = builder.finish();
    let group = format!("{} {}", work.stage.display, work.step.title);
    let earlier = if work.step.no_cache { None } else { session.results.find_made(&key)? };
    if let Some(record) = earlier {
        return Ok(Made {
            output: None,
            layer,
            at: strake_layers::Timestamp::from_seconds(record.created),
            is_cached: true,
            miss: None,
        });
    }
    explainable(&mut key, layer.entries().map_or(&[], |entries| entries));
    let miss = work.why_missed(&key, &group)?;
    // Records keep whole seconds, and a hit must show the time of the miss.
    let at = strake_layers::Timestamp::from_seconds(session.clock.now.seconds);
    let result =
        Kept { layer: LayerId(layer.id().0), created: at.seconds, took: std::time::Duration::ZERO, output: None };
    session.results.keep(&key, &group, &result)?;
    Ok(Made { layer, at, is_cached: false, miss: Some(miss), output: None })
}

/// Adds what each file is to the components of a key, so that a later miss can name the one that changed.
fn explainable(key: &mut StepKey, entries: &[Entry]) {
    let files = entries.iter().filter_map(|entry| match &entry.kind {
        EntryKind::File(content) => Some((entry, format!("size {}", content.size), content.hash)),
        EntryKind::Symlink(target) => Some((entry, format!("link to {}", String::from_utf8_lossy(target)), None)),
        _ => None,
    });
    if entries.len() <= EXPLAINED {
        for (entry, what, hash) in files {
            let hash = hash.map(|hash| hash.hex().chars().take(12).collect::<String>()).unwrap_or_default();
            let value =
                format!("{what}, mode {:o}, owner {}:{}, {hash}", entry.meta.mode, entry.meta.uid, entry.meta.gid);
            key.parts.push((format!("file {}", entry.path), value));
        }
    }
}
