//! What is said of registries that do not have what is wanted, and of the credentials for them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use strake_tests::{Build, Host, Registry};

use super::{again, assert_text, said};

/// A registry with one image, `team/app:1`, for two platforms, and what builds with it say.
struct Pushed {
    registry: Registry,
    host: Host,
    shown: String,
}

impl Pushed {
    fn new(start: fn(&str, &Host) -> Option<Registry>, test: &str) -> Option<Self> {
        let host = Host::new();
        let registry = start(test, &host)?;
        host.write("docker/config.json", account(&registry.name, Registry::ACCOUNT));
        host.write("ctx/Dockerfile", "FROM scratch\nCOPY file /\n");
        host.write("ctx/file", "text");
        let name = format!("{}/team/app:1", registry.name);
        let build = again(&host).env("DOCKER_CONFIG", host.path("docker"));
        build.args("--platform linux/amd64,linux/arm64 --push -t").arg(name).ok();
        Some(Self { registry, host, shown: String::new() })
    }

    /// What a build upon `team/app` says that knows nothing of it yet.
    fn pull(&mut self, title: &str, suffix: &str, change: impl FnOnce(Build<'_>) -> Build<'_>) {
        // So that nothing is remembered.
        let store = self.host.path("fresh");
        if store.exists() {
            fs::remove_dir_all(&store).unwrap();
        }
        let name = format!("{}/team/app{suffix}", self.registry.name);
        self.host.write("ctx/Dockerfile", format!("FROM {name}\nCOPY --from={name} /file /copy\n"));
        let build = again(&self.host).args("--platform linux/amd64").env("STRAKE_ROOT", store);
        writeln!(self.shown, "=== {title}\n{}", said(&change(build).run())).unwrap();
    }

    /// The files that hold the blobs with this text in them.
    fn blobs(&self, text: &str) -> Vec<PathBuf> {
        self.host.holding("registry", text.as_bytes())
    }
}

/// A docker configuration with one account.
fn account(registry: &str, auth: &str) -> String {
    format!(r#"{{"auths": {{"{registry}": {{"auth": "{auth}"}}}}}}"#)
}

#[test]
fn images_that_a_registry_does_not_have_are_named() {
    let Some(mut pushed) = Pushed::new(Registry::start, "images that a registry does not have") else { return };
    pushed.pull("nothing wrong", ":1", |build| build);
    pushed.pull("another tag", ":2", |build| build);
    pushed.pull("another repository", "lication:1", |build| build);
    pushed.pull("another digest", &format!("@sha256:{}", "0".repeat(64)), |build| build);
    pushed.pull("another platform", ":1", |build| build.args("--platform linux/s390x"));
    assert_text("images_that_a_registry_does_not_have", &pushed.host, &pushed.shown);
}

#[test]
fn registries_that_are_damaged_are_named() {
    let Some(mut pushed) = Pushed::new(Registry::start, "registries that are damaged") else { return };
    let change = |path: &Path| fs::write(path, fs::read(path).unwrap().to_ascii_uppercase()).unwrap();
    for config in pushed.blobs("\"rootfs\"") {
        change(&config);
    }
    pushed.pull("another config", ":1", |build| build);
    for config in pushed.blobs("\"ROOTFS\"") {
        fs::remove_file(config).unwrap();
    }
    pushed.pull("no config", ":1", |build| build);
    for manifest in pushed.blobs("\"config\"") {
        fs::remove_file(manifest).unwrap();
    }
    pushed.pull("no manifest of the platform", ":1", |build| build);
    assert_text("damaged_registries", &pushed.host, &pushed.shown);
}

#[test]
fn credentials_that_cannot_be_used_are_named() {
    let Some(mut pushed) = Pushed::new(Registry::guarded, "credentials that cannot be used") else { return };
    let name = pushed.registry.name.clone();
    let folder = pushed.host.path("docker");
    for (title, text) in [
        ("no credentials", "{}".to_owned()),
        ("the right ones", account(&name, Registry::ACCOUNT)),
        ("another password", account(&name, "YXBwOng=")),
        ("no base64", account(&name, "not base64")),
        ("no colon", account(&name, "dXNlcg==")),
        ("no JSON", "auths".to_owned()),
        ("another type", r#"{"auths": []}"#.to_owned()),
        ("a helper that is not there", format!(r#"{{"credHelpers": {{"{name}": "gone"}}}}"#)),
        ("a helper with a bad name", format!(r#"{{"credHelpers": {{"{name}": "../x"}}}}"#)),
        ("characters that HTTP does not carry", format!(r#"{{"auths": {{"{name}": {{"registrytoken": "a\nb"}}}}}}"#)),
    ] {
        pushed.host.write("docker/config.json", text);
        // Helpers are looked for where there are none, whatever this machine has.
        pushed.pull(title, ":1", |build| build.env("DOCKER_CONFIG", &folder).env("PATH", &folder));
    }
    assert_text("bad_credentials", &pushed.host, &pushed.shown);
}

#[test]
fn addresses_that_no_registry_can_have_are_named() {
    let mut shown = String::new();
    let host = Host::new();
    for name in ["999.1.1.1/app:1", "xn--a.example/app:1"] {
        host.write("ctx/Dockerfile", format!("FROM {name}\n"));
        writeln!(shown, "=== {name}\n{}", said(&again(&host).run())).unwrap();
    }
    assert_text("bad_addresses", &host, &shown);
}

#[test]
fn pushes_that_cannot_be_made_are_named() {
    let Some(mut pushed) = Pushed::new(Registry::guarded, "pushes that cannot be made") else { return };
    let name = pushed.registry.name.clone();
    pushed.host.write("ctx/Dockerfile", "FROM scratch\nCOPY file /\n");
    let zeros = "0".repeat(64);
    let tag = format!("{name}/team/app:1");
    for (title, name) in [
        ("without credentials", tag),
        ("by another digest", format!("{name}/team/app@sha256:{zeros}")),
        ("by tag and another digest", format!("{name}/team/app:1@sha256:{zeros}")),
    ] {
        let build = again(&pushed.host).args("--push -t").arg(name);
        writeln!(pushed.shown, "=== {title}\n{}", said(&build.run())).unwrap();
    }
    assert_text("bad_pushes", &pushed.host, &pushed.shown);
}
