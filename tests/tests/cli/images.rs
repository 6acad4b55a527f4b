//! What is said of images that cannot be used: damaged layouts, unknown formats, other platforms.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use strake_layers::Digest;
use strake_tests::{Host, MEDIA_TYPE_TAR, Tar};

use super::{again, assert_text, said};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A layout of one image, and what is wrong with it. Documents are changed before anything refers to them.
struct Case {
    name: &'static str,
    /// The blob of its layer.
    layer: Vec<u8>,
    config: fn(&mut Value),
    manifest: fn(&mut Value),
    index: fn(&mut Value),
    /// Changes the files in the folder, by their digests: the layer's, the config's, the manifest's.
    files: fn(&Path, [&Path; 3]),
    /// What is written behind the layout's name.
    suffix: &'static str,
}

impl Case {
    fn new(name: &'static str) -> Self {
        let layer = Tar::new().file("a", b"text").finish();
        Self { name, layer, config: |_| (), manifest: |_| (), index: |_| (), files: |_, _| (), suffix: "" }
    }

    fn config(name: &'static str, config: fn(&mut Value)) -> Self {
        Self { config, ..Self::new(name) }
    }

    fn manifest(name: &'static str, manifest: fn(&mut Value)) -> Self {
        Self { manifest, ..Self::new(name) }
    }

    fn index(name: &'static str, index: fn(&mut Value)) -> Self {
        Self { index, ..Self::new(name) }
    }

    fn files(name: &'static str, files: fn(&Path, [&Path; 3])) -> Self {
        Self { files, ..Self::new(name) }
    }

    fn layer(name: &'static str, layer: impl Into<Vec<u8>>) -> Self {
        Self { layer: layer.into(), ..Self::new(name) }
    }

    fn write(&self, folder: &Path) {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let put = |bytes: &[u8]| {
            let digest = Digest::of(bytes);
            fs::write(blobs.join(digest.hex()), bytes).unwrap();
            digest
        };
        let document = |value: &Value, media_type: &str| {
            let bytes = value.to_string();
            json!({"mediaType": media_type, "digest": put(bytes.as_bytes()).to_string(), "size": bytes.len()})
        };
        let layer = put(&self.layer);
        let mut config = json!({
            "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer.to_string()]},
        });
        (self.config)(&mut config);
        let config = document(&config, "application/vnd.oci.image.config.v1+json");
        let size = self.layer.len();
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config,
            "layers": [{"mediaType": MEDIA_TYPE_TAR, "digest": layer.to_string(), "size": size}],
        });
        (self.manifest)(&mut manifest);
        let manifest = document(&manifest, MANIFEST);
        let mut index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});
        (self.index)(&mut index);
        fs::write(folder.join("index.json"), index.to_string()).unwrap();
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let of = |descriptor: &Value| blobs.join(&descriptor["digest"].as_str().unwrap()[7..]);
        (self.files)(folder, [&blobs.join(layer.hex()), &of(&config), &of(&manifest)]);
    }

    /// What a build upon it says.
    fn show(&self, shown: &mut String) {
        let host = Host::new();
        self.write(&host.path("image"));
        host.write("ctx/Dockerfile", "FROM app\nCOPY --from=app /a /b\n");
        let context = format!("app=oci-layout://image{}", self.suffix);
        let build = again(&host).args("--platform linux/amd64 -o type=oci,dest=out.tar --build-context").arg(context);
        let said = said(&build.run()).replace(&host.path("").display().to_string(), "[DIR]/");
        writeln!(shown, "=== {}\n{said}", self.name).unwrap();
    }
}

fn assert_cases(name: &str, cases: impl IntoIterator<Item = Case>) {
    let mut shown = String::new();
    for case in cases {
        case.show(&mut shown);
    }
    assert_text(name, &Host::new(), &shown);
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

#[test]
fn layouts_that_are_damaged_are_named() {
    assert_cases(
        "damaged_layouts",
        [
            Case::new("nothing wrong"),
            Case::files("another version", |root, _| {
                fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
            }),
            Case::files("a version that is no JSON", |root, _| fs::write(root.join("oci-layout"), "1.0.0\n").unwrap()),
            Case::files("a version without its member", |root, _| fs::write(root.join("oci-layout"), "{}").unwrap()),
            Case::files("no index", |root, _| remove(&root.join("index.json"))),
            Case::files("an index that is cut off", |root, _| fs::write(root.join("index.json"), "{\"man").unwrap()),
            Case::files("an index that is a folder", |root, _| {
                remove(&root.join("index.json"));
                fs::create_dir(root.join("index.json")).unwrap();
            }),
            Case::files("no manifest", |_, [_, _, manifest]| remove(manifest)),
            Case::files("no config", |_, [_, config, _]| remove(config)),
            Case::files("no layer", |_, [layer, _, _]| remove(layer)),
            Case {
                manifest: |manifest| {
                    let media_type = "application/vnd.oci.image.layer.nondistributable.v1.tar";
                    manifest["layers"][0]["mediaType"] = json!(media_type);
                },
                ..Case::files("no layer that may be missing", |_, [layer, _, _]| remove(layer))
            },
            Case::files("a longer manifest", |_, [_, _, manifest]| {
                fs::File::options().append(true).open(manifest).unwrap().write_all(b"\n").unwrap();
            }),
            Case::files("a shorter layer", |_, [layer, _, _]| fs::write(layer, "x").unwrap()),
            Case::files("a longer layer", |_, [layer, _, _]| fs::write(layer, [0; 4096]).unwrap()),
            Case::files("another layer", |_, [layer, _, _]| fs::write(layer, [0; 2048]).unwrap()),
            Case::files("another manifest", |_, [_, _, manifest]| {
                let length = fs::metadata(manifest).unwrap().len();
                fs::write(manifest, vec![b' '; length.try_into().unwrap()]).unwrap();
            }),
        ],
    );
}

#[test]
fn indexes_without_the_image_say_what_they_have() {
    assert_cases(
        "indexes_without_the_image",
        [
            Case::index("no images", |index| index["manifests"] = json!([])),
            Case::index("two images without tags", second_image),
            Case::index("two images with tags", |index| {
                second_image(index);
                tag(&mut index["manifests"][0], "v1");
                tag(&mut index["manifests"][1], "v2");
            }),
            Case { suffix: ":v3", ..Case::index("another tag", |index| tag(&mut index["manifests"][0], "v1")) },
            Case { suffix: ":v3", ..Case::index("no images, and a tag", |index| index["manifests"] = json!([])) },
            Case::manifest("other platforms", |manifest| {
                let of = |architecture: &str| {
                    let platform = json!({"os": "linux", "architecture": architecture});
                    json!({"mediaType": MANIFEST, "digest": zeros(), "size": 2, "platform": platform})
                };
                *manifest = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [of("arm64"), of("s390x")]});
            })
            .into_index(),
            Case::manifest("an index of nothing", |manifest| {
                *manifest = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
            })
            .into_index(),
            Case::index("a manifest that is too large", |index| index["manifests"][0]["size"] = json!(9 << 20)),
            Case::index("a digest that is none", |index| index["manifests"][0]["digest"] = json!("sha256:12")),
            Case::index("a digest of another kind", |index| index["manifests"][0]["digest"] = json!("md5:12")),
            Case::index("a size below nothing", |index| index["manifests"][0]["size"] = json!(-1)),
            Case::index("images that are no list", |index| index["manifests"] = json!({})),
        ],
    );
}

impl Case {
    /// The manifest is an index, and the index says so.
    fn into_index(self) -> Self {
        Self { index: |index| index["manifests"][0]["mediaType"] = json!(INDEX), ..self }
    }
}

fn zeros() -> String {
    format!("sha256:{}", "0".repeat(64))
}

fn second_image(index: &mut Value) {
    let second = json!({"mediaType": MANIFEST, "digest": zeros(), "size": 2});
    index["manifests"].as_array_mut().unwrap().push(second);
}

fn tag(descriptor: &mut Value, tag: &str) {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
}

#[test]
fn documents_of_images_that_are_unknown_are_named() {
    assert_cases(
        "unknown_documents",
        [
            Case::manifest("version 1", |manifest| {
                *manifest = json!({"schemaVersion": 1, "name": "app", "fsLayers": [], "history": []});
            }),
            Case::manifest("both a manifest and an index", |manifest| manifest["manifests"] = json!([])),
            Case::manifest("neither", |manifest| *manifest = json!({"schemaVersion": 2})),
            Case::manifest("an index that says to be a manifest", |manifest| {
                *manifest = json!({"schemaVersion": 2, "manifests": []});
            }),
            Case::manifest("another type inside", |manifest| manifest["mediaType"] = json!(INDEX)),
            Case::manifest("a type of member", |manifest| manifest["layers"] = json!("none")),
            Case::manifest("an artifact", |manifest| {
                manifest["artifactType"] = json!("application/vnd.example.chart");
                manifest["config"]["mediaType"] = json!("application/vnd.oci.empty.v1+json");
            }),
            Case::manifest("an artifact without a type", |manifest| {
                manifest["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json");
            }),
            Case::manifest("a layer of another type", |manifest| {
                manifest["layers"][0]["mediaType"] = json!("application/vnd.example.squashfs");
            }),
            Case::manifest("an encrypted layer", |manifest| {
                manifest["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+gzip+encrypted");
            }),
            Case::manifest("a layer more than the config has", |manifest| {
                let layer = manifest["layers"][0].clone();
                manifest["layers"].as_array_mut().unwrap().push(layer);
            }),
            Case::config("another kind of root file system", |config| config["rootfs"]["type"] = json!("squashfs")),
            Case::config("no layers in the config", |config| drop(config["rootfs"].take())),
            Case::config("a diff ID that is none", |config| config["rootfs"]["diff_ids"] = json!(["x"])),
            Case::config("a config that is a list", |config| *config = json!([])),
            Case::config("a member of another type", |config| config["config"] = json!({"Env": "A=b"})),
            Case::config("a time that is none", |config| config["created"] = json!("yesterday")),
            Case::config("another diff ID", |config| config["rootfs"]["diff_ids"] = json!([zeros()])),
            Case::config("another platform", |config| config["architecture"] = json!("s390x")),
            Case::config("another system", |config| config["os"] = json!("windows")),
        ],
    );
}

#[test]
fn layers_that_cannot_be_read_are_named() {
    let tar = Tar::new;
    let gzip = {
        let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        bytes.extend([0xff; 64]);
        bytes
    };
    assert_cases(
        "layers_that_cannot_be_read",
        [
            Case::layer("no tar", vec![b'x'; 1024]),
            Case::layer("nothing", ""),
            Case::layer("bzip2", "BZh91AY&SY0123456789"),
            Case::layer("xz", b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46"),
            Case::layer("damaged gzip", gzip),
            Case::layer("damaged zstd", b"\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            Case::layer("a member that is cut off", tar().liar("a", 4096, b"text").unfinished()),
            Case::layer("a damaged header", {
                let mut bytes = tar().file("a", b"text").finish();
                bytes[0] = b'b';
                bytes
            }),
            Case::layer("a name above the root", tar().file("../a", b"").finish()),
            Case::layer("a name below a file", tar().file("a", b"").file("a/b", b"").finish()),
            Case::layer("a hard link to nothing", tar().hard_link("a", "gone").finish()),
            Case::layer("a hard link to a folder", tar().dir("d/").hard_link("a", "d").finish()),
            Case::layer("a symbolic link to nowhere", tar().symlink("a", "").finish()),
            Case::layer("a whiteout of the folder above", tar().file(".wh...", b"").finish()),
            Case::layer("a whiteout of nothing", tar().file(".wh.", b"").finish()),
            Case::layer("links that form a loop", tar().symlink("a", "a").finish()),
        ],
    );
}

#[test]
fn places_without_a_layout_say_why() {
    let mut shown = String::new();
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM app\nCOPY --from=app /a /b\n");
    host.write("text", "some text, which is no archive\n".repeat(40));
    host.write("empty", "");
    host.write("other.tar", Tar::new().file("a", b"").finish());
    host.write("cut.tar", Tar::new().liar("oci-layout", 4096, b"{").unfinished());
    let version = br#"{"imageLayoutVersion":"1.0.0"}"#;
    host.write("no-index.tar", Tar::new().file("oci-layout", version).finish());
    host.write("docker.tar", Tar::new().file("manifest.json", b"[]").finish());
    for place in ["text", "empty", "other.tar", "cut.tar", "no-index.tar", "docker.tar", "/dev/null"] {
        let build = again(&host).arg("--build-context").arg(format!("app=oci-layout://{place}"));
        writeln!(shown, "=== {place}\n{}", said(&build.run())).unwrap();
    }
    assert_text("places_without_a_layout", &host, &shown);
}
