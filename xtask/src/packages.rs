//! Debian packages that tests and the demo need, installed by name.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{exists, must};

/// What the tests use, and a file that each package brings.
const FOR_TESTS: &[(&str, &str)] = &[
    ("busybox-static", "/bin/busybox"),
    ("docker-registry", "/usr/bin/docker-registry"),
    ("skopeo", "/usr/bin/skopeo"),
    ("umoci", "/usr/bin/umoci"),
    ("runc", "/usr/sbin/runc"),
    ("attr", "/usr/bin/setfattr"),
    ("libcap2-bin", "/sbin/setcap"),
    ("git", "/usr/bin/git"),
    ("xz-utils", "/usr/bin/xz"),
    ("bzip2", "/bin/bzip2"),
    ("zstd", "/usr/bin/zstd"),
    ("python3", "/usr/bin/python3"),
];

/// Installs what is missing of the tests' packages.
pub(crate) fn for_tests() -> Result<()> {
    install(FOR_TESTS)
}

/// Installs those packages of which the file is missing.
pub(crate) fn install(packages: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        packages.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("install these packages: {}", missing.join(" "));
    if !exists("apt-get") {
        bail!("apt-get was not found: {by_hand}");
    }
    eprintln!("installing {}", missing.join(" "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-y"]);
        command
    };
    must(apt().arg("update"))?;
    must(apt().args(["install", "--no-install-recommends"]).args(&missing)).map_err(|error| error.context(by_hand))
}
