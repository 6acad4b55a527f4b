//! What the engine is opened with: read from flags and environment, here alone.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use strake::{ClientOptions, CredentialSource, Proxies, Settings};

use crate::args::StoreArgs;
use crate::sys;

/// Makes the settings.
pub(crate) fn make(store: &StoreArgs) -> Result<Settings> {
    let root = store.root.clone().filter(|root| !root.as_os_str().is_empty());
    let root = root.or_else(sys::default_root).ok_or_else(|| {
        anyhow!("there is no folder for the store: neither --root, STRAKE_ROOT, XDG_DATA_HOME nor HOME is set")
    })?;
    let root = std::path::absolute(&root)?;
    Ok(Settings { root, registry: registry(), ..Settings::default() })
}

fn registry() -> ClientOptions {
    let proxy = |lower: &str, upper: &str| text(lower).or_else(|| text(upper));
    ClientOptions {
        credentials: CredentialSource { files: credential_files(), ..CredentialSource::default() },
        certs_dirs: certs_dirs(),
        proxies: Proxies {
            http: proxy("http_proxy", "HTTP_PROXY"),
            https: proxy("https_proxy", "HTTPS_PROXY"),
            no_proxy: proxy("no_proxy", "NO_PROXY"),
        },
        ..ClientOptions::default()
    }
}

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn home() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
    home.filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// The files in which docker and podman keep credentials, the one that was named first.
fn credential_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    files.extend(text("REGISTRY_AUTH_FILE").map(PathBuf::from));
    match text("DOCKER_CONFIG") {
        Some(folder) => files.push(PathBuf::from(folder).join("config.json")),
        None => files.extend(home().map(|home| home.join(".docker/config.json"))),
    }
    files.extend(text("XDG_RUNTIME_DIR").map(|run| PathBuf::from(run).join("containers/auth.json")));
    files
}

/// Docker's folders of certificates (edges.md 11).
fn certs_dirs() -> Vec<PathBuf> {
    let mut folders = vec![PathBuf::from("/etc/docker/certs.d")];
    folders.extend(home().map(|home| home.join(".docker/certs.d")));
    folders
}
