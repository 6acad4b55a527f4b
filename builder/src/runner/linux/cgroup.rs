//! One cgroup for each step, on hosts with the unified hierarchy (linux.md §1.2).
//!
//! The step is made in its leaf, and whatever is left in it is killed at the end. Hosts with the old hierarchies get
//! none: moving a process there waits for a grace period of the kernel, and the death of the step's pid namespace
//! kills everything as well.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Hierarchy;

/// Where the kernel's file systems for cgroups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";
/// Where hybrid hosts mount the unified one (systemd, "Control Group APIs and Delegation").
pub(super) const HYBRID_MOUNT: &str = "/sys/fs/cgroup/unified";
/// `CGROUP2_SUPER_MAGIC` (linux/magic.h).
const CGROUP2_MAGIC: i64 = 0x6367_7270;
/// How leaves are called: this, the number of the process that made it, and a count.
const PREFIX: &str = "strake-";

/// The cgroups of this host, as far as steps are concerned.
#[derive(Debug)]
pub(super) struct Cgroups {
    /// What the host has.
    pub(super) hierarchy: Hierarchy,
    /// Where leaves are made, if they can be.
    parent: Option<PathBuf>,
}

impl Cgroups {
    /// Looks at the host, and removes what dead builds left.
    pub(super) fn detect() -> Self {
        let hierarchy = hierarchy();
        let parent = (hierarchy == Hierarchy::V2).then(own_group).flatten().filter(|parent| {
            sweep(parent);
            rustix::fs::access(parent, rustix::fs::Access::WRITE_OK).is_ok()
        });
        Self { hierarchy, parent }
    }

    /// Whether steps get leaves.
    pub(super) fn has_leaves(&self) -> bool {
        self.parent.is_some()
    }

    /// Makes a leaf; `None` where that is impossible.
    pub(super) fn leaf(&self) -> Option<Leaf> {
        let path = self.parent.as_ref()?.join(new_name());
        fs::create_dir(&path).ok()?;
        Some(Leaf { path })
    }
}

/// A cgroup of one step; dropped, it kills what is in it and goes away.
#[derive(Debug)]
pub(super) struct Leaf {
    path: PathBuf,
}

impl Leaf {
    /// Its directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for `clone3`.
    pub(super) fn open(&self) -> Option<OwnedFd> {
        fs::File::open(&self.path).ok().map(Into::into)
    }

    /// Kills everything in it.
    pub(super) fn kill(&self) {
        // Before Linux 5.14 there is no such file; the pid namespace dies all the same.
        fs::write(self.path.join("cgroup.kill"), "1").ok();
    }

    /// Whether the memory limit's killer struck in it.
    pub(super) fn was_out_of_memory(&self) -> bool {
        read(&self.path.join("memory.events")).is_some_and(|text| count(&text, "oom_kill") > 0)
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// How often the kernel killed for want of memory since it started; `None`: it does not tell.
pub(super) fn oom_kills() -> Option<u64> {
    read(Path::new("/proc/vmstat")).map(|text| count(&text, "oom_kill"))
}

/// A name for a group that no other step has.
pub(super) fn new_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The value of a line `NAME VALUE`.
pub(super) fn count(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(known, _)| *known == name)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(1 << 20).read_to_string(&mut text).ok()?;
    Some(text)
}

fn hierarchy() -> Hierarchy {
    let is_v2 = |path: &Path| rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type == CGROUP2_MAGIC);
    let mount = Path::new(MOUNT);
    if is_v2(mount) {
        Hierarchy::V2
    } else if is_v2(Path::new(HYBRID_MOUNT)) {
        Hierarchy::Hybrid
    } else if mount.join("memory").is_dir() || mount.join("pids").is_dir() {
        Hierarchy::V1
    } else {
        Hierarchy::None
    }
}

/// The directory of the cgroup this process is in.
fn own_group() -> Option<PathBuf> {
    let text = read(Path::new("/proc/self/cgroup"))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(Path::new(MOUNT).join(path.trim_start_matches('/')))
}

/// The directory of this process's group in an old hierarchy, as /proc/self/cgroup names it.
pub(super) fn own_group_of(controller: &str) -> Option<PathBuf> {
    let text = read(Path::new("/proc/self/cgroup"))?;
    let path = text.lines().find_map(|line| {
        let (names, path) = line.split_once(':')?.1.split_once(':')?;
        names.split(',').any(|name| name == controller).then_some(path)
    })?;
    Some(Path::new(MOUNT).join(controller).join(path.trim_start_matches('/')))
}

/// Removes leaves whose maker is dead.
pub(super) fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            remove(&entry.path());
        }
    }
}

/// Kills what is in a group and removes it.
pub(super) fn remove(path: &Path) {
    let kill = path.join("cgroup.kill");
    for _ in 0..100 {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                fs::write(&kill, "1").ok();
                // The kernel tells that a cgroup is empty a moment after its last process is gone.
                std::thread::sleep(Duration::from_millis(1));
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_their_whole_name() {
        let text = "oom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(count(text, "oom_kill"), 2);
        assert_eq!(count(text, "kill"), 0);
    }
}
