//! TLS settings: the machine's roots, and docker's folders of certificates for single registries.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
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

/// Makes the settings of connections that never speak TLS: reading the machine's roots costs more than all the rest.
pub(crate) fn config_without_roots() -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Internal(format!("TLS versions: {error}")))?;
    Ok(versions.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
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
    let wants_certificate = match server_verifier(&authorities, provider) {
        Some(verifier) => {
            let verifier = ListedVerifier { inner: verifier, listed: authorities };
            versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        // A machine without any root, as small containers are, reaches no host over TLS, but the others still.
        None => versions.with_root_certificates(RootCertStore::empty()),
    };
    match client {
        None => Ok(wants_certificate.with_no_client_auth()),
        Some((chain, key)) => wants_certificate
            .with_client_auth_cert(chain, key)
            .map_err(|error| Error::Configuration(format!("cannot use the client certificate: {error}"))),
    }
}

/// The machine's own verifier with further authorities; on a machine without roots these alone.
fn server_verifier(
    authorities: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Option<Arc<dyn ServerCertVerifier>> {
    if let Ok(verifier) = Verifier::new_with_extra_roots(authorities.iter().cloned(), provider.clone()) {
        return Some(Arc::new(verifier));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities.iter().cloned());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
    Some(verifier)
}

/// Accepts a server whose very certificate is listed as an authority.
///
/// A certificate as `openssl req -x509` makes it is its own authority, and docker's documentation tells to put it into
/// the folder as it is. Go takes it; rustls refuses an authority's certificate as a server's, and with good reason where
/// somebody else signed it.
#[derive(Debug)]
struct ListedVerifier {
    inner: Arc<dyn ServerCertVerifier>,
    listed: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for ListedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Err(error) = verified else { return verified };
        // Only this refusal is lifted. It comes after the dates were checked and before the name was; the type behind it
        // is not rustls' own, so its name is what there is to tell it by.
        let is_lifted =
            error.to_string().contains("CaUsedAsEndEntity") && self.listed.iter().any(|listed| listed == end_entity);
        if !is_lifted {
            return Err(error);
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
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
