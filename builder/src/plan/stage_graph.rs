//! The stages of a Dockerfile and what each reads from, for tools that show them.

use strake_layers::Platform;
use strake_parser::{Instruction, InstructionKind};

use crate::build::Composed;
use crate::finding::{FoundIn, Location, SourceFile};
use crate::lower::compose;
use crate::request::BuildRequest;
use crate::{Error, Result};

use super::images::KnownImages;
use super::lints::Lints;
use super::reach::{Use, UseKind, reach, trigger_uses, uses_of_stage};
use super::stages::{Bound, Table};

/// The stages of a Dockerfile, in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageGraph {
    /// All of them, also those that the target does not need.
    pub stages: Vec<GraphStage>,
    /// The place of the target among them.
    pub target: usize,
    /// The Dockerfile, then the files that it includes.
    pub files: Vec<SourceFile>,
}

/// A stage of a [`StageGraph`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphStage {
    /// The name in lower case, in which names are compared.
    pub name: Option<String>,
    /// Its platform, where the Dockerfile gives one.
    pub platform: Option<Platform>,
    /// Its FROM.
    pub location: Location,
    /// Whether the target needs it.
    pub is_needed: bool,
    /// Its instructions without the FROM.
    pub instructions: Vec<StageInstruction>,
    /// What it reads from besides the build context, FROM first.
    pub edges: Vec<StageEdge>,
}

/// An instruction of an [`GraphStage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageInstruction {
    /// The keyword in upper case.
    pub keyword: String,
    /// The text after the keyword, continuations joined, here-documents left out.
    pub arguments: String,
    /// Its lines.
    pub location: Location,
}

/// A place where a stage reads from something else than the build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageEdge {
    /// What makes the edge.
    pub kind: StageEdgeKind,
    /// What is read.
    pub source: StageSource,
    /// The lines of the instruction; of the FROM for ONBUILD triggers of the stage's base.
    pub location: Location,
}

/// What makes an [`StageEdge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageEdgeKind {
    /// FROM.
    From,
    /// `FROM --after`: an order, nothing is read.
    After,
    /// `COPY --from`.
    Copy,
    /// `RUN --mount=from=…`.
    Mount,
}

/// What an [`StageEdge`] leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageSource {
    /// Nothing.
    Scratch,
    /// Another stage, by its place among the stages.
    Stage(usize),
    /// An image, in its short spelling.
    Image(String),
    /// Files of a named context, by its name.
    Context(String),
}

/// Gives the stages of a Dockerfile and their edges; no image is looked at. The Dockerfile, and the build context where it
/// includes files of that, are on this machine.
///
/// Of the request count the target, the build arguments, the named contexts and the first platform. ONBUILD triggers of
/// images are not known here; those of stages are.
pub fn stage_graph(request: &BuildRequest) -> Result<StageGraph> {
    let (Composed { parsed, found_in }, options) = compose(request)?;
    let dockerfile = &parsed.dockerfile;
    let mut lints = Lints::new(dockerfile, &parsed.diagnostics, &options);
    let failed = |lints: Lints| {
        let errors = lints.into_found().into_iter().filter(strake_parser::Diagnostic::is_error);
        Error::Dockerfile(errors.map(|found| found_in.finding(found)).collect())
    };
    if dockerfile.stages.is_empty() {
        lints.no_stages();
        return Err(failed(lints));
    }
    let table = Table::new(dockerfile, &options, &mut lints);
    let target = match table.target() {
        Ok(target) => target,
        Err(error) => {
            lints.push(error);
            return Err(failed(lints));
        }
    };
    let reach = reach(&table, target, &KnownImages::default(), &mut lints);
    if lints.has_errors() {
        return Err(failed(lints));
    }
    let location = |found: &Use| found_in.location(found.span, dockerfile.lines_of(found.span));
    let edge = |found: Use| StageEdge {
        kind: match found.kind {
            UseKind::Base => StageEdgeKind::From,
            UseKind::After => StageEdgeKind::After,
            UseKind::Copy => StageEdgeKind::Copy,
            UseKind::Mount { .. } => StageEdgeKind::Mount,
        },
        location: location(&found),
        source: match found.bound {
            Bound::Scratch => StageSource::Scratch,
            Bound::Stage(index) => StageSource::Stage(index),
            Bound::Image(source) => StageSource::Image(source.to_string()),
            Bound::Files(name) => StageSource::Context(name),
        },
    };
    let stages = table.entries.iter().enumerate().map(|(index, entry)| {
        // The problems of these were reported above.
        let mut uses = uses_of_stage(&table, index, &mut Lints::default());
        for trigger in &reach.triggers[index] {
            uses.extend(trigger_uses(&table, index, trigger, &mut Lints::default()));
        }
        GraphStage {
            name: entry.key.clone(),
            platform: entry.platform.clone(),
            location: found_in.location(entry.stage.from_span, entry.stage.lines),
            is_needed: reach.needed[index],
            instructions: entry.stage.instructions.iter().map(|one| instruction_of(one, &found_in)).collect(),
            edges: uses.into_iter().map(edge).collect(),
        }
    });
    Ok(StageGraph { stages: stages.collect(), target, files: found_in.files() })
}

fn instruction_of(instruction: &Instruction, found_in: &FoundIn) -> StageInstruction {
    let keyword = &instruction.keyword.value;
    let arguments = match &instruction.kind {
        InstructionKind::Unknown(text) => text.value.as_str(),
        _ => instruction.original(&found_in.dockerfile.source).get(keyword.len()..).unwrap_or_default(),
    };
    StageInstruction {
        keyword: keyword.to_uppercase(),
        arguments: arguments.trim().to_owned(),
        location: found_in.location(instruction.span, instruction.lines),
    }
}
