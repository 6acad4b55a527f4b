//! `cargo xtask test`: every tier that one Linux machine can run (ARCHITECTURE.md, "Test tiers").

use anyhow::Result;

use crate::run::{Tally, cargo, cargo_test, must};
use crate::{conformance, packages, windows};

/// Runs all tiers; the last line is the tally.
pub(crate) fn run_all() -> Result<bool> {
    packages::for_tests()?;
    let mut total = Tally::default();
    for (name, tally) in [
        ("unit, data-driven, component, root", workspace as fn() -> Result<Tally>),
        ("conformance", || conformance::run(&["--quiet".to_owned()])),
        ("Windows", windows::tier),
    ] {
        let tally = tally().unwrap_or_else(|error| {
            eprintln!("{name}: {error:#}");
            Tally::failure()
        });
        println!("tier {name}: {tally}");
        total.add(tally);
    }
    println!("{total}");
    Ok(total.is_green())
}

/// The tests of all crates. The root tests find their needs themselves and say `skipped: …` where one is missing.
fn workspace() -> Result<Tally> {
    // The end-to-end tests run the binary as it lies there.
    must(&mut cargo(["build", "--quiet", "-p", "strake-cli"]))?;
    cargo_test(&mut cargo(["test", "--workspace", "--no-fail-fast", "--", "--nocapture"]))
}
