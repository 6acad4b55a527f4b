//! Carries out a graph: stages in parallel, the steps of a stage one after the other.

mod codes;
mod copy;
mod foreign;
mod mask;
mod missing;
mod run;
mod run_codes;
mod run_key;
mod session;
mod workdir;

use std::collections::BTreeMap;
use std::sync::Arc;

use strake_layers::{Layer, Timestamp};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::cache::StepKey;
use crate::events::{Outcome, StepId};
use crate::plan::graph::{Base, BuildGraph, CopyFrom, Op, OutputId, PlannedStage, StageId, Step};
use crate::{Error, Result};

pub(crate) use mask::Masks;
pub(crate) use session::{Report, Session, outcome_of};

/// The codes of what can go wrong while steps run.
pub(crate) fn code_tables() -> [&'static [strake_parser::codes::CodeEntry]; 2] {
    [codes::TABLE, run_codes::TABLE]
}

/// What a stage came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageResult {
    /// All layers, those of the base included, lowest first.
    pub(crate) layers: Vec<Arc<Layer>>,
    /// When the layers of this build were made, by their position in the history.
    pub(crate) made: BTreeMap<usize, Timestamp>,
    /// What steps wrote for variables (`RUN --env`), those of the base included.
    pub(crate) outputs: BTreeMap<OutputId, Arc<str>>,
}

impl StageResult {
    /// The value of a variable that a step wrote.
    pub(crate) fn output(&self, id: OutputId) -> Result<&Arc<str>> {
        self.outputs.get(&id).ok_or_else(|| Error::internal("a variable is read that no step has written"))
    }
}

/// A layer that a step made, and how.
pub(crate) struct Made {
    pub(crate) layer: Arc<Layer>,
    pub(crate) at: Timestamp,
    pub(crate) is_cached: bool,
    pub(crate) miss: Option<String>,
    /// What a step with `RUN --env` wrote.
    pub(crate) output: Option<Arc<str>>,
}

type Results = Vec<watch::Receiver<Option<Arc<StageResult>>>>;

/// Called with each layer of the target's chain as soon as it is there, so that outputs can begin with it.
pub(crate) type LayerReady = Arc<dyn Fn(Arc<Layer>) + Send + Sync>;

/// Carries out a graph and gives the result of its target. The first error stops everything else; when this returns,
/// nothing of the build runs any more.
pub(crate) async fn execute(
    session: &Arc<Session>,
    graph: &Arc<BuildGraph>,
    on_layer: LayerReady,
) -> Result<Arc<StageResult>> {
    let (senders, receivers): (Vec<_>, Results) = graph.stages.iter().map(|_| watch::channel(None)).unzip();
    let limit = match session.request.parallelism {
        0 => Semaphore::MAX_PERMITS,
        limit => limit,
    };
    let permits = Arc::new(Semaphore::new(limit));
    let chain = target_chain(graph);
    let steps: Vec<_> = graph.stages.iter().map(|stage| announce(session, graph, stage)).collect();
    refuse_missing(session, graph, &steps).await?;
    let mut tasks = JoinSet::new();
    for (index, (sender, steps)) in senders.into_iter().zip(steps).enumerate() {
        let work = StageWork {
            session: Arc::clone(session),
            graph: Arc::clone(graph),
            id: StageId(index),
            steps,
            inputs: receivers.clone(),
            permits: Arc::clone(&permits),
            on_layer: chain.contains(&StageId(index)).then(|| Arc::clone(&on_layer)),
        };
        tasks.spawn(async move {
            let result = work.run().await?;
            sender.send_replace(Some(Arc::new(result)));
            Ok(())
        });
    }
    let mut failed: Option<Error> = None;
    while let Some(ended) = tasks.join_next().await {
        let error = match ended {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error,
            Err(error) => Error::internal(format!("a stage ended abnormally: {error}")),
        };
        session.cancel.cancel();
        // What stopped since something else failed is not the cause.
        if failed.as_ref().is_none_or(|earlier| earlier.is_cancelled() && !error.is_cancelled()) {
            failed = Some(error);
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let result = receivers[graph.target.0].borrow().clone();
    result.ok_or_else(|| Error::internal("the target has no result"))
}

/// Ends a build that copies what is not there.
async fn refuse_missing(session: &Arc<Session>, graph: &Arc<BuildGraph>, steps: &[Vec<StepId>]) -> Result<()> {
    let mut findings = Vec::new();
    for (at, found) in missing::look(session, graph).await? {
        let id = steps[at.stage.0][at.step];
        session.report.start(id);
        session.report.finish(id, Outcome::Failed, None);
        let step = &graph.stages[at.stage.0].steps[at.step];
        findings.extend(found.into_iter().map(|one| session.finding(step, one)));
    }
    if findings.is_empty() { Ok(()) } else { Err(Error::Dockerfile(findings)) }
}

/// The stages whose layers the image has.
fn target_chain(graph: &BuildGraph) -> Vec<StageId> {
    let mut chain = vec![graph.target];
    let mut at = graph.target;
    while let Base::Stage(below) = graph.stages[at.0].base {
        chain.push(below);
        at = below;
    }
    chain
}

/// Announces the steps of a stage in the names of dockerfile.md §14: `[build 2/5] RUN make`. The first of the stage's
/// numbers stands for its FROM.
fn announce(session: &Session, graph: &BuildGraph, stage: &PlannedStage) -> Vec<StepId> {
    let mut place = String::new();
    if session.request.platforms.len() > 1 {
        place = format!("{} ", stage.platform);
    }
    if graph.stages.len() > 1 {
        place.push_str(&stage.display);
        place.push(' ');
    }
    let count = stage.steps.len() + 1;
    let width = count.to_string().len();
    let announced = stage.steps.iter().enumerate().map(|(at, step)| {
        let name = format!("[{place}{:>width$}/{count}] {}", at + 2, step.title);
        session.report.announce(Some(&stage.display), name, Some(session.found_in.line_of(step.span)))
    });
    announced.collect()
}

/// The work on one stage.
struct StageWork {
    session: Arc<Session>,
    graph: Arc<BuildGraph>,
    id: StageId,
    steps: Vec<StepId>,
    inputs: Results,
    permits: Arc<Semaphore>,
    on_layer: Option<LayerReady>,
}

impl StageWork {
    async fn run(self) -> Result<StageResult> {
        let stage = &self.graph.stages[self.id.0];
        for other in &stage.after {
            self.stage(*other).await?;
        }
        let mut result = match stage.base {
            Base::Scratch => StageResult::default(),
            Base::Image(image) => {
                let layers = self.graph.images[image.0].resolved.layers.clone();
                StageResult { layers, ..StageResult::default() }
            }
            Base::Stage(below) => (*self.stage(below).await?).clone(),
            Base::Context(ref name) => {
                let layer = self.session.sources.as_layer(name).await?;
                StageResult { layers: vec![layer], ..StageResult::default() }
            }
        };
        for (at, step) in stage.steps.iter().enumerate() {
            let id = self.steps[at];
            let made = self.step(stage, step, id, &result).await?;
            if let Some(on_layer) = &self.on_layer {
                on_layer(Arc::clone(&made.layer));
            }
            if let (Op::Run(op), Some(value)) = (&step.op, made.output)
                && let Some(output) = &op.makes
            {
                result.outputs.insert(output.id, value);
            }
            result.made.insert(step.history, made.at);
            result.layers.push(made.layer);
        }
        Ok(result)
    }

    /// One step, reported from begin to end.
    async fn step(&self, stage: &PlannedStage, step: &Step, id: StepId, below: &StageResult) -> Result<Made> {
        let inputs = self.inputs_of(step).await?;
        let _permit = self.permits.acquire().await.map_err(|_| Error::Cancelled)?;
        self.session.cancel.check()?;
        self.session.report.start(id);
        let work = StepWork { session: &self.session, stage, step, id, below, graph: &self.graph, inputs: &inputs };
        let done = match &step.op {
            Op::Run(op) => run::run(&work, op).await,
            Op::Copy(op) => copy::copy(&work, op).await,
            Op::Workdir(op) => workdir::workdir(&work, op).await,
        };
        let done = done.map_err(|error| {
            let code = if matches!(error, Error::Run { .. }) { run_codes::PROCESS } else { run_codes::STEP };
            self.session.locate(code, step, step.span, error)
        });
        let outcome = match &done {
            Ok(made) if made.is_cached => Outcome::Cached,
            other => outcome_of(other),
        };
        if outcome == Outcome::Done {
            self.session.report.made_something();
        }
        let miss = done.as_ref().ok().and_then(|made| made.miss.clone());
        self.session.report.finish(id, outcome, miss);
        done
    }

    /// The results of all stages that the step reads from.
    async fn inputs_of(&self, step: &Step) -> Result<BTreeMap<StageId, Arc<StageResult>>> {
        let mut inputs = BTreeMap::new();
        let mut needed = Vec::new();
        match &step.op {
            Op::Copy(op) => needed.push(&op.from),
            Op::Run(op) => needed.extend(op.mounts.iter().filter_map(|mount| mount.from.as_ref())),
            Op::Workdir(_) => {}
        }
        for from in needed {
            if let CopyFrom::Stage(id) = from {
                inputs.insert(*id, self.stage(*id).await?);
            }
        }
        Ok(inputs)
    }

    /// Waits for a stage.
    async fn stage(&self, id: StageId) -> Result<Arc<StageResult>> {
        let mut receiver = self.inputs[id.0].clone();
        // A sender that goes away without a result belongs to a stage that failed or was stopped.
        let ready = receiver.wait_for(Option::is_some).await.map_err(|_| Error::Cancelled)?;
        ready.clone().ok_or(Error::Cancelled)
    }
}

/// A step with everything around it.
pub(crate) struct StepWork<'a> {
    pub(crate) session: &'a Arc<Session>,
    pub(crate) stage: &'a PlannedStage,
    pub(crate) step: &'a Step,
    pub(crate) id: StepId,
    pub(crate) graph: &'a BuildGraph,
    /// The stage so far.
    pub(crate) below: &'a StageResult,
    /// The results of the stages it reads from.
    pub(crate) inputs: &'a BTreeMap<StageId, Arc<StageResult>>,
}

impl StepWork<'_> {
    /// Says why the cache did not serve the step.
    pub(crate) fn why_missed(&self, key: &StepKey, group: &str) -> Result<String> {
        match (self.step.no_cache, self.session.request.no_cache) {
            (true, true) => Ok("--no-cache was given".to_owned()),
            (true, false) => Ok("--no-cache-filter names its stage".to_owned()),
            (false, _) => self.session.results.explain(key, group),
        }
    }

    /// The layers of a stage or image that the step reads from.
    pub(crate) fn layers_of(&self, from: &CopyFrom) -> Result<Vec<Arc<Layer>>> {
        match from {
            CopyFrom::Stage(id) => match self.inputs.get(id) {
                Some(result) => Ok(result.layers.clone()),
                None => Err(Error::internal("a stage is read that was not waited for")),
            },
            CopyFrom::Image(id) => Ok(self.graph.images[id.0].resolved.layers.clone()),
            CopyFrom::Scratch => Ok(Vec::new()),
            CopyFrom::Context | CopyFrom::NamedContext(_) => Err(Error::internal("a context has no layers")),
        }
    }
}
