//! What a build is asked to do.

use std::path::PathBuf;

use strake_layers::{Compression, Platform, Timestamp};

/// Everything a build needs to know from outside. The builder reads no environment variable and no other setting.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// The build context.
    pub context: ContextSource,
    /// The Dockerfile.
    pub dockerfile: DockerfileSource,
    /// `--target`: a stage's name or index.
    pub target: Option<String>,
    /// `--build-arg`, values filled in by the front end.
    pub build_args: Vec<(String, String)>,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// `--annotation`: the text before `=` (`[type[,type]][[platform]]:key` or `key`) and the value.
    pub annotations: Vec<(String, String)>,
    /// `--platform`; empty: the host's, or the one the base image has.
    pub platforms: Vec<Platform>,
    /// `--secret`.
    pub secrets: Vec<Secret>,
    /// `--ssh`.
    pub ssh: Vec<SshAgent>,
    /// `--build-context`: name and value as given; folders are absolute.
    pub named_contexts: Vec<(String, String)>,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--no-cache-filter`: stage names.
    pub no_cache_filter: Vec<String>,
    /// `--pull`: ask the registry even when the store knows the image.
    pub pull: bool,
    /// `--add-host`: name and address (`host-gateway` kept as it is).
    pub extra_hosts: Vec<(String, String)>,
    /// `--shm-size` in bytes.
    pub shm_size: Option<u64>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// `--network`: for every RUN that names none.
    pub network: Option<strake_parser::Network>,
    /// `--allow`.
    pub entitlements: Vec<Entitlement>,
    /// What is made of the image.
    pub outputs: Vec<Output>,
    /// `--tag`.
    pub tags: Vec<String>,
    /// `SOURCE_DATE_EPOCH` from the front end's environment; the build argument of the same name wins.
    pub source_date_epoch: Option<String>,
    /// The time that stands in images, from the front end's clock.
    pub now: Timestamp,
    /// `--check`: stop after planning, with all checks run.
    pub check_only: bool,
    /// Settings of the build checks besides those that the Dockerfile gives.
    pub checks: strake_parser::CheckSettings,
    /// Print why steps missed the cache.
    pub explain_cache: bool,
    /// The greatest number of stages that run at once; 0: no limit.
    pub parallelism: usize,
    /// What a RUN with the default network gets where the bridge cannot be made.
    pub refuse_host_network: bool,
}

/// Where the build context is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ContextSource {
    /// No files at all.
    #[default]
    Empty,
    /// A folder.
    Directory(PathBuf),
    /// A tar archive, plain or compressed, as a file (standard input is spooled by the front end).
    Tar(PathBuf),
    /// A git repository or an http(s) address, as written.
    Remote(String),
}

/// Where the Dockerfile is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DockerfileSource {
    /// In the context, by path below its root; `None`: `Dockerfile`, `dockerfile`, `Containerfile`.
    Context(Option<String>),
    /// A file of the host.
    File(PathBuf),
    /// The text itself and what to call it.
    Text {
        /// What messages call it.
        name: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// An http(s) address.
    Remote(String),
}

impl Default for DockerfileSource {
    fn default() -> Self {
        Self::Context(None)
    }
}

/// A secret: its value is read when the build starts, and never shown.
#[derive(Clone)]
pub struct Secret {
    /// The name that mounts use.
    pub id: String,
    /// The value.
    pub value: SecretValue,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where a secret's value is.
#[derive(Clone)]
pub enum SecretValue {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file of the host, of at most 500 KiB (edges.md 13).
    File(PathBuf),
}

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Bytes(_) => "SecretValue::Bytes",
            Self::File(_) => "SecretValue::File",
        })
    }
}

/// An SSH agent that mounts may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshAgent {
    /// The name that mounts use.
    pub id: String,
    /// The agent's socket.
    pub socket: PathBuf,
}

/// A resource limit of RUN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// The name: `nofile`.
    pub name: String,
    /// The soft limit; `-1` is unlimited.
    pub soft: i64,
    /// The hard limit; `-1` is unlimited.
    pub hard: i64,
}

/// A right that a build must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entitlement {
    /// `RUN --network=host`.
    NetworkHost,
    /// `RUN --security=insecure`.
    SecurityInsecure,
    /// `RUN --device`.
    Device,
}

/// Something that is made of the built image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The image in the store, under the request's tags and these names.
    Image {
        /// Further names.
        names: Vec<String>,
        /// Push it to the registries of its names.
        push: bool,
        /// How it is written.
        options: ImageOptions,
    },
    /// An OCI image layout: a tar, or a folder.
    Oci {
        /// Where; `None` is standard output.
        dest: Option<PathBuf>,
        /// A tar; else a folder.
        tar: bool,
        /// How it is written.
        options: ImageOptions,
    },
    /// A docker archive.
    Docker {
        /// Where; `None` is standard output.
        dest: Option<PathBuf>,
        /// How it is written.
        options: ImageOptions,
    },
    /// The root file system as a folder.
    Local {
        /// Where.
        dest: PathBuf,
    },
    /// The root file system as a tar.
    Tar {
        /// Where; `None` is standard output.
        dest: Option<PathBuf>,
    },
    /// Nothing but the cache.
    CacheOnly,
}

/// How an image is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// The compression of layers made here.
    pub compression: Compression,
    /// Compress layers of the base anew, too.
    pub force_compression: bool,
    /// OCI media types (the default) or Docker's.
    pub docker_media_types: bool,
    /// `name=`: names written into archives.
    pub names: Vec<String>,
    /// `annotation.KEY=VALUE`, keys as in `--annotation`.
    pub annotations: Vec<(String, String)>,
    /// `rewrite-timestamp`; `None`: whenever an epoch is set (dockerfile.md §17.3).
    pub rewrite_timestamp: Option<bool>,
}
