//! What the bind mounts of a RUN, and the seeds of its caches, read from.

use std::sync::Arc;

use strake_layers::{ImagePath, Layer, LayerId, Platform, Rootfs};
use strake_parser::{BindMount, MountSpec};

use super::{MOUNT, mount_error};
use crate::execute::StepWork;
use crate::execute::copy::{self, CopyError, CopyInput, copy_entries};
use crate::execute::run_key::content_id;
use crate::export::blocking;
use crate::plan::graph::{CopyFrom, CopyOp, RunMount, RunOp, Source, SourceKind};
use crate::{Error, Result};

/// By the position of its mount, what each mount shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Binds(pub(super) Vec<Option<Shown>>);

/// What a mount shows.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) layers: Vec<Arc<Layer>>,
    pub(super) rootfs: Arc<Rootfs>,
    /// The path inside, links followed.
    pub(super) path: ImagePath,
    pub(super) is_directory: bool,
    /// The identity of what lies there.
    pub(super) identity: LayerId,
}

impl Binds {
    /// Looks at everything that mounts read from.
    pub(super) async fn find(work: &StepWork<'_>, op: &RunOp) -> Result<Self> {
        let mut all = Vec::with_capacity(op.mounts.len());
        for mount in &op.mounts {
            all.push(match &mount.spec {
                MountSpec::Bind(bind) => Some(bound(work, mount, bind).await?),
                MountSpec::Cache(cache) => match &mount.from {
                    Some(from) => Some(seed(work, mount, from, cache.source.as_deref()).await?),
                    None => None,
                },
                _ => None,
            });
        }
        Ok(Self(all))
    }

    /// The identities, for the key; a cache's seed is its only once.
    pub(super) fn identities(&self) -> Vec<Option<LayerId>> {
        self.0.iter().map(|shown| shown.as_ref().map(|shown| shown.identity)).collect()
    }
}

async fn bound(work: &StepWork<'_>, mount: &RunMount, bind: &BindMount) -> Result<Shown> {
    let from = mount.from.clone().unwrap_or(CopyFrom::Context);
    seed(work, mount, &from, bind.source.as_deref()).await
}

async fn seed(work: &StepWork<'_>, mount: &RunMount, from: &CopyFrom, source: Option<&str>) -> Result<Shown> {
    let source = source.unwrap_or("/");
    let fault = |message: String, help: &str| mount_error(work, MOUNT, message, help, mount);
    if matches!(from, CopyFrom::Context | CopyFrom::NamedContext(_)) {
        let (layer, path) = context_layer(work, from, source, mount).await?;
        let layers = vec![layer];
        let rootfs = Arc::new(work.session.rootfs(&layers).await?);
        let identity = layers[0].key();
        let is_directory = is_directory(&rootfs, &path);
        return Ok(Shown { layers, rootfs, path, is_directory, identity });
    }
    let layers = work.layers_of(from)?;
    let rootfs = Arc::new(work.session.rootfs(&layers).await?);
    let wanted =
        ImagePath::clean(source).map_err(|error| fault(format!("source {source:?}: {error}"), "name another path"))?;
    let path = rootfs.resolve(&wanted)?;
    if !path.is_root() && rootfs.lookup(&path).is_none() {
        let op = copy_of(from, source, mount, &work.stage.platform);
        let found = copy::missing(&copy::tree(work, from).await?, &op, &op.sources[0]);
        let found = found.ok_or_else(|| Error::internal(format!("{wanted} is there, and is not")))?;
        return Err(copy::located(work, CopyError::Located(vec![found])));
    }
    let identity = content_id(&layers, &rootfs, &path)?;
    let is_directory = is_directory(&rootfs, &path);
    Ok(Shown { layers, rootfs, path, is_directory, identity })
}

/// What a mount shows of a context: a copy of it, which cannot change while the step runs, in a layer of its own at the
/// path that comes with it.
async fn context_layer(
    work: &StepWork<'_>,
    from: &CopyFrom,
    source: &str,
    mount: &RunMount,
) -> Result<(Arc<Layer>, ImagePath)> {
    let session = Arc::clone(work.session);
    let tree = session.sources.tree(from).await?;
    let op = copy_of(from, source, mount, &work.stage.platform);
    let copied = blocking(move || {
        let base = Rootfs::new(Vec::new());
        let input = CopyInput {
            op: &op,
            base: &base,
            from: &tree,
            fetched: &[],
            epoch: None,
            scratch: &session.store.blobs().scratch(),
            cancel: &session.cancel,
        };
        Ok(copy_entries(&input))
    })
    .await?;
    let copied = copied.map_err(|error| copy::located(work, error))?;
    let layer = Arc::new(Layer::from_plan(copied.entries)?);
    Ok((layer, ImagePath::parse("shown").unwrap_or_default()))
}

/// The copy of what a mount shows of a context.
pub(in crate::execute) fn copy_of(from: &CopyFrom, source: &str, mount: &RunMount, platform: &Platform) -> CopyOp {
    CopyOp {
        keyword: "RUN --mount",
        from: from.clone(),
        sources: vec![Source { kind: SourceKind::Path(literal(source)), span: mount.span }],
        dest: "/shown".to_owned(),
        dest_span: mount.span,
        owner_span: mount.span,
        workdir: "/".to_owned(),
        chown: None,
        chmod: None,
        link: true,
        parents: false,
        exclude: Vec::new(),
        add: None,
        platform: platform.clone(),
    }
}

/// A path in which no sign means a wildcard.
fn literal(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for sign in path.chars() {
        if matches!(sign, '*' | '?' | '[' | '\\') {
            out.push('\\');
        }
        out.push(sign);
    }
    out
}

fn is_directory(rootfs: &Rootfs, path: &ImagePath) -> bool {
    path.is_root() || rootfs.lookup(path).is_some_and(strake_layers::Entry::is_directory)
}
