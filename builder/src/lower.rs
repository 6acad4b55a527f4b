//! Writes out the plain Dockerfile that one with additions to the language is equal to.

use strake_layers::Platform;

use crate::build::{Composed, Text};
use crate::plan::PlanOptions;
use crate::request::BuildRequest;
use crate::source::IncludedFiles;
use crate::{Error, Finding, Result};

/// A plain Dockerfile.
#[derive(Clone, Debug)]
pub struct LoweredDockerfile {
    /// The text; any builder reads it.
    pub text: Vec<u8>,
    /// What was left out of it, or warned of on the way.
    pub warnings: Vec<Finding>,
}

/// Works out INCLUDE and IF for the request's arguments and first platform, and writes the result without any addition.
/// The Dockerfile and the build context are on this machine.
///
/// What has no plain equal is an error, as is anything wrong with the file.
pub fn lower(request: &BuildRequest) -> Result<LoweredDockerfile> {
    let (composed, _) = compose(request)?;
    let lowered = strake_parser::lower(&composed.parsed);
    let mut found = composed.parsed.diagnostics.clone();
    found.extend(lowered.diagnostics);
    let has_errors = found.iter().any(strake_parser::Diagnostic::is_error);
    let findings = found.into_iter().map(|one| composed.found_in.finding(one)).collect();
    if has_errors {
        return Err(Error::Dockerfile(findings));
    }
    Ok(LoweredDockerfile { text: lowered.text, warnings: findings })
}

/// Reads a Dockerfile of this machine and works out INCLUDE and IF for the request's arguments and first platform.
pub(crate) fn compose(request: &BuildRequest) -> Result<(Composed, PlanOptions)> {
    let (name, bytes, files) = IncludedFiles::of_host(request)?;
    let text = Text::parse(&name, &bytes, &request.build_args);
    let options = PlanOptions::from_request(request, request.platforms.first().cloned(), Platform::host())?;
    Ok((text.compose(&options, &files), options))
}
