//! The demo's base images: busybox, and a small Debian with a compiler. strake itself builds and pushes them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Stage;
use crate::run::{must, output};

/// The release of Debian that the compiler comes from.
const SUITE: &str = "bookworm";

/// Makes and pushes both.
pub(crate) fn make(stage: &Stage) -> Result<()> {
    let busybox = busybox(&stage.work.join("busybox"))?;
    push(stage, &busybox, "base/busybox:1", "ENV PATH=/bin:/usr/local/bin\nCMD [\"sh\"]\n")?;
    let debian = debian(&stage.work.join("debian"))?;
    push(stage, &debian, "base/debian:12", "CMD [\"bash\"]\n")
}

/// `FROM scratch` and ADD of a tar of the root.
fn push(stage: &Stage, context: &Path, name: &str, more: &str) -> Result<()> {
    fs::write(context.join("Dockerfile"), format!("FROM scratch\nADD root.tar /\n{more}"))?;
    let name = format!("{}/{name}", stage.registry.address());
    must(stage.strake().args(["build", "--progress", "plain", "--push", "--tag", &name]).arg(context))
}

fn busybox(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for directory in ["bin", "etc", "home/app", "root", "tmp", "usr/local/bin"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::copy("/bin/busybox", root.join("bin/busybox")).context("busybox-static is not installed")?;
    for applet in output(Command::new("/bin/busybox").arg("--list"))?.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\napp:x:1000:\n")?;
    pack(folder, &root)?;
    Ok(folder.to_owned())
}

/// A debootstrap of the smallest variant with a compiler. It is made once and kept.
fn debian(folder: &Path) -> Result<PathBuf> {
    if folder.join("root.tar").exists() {
        return Ok(folder.to_owned());
    }
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    fs::create_dir_all(folder)?;
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", "--include=gcc,libc6-dev,make", SUITE]).arg(&root);
    command.args(mirror());
    must(&mut command)?;
    for rubbish in ["var/cache/apt/archives", "var/lib/apt/lists"] {
        let path = root.join(rubbish);
        if path.exists() {
            fs::remove_dir_all(&path)?;
            fs::create_dir_all(&path)?;
        }
    }
    pack(folder, &root)?;
    fs::remove_dir_all(&root)?;
    Ok(folder.to_owned())
}

/// The mirror that this machine's apt uses, where one can be told; else debootstrap's own.
fn mirror() -> Option<String> {
    let policy = Command::new("apt-cache").arg("policy").output().ok()?;
    let text = String::from_utf8_lossy(&policy.stdout).into_owned();
    let line = text.lines().find(|line| line.contains(&format!(" {SUITE}/main ")))?;
    line.split_whitespace().find(|word| word.starts_with("http")).map(str::to_owned)
}

fn pack(folder: &Path, root: &Path) -> Result<()> {
    let tar = folder.join("root.tar");
    must(
        Command::new("tar").args(["--numeric-owner", "--exclude=./dev/*", "-cf"]).arg(tar).arg("-C").arg(root).arg("."),
    )
}
