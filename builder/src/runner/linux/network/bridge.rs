//! The bridge that steps of the default network share, from its first user to its last.
//!
//! Files in the runtime folder, each held by `flock` so that a killed process frees what it had: `setup` while the
//! bridge is made or removed, `users` (shared) by everybody who uses it, `address-N` by the step that has an address.

#![cfg(target_os = "linux")]

use std::fs::{self, File, OpenOptions};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::NoBridge;
use super::link::{self, Namespace};
use super::netlink::Socket;
use crate::runner::linux::LinuxOptions;

/// What makes a host forward packets; strake never changes it (linux.md §1.6).
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// The addresses of a /24 that steps get: .0 is the network, .1 the bridge, .255 everybody.
const FIRST: u8 = 2;
const LAST: u8 = 254;

/// The bridge, held by this runner.
#[derive(Debug)]
pub(super) struct Bridge {
    dir: PathBuf,
    network: [u8; 3],
    socket: Socket,
    users: File,
    next: AtomicU8,
}

/// A step's place on the bridge. Dropped, it goes: the kernel removes its devices with the namespace.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) namespace: Arc<std::os::fd::OwnedFd>,
    _address: File,
}

impl Bridge {
    /// Joins the bridge, or makes it where nobody uses one.
    pub(super) fn join(options: &LinuxOptions) -> Result<Self, NoBridge> {
        check_forwarding()?;
        let dir = options.runtime_dir.join("network");
        fs::create_dir_all(&dir).map_err(|error| NoBridge {
            cause: format!("{} cannot be made: {error}", dir.display()),
            help: "make it writable".to_owned(),
        })?;
        let setup = lock_file(&dir, "setup")?;
        flock(&setup, FlockOperation::LockExclusive).map_err(|errno| broken("its lock cannot be taken", errno))?;
        let users = lock_file(&dir, "users")?;
        let socket = Socket::route().map_err(|errno| broken("rtnetlink is refused", errno))?;
        let is_alone = flock(&users, FlockOperation::NonBlockingLockExclusive).is_ok();
        let known = fs::read_to_string(dir.join("subnet")).ok().and_then(|text| parse_network(&text));
        let network = match known {
            Some(network) if !is_alone && link::index(&socket, link::BRIDGE).is_ok() => network,
            _ => {
                clear(&dir, &socket);
                make(options, &dir, &socket)?
            }
        };
        flock(&users, FlockOperation::LockShared).map_err(|errno| broken("its lock cannot be taken", errno))?;
        drop(setup);
        Ok(Self { dir, network, socket, users, next: AtomicU8::new(FIRST) })
    }

    /// The address of the host on the bridge.
    pub(super) fn gateway(&self) -> IpAddr {
        self.address(1).into()
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, last)
    }

    /// Gives a step a network namespace on the bridge.
    pub(super) fn place(&self) -> Result<Place, NoBridge> {
        let namespace = Namespace::new().map_err(|errno| broken("a network namespace is refused", errno))?;
        for _ in FIRST..=LAST {
            // One after the other, so that an address is not given again before the kernel has removed its devices.
            let last = self.next.fetch_add(1, Ordering::Relaxed);
            if !(FIRST..=LAST).contains(&last) {
                continue;
            }
            let file = lock_file(&self.dir, &format!("address-{last}"))?;
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            let name = format!("strake-{last}");
            match namespace.connect(&self.socket, &name, self.address(last), self.address(1)) {
                Ok(()) => return Ok(Place { namespace: Arc::new(namespace.fd), _address: file }),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(broken("a step cannot be connected to the bridge", errno)),
            }
        }
        Err(NoBridge {
            cause: "all 253 addresses of the bridge are in use".to_owned(),
            help: "run fewer steps at once (`--parallelism`)".to_owned(),
        })
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // The last user removes everything; a failure is left for the next start.
        let Ok(setup) = lock_file(&self.dir, "setup") else { return };
        if flock(&setup, FlockOperation::LockExclusive).is_err() {
            return;
        }
        if flock(&self.users, FlockOperation::NonBlockingLockExclusive).is_ok() {
            clear(&self.dir, &self.socket);
        }
    }
}

/// Tells whether the host forwards packets.
pub(super) fn check_forwarding() -> Result<(), NoBridge> {
    let value = fs::read_to_string(FORWARDING).unwrap_or_default();
    if value.trim() == "1" {
        return Ok(());
    }
    Err(NoBridge {
        cause: "this host does not forward packets (net.ipv4.ip_forward is 0)".to_owned(),
        help: "`sysctl -w net.ipv4.ip_forward=1`".to_owned(),
    })
}

/// Tries everything in a namespace that goes away at once, so that the host stays as it is.
pub(super) fn rehearse() -> Result<(), NoBridge> {
    let work = || {
        crate::runner::linux::sys::unshare(libc::CLONE_NEWNET)
            .map_err(|errno| broken("a network namespace is refused", Errno::from_raw_os_error(errno.0)))?;
        let socket = Socket::route().map_err(|errno| broken("rtnetlink is refused", errno))?;
        equip(&socket, [10, 63, 0])?;
        let namespace = Namespace::new().map_err(|errno| broken("a network namespace is refused", errno))?;
        namespace
            .connect(&socket, "strake-2", Ipv4Addr::new(10, 63, 0, 2), Ipv4Addr::new(10, 63, 0, 1))
            .map_err(|errno| broken("a step cannot be connected to a bridge", errno))
    };
    let thread =
        std::thread::Builder::new().spawn(work).map_err(|_| broken("no thread can be started", Errno::AGAIN))?;
    thread.join().unwrap_or_else(|_| Err(broken("the attempt broke off", Errno::IO)))
}

fn make(options: &LinuxOptions, dir: &Path, socket: &Socket) -> Result<[u8; 3], NoBridge> {
    let [a, b] = options.address_pool;
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let network =
        (0..=255).map(|c| [a, b, c]).find(|network| !is_routed(&routes, *network)).ok_or_else(|| NoBridge {
            cause: format!("every /24 of {a}.{b}.0.0/16 is routed elsewhere already"),
            help: "name another pool of addresses".to_owned(),
        })?;
    let made = equip(socket, network).and_then(|()| {
        let [a, b, c] = network;
        fs::write(dir.join("subnet"), format!("{a}.{b}.{c}.0/24\n")).map_err(|error| NoBridge {
            cause: format!("{} cannot be written: {error}", dir.join("subnet").display()),
            help: "make room and make it writable".to_owned(),
        })
    });
    if made.is_err() {
        clear(dir, socket);
    }
    made.map(|()| network)
}

/// Makes bridge and table.
fn equip(socket: &Socket, [a, b, c]: [u8; 3]) -> Result<(), NoBridge> {
    link::make_bridge(socket, Ipv4Addr::new(a, b, c, 1)).map_err(|errno| broken("a bridge is refused", errno))?;
    Socket::netfilter()
        .and_then(|netfilter| link::masquerade(&netfilter, Ipv4Addr::new(a, b, c, 0)))
        .map_err(|errno| broken("the kernel takes no nftables rule", errno))
}

/// Removes whatever there is of an earlier bridge.
fn clear(dir: &Path, socket: &Socket) {
    let _ = link::remove(socket, link::BRIDGE);
    if let Ok(netfilter) = Socket::netfilter() {
        let _ = link::remove_masquerade(&netfilter);
    }
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name == "subnet" || name.starts_with("address-")) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

fn lock_file(dir: &Path, name: &str) -> Result<File, NoBridge> {
    let path = dir.join(name);
    OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|error| NoBridge {
        cause: format!("{} cannot be opened: {error}", path.display()),
        help: "make it writable".to_owned(),
    })
}

fn broken(what: &str, errno: Errno) -> NoBridge {
    let help = match errno {
        Errno::PERM | Errno::ACCESS => "give strake CAP_NET_ADMIN",
        Errno::NOENT | Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT => {
            "load the kernel's modules bridge, veth and nf_tables"
        }
        _ => "see `strake doctor`",
    };
    NoBridge { cause: format!("{what} ({})", std::io::Error::from(errno)), help: help.to_owned() }
}

fn parse_network(text: &str) -> Option<[u8; 3]> {
    let address: Ipv4Addr = text.trim().strip_suffix("/24")?.parse().ok()?;
    let [a, b, c, _] = address.octets();
    Some([a, b, c])
}

/// Whether a route of the host, other than the default one, meets a /24 (proc(5), /proc/net/route: hexadecimal in the
/// machine's byte order).
fn is_routed(routes: &str, [a, b, c]: [u8; 3]) -> bool {
    let network = u32::from_be_bytes([a, b, c, 0]);
    routes.lines().skip(1).any(|line| {
        let mut fields = line.split_ascii_whitespace();
        let number = |text: Option<&str>| u32::from_str_radix(text?, 16).ok().map(u32::swap_bytes);
        let (destination, mask) = (number(fields.nth(1)), number(fields.nth(5)));
        match (destination, mask) {
            (Some(destination), Some(mask)) if mask != 0 => {
                let common = mask & (u32::MAX << (32 - u32::from(link::PREFIX)));
                destination & common == network & common
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_are_routed_are_avoided() {
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
                      eth0\t00000000\t010000AC\t0003\t0\t0\t0\t00000000\n\
                      tun0\t00003F0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n\
                      tun1\t00080000\t00000000\t0001\t0\t0\t0\t00FFFFFF\n";
        assert!(is_routed(routes, [10, 63, 0]));
        assert!(!is_routed(routes, [10, 63, 1]));
        assert!(is_routed("x\ntun0\t0000000A\t0\t1\t0\t0\t0\t000000FF\n", [10, 63, 7]));
    }

    #[test]
    fn the_subnet_is_read_back() {
        assert_eq!(parse_network("10.63.4.0/24\n"), Some([10, 63, 4]));
        assert_eq!(parse_network("10.63.4.0/16"), None);
    }
}
