//! Netlink as far as the step network needs it: requests with attributes, and their acknowledgements
//! (netlink(7), Documentation/userspace-api/netlink/intro.rst).

#![cfg(target_os = "linux")]

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

/// Flags of requests (linux/netlink.h, `NLM_F_*`).
pub(super) const REQUEST: u16 = 0x1;
pub(super) const ACK: u16 = 0x4;
pub(super) const EXCLUSIVE: u16 = 0x200;
pub(super) const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`: a rule goes to the end of its chain.
pub(super) const APPEND: u16 = 0x800;

/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;
/// `NLMSG_ERROR`, whose error 0 acknowledges.
const ERROR: u16 = 2;
/// The size of `struct nlmsghdr`.
const HEADER: usize = 16;

/// A message that is being built.
#[derive(Debug)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Starts a message of a type, with the header of its family.
    pub(super) fn new(kind: u16, flags: u16, family_header: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags | REQUEST).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(family_header);
        Self(bytes)
    }

    /// Adds an attribute.
    #[must_use]
    pub(super) fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.pad();
        self
    }

    /// Adds an attribute that is a text with its NUL.
    #[must_use]
    pub(super) fn text(self, kind: u16, value: &str) -> Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Adds an attribute that holds others.
    #[must_use]
    pub(super) fn nested(mut self, kind: u16, fill: impl FnOnce(Self) -> Self) -> Self {
        let start = self.0.len();
        self.0.extend([0; 4]);
        let mut filled = fill(self);
        let length = u16::try_from(filled.0.len() - start).unwrap_or(u16::MAX).to_ne_bytes();
        let kind = (kind | NESTED).to_ne_bytes();
        filled.0.splice(start..start + 4, length.into_iter().chain(kind));
        filled
    }

    /// Adds bytes that are no attribute: the header of a nested message.
    #[must_use]
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self.pad();
        self
    }

    fn pad(&mut self) {
        while !self.0.len().is_multiple_of(4) {
            self.0.push(0);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.splice(0..4, length.to_ne_bytes());
        self.0
    }
}

/// A netlink socket. It belongs to the network namespace of the thread that opened it.
#[derive(Debug)]
pub(super) struct Socket(pub(super) OwnedFd);

impl Socket {
    /// Opens one for links, addresses and routes.
    pub(super) fn route() -> Result<Self, Errno> {
        // NETLINK_ROUTE is protocol 0, which is what no protocol means.
        Self::open(None)
    }

    /// Opens one for netfilter.
    pub(super) fn netfilter() -> Result<Self, Errno> {
        Self::open(Some(netlink::NETFILTER))
    }

    fn open(protocol: Option<rustix::net::Protocol>) -> Result<Self, Errno> {
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol).map(Self)
    }

    /// Sends a request and waits for its acknowledgement.
    pub(super) fn request(&self, message: Message) -> Result<(), Errno> {
        self.batch([message])
    }

    /// Sends requests as one datagram. The kernel answers while it is sent, so whatever is there afterwards is the
    /// whole answer; the first error in it counts.
    pub(super) fn batch(&self, messages: impl IntoIterator<Item = Message>) -> Result<(), Errno> {
        let bytes: Vec<u8> = messages.into_iter().flat_map(Message::finish).collect();
        send(&self.0, &bytes, SendFlags::empty())?;
        let mut buffer = [0; 8192];
        let mut first = Ok(());
        loop {
            let count = match recv(&self.0, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((count, _)) => count,
                Err(Errno::AGAIN) => return first,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            first = first.and(answer(buffer.get(..count).unwrap_or_default()));
        }
    }
}

/// The first error in a datagram of answers.
fn answer(mut bytes: &[u8]) -> Result<(), Errno> {
    while let Some((header, rest)) = bytes.split_at_checked(HEADER) {
        let [l0, l1, l2, l3, k0, k1, ..] = *header else { break };
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        if u16::from_ne_bytes([k0, k1]) == ERROR
            && let Some([e0, e1, e2, e3, ..]) = rest.get(..4)
        {
            let error = i32::from_ne_bytes([*e0, *e1, *e2, *e3]);
            if error != 0 {
                return Err(Errno::from_raw_os_error(-error));
            }
        }
        if length < HEADER {
            break;
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nested_ones_know_their_length() {
        let message = Message::new(16, ACK, &[]).nested(1, |inner| inner.text(2, "abc").attribute(3, &[9]));
        let bytes = message.finish();
        assert_eq!(bytes.len(), 16 + 4 + 8 + 8);
        assert_eq!(bytes[..4], 36u32.to_ne_bytes());
        assert_eq!(bytes[16..18], 20u16.to_ne_bytes());
        assert_eq!(bytes[18..20], 0x8001u16.to_ne_bytes());
        assert_eq!(bytes[28..30], 5u16.to_ne_bytes());
    }

    #[test]
    fn the_first_error_of_an_answer_counts() {
        let mut bytes = Vec::new();
        for error in [0i32, -17, -1] {
            bytes.extend(36u32.to_ne_bytes());
            bytes.extend(2u16.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(error.to_ne_bytes());
            bytes.extend([0; 16]);
        }
        assert_eq!(answer(&bytes), Err(Errno::EXIST));
        assert_eq!(answer(&bytes[..36]), Ok(()));
        assert_eq!(answer(&[1, 2, 3]), Ok(()));
    }
}
