//! `strake dockerfile lower`: the plain Dockerfile that one with additions to the language is equal to.

use std::process::ExitCode;

use anyhow::Result;

use super::LowerArgs;
use crate::render;

/// Writes the plain file; what was left out goes to standard error.
pub(super) fn run(args: &LowerArgs) -> Result<ExitCode> {
    let lowered = strake::lower(&args.input.request()?)?;
    for warning in &lowered.warnings {
        crate::complain(&render::finding(warning, console::colors_enabled_stderr()));
    }
    crate::say_all(&lowered.text)?;
    Ok(ExitCode::SUCCESS)
}
