//! What the child does between its creation and `execve`, as a list prepared by the parent.
//!
//! Everything in here is memory and descriptors that exist before the child does: the child shares the parent's
//! memory, another thread of which may hold the allocator's lock, so it reads and never allocates (linux.md §2).

#![cfg(target_os = "linux")]

use std::ffi::CString;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;

use super::spawn::Pointers;

/// A prepared step.
#[derive(Debug)]
pub(super) struct Program {
    /// The namespaces it gets, as flags of `clone3`.
    pub(super) namespaces: u64,
    /// The cgroup it is made in.
    pub(super) cgroup: Option<OwnedFd>,
    /// What is done, in this order.
    pub(super) ops: Vec<Op>,
    /// Who it becomes.
    pub(super) credentials: Credentials,
    /// What is executed.
    pub(super) exec: Exec,
    /// The number of strake's process as its /proc shows it; `None`: it is not known.
    pub(super) parent: Option<u32>,
    /// Where the child writes itself down, for the next start.
    pub(super) registry: Option<OwnedFd>,
    /// Where the child reports to; closed by a successful `execve`.
    pub(super) status: OwnedFd,
}

/// One thing the child does.
#[derive(Debug)]
pub(super) enum Op {
    /// Waits until the parent has written the id maps of the new user namespace.
    AwaitIdMaps {
        /// A byte arrives here once they are written.
        go: OwnedFd,
    },
    /// Enters a cgroup of an old hierarchy by writing to its list of processes.
    EnterGroup(OwnedFd),
    /// Takes the mount tree apart from the host's.
    PrivateMounts,
    /// Brings `lo` up.
    LoopbackUp,
    /// Enters a prepared network namespace.
    JoinNetwork(Arc<OwnedFd>),
    /// Sets the host name.
    HostName(Vec<u8>),
    /// Makes a detached tree part of the mount namespace, before the root is there, so that parts of it can be mounted.
    Adopt(OwnedFd),
    /// Takes a tree as the root.
    Root(Base),
    /// Makes a memory-backed file system out of reach, with the files that are bound from it.
    Stage {
        /// The files, addressed by number.
        files: Vec<StagedFile>,
        /// Whether the kernel keeps them out of swap, where it can.
        owners: Owners,
    },
    /// Makes a file system and mounts it.
    Fresh {
        /// The type.
        kind: CString,
        /// Its options.
        options: Vec<(CString, Option<CString>)>,
        /// Mount attributes.
        attrs: u64,
        /// Where.
        target: CString,
        /// What happens when it cannot be had.
        need: Need,
    },
    /// Fills /dev, which is mounted.
    Devices(Vec<DeviceNode>),
    /// Makes a place below a mount, which covers what the image has there; one that exists is left as it is.
    Place {
        /// The directory, which exists.
        parent: CString,
        /// What is made in it.
        name: CString,
        /// A directory; else a file.
        is_directory: bool,
    },
    /// Mounts a part of a tree.
    Bind {
        /// The tree.
        base: Base,
        /// The path in it; `None`: the tree itself.
        inner: Option<CString>,
        /// Mount attributes to add.
        attrs: u64,
        /// Where.
        target: CString,
        /// What happens when it cannot be had.
        need: Need,
    },
    /// Hides a file or directory, where it exists.
    Mask(CString),
    /// Refuses writing to a file or directory, where it exists.
    ReadOnly(CString),
    /// Makes the new root the only one.
    Pivot,
    /// Goes to the working directory.
    WorkingDir(CString),
    /// Sets a resource limit; a refusal is a notice.
    Limit {
        /// The resource's number.
        resource: u32,
        /// The soft limit.
        soft: u64,
        /// The hard limit.
        hard: u64,
    },
    /// Installs the seccomp filter.
    Filter(Arc<[libc::sock_filter]>),
}

/// Where a tree is.
#[derive(Debug)]
pub(super) enum Base {
    /// A detached mount, mounted as a whole.
    Detached(OwnedFd),
    /// A tree that was adopted.
    Adopted(RawFd),
    /// A path of the host.
    Path(CString),
    /// A file of the stage, by number.
    Staged(CString),
}

/// A file that exists in memory only.
#[derive(Debug)]
pub(super) struct StagedFile {
    /// Its name on the stage.
    pub(super) name: CString,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Permission bits.
    pub(super) mode: u32,
    /// Owner and group.
    pub(super) owner: (u32, u32),
}

/// Whether owners of files can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owners {
    /// They can.
    Real,
    /// Only one id is mapped: everything belongs to it.
    Single,
}

/// What happens when a mount cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The step fails.
    Must,
    /// The step goes on without.
    May,
    /// It is made only where the operation before was skipped, and then must be.
    Instead,
}

/// A device of /dev.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeviceNode {
    /// Its path below /dev.
    pub(super) name: CString,
    /// Its path on the host, bound where nodes cannot be made.
    pub(super) host: CString,
    /// Type and permission bits.
    pub(super) mode: u32,
    /// Its number.
    pub(super) number: u64,
}

/// Who the process becomes.
#[derive(Debug)]
pub(super) struct Credentials {
    /// User.
    pub(super) uid: u32,
    /// Group.
    pub(super) gid: u32,
    /// Supplementary groups; `None`: they cannot be set here (user_namespaces(7), "setgroups").
    pub(super) groups: Option<Vec<u32>>,
    /// Capabilities it may ever have.
    pub(super) bounding: u64,
    /// Whether it keeps all of them whoever it is, in all five sets.
    pub(super) keeps_all: bool,
}

/// What is executed.
#[derive(Debug)]
pub(super) struct Exec {
    /// The paths to try, in this order.
    pub(super) candidates: Vec<CString>,
    /// The arguments.
    pub(super) argv: Pointers,
    /// The environment.
    pub(super) env: Pointers,
    /// Standard input, output and error.
    pub(super) stdio: [OwnedFd; 3],
}

impl Op {
    /// What the operation does, for the message that it could not be done.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::AwaitIdMaps { .. } => "map users into the user namespace".to_owned(),
            Self::EnterGroup(_) => "enter the group that limits its memory".to_owned(),
            Self::PrivateMounts => "take the step's mounts apart from the host's".to_owned(),
            Self::LoopbackUp => "bring the loopback device up".to_owned(),
            Self::JoinNetwork(_) => "enter the step's network".to_owned(),
            Self::HostName(_) => "set the host name".to_owned(),
            Self::Adopt(_) => "take a tree that is mounted into the step".to_owned(),
            Self::Root(_) => "mount the root file system".to_owned(),
            Self::Stage { .. } => "make the step's private files".to_owned(),
            Self::Fresh { kind, target, .. } => format!("mount {} on {}", show(kind), show(target)),
            Self::Devices(_) => "fill /dev".to_owned(),
            Self::Place { parent, name, .. } => {
                format!("make the place of a mount {}/{}", show(parent), name.to_string_lossy())
            }
            Self::Bind { target, .. } => format!("mount {}", show(target)),
            Self::Mask(path) => format!("hide {}", show(path)),
            Self::ReadOnly(path) => format!("make {} read-only", show(path)),
            Self::Pivot => "change to the step's root".to_owned(),
            Self::WorkingDir(path) => format!("change to the working directory {}", show(path)),
            Self::Limit { resource, .. } => format!("set resource limit {resource}"),
            Self::Filter(_) => "install the seccomp filter".to_owned(),
        }
    }
}

fn show(text: &CString) -> String {
    let text = text.to_string_lossy();
    if text.starts_with('/') { text.into_owned() } else { format!("/{text}") }
}
