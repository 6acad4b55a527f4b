//! Runs steps on Linux: namespaces, mounts and a seccomp filter of our own, no runtime program (linux.md §1 to §3).
//!
//! The parent prepares everything as a [`program`]; the [`child`] carries it out with raw system calls; [`wait`] sees it
//! to its end. On other systems [`LinuxRunner`] exists and says what is missing.

#[cfg(target_os = "linux")]
mod agent;
mod base;
mod binfmt;
mod cgroup;
mod child;
mod failure;
mod files;
mod lookup;
mod memory;
mod mounts;
mod network;
mod plan;
mod program;
mod registry;
mod rungs;
#[cfg(target_os = "linux")]
mod runner;
mod seccomp;
mod spawn;
mod spawner;
mod sys;
mod trial;
mod wait;

#[cfg(not(target_os = "linux"))]
mod absent;

use std::net::IpAddr;
use std::path::PathBuf;

#[cfg(not(target_os = "linux"))]
pub(crate) use absent::AgentRelay;
#[cfg(not(target_os = "linux"))]
pub use absent::LinuxRunner;
#[cfg(target_os = "linux")]
pub(crate) use agent::AgentRelay;
#[cfg(target_os = "linux")]
pub use runner::LinuxRunner;

/// What the runner needs to know from outside.
#[derive(Clone, Debug)]
pub struct LinuxOptions {
    /// Where leases of the step network and lists of running steps are kept: one folder for the whole host, such as `/run/strake`, else two
    /// stores give one address twice.
    pub runtime_dir: PathBuf,
    /// Name servers instead of the host's (`--dns`).
    pub dns: Vec<IpAddr>,
    /// The pool that steps' networks are taken from: the first two bytes of a /16.
    pub address_pool: [u8; 2],
}

impl Default for LinuxOptions {
    fn default() -> Self {
        // A corner of 10.0.0.0/8 that neither Docker (172.17 and up) nor Podman (10.88) nor Kubernetes (10.96, 10.244)
        // takes by default.
        Self { runtime_dir: PathBuf::from("/run/strake"), dns: Vec::new(), address_pool: [10, 63] }
    }
}

/// How much the host allows (linux.md §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rung {
    /// Root with CAP_SYS_ADMIN.
    Rootful,
    /// A user namespace whose ids 0 to 65535 are the outer ones (root without CAP_SYS_ADMIN).
    SelfMapped,
    /// A user namespace with the user's subordinate ids.
    Subordinate,
    /// A user namespace with one id.
    SingleId,
    /// No steps.
    None,
}

impl Rung {
    /// The name that `doctor` and messages use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rootful => "rootful",
            Self::SelfMapped => "user namespace, ids mapped to themselves",
            Self::Subordinate => "user namespace, subordinate ids",
            Self::SingleId => "user namespace, one id",
            Self::None => "none",
        }
    }
}

/// Which cgroup hierarchies the host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hierarchy {
    /// None.
    None,
    /// The old ones.
    V1,
    /// The old ones, and the unified one beside them.
    Hybrid,
    /// The unified one.
    V2,
}

/// What the host offers for steps, found by trying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// How steps are isolated.
    pub rung: Rung,
    /// Why there is no better rung, and what would help.
    pub rung_reason: Option<String>,
    /// Whether user namespaces can be made.
    pub user_namespaces: bool,
    /// Whether overlay file systems can be mounted.
    pub overlay: bool,
    /// The cgroups.
    pub cgroups: Hierarchy,
    /// Whether each step gets a cgroup of its own.
    pub cgroup_leaves: bool,
    /// Whether the kernel takes the seccomp filter.
    pub seccomp: bool,
    /// Why the default network of a step is the host's; `None`: it is a bridge.
    pub no_bridge: Option<String>,
    /// Architectures whose programs run here, the host's own first, in Go's names.
    pub architectures: Vec<String>,
}

impl HostFacts {
    /// The facts for people: a name and a text each.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let yes_no = |is_so: bool| if is_so { "yes" } else { "no" }.to_owned();
        let cgroups = match self.cgroups {
            Hierarchy::None => "none",
            Hierarchy::V1 => "v1",
            Hierarchy::Hybrid => "v1 and v2",
            Hierarchy::V2 => "v2",
        };
        let rung = match &self.rung_reason {
            Some(reason) => format!("{} ({reason})", self.rung.name()),
            None => self.rung.name().to_owned(),
        };
        vec![
            ("isolation of RUN", rung),
            ("user namespaces", yes_no(self.user_namespaces)),
            ("overlay mounts", yes_no(self.overlay)),
            ("cgroups", format!("{cgroups}{}", if self.cgroup_leaves { ", one for each step" } else { "" })),
            ("seccomp", yes_no(self.seccomp)),
            (
                "network of RUN",
                self.no_bridge.clone().map_or("a bridge".to_owned(), |why| format!("the host's: {why}")),
            ),
            ("architectures", self.architectures.join(", ")),
        ]
    }
}
