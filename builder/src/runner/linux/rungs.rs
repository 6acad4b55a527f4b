//! How much the host allows, found by trying, and the id maps of user namespaces (linux.md §3).

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::program::Owners;
use super::{Rung, sys};

/// How ids of a step's user namespace are mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IdMaps {
    /// 0 to 65535 to themselves.
    SelfMapped,
    /// 0 to the user, 1 and up to the subordinate ids.
    Subordinate {
        /// First subordinate user and how many.
        users: (u32, u32),
        /// First subordinate group and how many.
        groups: (u32, u32),
    },
    /// 0 to the user, nothing else.
    SingleId,
}

/// The way steps are isolated on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Isolation {
    pub(super) rung: Rung,
    /// `None`: no user namespace is made.
    pub(super) maps: Option<IdMaps>,
    /// Whether strake itself is in a user namespace already.
    pub(super) is_nested: bool,
    /// How many ids strake's own namespace has.
    pub(super) owners: Owners,
}

/// CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN (linux/capability.h).
const SETGID: u64 = 1 << 6;
const SETUID: u64 = 1 << 7;
const SYS_ADMIN: u64 = 1 << 21;

impl Isolation {
    /// The best way there may be, before it is tried.
    pub(super) fn candidate() -> Self {
        let effective = sys::capabilities().map(|caps| caps.effective).unwrap_or(0);
        let is_root = rustix::process::geteuid().is_root();
        let (ids, is_nested) = own_map(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default());
        let owners = if ids > 1 { Owners::Real } else { Owners::Single };
        let with = |rung, maps, owners| Self { rung, maps, is_nested, owners };
        if is_root && effective & SYS_ADMIN != 0 {
            return with(Rung::Rootful, None, owners);
        }
        if is_root && effective & SETUID != 0 && effective & SETGID != 0 && ids >= 65536 {
            return with(Rung::SelfMapped, Some(IdMaps::SelfMapped), Owners::Real);
        }
        match subordinate() {
            Some(maps) => with(Rung::Subordinate, Some(maps), Owners::Real),
            None => with(Rung::SingleId, Some(IdMaps::SingleId), Owners::Single),
        }
    }

    /// Whether steps live in a user namespace other than the host's first one.
    pub(super) fn in_user_namespace(&self) -> bool {
        self.is_nested || self.maps.is_some()
    }
}

/// The number of ids that a map has, and whether it is one of a nested namespace.
fn own_map(map: &str) -> (u64, bool) {
    let mut ids = 0;
    let mut is_first = false;
    for line in map.lines() {
        let mut numbers = line.split_ascii_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
        let (inside, outside, count) = (numbers.next(), numbers.next(), numbers.next().unwrap_or(0));
        ids += count;
        is_first |= inside == Some(0) && outside == Some(0) && count == u64::from(u32::MAX);
    }
    (ids, !is_first)
}

/// The smallest range that holds the ids images use (linux.md §3, C).
const ENOUGH: u32 = 65536;

/// The subordinate ids of this user, where the programs that map them are installed.
fn subordinate() -> Option<IdMaps> {
    let has = |name: &str| ["/usr/bin", "/bin", "/usr/local/bin"].iter().any(|dir| Path::new(dir).join(name).exists());
    if !has("newuidmap") || !has("newgidmap") {
        return None;
    }
    let uid = rustix::process::getuid().as_raw();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = user_name(&passwd, uid);
    let range = |file: &str| range(&fs::read_to_string(file).ok()?, name.as_deref(), uid);
    Some(IdMaps::Subordinate { users: range("/etc/subuid")?, groups: range("/etc/subgid")? })
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    let of_uid = |line: &&str| line.split(':').nth(2).and_then(|text| text.parse().ok()) == Some(uid);
    passwd.lines().find(of_uid).and_then(|line| line.split(':').next()).map(str::to_owned)
}

/// The first large enough range of a user in a file of subordinate ids (subuid(5)).
fn range(text: &str, name: Option<&str>, uid: u32) -> Option<(u32, u32)> {
    let number = uid.to_string();
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let (start, count): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        ((Some(owner) == name || owner == number) && count >= ENOUGH).then_some((start, count))
    })
}

impl IdMaps {
    /// Writes the maps of a process's new user namespace.
    pub(super) fn write(&self, pid: i32) -> std::io::Result<()> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let file = |name: &str| format!("/proc/{pid}/{name}");
        match self {
            Self::SelfMapped => {
                fs::write(file("uid_map"), format!("0 0 {ENOUGH}\n"))?;
                fs::write(file("gid_map"), format!("0 0 {ENOUGH}\n"))
            }
            Self::SingleId => {
                fs::write(file("setgroups"), "deny")?;
                fs::write(file("uid_map"), format!("0 {uid} 1\n"))?;
                fs::write(file("gid_map"), format!("0 {gid} 1\n"))
            }
            Self::Subordinate { users, groups } => {
                map_with("newuidmap", pid, uid, *users)?;
                map_with("newgidmap", pid, gid, *groups)
            }
        }
    }

    /// Whether supplementary groups can be set.
    pub(super) fn may_set_groups(&self) -> bool {
        *self != Self::SingleId
    }
}

/// Maps 0 to an id and the rest to a range through a set-user-id program (newuidmap(1)).
fn map_with(program: &str, pid: i32, own: u32, (start, count): (u32, u32)) -> std::io::Result<()> {
    let numbers = [i64::from(pid), 0, own.into(), 1, 1, start.into(), count.into()];
    let output = Command::new(program).args(numbers.map(|number| number.to_string())).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(std::io::Error::other(format!("{program}: {}", text.trim())))
}

/// Why user namespaces are refused here, as far as the kernel's settings tell, and the way out.
pub(super) fn blocker() -> String {
    let setting = |name: &str| fs::read_to_string(Path::new("/proc/sys").join(name)).map(|text| text.trim().to_owned());
    if setting("kernel/apparmor_restrict_unprivileged_userns").is_ok_and(|value| value == "1") {
        return "AppArmor restricts user namespaces: run as root, or set kernel.apparmor_restrict_unprivileged_userns=0"
            .to_owned();
    }
    if setting("user/max_user_namespaces").is_ok_and(|value| value == "0") {
        return "user namespaces are switched off: run as root, or raise user.max_user_namespaces".to_owned();
    }
    if setting("kernel/unprivileged_userns_clone").is_ok_and(|value| value == "0") {
        return "user namespaces are for root only: run as root, or set kernel.unprivileged_userns_clone=1".to_owned();
    }
    "user namespaces are refused, often by a container's seccomp filter: run as root with CAP_SYS_ADMIN, or let the \
     container make user namespaces"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_or_number_and_must_be_large() {
        let text = "bob:100000:65536\n1001:300000:65536\nann:1:10\n";
        assert_eq!(range(text, Some("bob"), 7), Some((100_000, 65536)));
        assert_eq!(range(text, None, 1001), Some((300_000, 65536)));
        assert_eq!(range(text, Some("ann"), 7), None);
    }

    #[test]
    fn the_first_namespace_is_told_from_nested_ones() {
        assert_eq!(own_map("         0          0 4294967295\n"), (4_294_967_295, false));
        assert_eq!(own_map("0 1000 1\n"), (1, true));
        assert_eq!(own_map("0 1000 1\n1 100000 65536\n"), (65537, true));
    }
}
