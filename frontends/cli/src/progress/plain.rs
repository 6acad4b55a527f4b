//! One line after the other, each with the number of its step; never two steps in one line.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Instant;

use strake::{Event, Outcome, StepId};

use super::text::Lines;
use strake_cli::harmless;

/// Plain lines on standard error.
pub(crate) struct Plain {
    steps: BTreeMap<StepId, Step>,
}

struct Step {
    name: String,
    began: Instant,
    is_announced: bool,
    stdout: Lines,
    stderr: Lines,
    last_action: Option<(&'static str, String)>,
}

impl Plain {
    /// Makes a display.
    pub(crate) fn new() -> Self {
        Self { steps: BTreeMap::new() }
    }

    fn announce(&mut self, id: StepId) {
        if let Some(step) = self.steps.get_mut(&id)
            && !step.is_announced
        {
            step.is_announced = true;
            step.began = Instant::now();
            write(&format!("#{} {}", id.0, step.name));
        }
    }
}

impl Plain {
    /// Shows an event.
    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::Step { id, name, .. } => {
                let step = Step {
                    name: name.clone(),
                    began: Instant::now(),
                    is_announced: false,
                    stdout: Lines::default(),
                    stderr: Lines::default(),
                    last_action: None,
                };
                self.steps.insert(*id, step);
            }
            Event::Started { id } => self.announce(*id),
            Event::Output { id, stream, bytes } => {
                self.announce(*id);
                if let Some(step) = self.steps.get_mut(id) {
                    let since = step.began.elapsed().as_secs_f64();
                    let lines = match stream {
                        strake::Stream::Stdout => &mut step.stdout,
                        strake::Stream::Stderr => &mut step.stderr,
                    };
                    lines.push(bytes, |line| write(&format!("#{} {since:.3} {}", id.0, harmless(line))));
                }
            }
            Event::Progress { id, action, item, done, total } => {
                self.announce(*id);
                if let Some(step) = self.steps.get_mut(id) {
                    // One line a transfer, at its end: a log is read afterwards.
                    let is_end = total.is_none_or(|total| *done >= total);
                    let key = Some((*action, item.clone()));
                    if is_end && step.last_action != key {
                        step.last_action = key;
                        write(&format!("#{} {action} {item} {}", id.0, size(*done)));
                    }
                }
            }
            Event::Finished { id, outcome, took, miss } => {
                self.announce(*id);
                if let Some(mut step) = self.steps.remove(id) {
                    let since = step.began.elapsed().as_secs_f64();
                    for lines in [&mut step.stdout, &mut step.stderr] {
                        lines.flush(|line| write(&format!("#{} {since:.3} {}", id.0, harmless(line))));
                    }
                    if let Some(miss) = miss {
                        write(&format!("#{} not cached: {miss}", id.0));
                    }
                    write(&match outcome {
                        Outcome::Done => format!("#{} DONE {:.1}s", id.0, took.as_secs_f64()),
                        Outcome::Cached => format!("#{} CACHED", id.0),
                        Outcome::Failed => format!("#{} ERROR", id.0),
                        Outcome::Cancelled => format!("#{} CANCELED", id.0),
                    });
                }
            }
            Event::Warning { id, message } => write(&match id {
                Some(id) => format!("#{} warning: {message}", id.0),
                None => format!("warning: {message}"),
            }),
            Event::Diagnostic { finding } => write(crate::render::finding(finding, false).trim_end()),
            Event::Exported { what, dest, digest } => {
                write(&match digest {
                    Some(digest) => format!("{what}: {dest} {digest}"),
                    None => format!("{what}: {dest}"),
                });
            }
            _ => {}
        }
    }
}

/// A closed standard error must not end the build (edges.md 3).
fn write(line: &str) {
    let mut out = anstream::stderr().lock();
    let _ignored = writeln!(out, "{line}");
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
