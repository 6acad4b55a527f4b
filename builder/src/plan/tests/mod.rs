//! Tables of Dockerfiles and what planning makes of them.

mod additions;
mod copy;
mod errors;
mod onbuild;
mod outputs;
mod run;
mod settings;
mod stages;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use strake_layers::{Descriptor, Digest, ImageConfig, Platform};
use strake_parser::{Diagnostic, ParseOptions, parse};

use super::graph::{CopyOp, Op, PlannedStage, RunOp, SourceKind, WorkdirOp};
use super::{KnownImages, NamedContext, Plan, PlanOptions, Planned, plan};
use crate::resolve::ResolvedImage;

/// The search path that images without one get.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A build to plan: options, and the configs of images by name.
struct Case {
    options: PlanOptions,
    images: BTreeMap<&'static str, String>,
}

fn case() -> Case {
    let busybox = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["{PATH}"],"Cmd":["sh"]}},
            "history":[{{"created_by":"busybox: files"}}],"created":"2020-01-01T00:00:00Z","moby.x":1}}"#
    );
    let rich = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Env":["{PATH}","A=1","B=two words"],"Cmd":["echo hi"],
            "Entrypoint":["/bin/sh","-c"],"User":"app","WorkingDir":"/srv","Shell":["/bin/sh","-ec"],
            "Labels":{{"x":"y"}},"ExposedPorts":{{"80/tcp":{{}}}},"Volumes":{{"/data":{{}}}},"StopSignal":"SIGTERM",
            "Healthcheck":{{"Test":["CMD-SHELL","true"],"Retries":3}}}}}}"#
    );
    let windows = r#"{"architecture":"amd64","os":"windows","os.version":"10.0.20348.1",
            "config":{"Cmd":["c:\\windows\\system32\\cmd.exe"]}}"#;
    let onbuild = r#"{"architecture":"amd64","os":"linux",
            "config":{"OnBuild":["COPY . /app/","RUN echo built > /app/stamp","ENV OB=1"]}}"#;
    let images = BTreeMap::from([
        ("busybox", busybox),
        ("rich", rich),
        ("windows", windows.to_owned()),
        ("onbuild", onbuild.to_owned()),
    ]);
    let linux = Platform::new("linux", "amd64");
    let options = PlanOptions {
        build_args: BTreeMap::new(),
        labels: Vec::new(),
        target: None,
        platform: None,
        build_platform: linux,
        is_multi_platform: false,
        named_contexts: Vec::new(),
        no_cache: false,
        no_cache_filter: Vec::new(),
        network: None,
        entitlements: Vec::new(),
        all_stages: false,
        checks: strake_parser::CheckSettings::default(),
        without_images: false,
        ignore: None,
    };
    Case { options, images }
}

impl Case {
    fn arg(mut self, name: &str, value: &str) -> Self {
        self.options.build_args.insert(name.to_owned(), value.to_owned());
        self
    }

    fn platform(mut self, text: &str) -> Self {
        self.options.platform = Some(text.parse().expect("platform"));
        self
    }

    fn target(mut self, name: &str) -> Self {
        self.options.target = Some(name.to_owned());
        self
    }

    fn context(mut self, name: &str, value: &str) -> Self {
        self.options.named_contexts.push(NamedContext::parse(name, value).expect("named context"));
        self
    }

    fn image(mut self, name: &'static str, config: &str) -> Self {
        self.images.insert(name, config.to_owned());
        self
    }

    /// Plans, resolving images until none is missing.
    fn try_plan(&self, text: &str) -> Result<Planned, Vec<Diagnostic>> {
        let parsed = parse(text.as_bytes(), &ParseOptions::default());
        let mut known = KnownImages::new();
        for _ in 0..5 {
            let wanted = match plan(&parsed, &self.options, &known)? {
                Plan::Ready(planned) => return Ok(*planned),
                Plan::NeedImages(wanted) => wanted,
            };
            for request in wanted {
                let config = &self.images[request.name.as_str()];
                let image = resolved(&request.key.source.to_string(), config, &request);
                known.insert(request.key, Arc::new(image));
            }
        }
        panic!("planning asks for images again and again");
    }

    fn plan(&self, text: &str) -> Planned {
        self.try_plan(text).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    /// Plans and gives the target stage.
    fn stage(&self, text: &str) -> PlannedStage {
        let planned = self.plan(text);
        planned.graph.stages[planned.graph.target.0].clone()
    }

    /// Plans and gives the errors as `line: message`.
    fn errors(&self, text: &str) -> Vec<String> {
        let problems = self.try_plan(text).err().unwrap_or_default();
        let errors = problems.iter().filter(|found| found.is_error());
        errors.map(|found| located(text, found)).collect()
    }

    /// Plans and gives the warnings as `line: rule: message`.
    fn warnings(&self, text: &str) -> Vec<String> {
        let warnings = self.plan(text).warnings;
        let rule = |found: &Diagnostic| found.rule.map_or("", strake_parser::Rule::name);
        warnings.iter().map(|found| format!("{}: {}", rule(found), located(text, found))).collect()
    }
}

fn located(text: &str, found: &Diagnostic) -> String {
    let line = text[..found.span.start().min(text.len())].matches('\n').count() + 1;
    format!("{line}: {}", found.message)
}

fn resolved(name: &str, config: &str, request: &super::ImageRequest) -> ResolvedImage {
    ResolvedImage {
        source: request.key.source.clone(),
        platform: request.key.platform.clone(),
        name: name.to_owned(),
        config: ImageConfig::parse(config.as_bytes(), "config").expect("valid"),
        config_bytes: config.as_bytes().into(),
        manifest: Descriptor::new("application/vnd.oci.image.manifest.v1+json", Digest::of(config.as_bytes()), 1),
        index: None,
        layers: Vec::new(),
    }
}

/// The member `config` of a stage's image, as JSON.
fn config(stage: &PlannedStage) -> String {
    serde_json::to_string(&stage.config.config).expect("serialises")
}

/// The history that a stage added; entries without a layer are marked with `-`.
fn history(stage: &PlannedStage) -> Vec<String> {
    let own = &stage.config.history[stage.inherited_history..];
    own.iter().map(|entry| format!("{}{}", if entry.empty_layer { "- " } else { "" }, entry.created_by)).collect()
}

fn runs(stage: &PlannedStage) -> Vec<&RunOp> {
    let ops = stage.steps.iter().map(|step| &step.op);
    ops.filter_map(|op| if let Op::Run(run) = op { Some(&**run) } else { None }).collect()
}

fn copies(stage: &PlannedStage) -> Vec<&CopyOp> {
    let ops = stage.steps.iter().map(|step| &step.op);
    ops.filter_map(|op| if let Op::Copy(copy) = op { Some(&**copy) } else { None }).collect()
}

fn workdirs(stage: &PlannedStage) -> Vec<&WorkdirOp> {
    let ops = stage.steps.iter().map(|step| &step.op);
    ops.filter_map(|op| if let Op::Workdir(workdir) = op { Some(workdir) } else { None }).collect()
}

/// The sources of a copy as text: paths, addresses, `<<name` and the bytes.
fn sources(copy: &CopyOp) -> Vec<String> {
    let text = |kind: &SourceKind| match kind {
        SourceKind::Path(path) => path.clone(),
        SourceKind::Inline { name, bytes } => format!("<<{name} {}", String::from_utf8_lossy(bytes)),
        SourceKind::Http(url) => url.clone(),
        SourceKind::Git(git) => format!("git {}", git.remote),
    };
    copy.sources.iter().map(|source| text(&source.kind)).collect()
}

fn env(run: &RunOp) -> Vec<String> {
    let own = run.env.iter().filter(|(name, _)| name != "PATH");
    own.map(|(name, value)| format!("{name}={value}")).collect()
}
