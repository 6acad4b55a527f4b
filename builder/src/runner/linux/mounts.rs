//! The mount table of a step (linux.md §1.3), as operations of the child.

#![cfg(target_os = "linux")]

use std::ffi::CString;

use strake_layers::ImagePath;
use strake_parser::Security;

use super::Hierarchy;
use super::base::{self, Trees};
use super::cgroup;
use super::program::{Base, DeviceNode, Need, Op, Owners, StagedFile};
use super::sys::attr;
use crate::runner::{MountPoint, MountSource, Process};
use crate::{Error, Result};

/// What the host offers, as far as mounts depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Whether the step lives in a user namespace of its own.
    pub(super) in_user_namespace: bool,
    /// Whether more than one id is mapped.
    pub(super) owners: Owners,
    /// Whether the network namespace belongs to the step, so that sysfs may be mounted.
    pub(super) owns_network: bool,
    /// The cgroup hierarchies of the host.
    pub(super) hierarchy: Hierarchy,
    /// Files of the host that tell one processor from another, hidden (linux.md §1.3).
    pub(super) thermal: Vec<CString>,
    /// Devices of an insecure step.
    pub(super) devices: Vec<DeviceNode>,
}

/// The step's own files of /etc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnFiles {
    pub(super) hosts: String,
    pub(super) resolver: String,
}

/// /dev/shm without `--shm-size` (linux.md §1.3).
const SHM_SIZE: u64 = 64 << 20;

/// Hidden from steps (linux.md §1.3). The last one of /proc counts interrupts, which tells keystrokes of the host.
const MASKED: [&str; 12] = [
    "proc/acpi",
    "proc/asound",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/timer_list",
    "proc/timer_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/interrupts",
    "sys/firmware",
    "sys/devices/virtual/powercap",
];

/// Not to be written (linux.md §1.3).
const READ_ONLY: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

/// The devices of every step (linux.md §1.3): name, major and minor number (Documentation/admin-guide/devices.txt).
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Makes the operations that build the step's file system, from the root to the last user mount.
pub(super) fn operations(process: &Process, offer: &Offer, files: OwnFiles) -> Result<Vec<Op>> {
    let mut trees = Trees::default();
    let mut ops = vec![Op::PrivateMounts];
    let (staged, binds) = user_mounts(process, &mut trees)?;
    ops.append(&mut trees.adoptions);
    ops.push(Op::Stage { files: staged_files(files, staged), owners: offer.owners });
    ops.push(Op::Root(base::root(&process.root)?));
    system_mounts(process, offer, &mut ops);
    for name in ["hosts", "resolv.conf"] {
        ops.push(Op::Bind {
            base: Base::Staged(text(name)),
            inner: None,
            attrs: attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC,
            target: text(&format!("etc/{name}")),
            need: Need::Must,
        });
    }
    ops.extend(binds);
    // A mount may cover a working directory that the image has; runtimes make it anew then.
    places_below(process.mounts.iter().map(|mount| &mount.target), &process.cwd, true, &mut ops)?;
    ops.push(Op::Pivot);
    ops.push(Op::WorkingDir(path(&process.cwd)?));
    Ok(ops)
}

fn system_mounts(process: &Process, offer: &Offer, ops: &mut Vec<Op>) {
    let is_sandboxed = process.security == Security::Sandbox;
    let plain = attr::NOSUID | attr::NODEV | attr::NOEXEC;
    let read_only = if is_sandboxed { plain | attr::RDONLY } else { plain };
    if offer.in_user_namespace {
        // A fresh procfs is refused while the only visible one is covered in parts (linux.md §3, B').
        ops.push(fresh("proc", &[], plain, "proc", Need::May));
        ops.push(Op::Bind {
            base: Base::Path(text("/proc")),
            inner: None,
            attrs: plain | attr::RDONLY,
            target: text("proc"),
            need: Need::Instead,
        });
    } else {
        ops.push(fresh("proc", &[], plain, "proc", Need::Must));
    }
    let dev = attr::NOSUID | attr::STRICTATIME;
    ops.push(fresh("tmpfs", &[("mode", "755"), ("size", "64m")], dev, "dev", Need::Must));
    let mut nodes: Vec<DeviceNode> = DEVICES.iter().map(|(name, major, minor)| node(name, *major, *minor)).collect();
    if !is_sandboxed {
        nodes.extend(offer.devices.iter().cloned());
    }
    ops.push(Op::Devices(nodes));
    let mut terminals = vec![("ptmxmode", "0666"), ("mode", "0620")];
    if offer.owners == Owners::Real {
        terminals.push(("gid", "5"));
    }
    ops.push(fresh("devpts", &terminals, attr::NOSUID | attr::NOEXEC, "dev/pts", Need::Must));
    let size = process.shm_size.unwrap_or(SHM_SIZE).to_string();
    ops.push(fresh("tmpfs", &[("mode", "1777"), ("size", &size)], plain, "dev/shm", Need::Must));
    ops.push(fresh("mqueue", &[], plain, "dev/mqueue", Need::May));
    if offer.owns_network || !offer.in_user_namespace {
        ops.push(fresh("sysfs", &[], read_only, "sys", Need::Must));
        match offer.hierarchy {
            Hierarchy::V2 => ops.push(fresh("cgroup2", &[], read_only, "sys/fs/cgroup", Need::May)),
            // The step shares the host's cgroup namespace: the host's mount shows the same. A new one waits for the
            // kernel's grace periods, up to 20 ms.
            Hierarchy::Hybrid => ops.push(Op::Bind {
                base: Base::Path(text(cgroup::HYBRID_MOUNT)),
                inner: None,
                attrs: read_only,
                target: text("sys/fs/cgroup"),
                need: Need::May,
            }),
            Hierarchy::V1 | Hierarchy::None => {}
        }
    }
    if is_sandboxed {
        ops.extend(MASKED.iter().map(|path| Op::Mask(text(path))));
        ops.extend(offer.thermal.iter().cloned().map(Op::Mask));
        ops.extend(READ_ONLY.iter().map(|path| Op::ReadOnly(text(path))));
    }
}

fn fresh(kind: &str, options: &[(&str, &str)], attrs: u64, target: &str, need: Need) -> Op {
    let options = options.iter().map(|(key, value)| (text(key), Some(text(value)))).collect();
    Op::Fresh { kind: text(kind), options, attrs, target: text(target), need }
}

fn node(name: &str, major: u32, minor: u32) -> DeviceNode {
    DeviceNode {
        name: text(name),
        host: text(&format!("/dev/{name}")),
        mode: libc::S_IFCHR | 0o666,
        number: rustix::fs::makedev(major, minor),
    }
}

fn staged_files(files: OwnFiles, mut staged: Vec<StagedFile>) -> Vec<StagedFile> {
    let own = [("hosts", files.hosts), ("resolv.conf", files.resolver)];
    staged.extend(own.map(|(name, content)| StagedFile {
        name: text(name),
        bytes: content.into_bytes(),
        mode: 0o644,
        owner: (0, 0),
    }));
    staged
}

/// The user's mounts: the private files they need, and the operations that mount them.
fn user_mounts(process: &Process, trees: &mut Trees) -> Result<(Vec<StagedFile>, Vec<Op>)> {
    let mut staged = Vec::new();
    let mut ops = Vec::new();
    let mounts = in_order(&process.mounts);
    for (number, mount) in mounts.iter().enumerate() {
        let target = path(&mount.target)?;
        places(mount, mounts.get(..number).unwrap_or_default(), &mut ops)?;
        let read_only = if mount.is_read_only { attr::RDONLY } else { 0 };
        let bind = |base, inner, attrs| Op::Bind { base, inner, attrs, target: target.clone(), need: Need::Must };
        ops.push(match &mount.source {
            MountSource::Host(host) => bind(base::host_path(host)?, None, read_only),
            MountSource::Within { folder, path: inner } => {
                bind(base::host_path(folder)?, Some(path(inner)?), read_only)
            }
            MountSource::Tree { tree, path: inner } => {
                let inner = (!inner.is_root()).then(|| path(inner)).transpose()?;
                bind(trees.take(tree)?, inner, read_only)
            }
            MountSource::Tmpfs { size } => {
                let size = size.map(|size| size.to_string());
                let options: Vec<_> = size.iter().map(|size| ("size", size.as_str())).collect();
                match fresh("tmpfs", &options, attr::NOSUID | read_only, "", Need::Must) {
                    Op::Fresh { kind, options, attrs, need, .. } => Op::Fresh { kind, options, attrs, target, need },
                    other => other,
                }
            }
            MountSource::Bytes { bytes, mode, uid, gid } => {
                let name = text(&format!("file{number}"));
                let noexec = if mode & 0o111 == 0 { attr::NOEXEC } else { 0 };
                staged.push(StagedFile { name: name.clone(), bytes: bytes.clone(), mode: *mode, owner: (*uid, *gid) });
                bind(Base::Staged(name), None, read_only | attr::NOSUID | attr::NODEV | noexec)
            }
        });
    }
    Ok((staged, ops))
}

/// What must be made for a mount that lies below another one: on /dev, which is new in each step, or on an earlier
/// mount of the user, which covers the place that the snapshot has.
fn places(mount: &MountPoint, earlier: &[&MountPoint], ops: &mut Vec<Op>) -> Result<()> {
    let dev = ImagePath::parse("dev").map_err(|error| Error::internal(error.to_string()))?;
    let covers = earlier.iter().map(|earlier| &earlier.target).chain([&dev]);
    places_below(covers, &mount.target, is_directory(&mount.source), ops)
}

/// Makes what a path lacks below the innermost of the mounts that cover it.
fn places_below<'a>(
    covers: impl Iterator<Item = &'a ImagePath>,
    target: &ImagePath,
    is_directory: bool,
    ops: &mut Vec<Op>,
) -> Result<()> {
    let covers = covers.filter(|cover| target.starts_with(cover) && target != *cover);
    let Some(depth) = covers.map(|cover| cover.components().count()).max() else { return Ok(()) };
    let above: Vec<ImagePath> = target.ancestors().collect();
    for inside in above.iter().rev().skip(depth + 1).chain([target]) {
        let (Some(parent), Some(name)) = (inside.parent(), inside.file_name()) else { continue };
        let name = ImagePath::parse(name).map_err(|error| Error::internal(error.to_string()))?;
        let is_directory = is_directory || inside != target;
        ops.push(Op::Place { parent: path(&parent)?, name: path(&name)?, is_directory });
    }
    Ok(())
}

/// Whether a source needs a directory to lie on.
fn is_directory(source: &MountSource) -> bool {
    match source {
        MountSource::Bytes { .. } => false,
        MountSource::Tmpfs { .. } | MountSource::Within { .. } => true,
        MountSource::Host(host) => host.is_dir(),
        MountSource::Tree { tree, path } => base::is_directory(tree, path),
    }
}

/// Parents before children, else in the order of the Dockerfile; of two at one target the later one counts.
fn in_order(mounts: &[MountPoint]) -> Vec<&MountPoint> {
    let mut kept: Vec<&MountPoint> = mounts
        .iter()
        .enumerate()
        .filter(|(at, mount)| !mounts.iter().skip(at + 1).any(|later| later.target == mount.target))
        .map(|(_, mount)| mount)
        .collect();
    kept.sort_by_key(|mount| mount.target.components().count());
    kept
}

/// A path inside the root, relative to it.
pub(super) fn path(path: &ImagePath) -> Result<CString> {
    let bytes = if path.is_root() { b"." } else { path.as_bytes() };
    CString::new(bytes).map_err(|_| Error::internal(format!("the path {path} holds a NUL byte")))
}

/// A text of ours, which holds no NUL.
pub(super) fn text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

/// The devices that an insecure step gets beside the usual ones, where the host has them (linux.md §1.5).
pub(super) fn insecure_devices() -> Vec<DeviceNode> {
    let fixed = ["kmsg", "fuse", "cuse", "kvm", "net/tun", "loop-control"].map(str::to_owned);
    let loops = (0..16).map(|number| format!("loop{number}"));
    fixed
        .into_iter()
        .chain(loops)
        .filter_map(|name| {
            let host = text(&format!("/dev/{name}"));
            let stat = rustix::fs::stat(&host).ok()?;
            let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
            let is_device = kind.is_char_device() || kind.is_block_device();
            is_device.then(|| DeviceNode { name: text(&name), host, mode: stat.st_mode, number: stat.st_rdev })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(target: &str, size: u64) -> MountPoint {
        MountPoint {
            target: ImagePath::parse(target).expect("path"),
            source: MountSource::Tmpfs { size: Some(size) },
            is_read_only: false,
        }
    }

    #[test]
    fn parents_come_before_children_and_the_later_of_two_counts() {
        let mounts = [mount("/a/b", 1), mount("/c", 2), mount("/a", 3), mount("/c", 4)];
        let targets: Vec<_> = in_order(&mounts)
            .iter()
            .map(|mount| match mount.source {
                MountSource::Tmpfs { size } => (mount.target.to_string(), size),
                _ => (mount.target.to_string(), None),
            })
            .collect();
        assert_eq!(targets, [("/a".into(), Some(3)), ("/c".into(), Some(4)), ("/a/b".into(), Some(1))]);
    }
}
