use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use strake_layers::{
    Cancel, Compression, Descriptor, Entry, ErrorKind, ImageConfig, ImageFormat, ImagePath, Layer, LayerOptions,
    LayerSource, Layout, LayoutImage, Manifest, Metadata, Platform, Raw, assemble_manifest, write_layer,
};
use strake_parser::{SourceText, Span};
use strake_registry::{Client, ClientOptions};
use strake_snapshotter::{ImageRecord, Store, StoreOptions};

use super::{Resolver, Unresolved};
use crate::plan::{ImageKey, ImageRequest, ImageSource};
use crate::{Error, Finding};

fn platform() -> Platform {
    Platform::new("linux", "amd64")
}

fn store(folder: &Path) -> Arc<Store> {
    Arc::new(Store::open(folder, StoreOptions::default()).expect("a store"))
}

fn resolver(store: &Arc<Store>) -> Resolver {
    let client = Client::new(ClientOptions::default());
    Resolver::new(Arc::new(client), Arc::clone(store), Cancel::new())
}

fn key(name: &str) -> ImageKey {
    ImageKey { source: ImageSource::Registry(name.parse().expect("reference")), platform: platform() }
}

/// Puts an image of one layer with one file into a store.
fn put_image(store: &Store) -> Raw<Manifest> {
    let path = ImagePath::parse("hello").expect("path");
    let entries = [Entry::inline_file(path, Metadata { mode: 0o644, ..Metadata::default() }, *b"hi\n")];
    let options = LayerOptions { compression: Compression::default(), clamp_mtime: None };
    let layer = write_layer(&entries, options, store.blobs(), &Cancel::new()).expect("a layer");
    let mut config = ImageConfig::scratch(&platform());
    config.diff_ids = vec![layer.diff_id.clone()];
    put_manifest(store, &config.to_json().expect("json"), &[layer.descriptor])
}

fn put_manifest(store: &Store, config: &[u8], layers: &[Descriptor]) -> Raw<Manifest> {
    store.blobs().put(config).expect("a blob");
    let manifest = assemble_manifest(config, layers, BTreeMap::new(), ImageFormat::Oci).expect("a manifest");
    store.blobs().put(&manifest.bytes).expect("a blob");
    manifest
}

fn keep(store: &Store, name: &str, manifest: &Raw<Manifest>) {
    let record = ImageRecord {
        name: name.to_owned(),
        manifest: manifest.descriptor(),
        blobs: vec![manifest.digest.clone()],
        layers: Vec::new(),
        created: 0,
    };
    store.put_image(&record).expect("a record");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_the_store_is_found_without_a_registry() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path());
    let manifest = put_image(&store);
    keep(&store, "docker.io/library/app:dev", &manifest);
    let resolver = resolver(&store);
    let image = resolver.resolve(&key("app:dev"), false).await.expect("resolves");
    assert_eq!(image.manifest.digest, manifest.digest);
    assert_eq!((image.name.as_str(), image.layers.len()), ("app:dev", 1));
    let again = resolver.resolve(&key("app:dev"), false).await.expect("resolves");
    assert!(Arc::ptr_eq(&image, &again));
    resolver.ensure_blobs(&image.layers).await.expect("is there");
    resolver.ensure_entries(&image.layers[0]).await.expect("can be read");
    let entries = image.layers[0].entries().expect("entries");
    assert_eq!(entries.last().map(|entry| entry.path.to_string()).as_deref(), Some("/hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_read_once_and_then_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path());
    keep(&store, "docker.io/library/app:dev", &put_image(&store));
    let first = resolver(&store).resolve(&key("app:dev"), false).await.expect("resolves");
    resolver(&store).ensure_entries(&first.layers[0]).await.expect("can be read");
    let kept = store.load_entries(first.layers[0].id()).expect("loads").expect("is kept");
    assert!(kept.has_contents());
    let second = resolver(&store).resolve(&key("app:dev"), false).await.expect("resolves");
    resolver(&store).ensure_entries(&second.layers[0]).await.expect("can be loaded");
    assert_eq!(second.layers[0].entries().map(strake_layers::EntryList::len), Some(kept.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_brought_into_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = store(&folder.path().join("made"));
    let manifest = put_image(&made);
    let path = folder.path().join("layout");
    let names = vec!["app:v1".parse().expect("reference")];
    let image = LayoutImage { descriptor: manifest.descriptor(), names, created: None };
    let layout = Layout::collect(made.blobs(), vec![image]).expect("a layout");
    layout.write_folder(&path, &Cancel::new()).expect("is written");
    let store = store(&folder.path().join("other"));
    let source =
        |tag: &str| ImageSource::Layout { path: path.display().to_string(), tag: Some(tag.to_owned()), digest: None };
    let wanted = ImageKey { source: source("v1"), platform: platform() };
    let resolver = resolver(&store);
    let image = resolver.resolve(&wanted, false).await.expect("resolves");
    assert_eq!(image.manifest.digest, manifest.digest);
    resolver.ensure_entries(&image.layers[0]).await.expect("can be read");
    let missing = ImageKey { source: source("v2"), platform: platform() };
    let error = resolver.resolve(&missing, false).await.expect_err("no such tag");
    assert!(error.to_string().contains("\"v2\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path());
    let config = ImageConfig::scratch(&platform()).to_json().expect("json");
    let layer = Descriptor::of("application/vnd.oci.image.layer.v1.tar", b"x");
    keep(&store, "docker.io/library/short:1", &put_manifest(&store, &config, &[layer]));
    let error = resolver(&store).resolve(&key("short:1"), false).await.expect_err("counts differ");
    insta::assert_snapshot!(error, @"the config of short:1 is not valid: its diff IDs number 0, but the layers of its manifest 1");
    keep(&store, "docker.io/library/bad:1", &put_manifest(&store, b"{\"config\":5}", &[]));
    let error = resolver(&store).resolve(&key("bad:1"), false).await.expect_err("no config");
    insta::assert_snapshot!(error, @r#"the config of bad:1 is not valid: member "config": invalid type: integer `5`, expected an object at line 1 column 1"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_nobody_has_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path());
    let descriptor = Descriptor::of("application/vnd.oci.image.layer.v1.tar", b"x");
    let diff_id = strake_layers::DiffId(descriptor.digest.clone());
    let layer = Arc::new(Layer::from_blob(descriptor.clone(), diff_id));
    assert!(matches!(layer.source(), LayerSource::Blob { .. }));
    let error = resolver(&store).ensure_entries(&layer).await.expect_err("is nowhere");
    insta::assert_snapshot!(format!("{error}\nhelp: {}", error.help().expect("help")), @r"
    the layout of the base image lacks layer sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881
    help: write the layout anew, with its foreign layers
    ");
    assert_eq!(error.kind(), ErrorKind::User);
}

#[test]
fn failures_keep_their_place_and_their_kind() {
    let request = |name: &str, help: Option<&str>| ImageRequest {
        key: key(name),
        name: name.to_owned(),
        span: Span::new(5, 9),
        help: help.map(str::to_owned),
    };
    let finding = |diagnostic| Finding {
        file: Arc::from("Dockerfile"),
        source: Arc::new(SourceText::new(b"FROM alpin\n")),
        line: 1,
        diagnostic,
        notes: Vec::new(),
    };
    let user = || Error::user("not found");
    let one = Unresolved(vec![(request("alpin", Some("did you mean alpine?")), user())]).locate(finding);
    assert_eq!(one.to_string(), "failed to resolve alpin: not found");
    assert_eq!(one.help(), Some("did you mean alpine?"));
    let several = Unresolved(vec![(request("a", None), user()), (request("b", None), user())]).locate(finding);
    assert!(matches!(several, Error::Dockerfile(ref findings) if findings.len() == 2));
    let machine = Error::environment("no disk");
    let mixed = Unresolved(vec![(request("a", None), user()), (request("b", None), machine)]).locate(finding);
    assert_eq!(mixed.kind(), ErrorKind::Environment);
    let elsewhere = ImageRequest { span: Span::new(0, 4), ..request("b", None) };
    let both = vec![(request("a", None), Error::environment("no disk")), (elsewhere, user())];
    let Error::Step { finding, .. } = Unresolved(both).locate(finding) else { panic!("an error with a place") };
    let labels: Vec<&str> = finding.diagnostic.labels.iter().map(|label| label.message.as_str()).collect();
    assert_eq!(labels, ["failed to resolve b, too: not found"]);
}
