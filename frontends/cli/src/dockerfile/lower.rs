//! `strake dockerfile lower`: the plain Dockerfile that one with additions to the language is equal to.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use strake::{BuildRequest, ContextSource, DockerfileSource};

use super::LowerArgs;
use crate::render;
use crate::request::{build_arg, platforms};

/// Writes the plain file; what was left out goes to standard error.
pub(super) fn run(args: &LowerArgs) -> Result<ExitCode> {
    let cwd = std::env::current_dir().context("cannot tell the current folder")?;
    let dockerfile = match args.file.as_str() {
        "-" => {
            let (name, bytes) = super::read("-")?;
            DockerfileSource::Text { name, bytes }
        }
        file => DockerfileSource::File(cwd.join(file)),
    };
    let beside = Path::new(&args.file).parent().filter(|folder| !folder.as_os_str().is_empty());
    let context = args.context.as_deref().or(beside).unwrap_or(Path::new("."));
    let request = BuildRequest {
        context: ContextSource::Directory(cwd.join(context)),
        dockerfile,
        build_args: args.build_args.iter().filter_map(|text| build_arg(text)).collect(),
        platforms: platforms(&args.platform)?,
        ..BuildRequest::default()
    };
    let lowered = strake::lower(&request)?;
    for warning in &lowered.warnings {
        crate::complain(&render::finding(warning, console::colors_enabled_stderr()));
    }
    std::io::stdout().lock().write_all(&lowered.text).context("cannot write the Dockerfile")?;
    Ok(ExitCode::SUCCESS)
}
