//! The text of the step's own /etc/hosts and /etc/resolv.conf (linux.md §1.4). Pure.

#![cfg(target_os = "linux")]

use std::fmt::Write;
use std::net::IpAddr;

/// What stands for the host's address in `--add-host`.
const HOST_GATEWAY: &str = "host-gateway";

/// The text of /etc/hosts: localhost and the host name, then the extra hosts in order. Names whose address is
/// `host-gateway` get `gateway`.
pub(super) fn hosts(hostname: &str, extra: &[(String, String)], gateway: Option<IpAddr>) -> String {
    let mut text = format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    let gateway = gateway.map(|gateway| gateway.to_string());
    for (name, address) in extra {
        let address = if address == HOST_GATEWAY { gateway.as_deref().unwrap_or("127.0.0.1") } else { address };
        // Writing to a string cannot fail.
        writeln!(text, "{address}\t{name}").ok();
    }
    text
}

/// Which name servers a step can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It shares the host's network: its loopback, too.
    Host,
    /// It has a network of its own.
    Own,
}

/// The text of /etc/resolv.conf, and whether no name server is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolver {
    pub(super) text: String,
    pub(super) is_empty: bool,
}

/// Makes the resolver's text from the host's, or from the servers the user gave.
pub(super) fn resolver(host: &str, given: &[IpAddr], reach: Reach) -> Resolver {
    let mut text = String::new();
    let mut servers = 0;
    for line in host.lines() {
        match name_server(line) {
            Some(_) if !given.is_empty() => {}
            Some(server) if reach == Reach::Own && is_loopback(server) => {}
            Some(_) => {
                servers += 1;
                text.push_str(line.trim_end());
                text.push('\n');
            }
            None if line.trim().is_empty() || line.starts_with(['#', ';']) => {}
            None => {
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
    }
    for server in given {
        servers += 1;
        writeln!(text, "nameserver {server}").ok();
    }
    Resolver { text, is_empty: servers == 0 }
}

/// Whether the only name server is systemd-resolved's stub, which a step with a network of its own cannot reach.
pub(super) fn is_resolved_stub(host: &str) -> bool {
    let mut servers = host.lines().filter_map(name_server);
    servers.next() == Some("127.0.0.53") && servers.next().is_none()
}

fn name_server(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    (words.next()? == "nameserver").then(|| words.next()).flatten()
}

fn is_loopback(server: &str) -> bool {
    let address = server.split('%').next().unwrap_or(server);
    address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_names_localhost_then_extras() {
        let extra = [("db".to_owned(), "10.0.0.9".to_owned()), ("up".to_owned(), "host-gateway".to_owned())];
        let text = hosts("buildkitsandbox", &extra, Some("10.63.0.1".parse().expect("address")));
        insta::assert_snapshot!(text, @r"
        127.0.0.1	localhost buildkitsandbox
        ::1	localhost ip6-localhost ip6-loopback
        10.0.0.9	db
        10.63.0.1	up
        ");
    }

    #[test]
    fn loopback_servers_are_dropped_unless_the_host_network_is_used() {
        let host = "# made\nsearch example.org\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.2\n";
        let own = resolver(host, &[], Reach::Own);
        assert_eq!(own.text, "search example.org\nnameserver 10.0.0.2\n");
        assert!(!own.is_empty);
        assert!(resolver(host, &[], Reach::Host).text.contains("127.0.0.53"));
    }

    #[test]
    fn given_servers_replace_the_hosts() {
        let host = "nameserver 10.0.0.2\noptions edns0\n";
        let resolver = resolver(host, &["9.9.9.9".parse().expect("address")], Reach::Own);
        assert_eq!(resolver.text, "options edns0\nnameserver 9.9.9.9\n");
    }

    #[test]
    fn no_server_left_is_told() {
        assert!(resolver("nameserver 127.0.0.1\n", &[], Reach::Own).is_empty);
        assert!(is_resolved_stub("nameserver 127.0.0.53\noptions edns0\n"));
        assert!(!is_resolved_stub("nameserver 127.0.0.53\nnameserver 10.0.0.2\n"));
    }
}
