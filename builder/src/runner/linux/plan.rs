//! Turns a [`Process`] into a [`Program`] for the child.

#![cfg(target_os = "linux")]

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use strake_parser::Security;

use super::Hierarchy;
use super::lookup;
use super::mounts::{self, Offer, OwnFiles};
use super::program::{Credentials, Exec, Op, Program};
use super::rungs::Isolation;
use super::spawn::Pointers;
use super::sys;
use crate::request::Ulimit;
use crate::runner::Process;
use crate::{Error, Result};

/// The fourteen capabilities of a build step (linux.md §1.1).
const CAPABILITIES: u64 = 0xa804_25fb;
/// The greatest number of open files a step may ask for: a huge one makes programs crawl that close them all, and
/// results depend on the host (linux.md §1.1).
const MAX_OPEN_FILES: u64 = 524_288;
/// `CLONE_NEWCGROUP` (linux/sched.h).
const NEW_CGROUP: i32 = 0x0200_0000;

/// How the step's network comes into being.
#[derive(Clone, Debug)]
pub(super) enum NetworkPlan {
    /// A new namespace with nothing but loopback.
    Loopback,
    /// The namespace strake is in.
    Host,
    /// A namespace that was prepared.
    Prepared(Arc<OwnedFd>),
}

/// What a program is made of beside the process.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) isolation: Isolation,
    pub(super) hierarchy: Hierarchy,
    pub(super) network: NetworkPlan,
    pub(super) offer: Offer,
    pub(super) files: OwnFiles,
    pub(super) filter: Option<Arc<[libc::sock_filter]>>,
    pub(super) cgroup: Option<OwnedFd>,
    /// The list of processes of the group that limits its memory, where that is another one.
    pub(super) memory_group: Option<OwnedFd>,
    /// Where the child writes itself down.
    pub(super) registry: Option<OwnedFd>,
    /// Standard input, output and error.
    pub(super) stdio: [OwnedFd; 3],
    pub(super) status: OwnedFd,
    /// The reading end of the pipe that tells that the id maps are written.
    pub(super) go: Option<OwnedFd>,
}

/// Makes the program of a process.
pub(super) fn program(process: &Process, parts: Parts) -> Result<Program> {
    let name = process.argv.first().ok_or_else(|| Error::user("RUN has no command: its list of arguments is empty"))?;
    let mut ops = Vec::new();
    if let Some(go) = parts.go {
        ops.push(Op::AwaitIdMaps { go });
    }
    ops.extend(parts.memory_group.map(Op::EnterGroup));
    let mut namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    match parts.network {
        NetworkPlan::Loopback => {
            namespaces |= libc::CLONE_NEWNET;
            ops.push(Op::LoopbackUp);
        }
        NetworkPlan::Host => {}
        NetworkPlan::Prepared(fd) => ops.push(Op::JoinNetwork(fd)),
    }
    if parts.isolation.maps.is_some() {
        namespaces |= libc::CLONE_NEWUSER;
    }
    // On the old hierarchies a namespace shows paths that do not exist (linux.md §1.2).
    if parts.hierarchy == Hierarchy::V2 {
        namespaces |= NEW_CGROUP;
    }
    ops.push(Op::HostName(process.hostname.as_bytes().to_vec()));
    ops.extend(mounts::operations(process, &parts.offer, parts.files)?);
    ops.extend(limits(&process.ulimits)?);
    let is_sandboxed = process.security == Security::Sandbox;
    if is_sandboxed {
        ops.extend(parts.filter.map(Op::Filter));
    }
    let argv = strings(process.argv.iter().cloned(), "an argument of RUN")?;
    let env = strings(process.env.iter().map(|(name, value)| format!("{name}={value}")), "a variable of RUN")?;
    let own = sys::capabilities().map(|caps| caps.permitted).unwrap_or(CAPABILITIES);
    let all = if parts.isolation.maps.is_some() { u64::MAX >> 1 } else { own };
    let may_set_groups = parts.isolation.maps.as_ref().is_none_or(super::rungs::IdMaps::may_set_groups);
    Ok(Program {
        namespaces: u64::from(namespaces.cast_unsigned()),
        cgroup: parts.cgroup,
        ops,
        credentials: Credentials {
            uid: process.uid,
            gid: process.gid,
            groups: may_set_groups.then(|| process.groups.clone()),
            bounding: if is_sandboxed { CAPABILITIES } else { all },
            keeps_all: !is_sandboxed,
        },
        exec: Exec {
            candidates: lookup::candidates(name, &process.env),
            argv: Pointers::new(argv),
            env: Pointers::new(env),
            stdio: parts.stdio,
        },
        parent: sys::own_number(),
        registry: parts.registry,
        status: parts.status,
    })
}

fn strings(texts: impl Iterator<Item = String>, what: &str) -> Result<Vec<CString>> {
    texts
        .map(|text| {
            CString::new(text)
                .map_err(|_| Error::user(format!("{what} holds a NUL byte, which no program can be given")))
        })
        .collect()
}

/// The resource limits of a step: the given ones over strake's own.
fn limits(given: &[Ulimit]) -> Result<Vec<Op>> {
    let mut ops = Vec::new();
    if !given.iter().any(|limit| limit.name == "nofile") {
        let (_, hard) = sys::limit(NOFILE).unwrap_or((0, MAX_OPEN_FILES));
        let hard = hard.min(MAX_OPEN_FILES);
        ops.push(Op::Limit { resource: NOFILE, soft: hard.min(1024), hard });
    }
    if !given.iter().any(|limit| limit.name == "core") {
        let (_, hard) = sys::limit(CORE).unwrap_or((0, 0));
        ops.push(Op::Limit { resource: CORE, soft: 0, hard });
    }
    for Ulimit { name, soft, hard } in given {
        let resource =
            RESOURCES.iter().find(|(known, _)| known == name).map(|(_, number)| *number).ok_or_else(|| {
                let names: Vec<_> = RESOURCES.iter().map(|(name, _)| *name).collect();
                Error::user(format!("there is no resource limit {name:?}"))
                    .with_help(format!("one of {}", names.join(", ")))
            })?;
        // -1 is "no limit", which the kernel writes as all bits set.
        let number = |value: i64| if value < 0 { u64::MAX } else { value.cast_unsigned() };
        let (soft, hard) = (number(*soft), number(*hard));
        if soft > hard {
            return Err(Error::user(format!("the soft limit of {name} is above its hard limit")));
        }
        ops.push(Op::Limit { resource, soft, hard });
    }
    Ok(ops)
}

/// `RLIMIT_CORE` and `RLIMIT_NOFILE` (asm-generic/resource.h).
const CORE: u32 = 4;
const NOFILE: u32 = 7;

/// The names of resource limits (docker's `--ulimit`) and their numbers (asm-generic/resource.h).
pub(super) const RESOURCES: [(&str, u32); 15] = [
    ("core", CORE),
    ("cpu", 0),
    ("data", 2),
    ("fsize", 1),
    ("locks", 10),
    ("memlock", 8),
    ("msgqueue", 12),
    ("nice", 13),
    ("nofile", NOFILE),
    ("nproc", 6),
    ("rss", 5),
    ("rtprio", 14),
    ("rttime", 15),
    ("sigpending", 11),
    ("stack", 3),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ulimit(name: &str, soft: i64, hard: i64) -> Ulimit {
        Ulimit { name: name.to_owned(), soft, hard }
    }

    #[test]
    fn given_limits_replace_the_defaults() {
        let ops = limits(&[ulimit("nofile", 10, 20), ulimit("stack", -1, -1)]).expect("limits");
        let shown: Vec<_> = ops
            .iter()
            .map(|op| match op {
                Op::Limit { resource, soft, hard } => (*resource, *soft, *hard),
                _ => (0, 0, 0),
            })
            .collect();
        assert!(shown.contains(&(7, 10, 20)));
        assert!(shown.contains(&(3, u64::MAX, u64::MAX)));
        assert_eq!(shown.iter().filter(|(resource, ..)| *resource == 7).count(), 1);
    }

    #[test]
    fn wrong_limits_are_refused() {
        assert!(limits(&[ulimit("files", 1, 1)]).is_err());
        assert!(limits(&[ulimit("nofile", -1, 5)]).is_err());
    }
}
