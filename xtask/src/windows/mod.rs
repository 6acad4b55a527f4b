//! `cargo xtask windows`: compiles, lints and tests for Windows on Linux, under Wine (docs/design/windows.md, section 9).

mod binary;
mod registries;
mod toolchain;

use anyhow::Result;

use crate::platform_code;
use crate::run::{Tally, cargo_test_with_reasons, succeeds};

use registries::Registries;
use toolchain::Toolchain;

/// What the user gets. `strake-tests` and `xtask` are for Linux alone.
const CRATES: &[&str] = &[
    "strake-parser",
    "strake-layers",
    "strake-registry",
    "strake-snapshotter",
    "strake-builder",
    "strake",
    "strake-cli",
];

/// What was counted, and what each skipped test said.
#[derive(Debug, Default)]
struct Report {
    tally: Tally,
    skips: Vec<String>,
}

/// Runs the task; the last line is the tally, before it what was skipped and why.
pub(crate) fn run() -> Result<bool> {
    let tally = tier()?;
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    Ok(tally.is_green())
}

/// Runs the task as one tier of several.
pub(crate) fn tier() -> Result<Tally> {
    if let Err(error) = Toolchain::install() {
        if !may_be_missing() {
            return Err(error);
        }
        println!("SKIPPED: nothing was compiled or tested for Windows, since STRAKE_WIN=optional and: {error:#}");
        return Ok(Tally { skipped: 1, ..Tally::default() });
    }
    let toolchain = Toolchain::prepare()?;
    let mut report = Report::default();
    let misplaced = platform_code::problems()?;
    report.count("platform code in its places", misplaced.is_empty());
    let mut compiles = true;
    for (task, more) in [("check", &[][..]), ("clippy", &["--", "-D", "warnings"][..])] {
        let mut command = toolchain.cargo(task);
        command.args(["--quiet", "--all-targets"]).args(packages()).args(more);
        let passed = succeeds(&mut command)?;
        report.count(&format!("cargo {task}"), passed);
        compiles &= passed;
        if !compiles {
            break;
        }
    }
    if compiles {
        run_tests(&toolchain, &mut report)?;
    }
    // At the end, since the compiler only says that it does not know the name.
    for problem in &misplaced {
        println!("{problem}");
    }
    Ok(report.tally)
}

/// Runs the tests and the program under Wine.
fn run_tests(toolchain: &Toolchain, report: &mut Report) -> Result<()> {
    let registries = Registries::start()?;
    let mut command = toolchain.cargo("test");
    registries.name_in(&mut command);
    command.args(["--no-fail-fast"]).args(packages()).args(["--", "--nocapture"]);
    let (tests, skips) = cargo_test_with_reasons(&mut command)?;
    report.tally.add(tests);
    report.skips.extend(skips);
    drop(registries);
    binary::check(toolchain, report)?;
    toolchain.stop_wine()?;
    for skip in &report.skips {
        println!("skipped for Windows: {skip}");
    }
    // All that the tests need was prepared above: one that does not run is a hole in the proof.
    let is_whole = report.skips.is_empty();
    report.count("every test has run", is_whole);
    Ok(())
}

impl Report {
    /// Counts one check.
    fn count(&mut self, name: &str, passed: bool) {
        println!("{name} for Windows ... {}", if passed { "ok" } else { "FAILED" });
        self.tally.add(Tally { passed: passed.into(), failed: (!passed).into(), skipped: 0 });
    }
}

fn packages() -> impl Iterator<Item = &'static str> {
    CRATES.iter().flat_map(|name| ["--package", *name])
}

/// Tells whether this machine may lack the packages; the gate never says so.
fn may_be_missing() -> bool {
    std::env::var_os("STRAKE_WIN").is_some_and(|value| value == "optional")
}
