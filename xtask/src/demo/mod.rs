//! `cargo xtask demo`: the main job on a real Dockerfile, judged by other people's tools.

mod bases;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::packages;
use crate::registry::Registry;
use crate::run::{cargo, must, output, root, target_dir};

/// What the demo uses beside the tests' packages.
const PACKAGES: &[(&str, &str)] = &[("debootstrap", "/usr/sbin/debootstrap")];

/// A folder with a store, a registry and the strake under test.
pub(crate) struct Stage {
    strake: PathBuf,
    work: PathBuf,
    registry: Registry,
}

/// Runs the demo.
pub(crate) fn run() -> Result<bool> {
    packages::for_tests()?;
    packages::install(PACKAGES)?;
    must(&mut cargo(["build", "--quiet", "-p", "strake-cli"]))?;
    let work = target_dir().join("demo");
    fs::create_dir_all(&work)?;
    let registry = Registry::start(&work.join("registry"))?;
    let stage = Stage { strake: target_dir().join("debug").join("strake"), work, registry };

    title("two base images, made here and served from a registry on this machine");
    bases::make(&stage)?;

    title("a three-stage Dockerfile: compile, test, ship");
    let project = stage.work.join("project");
    copy_project(&project)?;
    let archive = stage.work.join("greet.tar");
    let first = stage.build_project(&project, &archive)?;

    title("what other tools make of the archive and of the pushed image");
    stage.inspect(&archive)?;
    let answer = stage.run_image(&archive)?;
    println!("runc says: {answer}");
    ensure!(answer == "Hello, world! (uid 1000)", "the program in the image gave another answer");

    title("the same build again: everything is cached");
    let second = stage.build_project(&project, &archive)?;
    ensure!(second.ran.is_empty(), "these steps ran again: {:?}", second.ran);
    ensure!(second.digest == first.digest, "the second build made another image");

    title("one source file changes: only what depends on it runs");
    let source = project.join("src/greeting.c");
    let text = fs::read_to_string(&source)?.replace("Good day", "Good evening");
    fs::write(&source, text)?;
    let third = stage.build_project(&project, &archive)?;
    println!("ran again: {:?}", third.ran);
    ensure!(third.ran.len() == 2, "the compile and the test step must run again, and nothing else");
    ensure!(third.digest != first.digest, "the change did not reach the image");

    println!("\nthe demo did its job");
    Ok(true)
}

/// What a build did.
pub(crate) struct Built {
    /// The RUN steps that were executed.
    pub(crate) ran: Vec<String>,
    /// The image's digest.
    pub(crate) digest: String,
}

impl Stage {
    /// A `strake` command with the demo's own store.
    pub(crate) fn strake(&self) -> Command {
        let mut command = Command::new(&self.strake);
        command.env("STRAKE_ROOT", self.work.join("store")).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    fn build_project(&self, project: &Path, archive: &Path) -> Result<Built> {
        let name = format!("{}/demo/greet:1", self.registry.address());
        let metadata = self.work.join("metadata.json");
        let mut command = self.strake();
        command.args(["build", "--progress", "plain", "--tag", &name, "--push"]);
        command.arg(format!("--build-arg=REGISTRY={}", self.registry.address()));
        command.arg(format!("--output=type=oci,dest={}", archive.display()));
        command.arg("--metadata-file").arg(&metadata).arg(project);
        eprintln!("$ {}", crate::run::shown(&command));
        let done = command.output().context("cannot run strake")?;
        let log = String::from_utf8_lossy(&done.stderr).into_owned();
        eprint!("{log}");
        if !done.status.success() {
            bail!("the build failed");
        }
        let metadata: Value = serde_json::from_str(&fs::read_to_string(&metadata)?)?;
        let digest = metadata["containerimage.digest"].as_str().context("the metadata file names no digest")?;
        Ok(Built { ran: executed(&log), digest: digest.to_owned() })
    }

    fn inspect(&self, archive: &Path) -> Result<()> {
        let name = format!("docker://{}/demo/greet:1", self.registry.address());
        must(Command::new("skopeo").args(["inspect", "--tls-verify=false", &name]))?;
        must(Command::new("skopeo").args(["inspect", "--config"]).arg(format!("oci-archive:{}", archive.display())))
    }

    /// Unpacks the archive with umoci and runs it with runc; gives what the program says.
    fn run_image(&self, archive: &Path) -> Result<String> {
        let layout = self.work.join("layout");
        let bundle = self.work.join("bundle");
        for folder in [&layout, &bundle] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        let from = format!("oci-archive:{}", archive.display());
        must(Command::new("skopeo").args(["copy", "--quiet", &from]).arg(format!("oci:{}:1", layout.display())))?;
        must(Command::new("umoci").args(["unpack", "--image"]).arg(format!("{}:1", layout.display())).arg(&bundle))?;
        without_terminal(&bundle.join("config.json"))?;
        let id = format!("strake-demo-{}", std::process::id());
        let state = self.work.join("runc");
        let said =
            output(Command::new("runc").arg("--root").arg(state).args(["run", "--bundle"]).arg(&bundle).arg(&id))?;
        Ok(said.trim().to_owned())
    }
}

/// runc wants no terminal here, and no more rights than this machine has.
fn without_terminal(config: &Path) -> Result<()> {
    let mut spec: Value = serde_json::from_str(&fs::read_to_string(config)?)?;
    spec["process"]["terminal"] = Value::Bool(false);
    if let Some(process) = spec["process"].as_object_mut() {
        process.remove("rlimits");
    }
    fs::write(config, serde_json::to_vec(&spec)?)?;
    Ok(())
}

/// The RUN steps of a plain log that were neither cached nor failed.
fn executed(log: &str) -> Vec<String> {
    let mut ran = Vec::new();
    for line in log.lines() {
        let Some((number, name)) = line.strip_prefix('#').and_then(|line| line.split_once(' ')) else { continue };
        let is_run = name.starts_with('[') && name.contains("] RUN ");
        if is_run && log.lines().any(|other| other.starts_with(&format!("#{number} DONE"))) {
            ran.push(name.to_owned());
        }
    }
    ran
}

fn copy_project(to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    must(Command::new("cp").arg("-r").arg(root().join("testdata/demo")).arg(to))
}

fn title(text: &str) {
    println!("\n=== {text}");
}
