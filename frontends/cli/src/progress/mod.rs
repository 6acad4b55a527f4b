//! Displays of a build's events. Each reads the same events; none of them decides anything.

mod json;
mod plain;
mod text;
mod tree;

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};

use strake::{Event, EventSink};

use crate::args::ProgressMode;

/// A display. Events come in order, from any thread, one at a time.
enum Display {
    Plain(plain::Plain),
    Tree(Box<tree::Tree>),
    Json(json::Json),
    Silent,
}

impl Display {
    fn show(&mut self, event: &Event) {
        match self {
            Self::Plain(plain) => plain.show(event),
            Self::Tree(tree) => tree.show(event),
            Self::Json(json) => json.show(event),
            Self::Silent => {}
        }
    }

    fn finish(&mut self) {
        if let Self::Tree(tree) = self {
            tree.finish();
        }
    }
}

/// A display that events can be sent to.
#[derive(Clone)]
pub(crate) struct Screen {
    display: Arc<Mutex<Display>>,
    explains_misses: bool,
}

impl Screen {
    /// Chooses the display. Text displays say why steps missed the cache only when they are asked to.
    pub(crate) fn new(mode: ProgressMode, explain_cache: bool) -> Self {
        let interactive =
            std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let display = match mode {
            ProgressMode::Tty => Display::Tree(Box::new(tree::Tree::new())),
            ProgressMode::Auto if interactive => Display::Tree(Box::new(tree::Tree::new())),
            ProgressMode::Auto | ProgressMode::Plain => Display::Plain(plain::Plain::new()),
            ProgressMode::Json | ProgressMode::Rawjson => Display::Json(json::Json::new()),
            ProgressMode::Quiet | ProgressMode::None => Display::Silent,
        };
        let explains_misses = explain_cache || matches!(display, Display::Json(_));
        Self { display: Arc::new(Mutex::new(display)), explains_misses }
    }

    /// The sink that the build reports to.
    pub(crate) fn sink(&self) -> EventSink {
        let (display, explains_misses) = (Arc::clone(&self.display), self.explains_misses);
        EventSink::new(move |mut event| {
            if let Event::Finished { miss, .. } = &mut event
                && !explains_misses
            {
                *miss = None;
            }
            display.lock().unwrap_or_else(PoisonError::into_inner).show(&event);
        })
    }

    /// Leaves the terminal as it was.
    pub(crate) fn finish(&self) {
        self.display.lock().unwrap_or_else(PoisonError::into_inner).finish();
    }
}
