//! `strake dockerfile`: tools for Dockerfiles that build nothing.

mod format;
mod graph;
mod lower;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use strake::{BuildRequest, ContextSource, Diagnostic, Dockerfile, DockerfileSource, Finding};

use crate::render;
use crate::request::{DOCKERFILE_LIMIT, build_arg, platforms, read_stdin};

/// The tools.
#[derive(Debug, Subcommand)]
pub(crate) enum DockerfileCommand {
    /// Show the stages, what each reads from, and which of them the target needs
    Graph(GraphArgs),
    /// Bring Dockerfiles into one form without changing what they mean
    Format(FormatArgs),
    /// Write the plain Dockerfile that one with strake's additions is equal to, for other builders
    Lower(LowerArgs),
}

/// Flags of `dockerfile format`.
#[derive(Debug, Args)]
pub(crate) struct FormatArgs {
    /// Change nothing: name the files that are not formatted, and fail if there are any
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Write the files instead of standard output
    #[arg(short, long)]
    write: bool,
    /// Dockerfiles; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
}

/// Flags of `dockerfile graph`.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// Stage to build [default: the last one]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    #[command(flatten)]
    input: Input,
    /// Language of the output
    #[arg(long, value_enum, default_value_t)]
    format: GraphFormat,
}

/// Flags of `dockerfile lower`.
#[derive(Debug, Args)]
pub(crate) struct LowerArgs {
    #[command(flatten)]
    input: Input,
}

/// A Dockerfile, and what INCLUDE and IF are worked out with.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// The Dockerfile; `-` reads it from standard input [default: Dockerfile]
    #[arg(value_name = "FILE", conflicts_with = "file")]
    path: Option<String>,
    /// The Dockerfile, as `strake build` takes it
    #[arg(short, long, value_name = "FILE")]
    file: Option<String>,
    /// Build context that INCLUDE reads from [default: the folder of the Dockerfile]
    #[arg(long, value_name = "DIR")]
    context: Option<PathBuf>,
    /// Value of an ARG; without a value the environment's
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    build_args: Vec<String>,
    /// Platform that conditions are worked out for [default: the host's]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Vec<String>,
}

impl Input {
    /// Makes the request of a tool that reads a Dockerfile, or standard input for `-`.
    fn request(&self) -> Result<BuildRequest> {
        let file = self.path.as_ref().or(self.file.as_ref()).map_or("Dockerfile", String::as_str);
        let cwd = std::env::current_dir().context("cannot tell the current folder")?;
        let dockerfile = match file {
            "-" => {
                let (name, bytes) = read("-")?;
                DockerfileSource::Text { name, bytes }
            }
            file => DockerfileSource::File(cwd.join(file)),
        };
        let beside = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty());
        let context = self.context.as_deref().or(beside).unwrap_or(Path::new("."));
        Ok(BuildRequest {
            context: ContextSource::Directory(cwd.join(context)),
            dockerfile,
            build_args: self.build_args.iter().filter_map(|text| build_arg(text)).collect(),
            platforms: platforms(&self.platform)?,
            ..BuildRequest::default()
        })
    }
}

/// What `dockerfile graph` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Lines for people
    #[default]
    Text,
    /// Graphviz
    Dot,
    /// One JSON object
    Json,
}

/// Runs one of the tools.
pub(crate) fn run(command: &DockerfileCommand) -> Result<ExitCode> {
    match command {
        DockerfileCommand::Graph(args) => graph::run(args),
        DockerfileCommand::Format(args) => format::run(args),
        DockerfileCommand::Lower(args) => lower::run(args),
    }
}

/// Reads a file, or standard input for `-`; gives what messages call it, too.
fn read(file: &str) -> Result<(String, Vec<u8>)> {
    if file == "-" {
        return Ok(("Dockerfile".to_owned(), read_stdin(DOCKERFILE_LIMIT)?));
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {file}"))?;
    Ok((file.to_owned(), bytes))
}

/// Shows problems of a Dockerfile with the lines they are in.
pub(crate) fn show(name: &str, dockerfile: &Dockerfile, problems: &[Diagnostic]) {
    if problems.is_empty() {
        return;
    }
    let source = Arc::new(dockerfile.source.masked(&strake::secret_values(dockerfile)));
    for diagnostic in problems {
        let line = dockerfile.lines_of(diagnostic.span).first();
        let finding = Finding {
            file: name.into(),
            source: Arc::clone(&source),
            line,
            diagnostic: diagnostic.clone(),
            notes: Vec::new(),
        };
        crate::complain(&render::finding(&finding, console::colors_enabled_stderr()));
    }
}
