//! From a parsed Dockerfile to the graph of a build (dockerfile.md §29).
//!
//! Planning is a pure function: of the Dockerfile, the options, and what is known of images so far. Called with no
//! images it checks everything that needs none and says which it needs; called again with these it goes on, and as
//! ONBUILD triggers of images may name further images, it may ask more than once.

mod arguments;
mod codes;
mod copy;
mod environment;
mod epoch;
mod evaluate;
mod gofmt;
pub mod graph;
mod images;
mod lints;
mod options;
mod outline;
mod outputs;
mod paths;
mod platforms;
mod ports;
mod reach;
mod reset;
mod run;
mod settings;
mod stage_graph;
mod stages;
mod title;
mod triggers;
mod windows;

use strake_parser::{Diagnostic, Parsed};

pub(crate) use arguments::for_conditions;
pub use codes::TABLE as CODES;
pub(crate) use copy::GIT_ADDRESS;
pub use images::{ImageKey, ImageRequest, ImageSource, KnownImages};
pub(crate) use lints::in_file_order;
pub use options::{NamedContext, NamedContextKind, PlanOptions};
pub(crate) use outline::{Argument, Mounted, Outlined, description};
pub use stage_graph::{GraphStage, StageEdge, StageEdgeKind, StageGraph, StageInstruction, StageSource, stage_graph};

use graph::BuildGraph;

/// What planning came to.
#[derive(Clone, Debug)]
pub enum Plan {
    /// These images must be resolved first; then [`plan`] is called again with all images known.
    NeedImages(Vec<ImageRequest>),
    /// The build is planned.
    Ready(Box<Planned>),
}

/// A planned build.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The graph.
    pub graph: BuildGraph,
    /// What the target can be given.
    pub(crate) outline: Outlined,
    /// Warnings in file order, those of the parser included.
    pub warnings: Vec<Diagnostic>,
    /// The time that files and history entries made here are clamped to.
    pub epoch: Option<Epoch>,
}

/// What `SOURCE_DATE_EPOCH` says (dockerfile.md §17.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// Seconds since 1970.
    Seconds(i64),
    /// The time of the build context: of its commit or its download; a folder has none.
    Context,
    /// The time of a named context, by its normalised name.
    NamedContext(String),
    /// The time of an address or a repository: that of a stage that is one remote ADD.
    Remote(String),
}

/// Gives the settings of the build checks: those of the Dockerfile and those of the request.
pub(crate) fn check_settings(parsed: &Parsed, options: &PlanOptions) -> strake_parser::CheckSettings {
    lints::settings(&parsed.dockerfile, options).0
}

/// The code of the verdict that `error=true` passes on warnings.
pub(crate) const VERDICT: &str = codes::LINT;

/// Plans a build for one target platform.
///
/// An error holds every problem found, warnings included, in file order; at least one of them is an error.
pub fn plan(parsed: &Parsed, options: &PlanOptions, images: &KnownImages) -> Result<Plan, Vec<Diagnostic>> {
    evaluate::plan(parsed, options, images)
}

/// Finds what is wrong with a file, errors and warnings, whatever the images are that are not known; in file order.
pub(crate) fn find_without_images(parsed: &Parsed, options: &PlanOptions, images: &KnownImages) -> Vec<Diagnostic> {
    match plan(parsed, &PlanOptions { without_images: true, ..options.clone() }, images) {
        Ok(Plan::Ready(planned)) => planned.warnings,
        Ok(Plan::NeedImages(_)) => Vec::new(),
        Err(found) => found,
    }
}

#[cfg(test)]
mod tests;
