use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use strake_builder::events::EventSink;
use strake_builder::request::BuildRequest;
use strake_builder::{Builder, Built, Checked, Outline, Result, Settings, Targets};
use strake_layers::{Cancel, NoticeSink};
use strake_snapshotter::{ImageRecord, PruneOptions, PruneReport};

/// Holds a store open and builds in it.
#[derive(Clone, Debug)]
pub struct Engine {
    builder: Arc<Builder>,
}

impl Engine {
    /// Opens the store, making it where there is none.
    pub fn open(settings: Settings) -> Result<Self> {
        Self::open_with(settings, &NoticeSink::silent())
    }

    /// Opens the store; what is noticed on the way goes to `notices`.
    pub fn open_with(settings: Settings, notices: &NoticeSink) -> Result<Self> {
        Ok(Self { builder: Arc::new(Builder::open(settings, notices)?) })
    }

    /// Starts a build on the current tokio runtime. Dropping the [`Build`] stops it.
    ///
    /// # Panics
    /// When called outside of a tokio runtime.
    pub fn build(&self, request: BuildRequest, events: EventSink) -> Build {
        self.build_with(request, events, Cancel::new())
    }

    /// As [`Engine::build`], with the flag that stops it.
    ///
    /// # Panics
    /// When called outside of a tokio runtime.
    pub fn build_with(&self, request: BuildRequest, events: EventSink, cancel: Cancel) -> Build {
        let builder = Arc::clone(&self.builder);
        let stop = cancel.clone();
        let task = tokio::spawn(async move { builder.build(request, events, stop).await });
        Build { task, cancel }
    }

    /// Checks a Dockerfile without building it. Steps on the way and notices are sent as events; what was found, errors
    /// included, is in the result.
    pub async fn check(&self, request: BuildRequest, events: EventSink, cancel: Cancel) -> Result<Checked> {
        self.builder.check(request, events, cancel).await
    }

    /// Tells what the request's target can be given: arguments, secrets, agents, caches. Nothing is built.
    pub async fn outline(&self, request: BuildRequest, events: EventSink, cancel: Cancel) -> Result<Outline> {
        self.builder.outline(request, events, cancel).await
    }

    /// Lists the stages that can be built.
    pub async fn targets(&self, request: BuildRequest, events: EventSink, cancel: Cancel) -> Result<Targets> {
        self.builder.targets(request, events, cancel).await
    }

    /// The images that builds have kept, by name.
    pub fn images(&self) -> Result<Vec<ImageRecord>> {
        Ok(self.builder.store().list_images()?)
    }

    /// Removes what no image needs and the options do not keep.
    pub fn prune(&self, options: &PruneOptions) -> Result<PruneReport> {
        Ok(self.builder.store().prune(options)?)
    }

    /// What this machine can do, a name and a text for each fact.
    pub fn doctor(&self) -> Vec<(&'static str, String)> {
        self.builder.doctor()
    }
}

/// A build under way: a future of what it comes to.
#[derive(Debug)]
pub struct Build {
    task: tokio::task::JoinHandle<Result<Built>>,
    cancel: Cancel,
}

impl Build {
    /// The flag that stops it.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
}

impl Future for Build {
    type Output = Result<Built>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(context).map(|ended| match ended {
            Ok(result) => result,
            Err(error) => Err(strake_builder::Error::internal(format!("the build ended abnormally: {error}"))),
        })
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        // The task itself runs on: it is the one that kills processes and removes what is left of them.
        self.cancel.cancel_now();
    }
}
