//! The client against the real program `docker-registry`.
//!
//! A test starts one of its own, except where none can be: under Wine `cargo xtask windows` starts them on the Linux host
//! and names their addresses by [`PLAIN`] and [`SECURE`].

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use strake_layers::{Descriptor, ImageFormat, Manifest, MediaType, Platform, PlatformMatcher, Reference};
use strake_registry::{Client, ClientOptions, Error, ImagePush, Pushed};

use crate::mock::{noise, store};

/// Names the variable with the address of an empty registry that speaks HTTP.
const PLAIN: &str = "STRAKE_TEST_REGISTRY";

/// Names the variable with the address of a registry that has the certificate in `tls`.
const SECURE: &str = "STRAKE_TEST_REGISTRY_TLS";

/// A registry that ends with the test, if the test started it.
struct Real {
    child: Option<Child>,
    address: String,
    _dir: Option<tempfile::TempDir>,
}

impl Drop for Real {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Gives the registry that `variable` names or starts one on a free port; `None` where there is no such program. `tls` is
/// the end of its configuration.
async fn start(variable: &str, tls: &str) -> Option<Real> {
    if let Ok(address) = std::env::var(variable) {
        return Some(Real { child: None, address, _dir: None });
    }
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let config = dir.path().join("config.yml");
    let data = dir.path().join("data");
    let text = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n{tls}",
        data.display()
    );
    std::fs::write(&config, text).unwrap();
    let child =
        Command::new("docker-registry").arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = match child {
        Ok(child) => child,
        Err(error) => {
            println!("skipped: docker-registry cannot be started: {error}");
            return None;
        }
    };
    let real = Real { child: Some(child), address, _dir: Some(dir) };
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(&real.address).await.is_ok() {
            return Some(real);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("docker-registry did not open its port within 10 s");
}

#[tokio::test]
async fn docker_registry_takes_an_image_and_gives_it_back() {
    let Some(real) = start(PLAIN, "").await else { return };
    let (_dir, mine) = store();
    let layer = noise(5 << 20);
    let layer = Descriptor::new(MediaType::OCI_LAYER_GZIP, mine.put(&layer).unwrap(), layer.len() as u64);
    let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = Descriptor::new(MediaType::OCI_CONFIG, mine.put(config).unwrap(), config.len() as u64);
    let blobs = [config.clone(), layer.clone()];
    let manifest = Manifest::new(config.clone(), vec![layer.clone()], ImageFormat::Oci).into_raw().unwrap();
    let client = Client::new(ClientOptions::default());
    let name = Reference::parse(&format!("{}/team/app:1", real.address)).unwrap();
    client.check_push(&name).await.unwrap();
    let image = ImagePush { media_type: &manifest.media_type, manifest: &manifest.bytes, blobs: &blobs, bases: &[] };
    let digest = client.push_image(&name, &image, &mine).await.unwrap();
    assert_eq!(digest, manifest.digest);

    // Another repository of the same registry takes the layer from the first.
    let other = Reference::parse(&format!("{}/team/other:1", real.address)).unwrap();
    let pushed = client.push_blob(&other, &layer, &mine, std::slice::from_ref(&name)).await.unwrap();
    assert_eq!(pushed, Pushed::Mounted);

    let (_dir, theirs) = store();
    let fresh = Client::new(ClientOptions::default());
    let matcher = PlatformMatcher::new(&Platform::new("linux", "amd64"));
    let found = fresh.resolve(&name, &matcher, Some(&theirs)).await.unwrap();
    assert_eq!(found.manifest.digest, manifest.digest);
    assert!(found.index.is_none());
    fresh.fetch_blob(&name, &found.manifest.value.layers[0], &theirs).await.unwrap();
    assert_eq!(theirs.size(&layer.digest), Some(layer.size));
    let config = fresh.fetch_document(&name, &found.manifest.value.config, 1 << 20).await.unwrap();
    assert!(config.starts_with(b"{\"architecture\""));
    let missing = Reference::parse(&format!("{}/team/app:none", real.address)).unwrap();
    let error = fresh.resolve(&missing, &matcher, None).await.unwrap_err();
    assert!(error.to_string().contains("manifest unknown"), "{error}");
}

/// A file of the certificate for 127.0.0.1, made as by `openssl req -x509`: valid from 2020 to 2120, its own authority,
/// and its key guards nothing.
fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/registry_faults/tls").join(name)
}

#[tokio::test]
async fn a_certificate_of_its_own_is_trusted_by_folder_only() {
    let (certificate, key) = (tls_file("cert.pem"), tls_file("key.pem"));
    let tls = format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display());
    let Some(real) = start(SECURE, &tls).await else { return };
    let name = Reference::parse(&format!("{}/a:1", real.address)).unwrap();
    // Loopback, where plain HTTP is allowed: a certificate that does not verify is refused all the same.
    let error = Client::new(ClientOptions::default()).check_push(&name).await.unwrap_err();
    assert!(matches!(error, Error::Certificate(_)), "{error}");
    assert!(error.help().unwrap().contains("certs.d"), "{error}");

    let certs = tempfile::tempdir().unwrap();
    let by_name = real.address.replace("127.0.0.1", "localhost");
    for address in [&real.address, &by_name] {
        // Names of files hold no colon on Windows; the client knows the folder by both spellings.
        let folder = certs.path().join(address.replace(':', ""));
        std::fs::create_dir(&folder).unwrap();
        std::fs::copy(&certificate, folder.join("ca.crt")).unwrap();
    }
    let options = ClientOptions { certs_dirs: vec![certs.path().to_owned()], ..ClientOptions::default() };
    let client = Client::new(options);
    client.check_push(&name).await.unwrap();
    let other = Reference::parse(&format!("{by_name}/a:1")).unwrap();
    let error = client.check_push(&other).await.unwrap_err();
    assert!(matches!(error, Error::Certificate(_)), "the certificate is for another name: {error}");
}
