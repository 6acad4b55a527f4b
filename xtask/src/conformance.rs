//! The conformance cases of `testdata/conformance`, run by the runner in `tests/conformance`.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::run::{Tally, cargo, exists, must, root, shown, target_dir};

/// Builds the binary and runs the cases. Further arguments go to the runner.
pub(crate) fn run(arguments: &[String]) -> Result<Tally> {
    if !exists("python3") {
        bail!("python3 was not found: the conformance runner needs Python 3.11 or newer");
    }
    must(&mut cargo(["build", "--quiet", "-p", "strake-cli"]))?;
    let binary = target_dir().join("debug").join("strake");
    let mut command = Command::new("python3");
    command
        .arg(root().join("tests/conformance/run.py"))
        .args(["--builder", "strake", "--bin"])
        .arg(binary)
        .arg("--cases")
        .arg(root().join("testdata/conformance"))
        .arg("--known")
        .arg(root().join("tests/conformance/known-failures.txt"))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdout(Stdio::piped());
    eprintln!("$ {}", shown(&command));
    let done = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&done.stdout);
    print!("{text}");
    // `score: N passed, N failed of N`; known failures are no failures of this run, but no passes either.
    let score = text.lines().rev().find_map(|line| line.strip_prefix("score: "));
    let Some((passed, failed)) = score.and_then(numbers) else {
        bail!("the conformance runner printed no score");
    };
    Ok(match done.status.success() {
        true => Tally { passed, failed: 0, skipped: failed },
        false => Tally { passed, failed: failed.max(1), skipped: 0 },
    })
}

fn numbers(score: &str) -> Option<(u64, u64)> {
    let (passed, rest) = score.split_once(" passed, ")?;
    let (failed, _) = rest.split_once(" failed")?;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}
