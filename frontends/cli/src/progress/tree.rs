//! The live display: a line for each step that works, below it the end of its log.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use strake::{Event, Outcome, StepId, Stream};

use super::text::Lines;
use strake_cli::harmless;

/// Lines of log shown below a step that works.
const TAIL: usize = 4;

/// The live tree on standard error.
pub(crate) struct Tree {
    screen: MultiProgress,
    steps: BTreeMap<StepId, Step>,
    style: ProgressStyle,
    log_style: ProgressStyle,
}

struct Step {
    name: String,
    bar: Option<ProgressBar>,
    log: Option<ProgressBar>,
    tail: VecDeque<String>,
    stdout: Lines,
    stderr: Lines,
}

impl Tree {
    /// Makes a display.
    pub(crate) fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner:.cyan} {wide_msg} {elapsed:.dim}");
        let log_style = ProgressStyle::with_template("{wide_msg:.dim}");
        Self {
            screen: MultiProgress::new(),
            steps: BTreeMap::new(),
            style: style.unwrap_or_else(|_| ProgressStyle::default_spinner()),
            log_style: log_style.unwrap_or_else(|_| ProgressStyle::default_spinner()),
        }
    }

    fn start(&mut self, id: StepId) {
        let Some(step) = self.steps.get_mut(&id) else { return };
        if step.bar.is_none() {
            let bar = self.screen.add(ProgressBar::new_spinner());
            bar.set_style(self.style.clone());
            bar.set_message(step.name.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
            step.bar = Some(bar);
        }
    }

    fn line(&self, text: &str) {
        let _ignored = self.screen.println(text);
    }

    fn output(&mut self, id: StepId, stream: Stream, bytes: &[u8]) {
        self.start(id);
        let Some(step) = self.steps.get_mut(&id) else { return };
        let lines = match stream {
            Stream::Stdout => &mut step.stdout,
            Stream::Stderr => &mut step.stderr,
        };
        let tail = &mut step.tail;
        lines.push(bytes, |line| {
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(format!("  │ {}", harmless(line)));
        });
        let Some(bar) = &step.bar else { return };
        let log = step.log.get_or_insert_with(|| {
            let log = self.screen.insert_after(bar, ProgressBar::new_spinner());
            log.set_style(self.log_style.clone());
            log
        });
        log.set_message(step.tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n"));
    }

    fn end(&mut self, id: StepId, outcome: Outcome, took: Duration, miss: Option<&str>) {
        let Some(step) = self.steps.remove(&id) else { return };
        for bar in [step.log, step.bar].into_iter().flatten() {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
        let green = console::Style::new().green().for_stderr();
        let (sign, note) = match outcome {
            Outcome::Done => (green.apply_to("✓"), format!("{:.1}s", took.as_secs_f64())),
            Outcome::Cached => (console::Style::new().blue().for_stderr().apply_to("✓"), "cached".to_owned()),
            Outcome::Failed => (console::Style::new().red().for_stderr().apply_to("✗"), "failed".to_owned()),
            Outcome::Cancelled => (console::Style::new().yellow().for_stderr().apply_to("-"), "stopped".to_owned()),
        };
        let dim = console::Style::new().dim().for_stderr();
        self.line(&format!("{sign} {} {}", step.name, dim.apply_to(note)));
        if let Some(miss) = miss {
            self.line(&format!("  {}", dim.apply_to(format!("not cached: {miss}"))));
        }
    }
}

impl Tree {
    /// Shows an event.
    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Step { id, name, .. } => {
                let step = Step {
                    name: harmless(name.as_bytes()),
                    bar: None,
                    log: None,
                    tail: VecDeque::new(),
                    stdout: Lines::default(),
                    stderr: Lines::default(),
                };
                self.steps.insert(*id, step);
            }
            Event::Started { id } => self.start(*id),
            Event::Output { id, stream, bytes } => self.output(*id, *stream, bytes),
            Event::Progress { id, action, item, done, total } => {
                self.start(*id);
                if let Some(Step { bar: Some(bar), name, .. }) = self.steps.get(id) {
                    let of = total.map(|total| format!(" of {}", super::plain::size(total))).unwrap_or_default();
                    bar.set_message(format!("{name}  {action} {item} {}{of}", super::plain::size(*done)));
                }
            }
            Event::Finished { id, outcome, took, miss } => self.end(*id, *outcome, *took, miss.as_deref()),
            Event::Warning { message, .. } => {
                let yellow = console::Style::new().yellow().for_stderr();
                self.line(&format!("{} {message}", yellow.apply_to("warning:")));
            }
            Event::Diagnostic { finding } => {
                let colour = console::colors_enabled_stderr();
                self.line(crate::render::finding(finding, colour).trim_end());
            }
            Event::Exported { what, dest, digest } => {
                self.line(&format!("{what}: {dest} {}", digest.as_deref().unwrap_or_default()));
            }
            _ => {}
        }
    }

    /// Leaves the terminal as it was.
    pub(super) fn finish(&mut self) {
        for step in std::mem::take(&mut self.steps).into_values() {
            for bar in [step.log, step.bar].into_iter().flatten() {
                bar.finish_and_clear();
            }
        }
        let _ignored = self.screen.clear();
        let _ignored = console::Term::stderr().show_cursor();
    }
}
