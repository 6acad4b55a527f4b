//! What a build leaves: archives, folders, images, names, files that tell of them.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use serde_json::Value;
use strake_tests::{Host, Image, Registry, Tar, needs_program, needs_root};

const SMALL: &str = "FROM scratch\nCOPY a /dir/\nENV K=V\n";

fn small() -> Host {
    let host = Host::new();
    host.write("ctx/Dockerfile", SMALL);
    host.write("ctx/a", "content of a\n");
    host
}

fn names_of(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap();
    entries.map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

#[test]
fn archive_and_folder_of_an_oci_layout_hold_the_same_image() {
    let host = small();
    let outcome = host.build("ctx").args("-o type=oci,dest=o.tar -o type=oci,dest=layout,tar=false").ok();
    let names = names_of(&fs::read(host.path("o.tar")).unwrap());
    assert!(names.iter().any(|name| name == "oci-layout"), "{names:?}");
    let index: Value = serde_json::from_str(&host.read("layout/index.json")).unwrap();
    assert_eq!(index["manifests"][0]["digest"], outcome.digest());
    let blob = format!("blobs/{}", outcome.digest().replace(':', "/"));
    assert!(names.contains(&blob), "{names:?}");
    assert!(host.path("layout").join(blob).is_file());
}

#[test]
fn docker_archive_names_config_layers_and_tags() {
    let host = small();
    host.build("ctx").args("-t example.test/app:1 -o type=docker,dest=d.tar").ok();
    let bytes = fs::read(host.path("d.tar")).unwrap();
    let names = names_of(&bytes);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let manifest = archive.entries().unwrap().map(Result::unwrap);
    let manifest = manifest.into_iter().find(|entry| entry.path().unwrap().as_os_str() == "manifest.json").unwrap();
    let manifest: Value = serde_json::from_reader(manifest).unwrap();
    assert_eq!(manifest[0]["RepoTags"][0], "example.test/app:1");
    for name in [&manifest[0]["Config"], &manifest[0]["Layers"][0]] {
        assert!(names.iter().any(|known| known == name.as_str().unwrap()), "{name} not in {names:?}");
    }
}

#[test]
fn local_output_writes_the_files_and_keeps_strangers() {
    let host = small();
    host.write("out/mine", "mine");
    host.write("out/dir/a", "old");
    host.build("ctx").args("-o out").ok();
    assert_eq!(host.read("out/dir/a"), "content of a\n");
    assert_eq!(host.read("out/mine"), "mine");
    assert_eq!(host.left_in("out").len(), 2);
}

#[test]
fn local_output_is_the_callers() {
    let host = small();
    let text = "FROM scratch\nCOPY --chown=4711:4712 --chmod=4750 a /dir/a\n";
    host.dockerfile("ctx", text).args("-o out").ok();
    let own = fs::metadata(host.path("ctx")).unwrap();
    let made = fs::metadata(host.path("out/dir/a")).unwrap();
    assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (own.uid(), own.gid(), 0o750));
    assert_eq!(fs::metadata(host.path("out/dir")).unwrap().uid(), own.uid());
}

#[test]
fn dash_streams_a_tar_of_the_root_to_standard_output() {
    let host = small();
    let outcome = host.build("ctx").args("-o -").ok();
    assert_eq!(names_of(&outcome.stdout), ["dir/", "dir/a"]);
    host.build("ctx").args("-o type=tar,dest=t.tar").ok();
    assert_eq!(fs::read(host.path("t.tar")).unwrap(), outcome.stdout);
}

#[test]
fn oci_archive_streams_to_standard_output_as_to_a_file() {
    let host = small();
    let epoch = "1700000000";
    let outcome = host.build("ctx").args("-o type=oci").env("SOURCE_DATE_EPOCH", epoch).ok();
    host.build("ctx").args("-o type=oci,dest=o.tar").env("SOURCE_DATE_EPOCH", epoch).ok();
    assert!(fs::read(host.path("o.tar")).unwrap() == outcome.stdout);
}

#[test]
fn tagged_image_is_listed_until_it_is_pruned() {
    let host = small();
    host.build("ctx").args("-t example.test/app:1").ok();
    let list = || String::from_utf8(host.strake(&["images"]).ok().stdout).unwrap();
    assert!(list().contains("example.test/app:1"), "{}", list());
    host.strake(&["prune"]).ok();
    assert!(list().contains("example.test/app:1"), "{}", list());
    host.strake(&["prune", "--all"]).ok();
    assert!(!list().contains("example.test/app:1"), "{}", list());
}

#[test]
fn pushed_image_is_what_others_pull() {
    let test = "a push";
    let host = small();
    let Some(registry) = Registry::start(test, &host) else { return };
    let name = format!("{}/team/app:1", registry.name);
    let outcome = host.build("ctx").args("--push -t").arg(&name).args("--metadata-file meta.json").ok();
    let metadata: Value = serde_json::from_str(&host.read("meta.json")).unwrap();
    assert_eq!(metadata["containerimage.digest"], outcome.digest());
    assert_eq!(metadata["image.name"], name.as_str());
    // Another store has nothing of it but what the registry gives.
    let next = host.dockerfile("next", &format!("FROM {name}\nENV X=1\n")).env("STRAKE_ROOT", host.path("store2"));
    next.args("--pull -o out").ok();
    assert_eq!(host.read("out/dir/a"), "content of a\n");
    let Some(skopeo) = needs_program(test, "skopeo") else { return };
    let pulled = Command::new(skopeo)
        .args(["--insecure-policy", "copy", "--src-tls-verify=false", "--quiet"])
        .args([format!("docker://{name}"), format!("dir:{}", host.path("pulled").display())])
        .output()
        .unwrap();
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    let manifest = fs::read(host.path("pulled/manifest.json")).unwrap();
    assert_eq!(strake_layers::Digest::of(&manifest).to_string(), outcome.digest());
}

#[test]
fn files_that_tell_of_an_image_agree_with_it() {
    let host = small();
    let (outcome, image) = host.build("ctx").args("--iidfile id --metadata-file meta.json").image();
    assert_eq!(host.read("id"), image.manifest["config"]["digest"].as_str().unwrap());
    let metadata: Value = serde_json::from_str(&host.read("meta.json")).unwrap();
    assert_eq!(metadata["containerimage.config.digest"], image.manifest["config"]["digest"]);
    assert_eq!(metadata["containerimage.digest"], outcome.digest());
    let quiet = host.strake(&["build", "-q", "ctx"]).ok();
    assert_eq!(String::from_utf8(quiet.stdout).unwrap().trim(), host.read("id"));
    assert_eq!(quiet.stderr, "");
}

#[test]
fn image_is_named_the_same_with_and_without_outputs() {
    let host = small();
    let (_, image) = host.build("ctx").image();
    let id = image.manifest["config"]["digest"].as_str().unwrap();
    for flags in ["-q", "-q --iidfile id", "-q --metadata-file meta.json", "-q -t example.test/app:1", "-q -o out"] {
        let outcome = host.strake(&["build", "ctx"]).args(flags).ok();
        assert_eq!(String::from_utf8(outcome.stdout).unwrap().trim(), id, "{flags}");
    }
    // Nobody knows a name of what was not made.
    let outcome = host.strake(&["build", "ctx", "-q", "-o", "type=cacheonly"]).ok();
    assert_eq!(String::from_utf8(outcome.stdout).unwrap(), "");
}

#[test]
fn impossible_name_is_refused_before_anything_is_built() {
    let host = small();
    let outcome = host.build("ctx").args("-o out -t app:1:2").run().expect(1);
    outcome.says(&["app:1:2"]);
    assert!(!outcome.stderr.contains("COPY"), "{}", outcome.stderr);
    assert!(!host.path("out").exists());
}

#[test]
fn failed_build_leaves_earlier_outputs_as_they_were() {
    let host = small();
    host.write("bad/Dockerfile", "FROM scratch\nCOPY missing /\n");
    let earlier = ["o.tar", "d.tar", "t.tar", "id", "meta.json", "out/file", "layout/file"];
    for name in earlier {
        host.write(name, "earlier");
    }
    let build = host.build("bad").args("--iidfile id --metadata-file meta.json -o out -o type=oci,dest=o.tar");
    build.args("-o type=docker,dest=d.tar -o type=tar,dest=t.tar -o type=oci,dest=layout,tar=false").run().expect(1);
    for name in earlier {
        assert_eq!(host.read(name), "earlier", "{name}");
    }
    assert_eq!((host.left_in("out").len(), host.left_in("layout").len()), (1, 1));
    assert_eq!(host.left_in("tmp"), Vec::<std::path::PathBuf>::new());
}

#[test]
fn output_whose_folder_is_missing_is_refused_by_name() {
    let host = small();
    host.build("ctx").args("-o type=oci,dest=no/such/o.tar").run().expect(1).says(&["no/such does not exist"]);
}

#[test]
fn image_of_several_platforms_is_an_index() {
    let host = small();
    let build = host.build("ctx").args("--platform linux/amd64,linux/arm64,windows/amd64");
    build.args("-o type=oci,dest=layout,tar=false").ok();
    let index: Value = serde_json::from_str(&host.read("layout/index.json")).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap().replace(':', "/");
    let index: Value = serde_json::from_str(&host.read(&format!("layout/blobs/{digest}"))).unwrap();
    let platforms: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|one| &one["platform"]).collect();
    assert_eq!(platforms.len(), 3);
    assert_eq!((&platforms[2]["os"], &platforms[1]["architecture"]), (&"windows".into(), &"arm64".into()));
}

#[test]
fn stdin_is_a_dockerfile_a_context_or_the_dockerfile_of_a_context() {
    let host = small();
    let (_, image) = host.build("-").stdin("FROM scratch\nENV FROM=stdin\n").image();
    assert_eq!(image.config["config"]["Env"][1], "FROM=stdin");
    let context = Tar::new().file("Dockerfile", b"FROM scratch\nCOPY b /\n").file("b", b"b").finish();
    let (_, image) = host.build("-").stdin(context).image();
    assert_eq!(image.file("b"), "b");
    let (_, image) = host.build("ctx").args("-f -").stdin("FROM scratch\nCOPY a /x\n").image();
    assert_eq!(image.file("x"), "content of a\n");
}

#[test]
fn target_and_build_arguments_choose_what_is_built() {
    let host = Host::new();
    let text = "ARG WHO=nobody\nFROM scratch AS one\nARG WHO\nENV WHO=$WHO\nFROM scratch AS two\nCOPY missing /\n";
    let (_, image) = host.dockerfile("ctx", text).args("--target one --build-arg WHO=me").image();
    assert_eq!(image.config["config"]["Env"][1], "WHO=me");
    host.build("ctx").args("--target three").run().expect(1).says(&["three"]);
}

#[test]
fn check_builds_nothing_and_finds_problems() {
    let host = small();
    host.build("ctx").args("--check -o type=oci,dest=o.tar").ok();
    assert!(!host.path("o.tar").exists());
    let outcome = host.dockerfile("bad", "FROM scratch\nCOPPY a /\n").args("--check").run().expect(1);
    outcome.says(&["COPPY", "Dockerfile:2"]);
}

#[test]
fn exit_codes_tell_whose_problem_it_is() {
    let host = small();
    host.dockerfile("user", "FROM scratch\nCOPY missing /\n").run().expect(1);
    host.strake(&["build", "ctx", "--no-such-flag"]).run().expect(2);
    host.strake(&["build", "no-such-context"]).run().expect(2);
    let file = host.write("file", "");
    host.build("ctx").env("STRAKE_ROOT", file).run().expect(3);
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let outcome = host.dockerfile("network", &format!("FROM localhost:{port}/app:1\n")).run().expect(4);
    outcome.says(&[&format!("localhost:{port}")]);
}

#[test]
fn failed_step_gives_one_and_names_the_code_of_the_process() {
    if !needs_root("a failing step") {
        return;
    }
    let host = Host::with_base();
    let outcome = host.dockerfile("ctx", "FROM base\nRUN echo before; exit 42\n").run().expect(1);
    outcome.says(&["exit code: 42", "Dockerfile:2", "before"]);
    assert_eq!(outcome.step("RUN"), "failed");
}

#[test]
fn step_leaves_nothing_of_its_surroundings_in_the_layer() {
    if !needs_root("a step on a base without folders") {
        return;
    }
    // linux.md §1.4: the base has neither /dev nor /proc, /sys, /etc, /run, /mnt.
    let host = Host::with_base();
    host.write("secret", "the secret");
    let text = "FROM base\nRUN --mount=type=secret,id=s --mount=type=tmpfs,target=/mnt/t \
                --mount=type=cache,target=/var/c --mount=type=bind,target=/src/x echo 1 >/made\n";
    let (_, image) = host.dockerfile("ctx", text).args("--secret id=s,src=secret").image();
    assert_eq!(image.names(1), ["made"]);
    let (_, image) = host.dockerfile("ctx", "FROM base\nRUN true\n").image();
    let empty = Image::open(&host.path("image")).layers().len() == 1 || image.names(1).is_empty();
    assert!(empty, "{:?}", image.names(1));
}
