use std::fmt;
use std::sync::Arc;

use crate::Digest;

/// Something a lower part reports while it works; the builder turns it into an event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A condition the user should know of, though the build goes on: what, and what to do about it.
    Warning(String),
    /// A blob is being transferred: `done` of `total` bytes (`None`: size unknown).
    Transfer {
        /// The blob's digest.
        digest: Digest,
        /// What is being done, as a verb: `pull`, `push`, `extract`.
        action: &'static str,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// Work waits for another process or step: what for.
    Waiting(String),
}

/// Where notices go. Cheap to clone; called from any thread, so it must not block.
#[derive(Clone)]
pub struct NoticeSink(Arc<dyn Fn(Notice) + Send + Sync>);

impl NoticeSink {
    /// Makes a sink from a function.
    pub fn new(function: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    /// Makes a sink that drops everything.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Reports a notice.
    pub fn send(&self, notice: Notice) {
        (self.0)(notice);
    }

    /// Reports a warning.
    pub fn warn(&self, text: impl Into<String>) {
        self.send(Notice::Warning(text.into()));
    }
}

impl fmt::Debug for NoticeSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoticeSink")
    }
}
