//! The kernel objects of the step network: bridge, pairs of devices, addresses, and the rule that lets them out.

#![cfg(target_os = "linux")]

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;

use super::netlink::{ACK, APPEND, CREATE, EXCLUSIVE, Message, Socket};
use crate::runner::linux::sys;

/// The name of the bridge, and of the nftables table.
pub(super) const BRIDGE: &str = "strake0";
const TABLE: &str = "strake";
/// How many bits of an address name the network.
pub(super) const PREFIX: u8 = 24;

// linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_GATEWAY: u16 = 5;
const IFF_UP: u32 = 1;
const AF_INET: u8 = 2;

/// `struct ifinfomsg`.
fn link_header(index: u32, flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// Makes the bridge, up, with an address.
pub(super) fn make_bridge(socket: &Socket, address: Ipv4Addr) -> Result<(), Errno> {
    let flags = ACK | CREATE | EXCLUSIVE;
    socket.request(
        Message::new(RTM_NEWLINK, flags, &link_header(0, IFF_UP))
            .text(IFLA_IFNAME, BRIDGE)
            .nested(IFLA_LINKINFO, |info| info.text(IFLA_INFO_KIND, "bridge")),
    )?;
    let bridge = index(socket, BRIDGE)?;
    add_address(socket, bridge, address)
}

/// The number of a device of the socket's namespace.
pub(super) fn index(socket: &Socket, name: &str) -> Result<u32, Errno> {
    rustix::net::netdevice::name_to_index(socket.0.as_fd(), name)
}

fn add_address(socket: &Socket, device: u32, address: Ipv4Addr) -> Result<(), Errno> {
    // `struct ifaddrmsg`
    let mut header = [AF_INET, PREFIX, 0, 0, 0, 0, 0, 0];
    header[4..].copy_from_slice(&device.to_ne_bytes());
    socket.request(
        Message::new(RTM_NEWADDR, ACK | CREATE | EXCLUSIVE, &header)
            .attribute(IFA_LOCAL, &address.octets())
            .attribute(IFA_ADDRESS, &address.octets()),
    )
}

/// Removes a device; that there is none is fine.
pub(super) fn remove(socket: &Socket, name: &str) -> Result<(), Errno> {
    let answer = socket.request(Message::new(RTM_DELLINK, ACK, &link_header(0, 0)).text(IFLA_IFNAME, name));
    match answer {
        Err(Errno::NODEV) => Ok(()),
        answer => answer,
    }
}

/// A network namespace with a socket inside.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) fd: OwnedFd,
    pub(super) socket: Socket,
}

impl Namespace {
    /// Makes one, with its loopback device up.
    pub(super) fn new() -> Result<Self, Errno> {
        // A namespace belongs to a thread, so a thread makes it and goes.
        let make = || {
            sys::unshare(libc::CLONE_NEWNET).map_err(|errno| Errno::from_raw_os_error(errno.0))?;
            let path = "/proc/thread-self/ns/net";
            let fd = rustix::fs::open(path, rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC, 0.into())?;
            sys::loopback_up().map_err(|errno| Errno::from_raw_os_error(errno.0))?;
            Ok(Self { fd, socket: Socket::route()? })
        };
        let thread = std::thread::Builder::new().name("strake-network".to_owned()).spawn(make);
        thread.map_err(|_| Errno::AGAIN)?.join().map_err(|_| Errno::IO)?
    }

    /// Connects it to the bridge of `host` under an address, with a route through the bridge.
    pub(super) fn connect(&self, host: &Socket, name: &str, address: Ipv4Addr, gateway: Ipv4Addr) -> Result<(), Errno> {
        let bridge = index(host, BRIDGE)?;
        let fd = self.fd.as_raw_fd().to_ne_bytes();
        host.request(
            Message::new(RTM_NEWLINK, ACK | CREATE | EXCLUSIVE, &link_header(0, IFF_UP))
                .text(IFLA_IFNAME, name)
                .attribute(IFLA_MASTER, &bridge.to_ne_bytes())
                .nested(IFLA_LINKINFO, |info| {
                    info.text(IFLA_INFO_KIND, "veth").nested(IFLA_INFO_DATA, |data| {
                        data.nested(VETH_INFO_PEER, |peer| {
                            peer.raw(&link_header(0, 0)).text(IFLA_IFNAME, "eth0").attribute(IFLA_NET_NS_FD, &fd)
                        })
                    })
                }),
        )?;
        let device = index(&self.socket, "eth0")?;
        add_address(&self.socket, device, address)?;
        self.socket.request(Message::new(RTM_NEWLINK, ACK, &link_header(device, IFF_UP)))?;
        // `struct rtmsg`: the main table, made by hand (RTPROT_BOOT), for the whole world, unicast.
        let header = [AF_INET, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        let flags = ACK | CREATE | EXCLUSIVE;
        self.socket.request(Message::new(RTM_NEWROUTE, flags, &header).attribute(RTA_GATEWAY, &gateway.octets()))
    }
}

// linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h
const NFTABLES: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = NFTABLES;
const DELETE_TABLE: u16 = NFTABLES | 2;
const NEW_CHAIN: u16 = NFTABLES | 3;
const NEW_RULE: u16 = NFTABLES | 6;
/// `struct nfgenmsg` for IPv4, and for the marks of a batch, which name the subsystem.
const IPV4: [u8; 4] = [AF_INET, 0, 0, 0];
const SUBSYSTEM: [u8; 4] = [0, 0, 0, 10];
const CHAIN: &str = "postrouting";

fn number(value: u32) -> [u8; 4] {
    value.to_be_bytes()
}

/// Adds a table with one rule: what comes from the network and leaves by another device gets that one's address.
pub(super) fn masquerade(netfilter: &Socket, network: Ipv4Addr) -> Result<(), Errno> {
    let table = Message::new(NEW_TABLE, ACK | CREATE, &IPV4).text(1, TABLE);
    let chain = Message::new(NEW_CHAIN, ACK | CREATE, &IPV4)
        .text(1, TABLE)
        .text(3, CHAIN)
        // The hook after routing, at the place of source translation (NF_IP_PRI_NAT_SRC).
        .nested(4, |hook| hook.attribute(1, &number(4)).attribute(2, &number(100)))
        .text(7, "nat");
    let mut device = [0; 16];
    device[..BRIDGE.len()].copy_from_slice(BRIDGE.as_bytes());
    let mask = u32::MAX << (32 - u32::from(PREFIX));
    let rule = Message::new(NEW_RULE, ACK | CREATE | APPEND, &IPV4).text(1, TABLE).text(2, CHAIN).nested(4, |list| {
        // Source address (offset 12 of the IPv4 header) into register 1.
        let list = expression(list, "payload", |data| {
            data.attribute(1, &number(1)).attribute(2, &number(1)).attribute(3, &number(12)).attribute(4, &number(4))
        });
        let list = expression(list, "bitwise", |data| {
            data.attribute(1, &number(1))
                .attribute(2, &number(1))
                .attribute(3, &number(4))
                .nested(4, |value| value.attribute(1, &number(mask)))
                .nested(5, |value| value.attribute(1, &number(0)))
        });
        let list = compare(list, 0, &network.octets());
        // NFT_META_OIFNAME
        let list = expression(list, "meta", |data| data.attribute(1, &number(1)).attribute(2, &number(7)));
        let list = compare(list, 1, &device);
        expression(list, "masq", |data| data)
    });
    let begin = Message::new(BATCH_BEGIN, 0, &SUBSYSTEM);
    netfilter.batch([begin, table, chain, rule, Message::new(BATCH_END, 0, &SUBSYSTEM)])
}

/// An element of a rule's list of expressions.
fn expression(list: Message, name: &str, fill: impl FnOnce(Message) -> Message) -> Message {
    list.nested(1, |element| element.text(1, name).nested(2, fill))
}

/// Compares register 1 with a value: operation 0 is "equal", 1 "not equal".
fn compare(list: Message, operation: u32, value: &[u8]) -> Message {
    expression(list, "cmp", |data| {
        data.attribute(1, &number(1)).attribute(2, &number(operation)).nested(3, |data| data.attribute(1, value))
    })
}

/// Removes the table; that there is none is fine.
pub(super) fn remove_masquerade(netfilter: &Socket) -> Result<(), Errno> {
    let begin = Message::new(BATCH_BEGIN, 0, &SUBSYSTEM);
    let table = Message::new(DELETE_TABLE, ACK, &IPV4).text(1, TABLE);
    match netfilter.batch([begin, table, Message::new(BATCH_END, 0, &SUBSYSTEM)]) {
        Err(Errno::NOENT) => Ok(()),
        answer => answer,
    }
}
