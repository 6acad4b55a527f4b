//! Development tasks of strake: `cargo xtask TASK`.
//!
//! Each task does its own set-up and works on a fresh machine that reaches its package registries.

mod bench;
mod ci;
mod conformance;
mod demo;
mod fuzz;
mod layering;
mod packages;
mod platform_code;
mod registry;
mod run;
mod tests;
mod windows;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask TASK

  demo             build a real three-stage Dockerfile from local base images, and check it with other people's tools
  test             all tests: unit, data-driven, component, root, conformance, Windows
  ci               what the gate runs: fmt, clippy, doc, check-layering, test
  check-layering   who depends on whom, and where platform code may stand
  conformance      the conformance cases alone; further arguments go to the runner
  bench            builders side by side; arguments go to bench/bench.py, as --builders strake,buildkit-runc --only W1
  docs             write docs/reference/errors.md from the tables of codes
  fuzz             libFuzzer, an hour a target; --smoke: a minute, --seconds N, and names of targets: parser, format, …
  windows          compile, lint and test for Windows under Wine
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", &[][..]),
    };
    match dispatch(task, rest) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask {task}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a task; tells whether all was well.
fn dispatch(task: &str, rest: &[String]) -> Result<bool> {
    std::env::set_current_dir(run::root())?;
    match task {
        "demo" => demo::run(),
        "test" => tests::run_all(),
        "ci" => ci::run_all(),
        "bench" => bench::run(rest),
        "fuzz" => fuzz::run(rest),
        "check-layering" => layering::check(),
        "docs" => docs(),
        "windows" => windows::run(),
        "conformance" => Ok(conformance::run(rest)?.is_green()),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(true)
        }
        other => bail!("no such task: {other:?}\n\n{USAGE}"),
    }
}

/// Writes the parts of docs/reference that are made from tables; the test that does so checks them in every other run.
fn docs() -> Result<bool> {
    let mut command =
        run::cargo(["test", "--quiet", "-p", "strake-tests", "--test", "diagnostics", "reference_of_errors"]);
    run::succeeds(command.env("STRAKE_WRITE_DOCS", "1"))
}
