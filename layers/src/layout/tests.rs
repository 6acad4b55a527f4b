use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::{Cancel, Platform, PlatformMatcher, assemble_index, assemble_manifest};

struct Fixture {
    dir: tempfile::TempDir,
    store: BlobStore,
    manifest: Raw<Manifest>,
    layer: Digest,
}

/// A store with an image of one layer.
fn fixture() -> Fixture {
    let dir = tempfile::tempdir().expect("a folder");
    let store = BlobStore::open(dir.path().join("store")).expect("a store");
    let layer = store.put(b"not really a layer").expect("kept");
    let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    store.put(config).expect("kept");
    let descriptor = Descriptor::new(MediaType::OCI_LAYER_GZIP, layer.clone(), 18);
    let manifest = assemble_manifest(config, &[descriptor], BTreeMap::new(), ImageFormat::Oci).expect("valid");
    store.put(&manifest.bytes).expect("kept");
    Fixture { dir, store, manifest, layer }
}

impl Fixture {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn image(&self, names: &[&str]) -> LayoutImage {
        let names = names.iter().map(|name| name.parse().expect("a reference")).collect();
        LayoutImage { descriptor: self.manifest.descriptor(), names, created: Some("1970-01-01T00:00:00Z".to_owned()) }
    }

    fn layout(&self, images: Vec<LayoutImage>) -> Layout<'_> {
        Layout::collect(&self.store, images).expect("all there")
    }

    fn tar(&self, names: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.layout(vec![self.image(names)]).write_tar(&mut bytes, &Cancel::new()).expect("written");
        bytes
    }

    fn open(&self, path: &Path) -> Result<OciLayout> {
        OciLayout::open(path, self.dir.path(), &Cancel::new())
    }
}

/// Names, modes and times of the members of a tar, as the crate `tar` sees them.
fn members(bytes: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().expect("a tar");
    let shown = entries.map(|entry| {
        let entry = entry.expect("a member");
        let header = entry.header();
        let mode = header.mode().expect("a mode");
        let time = header.mtime().expect("a time");
        format!("{} {mode:o} {time} {}", entry.path().expect("a path").display(), entry.size())
    });
    shown.collect()
}

fn matcher() -> PlatformMatcher {
    PlatformMatcher::new(&Platform::new("linux", "amd64"))
}

#[test]
fn tar_is_sorted_and_equal_for_equal_images() {
    let fixture = fixture();
    let bytes = fixture.tar(&["busybox:1"]);
    assert_eq!(bytes, fixture.tar(&["busybox:1"]));
    let names = members(&bytes);
    assert_eq!(names.len(), 7);
    assert_eq!(names[..2], ["blobs/ 755 0 0", "blobs/sha256/ 755 0 0"]);
    assert!(names[2..5].is_sorted() && names.contains(&format!("blobs/sha256/{} 644 0 18", fixture.layer.hex())));
    assert!(names[5].starts_with("index.json 644 0 ") && names[6] == "oci-layout 644 0 30", "{names:?}");
    assert!(bytes.len().is_multiple_of(512) && bytes.ends_with(&[0; 1024]));
}

#[test]
fn folder_and_tar_are_read_back() {
    let fixture = fixture();
    let (folder, tar) = (fixture.path("folder"), fixture.path("tar"));
    fixture.layout(vec![fixture.image(&["busybox:1"])]).write_folder(&folder, &Cancel::new()).expect("written");
    fs::write(&tar, fixture.tar(&["busybox:1"])).expect("written");
    for path in [folder, tar] {
        let layout = fixture.open(&path).expect("a layout");
        let found = layout.find(Some("1"), None).expect("tagged");
        assert_eq!(found.annotations["io.containerd.image.name"], "docker.io/library/busybox:1");
        assert_eq!(found.annotations["org.opencontainers.image.created"], "1970-01-01T00:00:00Z");
        assert_eq!(layout.find(None, None).expect("the only one"), found);
        assert_eq!(layout.find(None, Some(&fixture.manifest.digest)).expect("by digest"), found);
        let target = BlobStore::open(fixture.path("target")).expect("a store");
        let image = layout.import(&found, &matcher(), &target, &Cancel::new()).expect("imported");
        assert_eq!(image.manifest.bytes, fixture.manifest.bytes);
        assert_eq!(image.config.value.architecture, "amd64");
        assert!(target.contains(&fixture.layer));
        let message = layout.find(Some("2"), None).expect_err("no such tag").to_string();
        assert!(message.contains("\"2\"") && message.ends_with("its tags are: 1"), "{message}");
        assert!(layout.find(None, Some(&Digest::of(b"else"))).is_err());
        fs::remove_dir_all(fixture.path("target")).expect("removed");
    }
}

#[test]
fn docker_archive_lists_its_images() {
    let fixture = fixture();
    let image = fixture.image(&["busybox:1", "localhost:5000/a/b"]);
    let mut bytes = Vec::new();
    fixture.layout(vec![image]).write_docker_archive(&mut bytes, &Cancel::new()).expect("written");
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut entries = archive.entries().expect("a tar").map(|entry| entry.expect("a member"));
    let mut entry =
        entries.find(|entry| entry.path().is_ok_and(|path| path.ends_with("manifest.json"))).expect("there");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut entry, &mut text).expect("read");
    let config = &fixture.manifest.value.config.digest;
    assert_eq!(
        text,
        format!(
            r#"[{{"Config":"blobs/sha256/{}","RepoTags":["busybox:1","localhost:5000/a/b:latest"],"Layers":["blobs/sha256/{}"]}}]"#,
            config.hex(),
            fixture.layer.hex()
        )
    );
}

#[test]
fn index_is_written_whole_and_read_by_platform() {
    let fixture = fixture();
    let mut image = fixture.manifest.descriptor();
    image.platform = Some(Platform::new("linux", "amd64"));
    let index = assemble_index(vec![image], BTreeMap::new(), ImageFormat::Oci).expect("valid");
    fixture.store.put(&index.bytes).expect("kept");
    let image = LayoutImage { descriptor: index.descriptor(), names: Vec::new(), created: None };
    let layout = fixture.layout(vec![image]);
    let refused = layout.write_docker_archive(&mut Vec::new(), &Cancel::new()).expect_err("an index").to_string();
    insta::assert_snapshot!(refused, @"a docker archive holds one platform only: build for one, leave attestations out, or use the output type=oci");
    let path = fixture.path("folder");
    layout.write_folder(&path, &Cancel::new()).expect("written");
    let layout = fixture.open(&path).expect("a layout");
    let found = layout.find(None, None).expect("the only one");
    let target = BlobStore::open(fixture.path("target")).expect("a store");
    assert!(layout.import(&found, &matcher(), &target, &Cancel::new()).is_ok());
    let other = PlatformMatcher::new(&Platform::new("linux", "s390x"));
    let message = layout.import(&found, &other, &target, &Cancel::new()).expect_err("not offered").to_string();
    assert!(message.contains("linux/s390x") && message.contains("linux/amd64"), "{message}");
    assert_eq!(layout.find(None, Some(&fixture.manifest.digest)).expect("inside").digest, fixture.manifest.digest);
}

#[test]
fn images_of_other_names_stay_in_a_folder() {
    let fixture = fixture();
    let path = fixture.path("folder");
    for names in [&["a:1"][..], &["b:1"], &["a:1"], &[], &[]] {
        fixture.layout(vec![fixture.image(names)]).write_folder(&path, &Cancel::new()).expect("written");
    }
    let layout = fixture.open(&path).expect("a layout");
    assert_eq!(layout.index().manifests.len(), 3);
    let left = fs::read_dir(&path).expect("read").count();
    assert_eq!(left, 3, "blobs, index.json and oci-layout");
}

#[test]
fn missing_blobs_leave_nothing_behind() {
    let fixture = fixture();
    let image = fixture.image(&[]);
    let layout = fixture.layout(vec![image.clone()]);
    fixture.store.remove(&fixture.layer).expect("removed");
    let path = fixture.path("folder");
    insta::assert_snapshot!(layout.write_folder(&path, &Cancel::new()).expect_err("a blob is missing"), @"blob sha256:3acc2385b8944a82d4f820493763955e9e84c6e3a28201626155c0fe49792b06 is not in the store");
    assert!(!path.exists());
    assert!(matches!(Layout::collect(&fixture.store, vec![image]), Err(Error::BlobMissing(_))));
    let stray = fs::read_dir(fixture.dir.path()).expect("read").count();
    assert_eq!(stray, 1, "only the store");
}

#[test]
fn foreign_layers_may_be_missing() {
    let fixture = fixture();
    let config = br#"{"architecture":"amd64","os":"windows"}"#;
    let mut foreign = Descriptor::of(MediaType::DOCKER_FOREIGN_LAYER_GZIP, b"elsewhere");
    foreign.urls.push("https://example.com/layer".to_owned());
    let manifest = assemble_manifest(config, &[foreign], BTreeMap::new(), ImageFormat::Docker).expect("valid");
    fixture.store.put(config).expect("kept");
    fixture.store.put(&manifest.bytes).expect("kept");
    let image = LayoutImage { descriptor: manifest.descriptor(), names: Vec::new(), created: None };
    let path = fixture.path("folder");
    fixture.layout(vec![image]).write_folder(&path, &Cancel::new()).expect("written");
    let layout = fixture.open(&path).expect("a layout");
    let target = BlobStore::open(fixture.path("target")).expect("a store");
    let found = layout.find(None, None).expect("the only one");
    assert!(layout.import(&found, &matcher(), &target, &Cancel::new()).is_ok());
}

#[test]
fn damaged_and_strange_layouts_are_refused_by_name() {
    let fixture = fixture();
    let path = fixture.path("folder");
    fixture.layout(vec![fixture.image(&[])]).write_folder(&path, &Cancel::new()).expect("written");
    let target = BlobStore::open(fixture.path("target")).expect("a store");
    let import = || {
        let layout = fixture.open(&path)?;
        layout.import(&layout.find(None, None)?, &matcher(), &target, &Cancel::new())
    };
    let layer = path.join(blob_name(&fixture.layer));
    for damaged in [&b"not really a layes"[..], b"short", &[b'x'; 100]] {
        fs::write(&layer, damaged).expect("written");
        let message = import().expect_err("damaged").to_string();
        assert!(message.contains(&fixture.layer.hex()), "{message}");
        assert!(!target.contains(&fixture.layer));
    }
    fs::remove_file(&layer).expect("removed");
    fs::create_dir(&layer).expect("made");
    assert!(import().is_err());
    fs::write(path.join("index.json"), "{").expect("written");
    assert!(import().expect_err("no JSON").to_string().contains("index.json"));
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"9"}"#).expect("written");
    assert!(import().expect_err("unknown").to_string().contains("oci-layout"));
    let plain = fixture.path("plain");
    fs::write(&plain, "text").expect("written");
    assert!(fixture.open(&plain).expect_err("no tar").to_string().contains("no OCI layout"));
    assert!(fixture.open(&fixture.path("none")).is_err());
}
