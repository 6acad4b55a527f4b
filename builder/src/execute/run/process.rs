//! The process of a RUN: its environment, its user, its mounts.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use strake_layers::{HostDir, HostKind, ImagePath, Metadata, Rootfs, Timestamp};
use strake_parser::{CacheMount, FileOwner, MountSpec, Network, SecretMount, Security, SshMount};
use strake_snapshotter::{Access, CacheRequest, CacheSeed, MountTarget, Stack, TargetKind};

use super::binds::{Binds, Shown};
use super::{materialise, mount_error, user_error};
use crate::execute::{Session, StepWork, run_codes};
use crate::plan::graph::{RunMount, RunOp};
use crate::request::SshAgent;
use crate::runner::{AgentRelay, MountPoint, MountSource};
use crate::{Error, Result};

/// The path of commands where the image names none (linux.md §1.1).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The time of directories that are made for a step: 1980-01-01T00:00:00Z (dockerfile.md §17.5).
const MADE_AT: Timestamp = Timestamp::from_seconds(315_532_800);

/// The default mode of a secret's file (dockerfile.md §13.3).
const SECRET_MODE: u32 = 0o400;

/// A process, as far as it can be told before its root is there.
#[derive(Debug)]
pub(super) struct Prepared {
    parts: Parts,
    pending: Vec<Pending>,
}

/// What a process is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: ImagePath,
    pub(super) missing_cwd: Option<MissingDirectory>,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) hostname: String,
    pub(super) mounts: Vec<MountPoint>,
    pub(super) network: Network,
    pub(super) security: Security,
    pub(super) timeout: Option<Duration>,
    pub(super) memory: Option<u64>,
    /// What must live until the process has ended: locks of caches, views.
    pub(super) guards: Vec<Box<dyn Any + Send>>,
}

/// A working directory that the image does not have: it and its missing parents, highest first.
#[derive(Debug)]
pub(super) struct MissingDirectory {
    pub(super) paths: Vec<ImagePath>,
    pub(super) meta: Metadata,
}

/// A mount, which may need the store yet. They keep the order of the Dockerfile: of two at one target the later one counts.
#[derive(Debug)]
enum Pending {
    Ready(MountPoint),
    Bind { target: ImagePath, shown: Shown, is_read_only: bool },
    Cache { target: ImagePath, request: CacheRequest, part: ImagePath, is_read_only: bool },
}

impl Prepared {
    /// Works out everything that needs no mount and no lock.
    pub(super) fn make(work: &StepWork<'_>, op: &RunOp, rootfs: &Arc<Rootfs>, binds: Binds) -> Result<Self> {
        let user = strake_layers::resolve_user(&op.user, rootfs).map_err(|error| {
            user_error(
                work,
                run_codes::USER,
                error.to_string(),
                "make the user in an earlier RUN (adduser, useradd), or give USER a number",
                work.step.span,
            )
        })?;
        let cwd = ImagePath::clean(&op.cwd).map_err(|error| Error::user(format!("WORKDIR {:?}: {error}", op.cwd)))?;
        let resolved = rootfs.resolve(&cwd)?;
        let meta = Metadata { mode: 0o755, uid: user.uid, gid: user.gid, mtime: MADE_AT, ..Metadata::default() };
        let parts = Parts {
            argv: op.argv.clone(),
            env: environment(op, &user.home),
            missing_cwd: missing(rootfs, resolved).map(|paths| MissingDirectory { paths, meta }),
            cwd,
            uid: user.uid,
            gid: user.gid,
            groups: user.groups.clone(),
            hostname: op.hostname.clone(),
            mounts: Vec::new(),
            network: op.network,
            security: op.security,
            timeout: op.timeout,
            memory: op.memory,
            guards: Vec::new(),
        };
        let mut prepared = Self { parts, pending: Vec::new() };
        prepared.add_mounts(work, op, binds)?;
        if let Some((name, bytes)) = &op.script {
            let source = MountSource::Bytes { bytes: bytes.clone(), mode: 0o755, uid: 0, gid: 0 };
            let target = target(&format!("/dev/pipes/{name}"))?;
            prepared.pending.push(Pending::Ready(MountPoint { target, source, is_read_only: true }));
        }
        Ok(prepared)
    }

    fn add_mounts(&mut self, work: &StepWork<'_>, op: &RunOp, binds: Binds) -> Result<()> {
        let mut agents = 0;
        for (mount, shown) in op.mounts.iter().zip(binds.0) {
            match (&mount.spec, shown) {
                (MountSpec::Bind(bind), Some(shown)) => {
                    let (target, is_read_only) = (target(&bind.target)?, bind.is_read_only);
                    self.pending.push(Pending::Bind { target, shown, is_read_only });
                }
                (MountSpec::Cache(cache), shown) => {
                    // What `from` names is looked into when it is read; else `source` is a part of the cache.
                    let part = match &shown {
                        Some(shown) if !shown.is_directory => {
                            Ok(shown.path.file_name().and_then(|name| ImagePath::parse(name).ok()).unwrap_or_default())
                        }
                        Some(_) => Ok(ImagePath::root()),
                        None => cache.source.as_deref().map_or(Ok(ImagePath::root()), target),
                    };
                    let request = cache_request(op, cache, shown);
                    let (target, is_read_only) = (target(&cache.target)?, cache.is_read_only);
                    self.pending.push(Pending::Cache { target, request, part: part?, is_read_only });
                }
                (MountSpec::Tmpfs(tmpfs), _) => self.pending.push(Pending::Ready(MountPoint {
                    target: target(&tmpfs.target)?,
                    source: MountSource::Tmpfs { size: tmpfs.size },
                    is_read_only: tmpfs.is_read_only,
                })),
                (MountSpec::Secret(secret), _) => self.add_secret(work, secret, mount)?,
                (MountSpec::Ssh(ssh), _) => self.add_agent(work, ssh, mount, &mut agents)?,
                (MountSpec::Bind(_), None) => return Err(Error::internal("a bind mount was not looked at")),
            }
        }
        Ok(())
    }

    fn add_secret(&mut self, work: &StepWork<'_>, secret: &SecretMount, mount: &RunMount) -> Result<()> {
        let value = work.session.secrets.get(&secret.id);
        if value.is_none() && secret.is_required {
            let near = strake_parser::suggest(&secret.id, work.session.secrets.keys());
            let near = near.map(|near| format!("did you mean {near}, which is given? If not, ")).unwrap_or_default();
            let id = &secret.id;
            let help = format!("{near}pass it: --secret id={id},src=FILE or --secret id={id},env=VARIABLE");
            let message = format!("secret {}: not found", secret.id);
            return Err(mount_error(work, run_codes::SECRET, message, &help, mount));
        }
        if let Some(name) = &secret.env {
            // A missing optional secret still sets the variable, to nothing (dockerfile.md §13.3).
            let text = value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
            self.parts.env.retain(|(known, _)| known != name);
            self.parts.env.push((name.clone(), text));
        }
        if let (Some(path), Some(value)) = (&secret.target, value) {
            let FileOwner { mode, uid, gid } = secret.owner;
            let source = MountSource::Bytes {
                bytes: value.to_vec(),
                mode: mode.unwrap_or(SECRET_MODE),
                uid: uid.unwrap_or(0),
                gid: gid.unwrap_or(0),
            };
            self.pending.push(Pending::Ready(MountPoint { target: target(path)?, source, is_read_only: true }));
        }
        Ok(())
    }

    fn add_agent(&mut self, work: &StepWork<'_>, ssh: &SshMount, mount: &RunMount, agents: &mut usize) -> Result<()> {
        let agent = work.session.request.ssh.iter().find(|agent| agent.id == ssh.id);
        let Some(agent) = agent else {
            if !ssh.is_required {
                return Ok(());
            }
            let help = format!("forward it: --ssh {id}, or --ssh {id}=SOCKET", id = ssh.id);
            let message = format!("no SSH agent {:?} was forwarded", ssh.id);
            return Err(mount_error(work, run_codes::SSH, message, &help, mount));
        };
        let path = ssh.target.clone().unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{agents}"));
        if *agents == 0 {
            self.parts.env.retain(|(name, _)| name != "SSH_AUTH_SOCK");
            self.parts.env.push(("SSH_AUTH_SOCK".to_owned(), path.clone()));
        }
        *agents += 1;
        let source = MountSource::Host(self.relay(work, ssh, agent, mount)?);
        self.pending.push(Pending::Ready(MountPoint { target: target(&path)?, source, is_read_only: false }));
        Ok(())
    }

    /// Makes the socket of the step that leads to an agent.
    fn relay(&mut self, work: &StepWork<'_>, ssh: &SshMount, agent: &SshAgent, mount: &RunMount) -> Result<PathBuf> {
        let scratch = work.session.store.blobs().scratch();
        let relay = AgentRelay::start(&agent.socket, &scratch, ssh.owner).map_err(|error| {
            let message = format!("the SSH agent {:?} at {} does not answer: {error}", ssh.id, agent.socket.display());
            let help = "is it running, and is this its socket? SSH_AUTH_SOCK names that of an agent";
            mount_error(work, run_codes::SSH, message, help, mount)
        })?;
        let path = relay.path();
        self.parts.guards.push(Box::new(relay));
        Ok(path)
    }

    /// Takes locks and makes views; gives what must exist in the root, and the parts of the process.
    pub(super) fn open(mut self, session: &Session) -> Result<(Vec<MountTarget>, Parts)> {
        let mut targets = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Ready(mount) => {
                    targets.extend(file_target(&mount));
                    self.parts.mounts.push(mount);
                }
                Pending::Bind { target, shown, is_read_only } => {
                    let kind = if shown.is_directory { TargetKind::Directory } else { TargetKind::File };
                    targets.push(MountTarget { path: target.clone(), kind });
                    let trees = materialise(session, &shown.layers, &shown.rootfs)?;
                    let stack = Stack { trees: &trees, rootfs: &shown.rootfs };
                    let access = if is_read_only { Access::ReadOnly } else { Access::Private };
                    let tree = Arc::new(session.snapshotter.view(&stack, access)?);
                    let source = MountSource::Tree { tree, path: shown.path };
                    self.parts.mounts.push(MountPoint { target, source, is_read_only });
                }
                Pending::Cache { target, request, part, is_read_only } => {
                    let cache = session.store.cache_mount(&request)?;
                    let folder = cache.path().to_owned();
                    let found = HostDir::open(&folder)?.stat(&part);
                    let is_file = found.is_ok_and(|found| found.kind == HostKind::File);
                    let kind = if is_file { TargetKind::File } else { TargetKind::Directory };
                    targets.push(MountTarget { path: target.clone(), kind });
                    let source = match part.is_root() {
                        true => MountSource::Host(folder),
                        false => MountSource::Within { folder, path: part },
                    };
                    self.parts.mounts.push(MountPoint { target, source, is_read_only });
                    self.parts.guards.push(Box::new(cache));
                }
            }
        }
        Ok((targets, self.parts))
    }
}

/// A path and those above it that do not exist, highest first; none where it exists.
fn missing(rootfs: &Rootfs, path: ImagePath) -> Option<Vec<ImagePath>> {
    let is_there = |path: &ImagePath| path.is_root() || rootfs.lookup(path).is_some();
    if is_there(&path) {
        return None;
    }
    let mut paths: Vec<ImagePath> = path.ancestors().take_while(|above| !is_there(above)).collect();
    paths.reverse();
    paths.push(path);
    Some(paths)
}

/// The target of a mount that is known before the store is asked; those below /dev the sandbox makes itself.
fn file_target(mount: &MountPoint) -> Option<MountTarget> {
    if mount.target.components().next() == Some(b"dev") {
        return None;
    }
    let kind = match mount.source {
        MountSource::Tmpfs { .. } => TargetKind::Directory,
        _ => TargetKind::File,
    };
    Some(MountTarget { path: mount.target.clone(), kind })
}

fn target(path: &str) -> Result<ImagePath> {
    ImagePath::clean(path).map_err(|error| Error::user(format!("mount target {path:?}: {error}")))
}

fn cache_request(op: &RunOp, cache: &CacheMount, shown: Option<Shown>) -> CacheRequest {
    // As with the reference, owner and mode are those of a whole cache; a part of one has its own.
    let is_part = cache.source.as_deref().is_some_and(|source| !matches!(source, "" | "/" | "."));
    let FileOwner { mode, uid, gid } = if is_part { FileOwner::default() } else { cache.owner };
    CacheRequest {
        namespace: op.cache_namespace.clone(),
        id: cache.id.clone(),
        sharing: match cache.sharing {
            strake_parser::Sharing::Shared => strake_snapshotter::Sharing::Shared,
            strake_parser::Sharing::Private => strake_snapshotter::Sharing::Private,
            strake_parser::Sharing::Locked => strake_snapshotter::Sharing::Locked,
        },
        // The reference's directories take permissions alone: neither set-id bits nor the sticky one.
        mode: mode.unwrap_or(0o755) & 0o777,
        uid: uid.unwrap_or(0),
        gid: gid.unwrap_or(0),
        seed: shown.map(|shown| CacheSeed { identity: shown.identity.0, rootfs: shown.rootfs, source: shown.path }),
    }
}

/// ENV and ARG, then proxies, then what is absent of PATH and HOME (linux.md §1.1).
fn environment(op: &RunOp, home: &str) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = Vec::with_capacity(op.env.len() + 4);
    for (name, value) in op.env.iter().chain(&op.proxy_env) {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.clone()));
    }
    for (name, value) in [("PATH", DEFAULT_PATH), ("HOME", home)] {
        if !env.iter().any(|(known, _)| known == name) {
            env.push((name.to_owned(), value.to_owned()));
        }
    }
    env
}
