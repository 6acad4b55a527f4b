//! Sources of contexts that are not there, all of them told before the first step runs.

use strake_parser::{Diagnostic, MountSpec};

use super::session::Session;
use super::{copy, run};
use crate::Result;
use crate::export::blocking;
use crate::plan::graph::{BuildGraph, CopyFrom, CopyOp, Op, PlannedStage, StageId, Step};

/// A step of a graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) stage: StageId,
    /// Its position in the stage.
    pub(super) step: usize,
}

/// Looks for the sources of all steps in the contexts that are at hand: a build that cannot end well ends before it
/// runs costly commands, and one run shows all that is missing. What has to be fetched first is left to the step.
pub(super) async fn look(session: &Session, graph: &BuildGraph) -> Result<Vec<(At, Vec<Diagnostic>)>> {
    let mut all = Vec::new();
    for (stage, planned) in graph.stages.iter().enumerate() {
        for (at, step) in planned.steps.iter().enumerate() {
            let mut missing = Vec::new();
            for op in copies(planned, step) {
                // A context that cannot be read is an error of the step, which has a place.
                if session.sources.is_at_hand(&op.from)
                    && let Ok(tree) = session.sources.tree(&op.from).await
                {
                    let look = move || op.sources.iter().filter_map(|one| copy::missing(&tree, &op, one)).collect();
                    missing.append(&mut blocking(move || Ok::<Vec<_>, _>(look())).await?);
                }
            }
            if !missing.is_empty() {
                all.push((At { stage: StageId(stage), step: at }, missing));
            }
        }
    }
    Ok(all)
}

/// The copies that a step does: of its own, or for its mounts.
fn copies(stage: &PlannedStage, step: &Step) -> Vec<CopyOp> {
    match &step.op {
        Op::Copy(op) => vec![CopyOp::clone(op)],
        Op::Run(op) => {
            let mounts = op.mounts.iter().filter_map(|mount| {
                let (from, source) = match &mount.spec {
                    MountSpec::Bind(bind) => (mount.from.clone().unwrap_or(CopyFrom::Context), &bind.source),
                    MountSpec::Cache(cache) => (mount.from.clone()?, &cache.source),
                    _ => return None,
                };
                Some(run::copy_of(&from, source.as_deref()?, mount, &stage.platform))
            });
            mounts.collect()
        }
        Op::Workdir(_) => Vec::new(),
    }
}
