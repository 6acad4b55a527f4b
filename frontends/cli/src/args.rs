//! The command line as it is written.

use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::call::{Call, parse_call};
use crate::check::CheckArgs;
use crate::dockerfile::DockerfileCommand;

/// Builds container images from Dockerfiles, without a daemon.
#[derive(Debug, Parser)]
#[command(name = "strake", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Reads the command line, and the variables that stand in for flags.
pub(crate) fn read() -> Result<Cli, clap::Error> {
    let mut command = without_empty_variables(Cli::command());
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Drops the variables of flags that are set to nothing, as CI systems do for what nobody gave.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg });
    command.mut_subcommands(without_empty_variables)
}

/// Where images, layers and the cache lie.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Folder of the store [default: /var/lib/strake for root, else strake in the user's data folder]
    #[arg(long, global = true, env = "STRAKE_ROOT", hide_env_values = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build an image from a Dockerfile
    // As with docker, of a flag that is given twice the last one counts.
    #[command(args_override_self = true)]
    Build(Box<BuildArgs>),
    /// Check a Dockerfile without building it, and mend it
    Check(Box<CheckArgs>),
    /// List the images that builds have kept
    Images,
    /// Remove what no image needs
    Prune(PruneArgs),
    /// Say what this machine can do, and what is missing
    Doctor,
    /// Print the page of an error or check: `strake explain E0101`
    Explain {
        /// A code (`E0101`) or the name of a check (`StageNameCasing`)
        code: String,
    },
    /// Show and format Dockerfiles without building them
    #[command(subcommand)]
    Dockerfile(DockerfileCommand),
    /// Look into strake's own workings
    #[command(subcommand)]
    Debug(DebugCommand),
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DebugCommand {
    /// Parse a Dockerfile and print what was found
    Parse {
        /// The Dockerfile
        file: PathBuf,
        /// Print the tree, not only the count
        #[arg(long)]
        tree: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Remove everything: cached results, cache mounts, and the images and their names
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Keep the most recently used results up to this size, e.g. 20GB
    #[arg(long, value_name = "SIZE")]
    pub(crate) keep_storage: Option<String>,
    /// Remove only what was not used for this long, e.g. 72h
    #[arg(long, value_name = "DURATION")]
    pub(crate) until: Option<String>,
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// A live tree on a terminal, plain lines elsewhere
    #[default]
    Auto,
    /// One line after the other
    Plain,
    /// A live tree
    Tty,
    /// One JSON object a line, on standard error
    Json,
    /// Nothing but errors
    Quiet,
    /// Nothing at all but errors (docker's spelling of quiet)
    None,
    /// The reference's own stream
    #[value(hide = true)]
    Rawjson,
}

/// Flags of `build`, in docker's spelling.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Build context: a folder, `-` for a tar or a Dockerfile on standard input, a git or http(s) address
    #[arg(value_name = "CONTEXT")]
    pub(crate) context: String,
    /// Dockerfile [default: CONTEXT/Dockerfile]; `-` reads it from standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// Name of the image, e.g. registry.example/app:1; may be given again
    #[arg(short, long = "tag", value_name = "NAME")]
    pub(crate) tags: Vec<String>,
    /// Stage to build
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// Value of an ARG; without a value the environment's
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub(crate) build_args: Vec<String>,
    /// Label of the image
    #[arg(long = "label", value_name = "NAME=VALUE")]
    pub(crate) labels: Vec<String>,
    /// Annotation of the manifest; `index:KEY=VALUE` and the like for other places
    #[arg(long = "annotation", value_name = "[TYPE:]KEY=VALUE")]
    pub(crate) annotations: Vec<String>,
    /// Platform of the image, e.g. linux/arm64; several make an index
    #[arg(long = "platform", value_name = "OS/ARCH", value_delimiter = ',')]
    pub(crate) platforms: Vec<String>,
    /// Secret for RUN --mount=type=secret: id=NAME[,src=FILE|,env=VARIABLE]
    #[arg(long = "secret", value_name = "SPEC")]
    pub(crate) secrets: Vec<String>,
    /// SSH agent for RUN --mount=type=ssh: default, or ID=SOCKET
    #[arg(long = "ssh", value_name = "SPEC")]
    pub(crate) ssh: Vec<String>,
    /// Further context: NAME=FOLDER, NAME=docker-image://REF, NAME=oci-layout://DIR, a git or http(s) address
    #[arg(long = "build-context", value_name = "NAME=VALUE")]
    pub(crate) build_contexts: Vec<String>,
    /// Do not use cached results
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL", action = ArgAction::Set, value_parser = parse_switch)]
    pub(crate) no_cache: bool,
    /// Do not use cached results of these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(crate) no_cache_filter: Vec<String>,
    /// Ask the registries even for images that are known here
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL", action = ArgAction::Set, value_parser = parse_switch)]
    pub(crate) pull: bool,
    /// What to make: type=oci|docker|local|tar|image|registry|cacheonly,dest=PATH,…; a path alone is a local folder
    #[arg(short, long = "output", value_name = "SPEC")]
    pub(crate) outputs: Vec<String>,
    /// Push the image to the registries of its tags
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL", action = ArgAction::Set, value_parser = parse_switch)]
    pub(crate) push: bool,
    /// Display of progress
    #[arg(long, value_enum, default_value_t, env = "BUILDKIT_PROGRESS", hide_env_values = true)]
    pub(crate) progress: ProgressMode,
    /// Print nothing but the image's ID
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL", action = ArgAction::Set, value_parser = parse_switch)]
    pub(crate) quiet: bool,
    /// Write the image's ID to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Write digests and names as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,
    /// Host name for RUN: NAME:ADDRESS or NAME=ADDRESS
    #[arg(long = "add-host", value_name = "NAME:ADDRESS")]
    pub(crate) add_hosts: Vec<String>,
    /// Size of /dev/shm in RUN, e.g. 128m
    #[arg(long, value_name = "SIZE")]
    pub(crate) shm_size: Option<String>,
    /// Resource limit in RUN: NAME=SOFT or NAME=SOFT:HARD
    #[arg(long = "ulimit", value_name = "SPEC")]
    pub(crate) ulimits: Vec<String>,
    /// Network of RUN that names none
    #[arg(long, value_name = "MODE")]
    pub(crate) network: Option<String>,
    /// What RUN does where the default network cannot be made: the host's network with a warning, or an error
    #[arg(long, value_name = "MODE", default_value = "host", value_parser = ["host", "error"])]
    pub(crate) network_fallback: String,
    /// Right the build is given: network.host, security.insecure
    #[arg(long = "allow", value_name = "RIGHT", value_delimiter = ',')]
    pub(crate) allow: Vec<String>,
    /// Check the Dockerfile without building it
    #[arg(long)]
    pub(crate) check: bool,
    /// Warn of features that the version in `# syntax=docker/dockerfile:VERSION` does not have
    #[arg(long)]
    pub(crate) strict_syntax: bool,
    /// What to do: build, check, outline (what the target can be given) or targets; METHOD,format=json for programs
    #[arg(long, value_name = "METHOD", default_value = "build", hide_default_value = true, value_parser = parse_call)]
    pub(crate) call: Call,
    /// Say why each step was not served by the cache
    #[arg(long)]
    pub(crate) explain_cache: bool,
    /// Stages that run at one time [default: all that can]
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// Load the image into the local docker engine
    #[arg(hide = true, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL", action = ArgAction::Set, value_parser = parse_switch)]
    pub(crate) load: bool,
    /// Remove containers of steps, which is always done here
    #[arg(hide = true, long, alias = "force-rm", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", hide_default_value = true, value_name = "BOOL", action = ArgAction::Set, value_parser = parse_switch)]
    pub(crate) rm: bool,
}

/// Reads the value of a switch, as docker does: `--pull=true`.
fn parse_switch(text: &str) -> Result<bool, String> {
    strake::parse_bool(text).ok_or_else(|| "write true or false".to_owned())
}
