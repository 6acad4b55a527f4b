//! The client against the real program `docker-registry`, where there is one.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use strake_layers::{Descriptor, ImageFormat, Manifest, MediaType, Platform, PlatformMatcher, Reference};
use strake_registry::{Client, ClientOptions, Error, ImagePush, Pushed};

use crate::mock::{noise, store};

/// A registry that ends with the test.
struct Real {
    child: Child,
    address: String,
    _dir: tempfile::TempDir,
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts the program on a free port; `None` where there is none. `tls` is the end of its configuration.
async fn start(dir: tempfile::TempDir, tls: &str) -> Option<Real> {
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
    let real = Real { child, address, _dir: dir };
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
    let Some(real) = start(tempfile::tempdir().unwrap(), "").await else { return };
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

/// Makes a certificate for 127.0.0.1 and its key; `None` where there is no `openssl`.
fn make_certificate(dir: &std::path::Path) -> Option<()> {
    let run = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=strake test", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(dir)
        .stderr(Stdio::null())
        .status();
    match run {
        Ok(status) if status.success() => Some(()),
        other => {
            println!("skipped: openssl made no certificate: {other:?}");
            None
        }
    }
}

#[tokio::test]
async fn a_certificate_of_its_own_is_trusted_by_folder_only() {
    let dir = tempfile::tempdir().unwrap();
    if make_certificate(dir.path()).is_none() {
        return;
    }
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let tls = format!("  tls:\n    certificate: {}\n    key: {}\n", certificate.display(), key.display());
    let Some(real) = start(dir, &tls).await else { return };
    let name = Reference::parse(&format!("{}/a:1", real.address)).unwrap();
    // Loopback, where plain HTTP is allowed: a certificate that does not verify is refused all the same.
    let error = Client::new(ClientOptions::default()).check_push(&name).await.unwrap_err();
    assert!(matches!(error, Error::Certificate(_)), "{error}");
    assert!(error.help().unwrap().contains("certs.d"), "{error}");

    let certs = tempfile::tempdir().unwrap();
    let by_name = real.address.replace("127.0.0.1", "localhost");
    for address in [&real.address, &by_name] {
        let folder = certs.path().join(address);
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
