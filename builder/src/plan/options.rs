//! What planning needs of a request.

use std::collections::BTreeMap;

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
    /// Settings of the build checks besides those that the Dockerfile gives.
    pub checks: strake_parser::CheckSettings,
    /// Images that are not known stay so: what hangs on them is not checked, and the graph is good for nothing.
    pub without_images: bool,
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

impl PlanOptions {
    /// Takes what planning needs from a request.
    pub fn from_request(request: &BuildRequest, platform: Option<Platform>, build_platform: Platform) -> Result<Self> {
        let mut build_args: BTreeMap<_, _> = request.build_args.iter().cloned().collect();
        if let Some(epoch) = &request.source_date_epoch {
            build_args.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert_with(|| epoch.clone());
        }
        let contexts = request.named_contexts.iter().map(|(name, value)| NamedContext::parse(name, value));
        let mut entitlements = request.entitlements.clone();
        if request.network == Some(Network::Host) {
            // Who asks for the host's network on the command line has allowed it.
            entitlements.push(Entitlement::NetworkHost);
        }
        Ok(Self {
            build_args,
            labels: request.labels.clone(),
            target: request.target.clone(),
            platform,
            build_platform,
            is_multi_platform: request.platforms.len() > 1,
            named_contexts: contexts.collect::<Result<_>>()?,
            no_cache: request.no_cache,
            no_cache_filter: request.no_cache_filter.iter().map(|name| name.to_lowercase()).collect(),
            network: request.network,
            entitlements,
            all_stages: request.check_only && request.target.is_none(),
            checks: request.checks.clone(),
            without_images: false,
            ignore: None,
        })
    }

    /// Gives the named context of a name that the Dockerfile uses.
    pub(super) fn context(&self, name: &str) -> Option<&NamedContext> {
        let wanted = normalise(name);
        // The last one of a name counts, as with every flag that is given again.
        self.named_contexts.iter().rev().find(|context| context.name == wanted)
    }

    /// Gives the platform that is built for.
    pub(super) fn target_platform(&self) -> &Platform {
        self.platform.as_ref().unwrap_or(&self.build_platform)
    }
}

impl NamedContext {
    /// Reads the name and the value of `--build-context`.
    pub fn parse(name: &str, value: &str) -> Result<Self> {
        let made = normalise(name);
        if made == "scratch" || made == "context" {
            return Err(Error::user(format!("the build context {name:?} cannot be replaced: the name is reserved"))
                .with_help("give the named context another name"));
        }
        let kind = match split_scheme(value) {
            Some(("docker-image" | "container-image" | "docker", "scratch")) => NamedContextKind::Scratch,
            Some(("docker-image" | "container-image" | "docker", image)) => {
                let reference = Reference::parse(image).map_err(|error| {
                    Error::user(format!("the build context {name:?}: {error}")).with_help(error.help())
                })?;
                NamedContextKind::Image(ImageSource::Registry(reference))
            }
            Some(("oci-layout", layout)) => NamedContextKind::Image(parse_layout(name, layout)?),
            Some((scheme, _)) if !["http", "https", "git", "ssh"].contains(&&*scheme.to_ascii_lowercase()) => {
                let help = "give a folder, an address of http, https, git or ssh, docker-image://IMAGE, \
                            oci-layout://PATH (a folder or an archive), or target:STAGE";
                let message = format!("the build context {name:?}: {scheme}:// is not known");
                return Err(Error::user(message).with_help(help));
            }
            _ => match value.strip_prefix("target:") {
                Some(stage) => NamedContextKind::Target(stage.to_owned()),
                None => NamedContextKind::Files(value.to_owned()),
            },
        };
        Ok(Self { name: made, kind })
    }
}

/// Splits `scheme://rest`.
fn split_scheme(value: &str) -> Option<(&str, &str)> {
    value.split_once("://")
}

/// Brings a name into the form in which named contexts are compared: as an image reference without `:latest`
/// (dockerfile.md §11.2).
pub(super) fn normalise(name: &str) -> String {
    let made = match Reference::parse(&name.to_lowercase()) {
        Ok(reference) => reference.familiar(),
        Err(_) => name.to_lowercase(),
    };
    match made.strip_suffix(":latest") {
        Some(short) => short.to_owned(),
        None => made,
    }
}

/// Reads `PATH[:TAG][@DIGEST]`. The path may hold colons (a Windows drive), a tag none.
fn parse_layout(name: &str, text: &str) -> Result<ImageSource> {
    let (rest, digest) = match text.rsplit_once('@') {
        Some((rest, digest)) if digest.contains(':') => (rest, Some(digest.to_owned())),
        _ => (text, None),
    };
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if path.len() > 1 && !tag.contains(['/', '\\']) => (path, Some(tag.to_owned())),
        _ => (rest, None),
    };
    if path.is_empty() {
        return Err(Error::user(format!("the build context {name:?} names no folder: {text:?}"))
            .with_help("write oci-layout://FOLDER[:TAG][@DIGEST]"));
    }
    Ok(ImageSource::Layout { path: path.to_owned(), tag, digest })
}
