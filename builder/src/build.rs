//! From a request to what it asks for: the phases in their order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use strake_layers::{Cancel, Digest, NoticeSink, Platform, Timestamp};
use strake_parser::{Compose, Diagnostic, ParseOptions, Parsed};
use strake_snapshotter::{CopySnapshotter, OverlaySnapshotter, Snapshotter, Store, StoreOptions};

use crate::cache::Results;
use crate::call::{Outline, Targets};
use crate::check::Checked;
use crate::events::{Event, EventSink};
use crate::execute::{Masks, Report, Session, execute};
use crate::export::{self, BuiltImage, Clock, ExportContext, LayerBlobs, Unfinished};
use crate::finding::{Finding, FoundIn};
use crate::plan::graph::BuildGraph;
use crate::plan::{self, Epoch, KnownImages, Plan, PlanOptions, Planned};
use crate::request::{BuildRequest, Output};
use crate::resolve::{Resolver, Unresolved};
use crate::runner::{LinuxOptions, LinuxRunner, Runner};
use crate::source::{IncludedFiles, Sources};
use crate::{Error, Result, secrets};

/// Where a builder works, and with what.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The folder of the store.
    pub root: PathBuf,
    /// Credentials, proxies and limits for registries; its notices and stop flag are replaced by each build's.
    pub registry: strake_registry::ClientOptions,
    /// How much a loss of power may cost.
    pub durability: strake_snapshotter::Durability,
    /// Ends waiting for other processes that use the store. Where an engine does one build, it is that build's flag.
    pub cancel: Cancel,
}

/// Builds images. It holds a store open; any number of builders may share the store.
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    store: Arc<Store>,
    snapshotter: Arc<dyn Snapshotter>,
    runner: Arc<LinuxRunner>,
}

/// What a build made.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// What names the image: the digest of the config, or of the index for several platforms; none where the cache
    /// alone was filled.
    pub image_id: Option<Digest>,
    /// The manifest or index, where an output made one.
    pub manifest: Option<strake_layers::Descriptor>,
    /// The digest of the config, for a single platform.
    pub config: Option<Digest>,
    /// The names it was kept or pushed under.
    pub names: Vec<String>,
}

impl Builder {
    /// Opens the store and finds out what this machine can do.
    pub fn open(settings: Settings, notices: &NoticeSink) -> Result<Self> {
        let options =
            StoreOptions { notices: notices.clone(), durability: settings.durability, cancel: settings.cancel.clone() };
        let store = Arc::new(Store::open(&settings.root, options)?);
        let snapshotter: Arc<dyn Snapshotter> = match OverlaySnapshotter::new(Arc::clone(&store)) {
            Ok(overlay) => Arc::new(overlay),
            // What is missing for overlay mounts is told by `doctor`, and by the runner where a RUN needs more.
            Err(_) => Arc::new(CopySnapshotter::new(Arc::clone(&store))),
        };
        let runner = Arc::new(LinuxRunner::new(LinuxOptions::default())?);
        Ok(Self { settings, store, snapshotter, runner })
    }

    /// What this machine can do, a name and a text for each fact.
    pub fn doctor(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("store", self.store.root().display().to_string()),
            ("snapshots", format!("by {}", self.snapshotter.name())),
        ];
        facts.extend(self.runner.probe().lines());
        facts
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Builds. When it returns, nothing of the build runs any more, whatever came of it.
    pub async fn build(&self, request: BuildRequest, events: EventSink, cancel: Cancel) -> Result<Built> {
        let _lease = self.store.lease()?;
        let done = self.phases(request, events, cancel).run().await;
        if done.is_err() {
            // The space of a failed step is given back before anybody is told (edges.md 5).
            let store = Arc::clone(&self.store);
            drop(tokio::task::spawn_blocking(move || store.settle()).await);
        }
        done
    }

    /// Checks the Dockerfile: every finding, errors included, is in what it gives. An error is what kept it from that.
    pub async fn check(&self, request: BuildRequest, events: EventSink, cancel: Cancel) -> Result<Checked> {
        let _lease = self.store.lease()?;
        let request = BuildRequest { check_only: true, ..request };
        self.phases(request, events, cancel).check().await
    }

    /// Tells what the target can be given; nothing is built.
    pub async fn outline(&self, request: BuildRequest, events: EventSink, cancel: Cancel) -> Result<Outline> {
        let _lease = self.store.lease()?;
        self.phases(request, events, cancel).outline().await
    }

    /// Lists the stages; no image is looked at.
    pub async fn targets(&self, request: BuildRequest, events: EventSink, cancel: Cancel) -> Result<Targets> {
        let _lease = self.store.lease()?;
        self.phases(request, events, cancel).targets().await
    }

    fn phases(&self, request: BuildRequest, events: EventSink, cancel: Cancel) -> Phases<'_> {
        let report = Report::new(events);
        let client = self.client(&report, &cancel);
        Phases {
            store: &self.store,
            snapshotter: &self.snapshotter,
            runner: Arc::clone(&self.runner) as Arc<dyn Runner>,
            request: Arc::new(request),
            resolver: Arc::new(Resolver::new(Arc::clone(&client), Arc::clone(&self.store), cancel.clone())),
            client,
            report,
            cancel,
        }
    }

    fn client(&self, report: &Report, cancel: &Cancel) -> Arc<strake_registry::Client> {
        let options = strake_registry::ClientOptions {
            notices: report.notices(None),
            cancel: cancel.clone(),
            ..self.settings.registry.clone()
        };
        Arc::new(strake_registry::Client::new(options))
    }
}

/// The warnings of all platforms, each once.
fn warnings(planned: &[(Planned, Composed)]) -> Vec<Finding> {
    let mut seen: Vec<&Diagnostic> = Vec::new();
    let mut all = Vec::new();
    for (one, text) in planned {
        for warning in &one.warnings {
            if !seen.contains(&warning) {
                all.push(text.found_in.finding(warning.clone()));
                seen.push(warning);
            }
        }
    }
    all
}

/// One build on its way through the phases.
pub(crate) struct Phases<'a> {
    store: &'a Arc<Store>,
    snapshotter: &'a Arc<dyn Snapshotter>,
    runner: Arc<dyn Runner>,
    pub(crate) request: Arc<BuildRequest>,
    pub(crate) resolver: Arc<Resolver>,
    client: Arc<strake_registry::Client>,
    pub(crate) report: Report,
    pub(crate) cancel: Cancel,
}

/// The Dockerfile as read and parsed.
pub(crate) struct Text {
    name: Arc<str>,
    pub(crate) parsed: Parsed,
    options: ParseOptions,
}

/// The Dockerfile of one platform: conditions worked out, included files in their places.
pub(crate) struct Composed {
    pub(crate) parsed: Parsed,
    pub(crate) found_in: FoundIn,
}

impl Text {
    /// Reads a file; the build argument `BUILDKIT_SYNTAX` wins over its directive.
    pub(crate) fn parse(name: &str, bytes: &[u8], build_args: &[(String, String)]) -> Self {
        let syntax =
            build_args.iter().rev().find(|(name, _)| name == "BUILDKIT_SYNTAX").map(|(_, value)| value.clone());
        let options = ParseOptions { syntax, ..ParseOptions::default() };
        Self { name: name.into(), parsed: strake_parser::parse(bytes, &options), options }
    }

    /// Makes the plain tree for the arguments and the platform of the options.
    pub(crate) fn compose(&self, options: &PlanOptions, files: &IncludedFiles) -> Composed {
        let parsed = strake_parser::compose(
            &self.parsed,
            &self.options,
            Compose {
                path: files.dockerfile(),
                build_args: &options.build_args,
                platform_args: &plan::for_conditions(options),
                load: &mut |path| files.read(path).map_err(|error| error.to_string()),
            },
        );
        let found_in = FoundIn::new(Arc::clone(&self.name), parsed.dockerfile.clone());
        Composed { parsed, found_in }
    }
}

impl Phases<'_> {
    /// Everything that this build reads files from.
    pub(crate) fn sources(&self) -> Sources {
        let notices = self.report.notices(None);
        let (client, store) = (Arc::clone(&self.client), Arc::clone(self.store));
        Sources::new(&self.request, client, store, notices, self.cancel.clone())
    }

    async fn run(self) -> Result<Built> {
        let sources = Arc::new(self.sources());
        let done = self.run_with(&sources).await;
        sources.save().await;
        done
    }

    async fn run_with(&self, sources: &Arc<Sources>) -> Result<Built> {
        export::check_outputs(&self.request)?;
        let load = self.report.step("[internal] load build definition", sources.read_dockerfile());
        let (name, bytes) = load.await?;
        let text = Text::parse(&name, &bytes, &self.request.build_args);
        let planned = self.plan(&text, sources).await?;
        if self.request.check_only {
            return Ok(Built::default());
        }
        let mut images = Vec::new();
        let annotations = export::Annotations::parse(&self.request.annotations)?;
        let mut blobs = None;
        for (one, text) in planned {
            let epoch = sources.epoch(one.epoch.as_ref()).await?;
            let clock = Clock { now: self.request.now, epoch };
            let made = Arc::clone(blobs.get_or_insert_with(|| self.blobs(epoch)));
            images.push(self.execute(&text, sources, one.graph, clock, &made).await?);
        }
        let Some(blobs) = blobs else { return Err(Error::internal("nothing was planned")) };
        let epoch = images.first().and_then(|(_, clock)| clock.epoch);
        let context = ExportContext {
            images: images.into_iter().map(|(image, _)| image).collect(),
            blobs,
            store: Arc::clone(self.store),
            resolver: Arc::clone(&self.resolver),
            client: Arc::clone(&self.client),
            request: Arc::clone(&self.request),
            annotations,
            epoch,
            report: self.report.clone(),
            cancel: self.cancel.clone(),
        };
        let built = export::export_all(&context).await?;
        if self.request.outputs.is_empty() {
            let message =
                "no output was asked for: the result is in the cache only; name it by --tag, or write it by --output";
            self.report.send(Event::Warning { id: None, message: message.to_owned() });
        }
        match (self.report.has_made_anything(), self.request.outputs.is_empty()) {
            (true, true) => self.store.sync_cache()?,
            (true, false) => self.store.sync()?,
            (false, false) => self.store.sync_found()?,
            (false, true) => {}
        }
        Ok(built)
    }

    /// Plans a platform, a second time where `SOURCE_DATE_EPOCH` names something: ARG gives the seconds that this means.
    async fn plan_with_epoch(
        &self,
        text: &Composed,
        options: &mut PlanOptions,
        known: &mut KnownImages,
        sources: &Sources,
    ) -> Result<Planned> {
        let one = self.plan_one(text, options, known).await?;
        if self.request.check_only || matches!(one.epoch, None | Some(Epoch::Seconds(_))) {
            return Ok(one);
        }
        let time = sources.epoch(one.epoch.as_ref()).await?;
        let seconds = time.map(|time| time.seconds.to_string()).unwrap_or_default();
        options.build_args.insert("SOURCE_DATE_EPOCH".to_owned(), seconds);
        self.plan_one(text, options, known).await
    }

    /// Plans each platform, resolving images as planning asks for them.
    async fn plan(&self, text: &Text, sources: &Sources) -> Result<Vec<(Planned, Composed)>> {
        let platforms: Vec<Option<Platform>> = match self.request.platforms.as_slice() {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        };
        let files = sources.included_files().await?;
        let mut known = KnownImages::default();
        let mut planned = Vec::new();
        for platform in platforms {
            let mut options = PlanOptions::from_request(&self.request, platform, Platform::host())?;
            options.ignore = sources.ignore_rules();
            let text = text.compose(&options, &files);
            match self.plan_with_epoch(&text, &mut options, &mut known, sources).await {
                Ok(one) => planned.push((one, text)),
                Err(error) => {
                    self.tell_warnings(&planned, &error);
                    return Err(error);
                }
            }
        }
        for finding in warnings(&planned) {
            self.report.send(Event::Diagnostic { finding });
        }
        Ok(planned)
    }

    async fn plan_one(&self, text: &Composed, options: &PlanOptions, known: &mut KnownImages) -> Result<Planned> {
        loop {
            let problems = match plan::plan(&text.parsed, options, known) {
                Ok(Plan::Ready(planned)) => return Ok(*planned),
                Ok(Plan::NeedImages(wanted)) => {
                    self.cancel.check()?;
                    let resolved = self.resolver.resolve_all(&wanted, self.request.pull, &self.report).await;
                    match resolved {
                        Ok(found) => {
                            known.extend(found);
                            continue;
                        }
                        Err(failed) => return Err(self.unresolved(text, options, known, failed)),
                    }
                }
                Err(problems) => problems,
            };
            return Err(Error::Dockerfile(problems.into_iter().map(|one| text.found_in.finding(one)).collect()));
        }
    }

    /// Reports the warnings of platforms that could be planned, but not those that an error holds anyway.
    fn tell_warnings(&self, planned: &[(Planned, Composed)], error: &Error) {
        let held = if let Error::Dockerfile(held) = error { held.as_slice() } else { &[] };
        for finding in warnings(planned) {
            if !held.iter().any(|other| other.file == finding.file && other.diagnostic == finding.diagnostic) {
                self.report.send(Event::Diagnostic { finding });
            }
        }
    }

    /// Makes the error of images that cannot be had. What else is wrong with the file is told with it: whoever can
    /// reach the registry again would meet it next.
    fn unresolved(&self, text: &Composed, options: &PlanOptions, known: &KnownImages, failed: Unresolved) -> Error {
        let images = failed.diagnostics();
        let error = failed.locate(|diagnostic| text.found_in.finding(diagnostic));
        if error.is_cancelled() {
            return error;
        }
        let found = plan::find_without_images(&text.parsed, options, known);
        if found.iter().any(Diagnostic::is_error) {
            let all = plan::in_file_order(found.into_iter().chain(images).collect());
            return Error::Dockerfile(all.into_iter().map(|one| text.found_in.finding(one)).collect());
        }
        for warning in found {
            self.report.send(Event::Diagnostic { finding: text.found_in.finding(warning) });
        }
        error
    }

    fn blobs(&self, epoch: Option<Timestamp>) -> Arc<LayerBlobs> {
        let wants_rewrite = |output: &Output| match output {
            Output::Image { options, .. } | Output::Oci { options, .. } | Output::Docker { options, .. } => {
                options.rewrite_timestamp != Some(false)
            }
            Output::Local { .. } | Output::Tar { .. } | Output::CacheOnly => true,
        };
        let clamp = epoch.filter(|_| self.request.outputs.iter().all(wants_rewrite));
        Arc::new(LayerBlobs::new(Arc::clone(self.store), Arc::clone(&self.resolver), self.cancel.clone(), clamp))
    }

    async fn execute(
        &self,
        text: &Composed,
        sources: &Arc<Sources>,
        graph: BuildGraph,
        clock: Clock,
        blobs: &Arc<LayerBlobs>,
    ) -> Result<(BuiltImage, Clock)> {
        let secrets: BTreeMap<String, Arc<[u8]>> = secrets::read(&self.request.secrets)?;
        let session = Arc::new(Session {
            request: Arc::clone(&self.request),
            store: Arc::clone(self.store),
            snapshotter: Arc::clone(self.snapshotter),
            runner: Arc::clone(&self.runner),
            resolver: Arc::clone(&self.resolver),
            results: Results::new(Arc::clone(self.store)),
            sources: Arc::clone(sources),
            masks: Masks::new(secrets.values().map(|value| &**value)),
            secrets,
            clock,
            report: self.report.clone(),
            cancel: self.cancel.clone(),
            found_in: text.found_in.clone(),
            judged: Mutex::default(),
        });
        let graph = Arc::new(graph);
        let background = export::Background::new(Arc::clone(blobs), &self.request.outputs);
        let result = execute(&session, &graph, background.on_layer()).await;
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                background.settle().await;
                return Err(error);
            }
        };
        let target = &graph.stages[graph.target.0];
        let mut diff_ids = Vec::with_capacity(result.layers.len());
        for layer in &result.layers {
            diff_ids.push(background.diff_id(layer).await?);
        }
        let mut config = target.config.clone();
        for (name, id) in &target.outputs {
            config.set_env(name, result.output(*id)?);
        }
        let unfinished = Unfinished {
            platform: graph.platform.clone(),
            config,
            inherited_history: target.inherited_history,
            made: result.made.clone(),
            layers: result.layers.clone(),
        };
        Ok((unfinished.finish(diff_ids, clock)?, clock))
    }
}
