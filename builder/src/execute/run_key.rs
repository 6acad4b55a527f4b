//! The cache key of a RUN (dockerfile.md §21.1).

use strake_layers::{Entry, EntryKind, ImagePath, Layer, LayerId, Rootfs};
use strake_parser::{FileOwner, MountSpec};

use crate::Result;
use crate::cache::{KeyBuilder, StepKey};
use crate::plan::graph::RunOp;
use crate::request::BuildRequest;

use super::StepWork;

/// The key of a RUN over the stage so far. `binds` holds, by the position of its mount, the identity of what each bind
/// mount shows.
pub(super) fn run_key(work: &StepWork<'_>, op: &RunOp, binds: &[Option<LayerId>]) -> StepKey {
    let mut key = KeyBuilder::new("RUN");
    key.add("command", op.argv.join("\u{0}"));
    if let Some((name, bytes)) = &op.script {
        key.add(format!("script {name}"), hash(bytes));
    }
    for (name, value) in &op.env {
        if strake_parser::lint::sounds_secret(name) {
            key.add_hidden(format!("variable {name}"), value);
        } else {
            key.add(format!("variable {name}"), value);
        }
    }
    key.add("working directory", &op.cwd);
    key.add("user", &op.user);
    key.add("platform", work.stage.platform.to_string());
    key.add("network", format!("{:?}", op.network));
    key.add("security", format!("{:?}", op.security));
    key.add("host name", &op.hostname);
    if op.makes.is_some() {
        // A record without it serves no such step; its name is not of the step's making.
        key.add("standard output", "kept");
    }
    add_request(&mut key, &work.session.request);
    for (at, mount) in op.mounts.iter().enumerate() {
        let content = binds.get(at).copied().flatten();
        add_mount(&mut key, &mount.spec, mount.from.is_some(), content);
    }
    // A layer that holds nothing changes nothing that a step can see.
    let below = work.below.layers.iter().filter(|layer| !layer.is_empty());
    key.add_layers("the file system below", below.map(|layer| layer.key()));
    key.finish()
}

fn add_request(key: &mut KeyBuilder, request: &BuildRequest) {
    for (name, _) in &request.extra_hosts {
        key.add("added host", name);
    }
    for limit in &request.ulimits {
        key.add(format!("limit {}", limit.name), format!("{}:{}", limit.soft, limit.hard));
    }
    if let Some(size) = request.shm_size {
        key.add("size of /dev/shm", size.to_string());
    }
}

/// What of a mount counts: never the content of caches and secrets, nor a cache's id or sharing.
fn add_mount(key: &mut KeyBuilder, spec: &MountSpec, has_from: bool, content: Option<LayerId>) {
    match spec {
        MountSpec::Bind(bind) => {
            let access = if bind.is_read_only { "ro" } else { "rw" };
            let content = content.map(|id| id.hex()).unwrap_or_default();
            key.add(format!("bind mount {}", bind.target), format!("{access} {content}"));
        }
        MountSpec::Cache(cache) => {
            key.add(format!("cache mount {}", cache.target), format!("{} {has_from}", cache.is_read_only));
            if let Some(source) = &cache.source {
                key.add(format!("source of the cache mount {}", cache.target), source.clone());
            }
            if cache.owner != FileOwner::default() {
                key.add(format!("owner of the cache mount {}", cache.target), format!("{:?}", cache.owner));
            }
        }
        MountSpec::Tmpfs(tmpfs) => {
            key.add(format!("tmpfs {}", tmpfs.target), format!("{:?}", tmpfs.size));
        }
        MountSpec::Secret(secret) => {
            let target = secret.target.as_deref().unwrap_or_default();
            key.add(format!("secret {}", secret.id), format!("{target} {:?} {:?}", secret.env, secret.owner));
        }
        MountSpec::Ssh(ssh) => {
            key.add(format!("agent {}", ssh.id), format!("{:?} {:?}", ssh.target, ssh.owner));
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The identity of what lies at and below a path: of the layers where some file's content is not hashed, else of names,
/// attributes and contents; times never count.
pub(super) fn content_id(layers: &[std::sync::Arc<Layer>], rootfs: &Rootfs, path: &ImagePath) -> Result<LayerId> {
    let found: Vec<Entry> = rootfs.walk(path).cloned().collect();
    let is_hashed = |entry: &Entry| !matches!(&entry.kind, EntryKind::File(file) if file.hash.is_none());
    if found.iter().all(is_hashed) {
        let below = found.into_iter().map(|mut entry| {
            entry.path = entry.path.strip_prefix(path).unwrap_or_default();
            entry
        });
        return Ok(Layer::from_plan(below.collect())?.key());
    }
    let mut hasher = blake3::Hasher::new();
    for layer in layers {
        hasher.update(&layer.key().0);
    }
    hasher.update(path.as_bytes());
    Ok(LayerId(*hasher.finalize().as_bytes()))
}
