//! The memory limit of one step (docs/language-additions.md, linux.md §1.2).
//!
//! On the unified hierarchy the step's own cgroup gets it; on the old ones a group of the memory controller is made for
//! this step alone. A limit that cannot be set is an error that says why: nobody asks for one in vain.

#![cfg(target_os = "linux")]

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::Hierarchy;
use super::cgroup::{self, Leaf};
use crate::{Error, Result};

/// Where the memory controller of the old hierarchies is mounted.
const OLD_MOUNT: &str = "/sys/fs/cgroup/memory";

/// What limits a step's memory.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    /// The group of the old hierarchy; on the unified one the step's leaf has the limit.
    group: Option<Group>,
}

/// A group of the old memory controller; dropped, it goes away.
#[derive(Debug)]
struct Group {
    path: PathBuf,
}

impl MemoryLimit {
    /// Limits the memory of what will run in `leaf`, or in a group of its own.
    pub(super) fn set(hierarchy: Hierarchy, leaf: Option<&Leaf>, bytes: u64) -> Result<Self> {
        let limited = match hierarchy {
            Hierarchy::V2 => match leaf {
                Some(leaf) => limit_leaf(leaf.path(), bytes).map(|()| Self { group: None }),
                None => Err("strake may not make a cgroup for the step".to_owned()),
            },
            Hierarchy::V1 | Hierarchy::Hybrid => {
                Group::make(bytes).map(|group| Self { group: Some(group) }).map_err(|(path, error)| {
                    format!("the memory controller at {} does not take it: {error}", path.display())
                })
            }
            Hierarchy::None => Err("this machine shows strake no cgroups".to_owned()),
        };
        limited.map_err(|why| {
            Error::environment(format!("RUN --memory={bytes} cannot be enforced: {why}")).with_help(
                "run strake as root in a cgroup that has the memory controller for its children, or leave the flag out",
            )
        })
    }

    /// Gives what the step's process writes to, to enter its group.
    pub(super) fn entrance(&self) -> Result<Option<OwnedFd>> {
        let Some(group) = &self.group else { return Ok(None) };
        let path = group.path.join("cgroup.procs");
        let file = fs::File::options().write(true).open(&path);
        let file = file.map_err(|error| Error::environment(format!("cannot open {}: {error}", path.display())))?;
        Ok(Some(file.into()))
    }

    /// Whether the limit's killer struck in the step's own group, or in the leaf that has the limit.
    pub(super) fn was_reached(&self, leaf: Option<&Leaf>) -> bool {
        match &self.group {
            Some(group) => fs::read_to_string(group.path.join("memory.oom_control"))
                .is_ok_and(|text| cgroup::count(&text, "oom_kill") > 0),
            None => leaf.is_some_and(Leaf::was_out_of_memory),
        }
    }
}

/// Sets the limit of a cgroup of the unified hierarchy.
fn limit_leaf(leaf: &Path, bytes: u64) -> Result<(), String> {
    let limit = leaf.join("memory.max");
    if !limit.exists() {
        // Root's own group may hold processes and hand its controllers down all the same.
        let parent = leaf.parent().unwrap_or(leaf);
        fs::write(parent.join("cgroup.subtree_control"), "+memory").map_err(|error| {
            format!("the cgroup {} does not give its children the memory controller: {error}", parent.display())
        })?;
    }
    fs::write(&limit, bytes.to_string()).map_err(|error| format!("{}: {error}", limit.display()))?;
    // Without swap there is no such file; without the other a child alone is killed.
    fs::write(leaf.join("memory.swap.max"), "0").ok();
    fs::write(leaf.join("memory.oom.group"), "1").ok();
    Ok(())
}

impl Group {
    fn make(bytes: u64) -> Result<Self, (PathBuf, io::Error)> {
        let parent = cgroup::own_group_of("memory").unwrap_or_else(|| PathBuf::from(OLD_MOUNT));
        // A container often sees its own group as the root of the mount.
        let parent = if parent.is_dir() { parent } else { PathBuf::from(OLD_MOUNT) };
        cgroup::sweep(&parent);
        let path = parent.join(cgroup::new_name());
        let fail = |error| (parent.clone(), error);
        fs::create_dir(&path).map_err(fail)?;
        let group = Self { path };
        fs::write(group.path.join("memory.limit_in_bytes"), bytes.to_string()).map_err(fail)?;
        // Memory and swap together; only kernels that count swap have it.
        fs::write(group.path.join("memory.memsw.limit_in_bytes"), bytes.to_string()).ok();
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        cgroup::remove(&self.path);
    }
}
