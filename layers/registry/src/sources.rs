//! The places a repository is asked for, one after the other: mirrors, then the registry.

use strake_layers::{NoticeSink, Reference};

use crate::client::{Client, Repository, is_absent};
use crate::error::{Error, Place, Result};
use crate::retry::{Attempts, Failure};

/// One operation's way through the sources of a reference.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    client: &'a Client,
    place: Place,
    /// The mirrors that were not asked yet, the next one last, below them the registry itself.
    waiting: Vec<Repository>,
    current: Repository,
    attempts: Attempts<'a>,
}

impl Client {
    /// Begins an operation that any source of a reference can serve.
    pub(crate) fn try_sources(&self, reference: &Reference, place: Place) -> Sources<'_> {
        let own = Repository::of(reference);
        let mut waiting = self.mirrors(&own);
        waiting.insert(0, own.clone());
        let current = waiting.pop().unwrap_or(own);
        Sources { client: self, attempts: self.attempts(place.clone()), place, waiting, current }
    }

    /// The mirrors of a repository's registry, the first to be asked last.
    fn mirrors(&self, own: &Repository) -> Vec<Repository> {
        let options = &self.inner.options;
        let listed = options.mirrors.iter().find(|(name, _)| own.registry.is_named(name));
        let names = listed.into_iter().flat_map(|(_, names)| names.iter().rev());
        names.map(|name| own.on(name)).collect()
    }

    fn notices(&self) -> &NoticeSink {
        &self.inner.options.notices
    }
}

impl<'a> Sources<'a> {
    /// The source to ask now, and its attempts.
    pub(crate) fn current(&mut self) -> (&Repository, &mut Attempts<'a>) {
        (&self.current, &mut self.attempts)
    }

    /// Judges a failure: the same source once more, or the next one, or the error of the registry itself.
    pub(crate) async fn after(&mut self, failure: Failure) -> Result<()> {
        let Some(next) = self.waiting.pop() else { return self.attempts.after(failure).await };
        // A mirror is a shortcut: it gets one attempt, and what it lacks is no news.
        let is_news = !matches!(&failure, Failure::Status { status, .. } if is_absent(*status));
        let error = self.attempts.fail(failure);
        if matches!(error, Error::Cancelled) {
            return Err(error);
        }
        if is_news {
            let name = &self.current.registry.name;
            self.client.notices().warn(format!("mirror {name}: {error}; asking the next source"));
        }
        self.current = next;
        self.attempts = self.client.attempts(self.place.clone());
        Ok(())
    }
}
