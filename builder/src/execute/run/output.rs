//! What the process of a RUN writes: masked, shown, and its end remembered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::events::{Event, StepId, Stream};
use crate::execute::mask::MaskedStream;
use crate::execute::{Masks, Report, StepWork};
use crate::runner::StepIo;

use super::value::{Unfit, Written};

/// The lines that an error repeats.
const TAIL_LINES: usize = 20;

/// A line of the tail is no longer than this.
const TAIL_LINE: usize = 4096;

/// The output of one step.
#[derive(Clone, Debug)]
pub(super) struct Output {
    report: Report,
    id: StepId,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    stdout: MaskedStream,
    stderr: MaskedStream,
    tail: VecDeque<Vec<u8>>,
    is_line_open: bool,
    /// What it wrote to standard output, where a variable gets that.
    written: Option<Written>,
}

impl Output {
    /// Makes the output of a step; standard output is kept where a variable gets it.
    pub(super) fn new(work: &StepWork<'_>, is_kept: bool) -> Self {
        let masks = &work.session.masks;
        let state = State {
            stdout: MaskedStream::new(masks.clone()),
            stderr: MaskedStream::new(masks.clone()),
            tail: VecDeque::new(),
            is_line_open: false,
            written: is_kept.then(Written::default),
        };
        Self { report: work.session.report.clone(), id: work.id, state: Arc::new(Mutex::new(state)) }
    }

    /// What the runner writes to.
    pub(super) fn step_io(&self) -> StepIo {
        let output = self.clone();
        let notices = self.report.notices(Some(self.id));
        StepIo { output: Arc::new(move |stream, bytes| output.write(stream, bytes)), notices }
    }

    /// Shows what masking held back.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = state.masked(stream).finish();
            self.show(&mut state, stream, rest);
        }
    }

    /// The last lines.
    pub(super) fn tail(&self) -> Vec<String> {
        let state = self.lock();
        state.tail.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect()
    }

    /// What a variable gets; none where no variable does.
    pub(super) fn value(&self, masks: &Masks) -> Result<Option<Arc<str>>, Unfit> {
        self.lock().written.as_ref().map(|written| written.value(masks)).transpose()
    }

    fn write(&self, stream: Stream, bytes: &[u8]) {
        let mut state = self.lock();
        if let (Stream::Stdout, Some(written)) = (stream, &mut state.written) {
            written.push(bytes);
        }
        let shown = state.masked(stream).push(bytes);
        self.show(&mut state, stream, shown);
    }

    fn show(&self, state: &mut State, stream: Stream, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        state.remember(&bytes);
        self.report.send(Event::Output { id: self.id, stream, bytes });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn masked(&mut self, stream: Stream) -> &mut MaskedStream {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn remember(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.is_line_open {
                if self.tail.len() == TAIL_LINES {
                    self.tail.pop_front();
                }
                self.tail.push_back(Vec::new());
            }
            self.is_line_open = !piece.ends_with(b"\n");
            if let Some(line) = self.tail.back_mut() {
                let room = TAIL_LINE.saturating_sub(line.len());
                line.extend_from_slice(&piece[..piece.len().min(room)]);
            }
        }
    }
}
