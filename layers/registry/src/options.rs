use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use strake_layers::{Cancel, NoticeSink};

/// What a [`Client`](crate::Client) is made from. It reads no environment: the front end passes everything in.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Where credentials come from.
    pub credentials: CredentialSource,
    /// Folders with a subfolder for each `HOST:PORT` that holds `*.crt`, `client.cert` and `client.key`, as docker's
    /// `/etc/docker/certs.d`.
    pub certs_dirs: Vec<PathBuf>,
    /// Registries (`HOST` or `HOST:PORT`) that plain HTTP may be spoken with, beside loopback.
    pub insecure_registries: BTreeSet<String>,
    /// What to ask instead of a registry: `docker.io` → `["mirror.example:5000"]`. The registry itself comes last.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// The `User-Agent`.
    pub user_agent: String,
    /// Proxies.
    pub proxies: Proxies,
    /// Whether layers that a registry does not have may be fetched from the `urls` of their descriptor.
    pub foreign_urls: ForeignUrls,
    /// Time limits and retry.
    pub limits: Limits,
    /// Where warnings and progress go.
    pub notices: NoticeSink,
    /// The build's stop flag.
    pub cancel: Cancel,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            credentials: CredentialSource::default(),
            certs_dirs: Vec::new(),
            insecure_registries: BTreeSet::new(),
            mirrors: BTreeMap::new(),
            user_agent: concat!("strake/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxies: Proxies::default(),
            foreign_urls: ForeignUrls::Refused,
            limits: Limits::default(),
            notices: NoticeSink::silent(),
            cancel: Cancel::new(),
        }
    }
}

/// Whether the `urls` of a descriptor are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForeignUrls {
    /// Only the registry is asked.
    #[default]
    Refused,
    /// `https` addresses are asked after the registry said that it has not got the blob.
    Allowed,
}

/// Proxies for the two schemes; loopback is never reached through one.
#[derive(Clone, Default)]
pub struct Proxies {
    /// The value of `http_proxy`.
    pub http: Option<String>,
    /// The value of `https_proxy`.
    pub https: Option<String>,
    /// The value of `no_proxy`.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address of a proxy may hold a password.
        f.debug_struct("Proxies").field("http", &self.http.is_some()).field("https", &self.https.is_some()).finish()
    }
}

/// Where credentials come from: given ones first, then the files in order.
#[derive(Clone, Debug, Default)]
pub struct CredentialSource {
    /// Files in docker's `config.json` or containers' `auth.json` form. One that does not exist is skipped.
    pub files: Vec<PathBuf>,
    /// Credentials by `HOST` or `HOST:PORT`.
    pub given: BTreeMap<String, Credential>,
}

/// What proves an identity to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password or access token.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A refresh token (docker's `identitytoken`).
    IdentityToken(Secret),
    /// A ready bearer token (docker's `registrytoken`).
    RegistryToken(Secret),
}

/// A text that no log may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How long a silence may last, and how often something is tried again.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// Until the first byte of the answer.
    pub first_byte: Duration,
    /// Between two bytes of a body.
    pub idle: Duration,
    /// For the whole of one small document: a manifest, a token.
    pub document: Duration,
    /// For all attempts together while nothing moves at all.
    pub silence: Duration,
    /// How often something is tried before it fails.
    pub attempts: u32,
    /// The first back-off; it doubles from there.
    pub backoff: Duration,
    /// The longest back-off.
    pub backoff_cap: Duration,
    /// The longest wait that a `Retry-After` is obeyed for.
    pub retry_after_cap: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            document: Duration::from_secs(120),
            silence: Duration::from_secs(80),
            attempts: 6,
            backoff: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(10),
            retry_after_cap: Duration::from_secs(60),
        }
    }
}
