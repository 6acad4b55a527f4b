//! Runs one process over a snapshot: the platform runners.

mod linux;
mod windows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use strake_layers::{Cancel, ImagePath, NoticeSink, Platform};

use crate::Result;
use crate::events::Stream;
use crate::request::Ulimit;

pub(crate) use linux::AgentRelay;
pub use linux::{Hierarchy, HostFacts, LinuxOptions, LinuxRunner, Rung};
pub use windows::WindowsRunner;

/// Runs processes of build steps on this host.
///
/// Calls block; they are made from threads that may block.
pub trait Runner: Send + Sync + std::fmt::Debug {
    /// Tells whether it can run steps of a platform here; the error says what is missing and the way out.
    fn supports(&self, platform: &Platform) -> Result<()>;

    /// Runs a process to its end. A process that fails is no error: its [`Exit`] says how it ended. When `cancel` is
    /// set, every process of the step is stopped before the call returns.
    fn run(&self, process: &Process, io: &StepIo, cancel: &Cancel) -> Result<Exit>;
}

/// A process to run, with everything it sees (linux.md §1).
#[derive(Debug)]
pub struct Process {
    /// The root file system, writable.
    pub root: strake_snapshotter::Mount,
    /// The arguments, the program first; the program is looked up in PATH of `env` inside the root.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// The working directory; made before the step by the caller.
    pub cwd: ImagePath,
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The host name.
    pub hostname: String,
    /// Further mounts, parents before children.
    pub mounts: Vec<MountPoint>,
    /// The network.
    pub network: strake_parser::Network,
    /// The privileges.
    pub security: strake_parser::Security,
    /// Lines added to the hosts file: name and address.
    pub extra_hosts: Vec<(String, String)>,
    /// Resource limits.
    pub ulimits: Vec<Ulimit>,
    /// Size of /dev/shm in bytes; `None`: 64 MiB.
    pub shm_size: Option<u64>,
    /// How long it may run; then it is stopped as by a cancel (`RUN --timeout`).
    pub timeout: Option<Duration>,
    /// The most memory its processes may use together, in bytes (`RUN --memory`). A runner that cannot see to it fails.
    pub memory: Option<u64>,
    /// The time between SIGTERM and SIGKILL when the step is stopped.
    pub grace: Duration,
    /// An error, rather than the host's network with a warning, where the default network cannot be made.
    pub refuse_host_network: bool,
}

/// A mount of a step. Its target exists in the root or in the snapshot's stub layer.
#[derive(Debug)]
pub struct MountPoint {
    /// Where.
    pub target: ImagePath,
    /// What.
    pub source: MountSource,
    /// Whether writing is refused.
    pub is_read_only: bool,
}

/// What is mounted.
#[derive(Debug)]
pub enum MountSource {
    /// A directory or file of the host (a cache's folder, a socket that leads to an agent).
    Host(PathBuf),
    /// A path in a directory of the host whose content is not to be trusted (a part of a cache).
    Within {
        /// The directory.
        folder: PathBuf,
        /// The path, resolved inside it.
        path: ImagePath,
    },
    /// A tree of the snapshotter, and the path in it (a directory or a file).
    Tree {
        /// The tree.
        tree: Arc<strake_snapshotter::Mount>,
        /// The path, resolved inside it.
        path: ImagePath,
    },
    /// An empty memory-backed directory.
    Tmpfs {
        /// Its greatest size in bytes.
        size: Option<u64>,
    },
    /// A memory-backed file with these bytes (a secret, a script), never on disk.
    Bytes {
        /// The bytes.
        bytes: Vec<u8>,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// A function that takes a piece of output.
pub type Output = dyn Fn(Stream, &[u8]) + Send + Sync;

/// Where a step's output and notices go.
pub struct StepIo {
    /// Called for each piece of output, in order, from one thread a stream.
    pub output: Arc<Output>,
    /// Where notices go.
    pub notices: NoticeSink,
}

impl std::fmt::Debug for StepIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StepIo")
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, 128+n for signal n.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether the killer of a memory limit ended it, or struck within a limit of its own.
    pub oom: bool,
    /// Whether it was stopped because its time was over.
    pub timed_out: bool,
    /// What may explain the code: file not found, wrong architecture, missing interpreter.
    pub hint: Option<String>,
}
