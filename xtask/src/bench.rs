//! `cargo xtask bench`: builders side by side (bench/README.md).

use std::process::Command;

use anyhow::Result;

use crate::run::{cargo, must, root, succeeds, target_dir};

/// Builds the release binary and runs the driver with the given arguments.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    must(&mut cargo(["build", "--release", "--quiet", "-p", "strake-cli"]))?;
    let work = target_dir().join("bench");
    let binary = format!("strake={}", target_dir().join("release").join("strake").display());
    let mut command = Command::new("python3");
    command.arg(root().join("bench/bench.py")).arg(work).args(["--bin", &binary]).args(arguments);
    succeeds(command.env("PYTHONDONTWRITEBYTECODE", "1"))
}
