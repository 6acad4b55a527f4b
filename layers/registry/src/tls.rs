//! TLS settings: the machine's roots, and docker's folders of certificates for single registries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::error::{Error, Result};

/// The most bytes of a certificate or key file.
const FILE_LIMIT: u64 = 1 << 20;

/// The certificates for one registry.
#[derive(Debug, Default)]
pub(crate) struct HostCertificates {
    authorities: Vec<CertificateDer<'static>>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// Makes the settings for connections. Only HTTP/1.1 is offered, see `transport`.
///
/// The provider is passed explicitly: nothing depends on which one some other part of the process installed.
pub(crate) fn client_config(certificates: HostCertificates) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Internal(format!("TLS versions: {error}")))?;
    let HostCertificates { authorities, client } = certificates;
    let wants_certificate = match platform_verifier(&authorities, provider) {
        Some(verifier) => versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier)),
        None => {
            // A machine without roots, as many small containers are, can still reach hosts with a folder of their own.
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities);
            versions.with_root_certificates(roots)
        }
    };
    match client {
        None => Ok(wants_certificate.with_no_client_auth()),
        Some((chain, key)) => wants_certificate
            .with_client_auth_cert(chain, key)
            .map_err(|error| Error::Configuration(format!("cannot use the client certificate: {error}"))),
    }
}

fn platform_verifier(authorities: &[CertificateDer<'static>], provider: Arc<CryptoProvider>) -> Option<Verifier> {
    Verifier::new_with_extra_roots(authorities.iter().cloned(), provider).ok()
}

/// Reads the folder of a registry; `None` where no directory has one.
///
/// As docker does (dockerd, registry/config.go): `*.crt` are authorities, `*.cert` with its `*.key` the client's own. On
/// hosts whose file names hold no colon the folder of `HOST:PORT` is `HOSTPORT`.
pub(crate) fn read_certificates(dirs: &[PathBuf], authority: &str) -> Result<Option<HostCertificates>> {
    if authority.contains(['/', '\\']) || authority.starts_with('.') {
        return Ok(None);
    }
    for dir in dirs {
        for name in [authority.to_owned(), authority.replace(':', "")] {
            let folder = dir.join(name);
            if folder.is_dir() {
                return read_folder(&folder).map(Some);
            }
        }
    }
    Ok(None)
}

fn read_folder(folder: &Path) -> Result<HostCertificates> {
    let entries = std::fs::read_dir(folder).map_err(|error| unusable(folder, &error.to_string()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| unusable(folder, &error.to_string()))?.path());
    }
    paths.sort();
    let mut found = HostCertificates::default();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => found.authorities.extend(read_chain(&path)?),
            Some("cert") if found.client.is_none() => {
                let key_path = path.with_extension("key");
                let key = PrivateKeyDer::from_pem_slice(&read_limited(&key_path)?)
                    .map_err(|error| unusable(&key_path, &format!("no private key in PEM form: {error}")))?;
                found.client = Some((read_chain(&path)?, key));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read_limited(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(path, &format!("no certificate in PEM form: {error}")))?;
    if chain.is_empty() {
        return Err(unusable(path, "it holds no certificate in PEM form"));
    }
    Ok(chain)
}

fn read_limited(path: &Path) -> Result<Vec<u8>> {
    let meta = std::fs::metadata(path).map_err(|error| unusable(path, &error.to_string()))?;
    if !meta.is_file() || meta.len() > FILE_LIMIT {
        return Err(unusable(path, "it is not a regular file of at most 1 MiB"));
    }
    std::fs::read(path).map_err(|error| unusable(path, &error.to_string()))
}

fn unusable(path: &Path, cause: &str) -> Error {
    Error::Configuration(format!("cannot use the certificates in {}: {cause}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_can_be_configured_on_any_machine() {
        assert!(client_config(HostCertificates::default()).is_ok());
    }

    #[test]
    fn folders_are_found_by_host_and_port_and_broken_files_named() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = [dir.path().to_owned()];
        assert!(read_certificates(&dirs, "h.example:5000").unwrap().is_none());
        let folder = dir.path().join("h.example5000");
        std::fs::create_dir(&folder).unwrap();
        assert!(read_certificates(&dirs, "h.example:5000").unwrap().is_some());
        assert!(read_certificates(&dirs, "..").unwrap().is_none());
        std::fs::write(folder.join("ca.crt"), "no certificate").unwrap();
        let error = read_certificates(&dirs, "h.example:5000").unwrap_err().to_string();
        assert!(error.contains("ca.crt"), "{error}");
    }
}
