//! One JSON object a line on standard error.

use std::io::Write as _;
use std::time::Instant;

use serde::Serialize;
use strake::Event;

/// JSON lines.
pub(crate) struct Json {
    began: Instant,
}

/// A line: the event with its schema's version and the seconds since the build began.
#[derive(Serialize)]
struct Line<'a> {
    version: u32,
    seconds: f64,
    #[serde(flatten)]
    event: &'a Event,
}

impl Json {
    /// Makes a display.
    pub(crate) fn new() -> Self {
        Self { began: Instant::now() }
    }
}

impl Json {
    /// Shows an event.
    pub(super) fn show(&mut self, event: &Event) {
        let line = Line { version: strake::SCHEMA_VERSION, seconds: self.began.elapsed().as_secs_f64(), event };
        if let Ok(text) = serde_json::to_string(&line) {
            let _ignored = writeln!(std::io::stderr().lock(), "{text}");
        }
    }
}
