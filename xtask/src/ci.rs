//! `cargo xtask ci`: what the gate runs.

use anyhow::Result;

use crate::run::{cargo, succeeds};
use crate::{layering, tests};

/// Runs every check and then the tests; the last line is the tests' tally.
pub(crate) fn run_all() -> Result<bool> {
    let mut green = succeeds(&mut cargo(["fmt", "--all", "--check"]))?;
    green &= layering::check()?;
    green &= succeeds(&mut cargo(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    green &= succeeds(cargo(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(tests::run_all()? && green)
}
