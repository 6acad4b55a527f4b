//! Questions about a Dockerfile that no build is needed for: what a target can be given, and which targets there are.

use strake_layers::Platform;
use strake_parser::Diagnostic;

use crate::build::{Composed, Phases, Text};
use crate::check::is_only_unreachable;
use crate::events::Event;
use crate::finding::{Location, SourceFile};
use crate::plan::{self, KnownImages, Outlined, Plan, PlanOptions};
use crate::request::{BuildRequest, Entitlement};
use crate::{Error, Result};

/// What a target, with all that it needs, can be given; lists are in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// The target's name in lower case.
    pub name: Option<String>,
    /// What the comment above its FROM says of it.
    pub description: Option<String>,
    /// The build arguments.
    pub arguments: Vec<OutlineArgument>,
    /// The secrets.
    pub secrets: Vec<OutlineMount>,
    /// The SSH agents.
    pub agents: Vec<OutlineMount>,
    /// The cache mounts.
    pub caches: Vec<OutlineMount>,
    /// The Dockerfile, then the files that it includes.
    pub files: Vec<SourceFile>,
}

/// A build argument of an [`Outline`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineArgument {
    /// The name.
    pub name: String,
    /// The value that it has with what the request gives.
    pub value: Option<String>,
    /// What the comment above its ARG says of it.
    pub description: Option<String>,
    /// The ARG; of an ONBUILD trigger the FROM that fires it.
    pub location: Location,
}

/// A secret, an SSH agent or a cache of an [`Outline`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineMount {
    /// The name that mounts use.
    pub id: String,
    /// Whether there is no build without it.
    pub is_required: bool,
    /// The first RUN that mounts it.
    pub location: Location,
}

/// The stages of a Dockerfile.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// All of them, in file order.
    pub targets: Vec<Target>,
    /// The Dockerfile, then the files that it includes.
    pub files: Vec<SourceFile>,
}

/// A stage of [`Targets`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name in lower case.
    pub name: Option<String>,
    /// What the comment above its FROM says of it.
    pub description: Option<String>,
    /// Whether it is what a build without a target makes.
    pub is_default: bool,
    /// What FROM names, as written.
    pub base: String,
    /// `--platform`, as written.
    pub platform: Option<String>,
    /// Its FROM.
    pub location: Location,
}

impl Phases<'_> {
    /// Plans the build as far as images can be asked for, and tells what came up on the way.
    pub(crate) async fn outline(self) -> Result<Outline> {
        let (composed, mut options) = self.compose().await?;
        // Rights are given by who builds.
        options.entitlements = vec![Entitlement::NetworkHost, Entitlement::SecurityInsecure, Entitlement::Device];
        let found_in = &composed.found_in;
        let fail =
            |found: Vec<Diagnostic>| Error::Dockerfile(found.into_iter().map(|one| found_in.finding(one)).collect());
        let mut known = KnownImages::default();
        let planned = loop {
            let wanted = match plan::plan(&composed.parsed, &options, &known) {
                Ok(Plan::Ready(planned)) => break planned,
                Ok(Plan::NeedImages(wanted)) => wanted,
                Err(problems) => return Err(fail(problems)),
            };
            self.cancel.check()?;
            match self.resolver.resolve_all(&wanted, self.request.pull, &self.report).await {
                Ok(found) => known.extend(found),
                Err(failed) => {
                    let error = failed.locate(|diagnostic| found_in.finding(diagnostic));
                    if error.is_cancelled() || !is_only_unreachable(&error) {
                        return Err(error);
                    }
                    // Most is known without the images: all but what hangs on their variables and ONBUILD triggers.
                    options.without_images = true;
                    let message = format!("what the base images add is left out: {error}");
                    self.report.send(Event::Warning { id: None, message });
                }
            }
        };
        Ok(shown(planned.outline, &composed))
    }

    /// Lists the stages; whether they can be built is not asked.
    pub(crate) async fn targets(self) -> Result<Targets> {
        let (Composed { parsed, found_in }, _) = self.compose().await?;
        if parsed.diagnostics.iter().any(Diagnostic::is_error) {
            return Err(Error::Dockerfile(parsed.diagnostics.into_iter().map(|one| found_in.finding(one)).collect()));
        }
        let last = parsed.dockerfile.stages.len();
        let targets = parsed.dockerfile.stages.iter().map(|stage| {
            let name = stage.key();
            Target {
                description: name.as_deref().and_then(|name| plan::description(&stage.docs, name)),
                name,
                is_default: stage.index + 1 == last,
                base: stage.base.raw.to_string(),
                platform: stage.platform.as_ref().map(|word| word.raw.to_string()),
                location: found_in.location(stage.from_span, stage.lines),
            }
        });
        Ok(Targets { targets: targets.collect(), files: found_in.files() })
    }

    /// Reads the Dockerfile and makes the plain one of the first platform.
    async fn compose(&self) -> Result<(Composed, PlanOptions)> {
        let sources = self.sources();
        let load = self.report.step("[internal] load build definition", sources.read_dockerfile());
        let (name, bytes) = load.await?;
        let text = Text::parse(&name, &bytes, &self.request.build_args);
        let request = BuildRequest { check_only: false, ..(*self.request).clone() };
        let options = PlanOptions::from_request(&request, request.platforms.first().cloned(), Platform::host())?;
        let files = sources.included_files().await?;
        Ok((text.compose(&options, &files), options))
    }
}

fn shown(outlined: Outlined, composed: &Composed) -> Outline {
    let found_in = &composed.found_in;
    let argument = |one: plan::Argument| OutlineArgument {
        location: found_in.location(one.span, one.lines),
        name: one.name,
        value: one.value,
        description: one.description,
    };
    let mounts = |all: Vec<plan::Mounted>| {
        let mount = |one: plan::Mounted| OutlineMount {
            location: found_in.location(one.span, one.lines),
            id: one.id,
            is_required: one.is_required,
        };
        all.into_iter().map(mount).collect()
    };
    Outline {
        name: outlined.name,
        description: outlined.description,
        arguments: outlined.arguments.into_iter().map(argument).collect(),
        secrets: mounts(outlined.secrets),
        agents: mounts(outlined.agents),
        caches: mounts(outlined.caches),
        files: found_in.files(),
    }
}
