//! The graph of a build: what [`crate::plan`] makes and what execution carries out.
//!
//! It is pure data: every variable is expanded, every name bound; only facts that need the world (files, users,
//! downloads) are left to execution.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use strake_layers::{ImageConfig, Platform};
use strake_parser::{LineRange, MountSpec, Network, Security, Span};

/// The position of a stage in [`BuildGraph::stages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StageId(pub usize);

/// The position of an image in [`BuildGraph::images`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ImageId(pub usize);

/// A value that a step writes (`RUN --env`), by its number in the build: it is not known before the step has run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct OutputId(pub usize);

/// A planned build for one target platform: stages in topological order, each one after all it depends on.
#[derive(Clone, Debug)]
pub struct BuildGraph {
    /// Only the stages that the target needs.
    pub stages: Vec<PlannedStage>,
    /// The images that stages start or copy from, each reference and platform once.
    pub images: Vec<PlannedImage>,
    /// The stage whose result is the build's.
    pub target: StageId,
    /// The platform built for.
    pub platform: Platform,
}

/// An image the build uses, resolved.
#[derive(Clone, Debug)]
pub struct PlannedImage {
    /// What [`crate::resolve`] found.
    pub resolved: Arc<crate::resolve::ResolvedImage>,
}

/// A stage with everything expanded.
#[derive(Clone, Debug)]
pub struct PlannedStage {
    /// The name as written, lower-cased.
    pub name: Option<String>,
    /// What progress lines call it: its name or `stage-<index in the file>`.
    pub display: String,
    /// Its platform.
    pub platform: Platform,
    /// What it starts from.
    pub base: Base,
    /// The stages that must be complete before its first step begins (`FROM --after`); nothing of them is read.
    pub after: Vec<StageId>,
    /// The steps that make layers, in order.
    pub steps: Vec<Step>,
    /// The arguments that it takes.
    pub(crate) arguments: super::outline::StageArguments,
    /// The image config at the end of the stage, of which diff IDs and times of history entries made here are filled
    /// in by the export: history entries that this stage adds have no `created` yet.
    pub config: ImageConfig,
    /// The variables of the config whose values steps write; they are empty in [`Self::config`].
    pub outputs: Vec<(String, OutputId)>,
    /// The number of leading history entries that were inherited (from the base image or base stage).
    pub inherited_history: usize,
    /// The line of its FROM.
    pub lines: LineRange,
    /// Where its FROM is.
    pub span: Span,
}

/// What a stage starts from, and what COPY and mounts read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// The result of another stage.
    Stage(StageId),
    /// An image.
    Image(ImageId),
    /// The files of a named context, by its normalised name.
    Context(String),
}

/// A step that makes a layer.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub op: Op,
    /// The text of the progress line after `[stage i/n]` (dockerfile.md §14).
    pub title: String,
    /// Where the instruction is; for ONBUILD triggers the FROM of the stage.
    pub span: Span,
    /// The physical lines of the instruction.
    pub lines: LineRange,
    /// The trigger, when the step comes from ONBUILD.
    pub trigger: Option<FiredTrigger>,
    /// The index of the step's entry in the history of the stage's config.
    pub history: usize,
    /// Whether the cache may not serve it (`--no-cache`, `--no-cache-filter`).
    pub no_cache: bool,
}

/// An ONBUILD trigger that fires in a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiredTrigger {
    /// Its text, without ONBUILD.
    pub text: String,
    /// Where it stands, when it is of a stage of this file.
    pub span: Option<Span>,
}

impl FiredTrigger {
    /// What is said of [`FiredTrigger::span`] beside a problem, which is shown at the FROM.
    pub(crate) const LABEL: &str = "in the ONBUILD trigger that this FROM fires";
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Op {
    /// RUN.
    Run(Box<RunOp>),
    /// COPY or ADD.
    Copy(Box<CopyOp>),
    /// WORKDIR.
    Workdir(WorkdirOp),
}

/// RUN.
#[derive(Clone, Debug)]
pub struct RunOp {
    /// The arguments, the program first (shell form: SHELL and the script).
    pub argv: Vec<String>,
    /// A here-doc script with `#!`: its name below `/dev/pipes/` and its bytes (dockerfile.md §13.3).
    pub script: Option<(String, Vec<u8>)>,
    /// ENV and ARG in order of appearance, without defaults for PATH and HOME.
    pub env: Vec<(String, String)>,
    /// The variables of [`Self::env`] whose values earlier steps write; they are empty there.
    pub outputs: Vec<(String, OutputId)>,
    /// `--env`: the variable that gets what this step writes to its standard output.
    pub makes: Option<RunOutput>,
    /// Proxy variables, which are in no key and no history (dockerfile.md §9.6).
    pub proxy_env: Vec<(String, String)>,
    /// The working directory, absolute, in the spelling of the image config.
    pub cwd: String,
    /// USER as written; empty for the default.
    pub user: String,
    /// The mounts in order.
    pub mounts: Vec<RunMount>,
    /// The network.
    pub network: Network,
    /// The privileges.
    pub security: Security,
    /// The host name.
    pub hostname: String,
    /// A prefix of cache mount ids (`BUILDKIT_CACHE_MOUNT_NS`).
    pub cache_namespace: String,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// `--retry`: how often a step that failed is run again.
    pub retry: u32,
    /// `--memory` in bytes.
    pub memory: Option<u64>,
}

/// What `RUN --env` asks for.
#[derive(Clone, Debug)]
pub struct RunOutput {
    /// The value.
    pub id: OutputId,
    /// The name of the variable.
    pub name: String,
    /// Where the name is written.
    pub span: Span,
}

/// A mount of a RUN with its `from` bound.
#[derive(Clone, Debug)]
pub struct RunMount {
    /// What is mounted; targets are absolute and clean.
    pub spec: MountSpec,
    /// What `from` names; `None` where the kind has none or it was not given.
    pub from: Option<CopyFrom>,
    /// Where it is written.
    pub span: Span,
}

/// Where COPY, ADD and bind mounts read from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CopyFrom {
    /// The build context.
    Context,
    /// A named context that is a folder, tar, git or http source: its normalised name.
    NamedContext(String),
    /// An empty root (`scratch`).
    Scratch,
    /// A stage.
    Stage(StageId),
    /// An image.
    Image(ImageId),
}

/// COPY or ADD.
#[derive(Clone, Debug)]
pub struct CopyOp {
    /// `COPY` or `ADD`, for messages.
    pub keyword: &'static str,
    /// Where paths are read from.
    pub from: CopyFrom,
    /// The sources in order, expanded.
    pub sources: Vec<Source>,
    /// The destination, expanded; relative ones join `workdir`; a trailing separator is kept.
    pub dest: String,
    /// Where the destination is written.
    pub dest_span: Span,
    /// Where `--chown` is written; the destination where it is not.
    pub owner_span: Span,
    /// The working directory, absolute, in the spelling of the image config.
    pub workdir: String,
    /// `--chown`, expanded.
    pub chown: Option<String>,
    /// `--chmod`, expanded and checked.
    pub chmod: Option<strake_parser::chmod::ModeChange>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude` patterns.
    pub exclude: Vec<String>,
    /// What only ADD has.
    pub add: Option<AddOptions>,
    /// The platform of the stage: Windows images have other paths, owners and modes.
    pub platform: Platform,
}

/// A source of COPY or ADD.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is.
    pub kind: SourceKind,
    /// Where it is written.
    pub span: Span,
}

/// What a source is.
#[derive(Clone, Debug)]
pub enum SourceKind {
    /// A path below [`CopyOp::from`], perhaps with wildcards.
    Path(String),
    /// A here-doc: name and bytes, expanded.
    Inline {
        /// The file's name.
        name: String,
        /// The file's bytes.
        bytes: Arc<[u8]>,
    },
    /// A download.
    Http(String),
    /// A git repository.
    Git(strake_parser::git_ref::GitRef),
}

/// What only ADD has.
#[derive(Clone, Debug, Default)]
pub struct AddOptions {
    /// `--unpack`; without it archives among path sources are unpacked, downloads are not.
    pub unpack: Option<bool>,
    /// `--checksum`, expanded.
    pub checksum: Option<String>,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
}

/// WORKDIR.
#[derive(Clone, Debug)]
pub struct WorkdirOp {
    /// The directory, absolute, in the spelling of the image config.
    pub path: String,
    /// USER as written: owner of directories that are made.
    pub user: String,
    /// The platform of the stage.
    pub platform: Platform,
}
