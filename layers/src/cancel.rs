use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::{Error, Result};

/// A stop flag that everything belonging to one build shares. Setting it is final.
///
/// Blocking loops ask [`Cancel::check`] between two units of work (a file, a megabyte).
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicU8>);

const CANCELLED: u8 = 1;
const URGENT: u8 = 2;

impl Cancel {
    /// Makes a flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody who shares the flag to stop.
    pub fn cancel(&self) {
        self.0.fetch_max(CANCELLED, Ordering::SeqCst);
    }

    /// Asks everybody to stop at once: processes get no grace any more (edges.md 1).
    pub fn cancel_now(&self) {
        self.0.fetch_max(URGENT, Ordering::SeqCst);
    }

    /// Tells whether a stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= CANCELLED
    }

    /// Tells whether processes are to be killed without grace.
    pub fn is_urgent(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= URGENT
    }

    /// Fails with [`Error::Cancelled`] once a stop was asked for.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
