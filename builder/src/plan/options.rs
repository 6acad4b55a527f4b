//! What planning needs of a request.

use std::collections::BTreeMap;
use std::path::PathBuf;

use strake_layers::{Platform, Reference};
use strake_parser::Network;

use crate::request::{BuildRequest, Entitlement};
use crate::{Error, Result};

use super::images::ImageSource;

/// What planning needs of a request, for one target platform.
#[derive(Clone, Debug)]
pub struct PlanOptions {
    /// `--build-arg` by name; the last one of a name counts.
    pub build_args: BTreeMap<String, String>,
    /// `--label`, applied last.
    pub labels: Vec<(String, String)>,
    /// `--target`.
    pub target: Option<String>,
    /// The platform asked for; `None`: the build platform, or what the base image has.
    pub platform: Option<Platform>,
    /// The platform of this host.
    pub build_platform: Platform,
    /// Whether progress names tell the platform.
    pub is_multi_platform: bool,
    /// `--build-context`.
    pub named_contexts: Vec<NamedContext>,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--no-cache-filter`: stage names.
    pub no_cache_filter: Vec<String>,
    /// `--network`: for every RUN that names none.
    pub network: Option<Network>,
    /// `--allow`.
    pub entitlements: Vec<Entitlement>,
    /// Check every stage, also those that the target does not need.
    pub all_stages: bool,
    /// The ignore file of the build context, for the check `CopyIgnoredFile`.
    pub ignore: Option<std::sync::Arc<strake_parser::ignore::IgnoreRules>>,
}

/// A named context: what stands in for an image, a stage or a source of that name (dockerfile.md §11.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedContext {
    /// The name, normalised like an image reference, without `:latest`.
    pub name: String,
    /// What it is.
    pub kind: NamedContextKind,
}

/// What a named context is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContextKind {
    /// Nothing (`docker-image://scratch`).
    Scratch,
    /// An image.
    Image(ImageSource),
    /// Another stage of the Dockerfile (`target:NAME`).
    Target(String),
    /// Files: a folder, a git repository or an address, which execution reads.
    Files(String),
}
