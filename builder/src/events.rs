//! The one report channel of a build: progress display, JSON output and embedders read the same events.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// The version of the event schema; it grows when a member changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// The number of a step within one build, in the order of planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StepId(pub usize);

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A step is known. Steps are announced before they start.
    Step {
        /// Its number.
        id: StepId,
        /// Its stage, as displays call it; `None` for work that belongs to none (resolving, exporting).
        stage: Option<String>,
        /// The whole progress name: `[build 2/5] RUN make`.
        name: String,
        /// The line of its instruction, from 1.
        line: Option<usize>,
    },
    /// A step began to work.
    Started {
        /// The step.
        id: StepId,
    },
    /// A process of the step wrote.
    Output {
        /// The step.
        id: StepId,
        /// Where to.
        stream: Stream,
        /// What, secrets masked; not cut at line ends.
        #[serde(serialize_with = "as_text")]
        bytes: Vec<u8>,
    },
    /// Bytes of the step moved on.
    Progress {
        /// The step.
        id: StepId,
        /// What is done: `pull`, `extract`, `push`.
        action: &'static str,
        /// What it is done to.
        item: String,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// A step ended.
    Finished {
        /// The step.
        id: StepId,
        /// How.
        outcome: Outcome,
        /// How long it worked, in seconds.
        #[serde(serialize_with = "as_seconds")]
        took: Duration,
        /// Why the cache did not serve it, where that is known.
        miss: Option<String>,
    },
    /// Something the user should know.
    Warning {
        /// The step it belongs to.
        id: Option<StepId>,
        /// What, and what to do.
        message: String,
    },
    /// A finding in the Dockerfile.
    Diagnostic {
        /// The file and the finding.
        #[serde(flatten)]
        finding: crate::Finding,
    },
    /// Something was made.
    Exported {
        /// What: `oci archive`, `image`, `push`.
        what: String,
        /// Where or under which name.
        dest: String,
        /// The digest of the manifest or index, where it has one.
        digest: Option<String>,
    },
}

/// Which stream of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It did its work.
    Done,
    /// The cache had the result.
    Cached,
    /// It failed.
    Failed,
    /// It was stopped.
    Cancelled,
}

/// Where events go. Cheap to clone; called from any thread, in the order of happening, so it must not block long.
#[derive(Clone)]
pub struct EventSink(Arc<dyn Fn(Event) + Send + Sync>);

impl EventSink {
    /// Makes a sink from a function.
    pub fn new(function: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    /// Reports an event.
    pub fn send(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink")
    }
}

fn as_text<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(bytes))
}

fn as_seconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64())
}
