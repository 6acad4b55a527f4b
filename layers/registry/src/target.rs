//! The names of registries: what the user writes, what is connected to, what credentials are filed under.

use std::net::IpAddr;

use reqwest::Url;

/// A registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Registry {
    /// As the user names it: `docker.io`.
    pub(crate) name: String,
    /// As it is connected to: `registry-1.docker.io`, `localhost:5000`.
    pub(crate) authority: String,
}

/// What Docker Hub's credentials are filed under, a name from the days of its first protocol.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The other names of Docker Hub.
const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

impl Registry {
    pub(crate) fn new(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let hub = HUB_NAMES.contains(&name.as_str());
        let authority = if hub { "registry-1.docker.io".to_owned() } else { name.clone() };
        Self { name: if hub { "docker.io".to_owned() } else { name }, authority }
    }

    /// The server URL that credential helpers are asked for.
    pub(crate) fn helper_key(&self) -> &str {
        if self.name == "docker.io" { HUB_KEY } else { &self.authority }
    }

    /// Tells whether a key of a configuration file (`auths`, `credHelpers`) means this registry.
    pub(crate) fn is_named(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        if self.name == "docker.io" {
            return HUB_NAMES.contains(&authority.as_str());
        }
        let strip = |text: &str| text.strip_suffix(":443").map(str::to_owned);
        authority == self.authority
            || strip(&authority).is_some_and(|host| host == self.authority)
            || strip(&self.authority).is_some_and(|host| host == authority)
    }

    /// Tells whether it is on this machine or its network, as far as its name says so.
    pub(crate) fn is_private(&self) -> bool {
        Url::parse(&format!("http://{}", self.authority)).is_ok_and(|url| is_private(&url))
    }
}

/// Tells whether a URL names this machine: 127.0.0.0/8, ::1, localhost.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Tells whether a URL names an address that only this machine or its network reaches.
pub(crate) fn is_private(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return true };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => is_private_address(address),
        Err(_) => is_loopback(url),
    }
}

/// Loopback, link-local, private and unspecified addresses (RFC 6890), also as IPv4 within IPv6.
pub(crate) fn is_private_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
        }
    }
}

/// The host with its port where the URL names one: the key of clients, credentials and messages.
pub(crate) fn authority_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Tells whether two URLs lead to the same scheme, host and port.
pub(crate) fn is_same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host_str() == b.host_str() && a.port_or_known_default() == b.port_or_known_default()
}

/// A URL without what may be secret in it: user, password, query, fragment.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Both fail for URLs that have no place for a user, and those need no cutting.
    let _ = (url.set_username(""), url.set_password(None));
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_has_many_names_and_one_key() {
        for name in HUB_NAMES {
            let hub = Registry::new(name);
            assert_eq!(hub.authority, "registry-1.docker.io");
            assert_eq!(hub.helper_key(), "https://index.docker.io/v1/");
            assert!(hub.is_named("index.docker.io"));
        }
        assert!(!Registry::new("docker.io.example").is_named("docker.io"));
    }

    #[test]
    fn another_port_is_another_registry() {
        let registry = Registry::new("r.example:5000");
        assert!(registry.is_named("R.example:5000"));
        assert!(!registry.is_named("r.example"));
        assert!(Registry::new("r.example").is_named("r.example:443"));
    }

    #[test]
    fn loopback_and_private_addresses_are_known() {
        for name in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(&Url::parse(&format!("http://{name}")).unwrap()), "{name}");
        }
        for name in ["localhost.example", "128.0.0.1", "10.0.0.1"] {
            assert!(!is_loopback(&Url::parse(&format!("http://{name}")).unwrap()), "{name}");
        }
        for url in [
            "https://10.1.1.1/",
            "https://169.254.169.254/",
            "https://[fe80::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://localhost/",
        ] {
            assert!(is_private(&Url::parse(url).unwrap()), "{url}");
        }
        assert!(!is_private(&Url::parse("https://93.184.216.34/").unwrap()));
    }

    #[test]
    fn shown_urls_hold_no_secret() {
        let url = Url::parse("https://user:hidden@h.example:8/a/b?X-Amz-Signature=hidden#hidden").unwrap();
        assert_eq!(shown(&url), "https://h.example:8/a/b");
    }
}
