//! The stages of a Dockerfile and what each reads from, for tools that show them.

use strake_layers::Platform;
use strake_parser::{Instruction, InstructionKind, Parsed};

use crate::finding::FoundIn;
use crate::request::BuildRequest;
use crate::{Error, Result};

use super::images::KnownImages;
use super::lints::Lints;
use super::options::PlanOptions;
use super::reach::{Use, UseKind, reach, trigger_uses, uses_of_stage};
use super::stages::{Bound, Table};

/// The stages of a Dockerfile, in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// All of them, also those that the target does not need.
    pub stages: Vec<OutlineStage>,
    /// The place of the target among them.
    pub target: usize,
}

/// A stage of an [`Outline`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineStage {
    /// The name in lower case, in which names are compared.
    pub name: Option<String>,
    /// Its platform, where the Dockerfile gives one.
    pub platform: Option<Platform>,
    /// The line of its FROM, from 1.
    pub line: usize,
    /// Whether the target needs it.
    pub is_needed: bool,
    /// Its instructions without the FROM.
    pub instructions: Vec<OutlineInstruction>,
    /// What it reads from besides the build context, FROM first.
    pub edges: Vec<OutlineEdge>,
}

/// An instruction of an [`OutlineStage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineInstruction {
    /// The keyword in upper case.
    pub keyword: String,
    /// The text after the keyword, continuations joined, here-documents left out.
    pub arguments: String,
    /// Its first line, from 1.
    pub line: usize,
}

/// A place where a stage reads from something else than the build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineEdge {
    /// What makes the edge.
    pub kind: OutlineEdgeKind,
    /// What is read.
    pub source: OutlineSource,
    /// The line of the instruction, from 1; of the FROM for ONBUILD triggers of the stage's base.
    pub line: usize,
}

/// What makes an [`OutlineEdge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutlineEdgeKind {
    /// FROM.
    From,
    /// `COPY --from`.
    Copy,
    /// `RUN --mount=from=…`.
    Mount,
}

/// What an [`OutlineEdge`] leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutlineSource {
    /// Nothing.
    Scratch,
    /// Another stage, by its place among the stages.
    Stage(usize),
    /// An image, in its short spelling.
    Image(String),
    /// Files of a named context, by its name.
    Context(String),
}

/// Gives the stages of a Dockerfile and their edges: a pure function, no image is looked at.
///
/// Of the request count the target, the build arguments, the named contexts and the first platform. `name` is what
/// errors call the file. ONBUILD triggers of images are not known here; those of stages are.
pub fn outline(parsed: &Parsed, name: &str, request: &BuildRequest) -> Result<Outline> {
    let dockerfile = &parsed.dockerfile;
    let options = PlanOptions::from_request(request, request.platforms.first().cloned(), Platform::host())?;
    let mut lints = Lints::new(dockerfile, &parsed.diagnostics, &options);
    let failed = |lints: Lints| {
        let found_in = FoundIn::new(name, dockerfile.clone());
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
    let line = |found: &Use| dockerfile.lines_of(found.span).first;
    let edge = |found: Use| OutlineEdge {
        kind: match found.kind {
            UseKind::Base => OutlineEdgeKind::From,
            UseKind::Copy => OutlineEdgeKind::Copy,
            UseKind::Mount { .. } => OutlineEdgeKind::Mount,
        },
        line: line(&found),
        source: match found.bound {
            Bound::Scratch => OutlineSource::Scratch,
            Bound::Stage(index) => OutlineSource::Stage(index),
            Bound::Image(source) => OutlineSource::Image(source.to_string()),
            Bound::Files(name) => OutlineSource::Context(name),
        },
    };
    let stages = table.entries.iter().enumerate().map(|(index, entry)| {
        // The problems of these were reported above.
        let mut uses = uses_of_stage(&table, index, &mut Lints::default());
        for trigger in &reach.triggers[index] {
            uses.extend(trigger_uses(&table, index, trigger, &mut Lints::default()));
        }
        OutlineStage {
            name: entry.key.clone(),
            platform: entry.platform.clone(),
            line: entry.stage.lines.first,
            is_needed: reach.needed[index],
            instructions: entry.stage.instructions.iter().map(outline_of).collect(),
            edges: uses.into_iter().map(edge).collect(),
        }
    });
    Ok(Outline { stages: stages.collect(), target })
}

fn outline_of(instruction: &Instruction) -> OutlineInstruction {
    let keyword = &instruction.keyword.value;
    let arguments = match &instruction.kind {
        InstructionKind::Unknown(text) => text.value.as_str(),
        _ => instruction.original.get(keyword.len()..).unwrap_or_default(),
    };
    OutlineInstruction {
        keyword: keyword.to_uppercase(),
        arguments: arguments.trim().to_owned(),
        line: instruction.lines.first,
    }
}
