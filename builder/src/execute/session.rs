//! What all steps of a build share.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use strake_layers::{Cancel, Layer, LayerId, Notice, NoticeSink, Rootfs};
use strake_parser::{Diagnostic, Span};
use strake_snapshotter::{Snapshotter, Store};

use crate::cache::Results;
use crate::events::{Event, EventSink, Outcome, StepId};
use crate::export::Clock;
use crate::finding::FoundIn;
use crate::plan::graph::{FiredTrigger, Step};
use crate::request::BuildRequest;
use crate::resolve::Resolver;
use crate::runner::Runner;
use crate::source::Sources;
use crate::{Error, Finding, Result};

use super::mask::Masks;

/// What all steps of a build share.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) request: Arc<BuildRequest>,
    pub(crate) store: Arc<Store>,
    pub(crate) snapshotter: Arc<dyn Snapshotter>,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) results: Results,
    pub(crate) sources: Arc<Sources>,
    pub(crate) secrets: BTreeMap<String, Arc<[u8]>>,
    pub(crate) masks: Masks,
    pub(crate) clock: Clock,
    pub(crate) report: Report,
    pub(crate) cancel: Cancel,
    pub(crate) found_in: FoundIn,
    /// The layers of bases that were judged already: several steps look at one.
    pub(crate) judged: Mutex<HashSet<LayerId>>,
}

/// Numbers steps and reports on them.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    events: EventSink,
    next: Arc<AtomicUsize>,
    /// The names of running steps, so that a failed build can say how each of them ended.
    open: Arc<Mutex<BTreeMap<StepId, Instant>>>,
    has_made: Arc<AtomicBool>,
    /// Warnings of lower parts that were told already: each step would repeat them.
    told: Arc<Mutex<BTreeSet<String>>>,
}

impl Report {
    /// Starts numbering.
    pub(crate) fn new(events: EventSink) -> Self {
        Self {
            events,
            next: Arc::new(AtomicUsize::new(1)),
            open: Arc::default(),
            has_made: Arc::default(),
            told: Arc::default(),
        }
    }

    /// Announces a step.
    pub(crate) fn announce(&self, stage: Option<&str>, name: String, line: Option<usize>) -> StepId {
        let id = StepId(self.next.fetch_add(1, Ordering::Relaxed));
        self.events.send(Event::Step { id, stage: stage.map(str::to_owned), name, line });
        id
    }

    /// Says that a step begins.
    pub(crate) fn start(&self, id: StepId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Instant::now());
        self.events.send(Event::Started { id });
    }

    /// Says how a step ended.
    pub(crate) fn finish(&self, id: StepId, outcome: Outcome, miss: Option<String>) {
        let began = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let took = began.map_or(Duration::ZERO, |began| began.elapsed());
        self.events.send(Event::Finished { id, outcome, took, miss });
    }

    /// Tells whether any step of a stage did more than take a result from the cache.
    pub(crate) fn has_made_anything(&self) -> bool {
        self.has_made.load(Ordering::Relaxed)
    }

    /// Notes that a step made something new.
    pub(crate) fn made_something(&self) {
        self.has_made.store(true, Ordering::Relaxed);
    }

    /// Does work as a step of its own, outside of any stage.
    pub(crate) async fn step<T>(&self, name: impl Into<String>, work: impl Future<Output = Result<T>>) -> Result<T> {
        let id = self.announce(None, name.into(), None);
        self.start(id);
        let done = work.await;
        self.finish(id, outcome_of(&done), None);
        done
    }

    /// Reports anything else.
    pub(crate) fn send(&self, event: Event) {
        self.events.send(event);
    }

    /// A sink that turns the notices of lower parts into events of a step.
    pub(crate) fn notices(&self, id: Option<StepId>) -> NoticeSink {
        let report = self.clone();
        NoticeSink::new(move |notice| report.notice(id, notice))
    }

    fn is_new(&self, message: &str) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(message.to_owned())
    }

    fn notice(&self, id: Option<StepId>, notice: Notice) {
        match (notice, id) {
            (Notice::Warning(message), id) if self.is_new(&message) => {
                self.events.send(Event::Warning { id, message });
            }
            (Notice::Waiting(what), id) => {
                self.events.send(Event::Warning { id, message: format!("waiting for {what}") });
            }
            (Notice::Transfer { digest, action, done, total }, Some(id)) => {
                let hex = digest.hex();
                let item = format!("{}:{}", digest.algorithm_name(), &hex[..12]);
                self.events.send(Event::Progress { id, action, item, done, total });
            }
            _ => {}
        }
    }
}

/// What a result means for the step that gave it.
pub(crate) fn outcome_of<T>(result: &Result<T>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(error) if error.is_cancelled() => Outcome::Cancelled,
        Err(_) => Outcome::Failed,
    }
}

impl Session {
    /// The merged view of layers; what is not known of them yet is fetched first.
    pub(crate) async fn rootfs(&self, layers: &[Arc<Layer>]) -> Result<Rootfs> {
        let mut entries = Vec::with_capacity(layers.len());
        for layer in layers {
            self.resolver.ensure_entries(layer).await?;
            match layer.entries() {
                Some(known) => entries.push(known.clone()),
                None => return Err(Error::internal(format!("the entries of layer {} are not known", layer.id()))),
            }
        }
        Ok(Rootfs::new(entries))
    }

    /// Tells whether a layer of a base is judged for the first time.
    pub(crate) fn is_first_look(&self, layer: &Layer) -> bool {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).insert(layer.id())
    }

    /// A finding in a step. One in an ONBUILD trigger stands at the FROM, and says which trigger it is.
    pub(crate) fn finding(&self, step: &Step, diagnostic: Diagnostic) -> Finding {
        match &step.trigger {
            Some(FiredTrigger { span: Some(span), .. }) => {
                self.found_in.finding(diagnostic.with_label(*span, FiredTrigger::LABEL))
            }
            Some(FiredTrigger { text, span: None }) => {
                let mut finding = self.found_in.finding(diagnostic);
                finding.notes.push(format!("this is the trigger `ONBUILD {text}` of the base image"));
                finding
            }
            None => self.found_in.finding(diagnostic),
        }
    }

    /// Gives an error its place in the Dockerfile, which is a step or a part of it. A stop has none, and an error that
    /// has one or several keeps them.
    pub(crate) fn locate(&self, code: &'static str, step: &Step, span: Span, error: Error) -> Error {
        if error.is_cancelled() || matches!(error, Error::Step { .. } | Error::Dockerfile(_)) {
            return error;
        }
        let mut diagnostic = Diagnostic::error(code, error.to_string(), span);
        diagnostic.help = error.help().map(str::to_owned);
        let finding = Box::new(self.finding(step, diagnostic));
        Error::Step { finding, step: step.title.clone(), source: Some(Box::new(error)) }
    }

    /// Reports a warning at its place in the Dockerfile.
    pub(crate) fn warn(&self, finding: Finding) {
        self.report.send(Event::Diagnostic { finding });
    }
}
