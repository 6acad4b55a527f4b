//! Sees a step's process to its end: its output, its exit, and a stop that is asked for in between.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use strake_layers::Cancel;

use super::cgroup::Leaf;
use super::spawner::Started;
use super::sys;
use crate::events::Stream;
use crate::runner::StepIo;
use crate::{Error, Result};

/// How long a stop that was asked for may go unnoticed.
const TICK: Duration = Duration::from_millis(50);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// The exit code, where it ended by itself.
    pub(super) code: Option<i32>,
    /// The signal, where one ended it.
    pub(super) signal: Option<i32>,
    /// Whether it was stopped because its time was over.
    pub(super) timed_out: bool,
}

/// What a step is watched with.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    pub(super) io: &'a StepIo,
    pub(super) cancel: &'a Cancel,
    /// When it is stopped.
    pub(super) deadline: Option<Instant>,
    pub(super) grace: Duration,
    pub(super) leaf: Option<&'a Leaf>,
}

impl Watch<'_> {
    /// Whether the step is to be stopped.
    fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// A pipe that is read until its other end is closed.
struct Pipe {
    stream: Stream,
    file: Option<File>,
}

/// Watches a process to its end. When this returns, everything of its pid namespace is dead: the kernel ends the first
/// process only after all others (pid_namespaces(7)).
pub(super) fn watch(started: &Started, stdout: OwnedFd, stderr: OwnedFd, watch: &Watch<'_>) -> Result<Ended> {
    let mut pipes = [
        Pipe { stream: Stream::Stdout, file: Some(stdout.into()) },
        Pipe { stream: Stream::Stderr, file: Some(stderr.into()) },
    ];
    let mut buffer = vec![0; 64 << 10];
    let mut stop = Stop::Unasked;
    loop {
        stop = stop.advance(started, watch);
        let mut fds = vec![PollFd::new(&started.pidfd, PollFlags::IN)];
        fds.extend(pipes.iter().filter_map(|pipe| Some(PollFd::new(pipe.file.as_ref()?, PollFlags::IN))));
        match poll(&mut fds, Some(&timespec(TICK))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                let _ = sys::signal(started.pidfd.as_raw_fd(), libc::SIGKILL);
                let _ = sys::wait(started.pidfd.as_raw_fd());
                return Err(Error::environment(format!("cannot wait for the step's process: {error}")));
            }
        }
        let has_ended = fds.first().is_some_and(|fd| !fd.revents().is_empty());
        for pipe in &mut pipes {
            pipe.read(&mut buffer, watch.io, if has_ended { usize::MAX } else { 16 });
        }
        if has_ended {
            break;
        }
    }
    let (how, status) = sys::wait(started.pidfd.as_raw_fd())
        .map_err(|errno| Error::internal(format!("the step's process cannot be waited for: {errno}")))?;
    let timed_out = !matches!(stop, Stop::Unasked) && !watch.cancel.is_cancelled();
    Ok(match how {
        libc::CLD_EXITED => Ended { code: Some(status), signal: None, timed_out },
        _ => Ended { code: None, signal: Some(status), timed_out },
    })
}

fn timespec(duration: Duration) -> rustix::event::Timespec {
    rustix::event::Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

impl Pipe {
    /// Passes on what is there now, in at most so many pieces.
    fn read(&mut self, buffer: &mut [u8], io: &StepIo, pieces: usize) {
        for _ in 0..pieces {
            let Some(file) = &mut self.file else { return };
            match file.read(buffer) {
                Ok(0) => self.file = None,
                Ok(count) => (io.output)(self.stream, buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.file = None,
            }
        }
    }
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Unasked,
    /// It was asked to end, and has until then.
    Asked(Instant),
    Killed,
}

impl Stop {
    fn advance(self, started: &Started, watch: &Watch<'_>) -> Self {
        match self {
            Self::Unasked if !watch.is_over() => self,
            Self::Unasked if watch.grace.is_zero() || watch.cancel.is_urgent() || !handles_term(started.pid) => {
                kill(started, watch)
            }
            Self::Unasked => {
                let _ = sys::signal(started.pidfd.as_raw_fd(), libc::SIGTERM);
                Instant::now().checked_add(watch.grace).map_or(self, Self::Asked)
            }
            Self::Asked(until) if watch.cancel.is_urgent() || Instant::now() >= until => kill(started, watch),
            Self::Asked(_) | Self::Killed => self,
        }
    }
}

fn kill(started: &Started, watch: &Watch<'_>) -> Stop {
    let _ = sys::signal(started.pidfd.as_raw_fd(), libc::SIGKILL);
    if let Some(leaf) = watch.leaf {
        leaf.kill();
    }
    Stop::Killed
}

/// Whether a process has a handler for SIGTERM. The first one of a pid namespace that has none ignores it
/// (pid_namespaces(7)), so that waiting would be in vain.
fn handles_term(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| catches_term(&status))
}

fn catches_term(status: &str) -> bool {
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (libc::SIGTERM - 1) & 1 == 1
}

/// Makes a pipe whose reading end does not block: the reading end, then the writing end.
pub(super) fn output_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe()?;
    rustix::fs::fcntl_setfl(read.as_fd(), rustix::fs::OFlags::NONBLOCK).map_err(no_pipe)?;
    Ok((read, write))
}

/// Makes a pipe: the reading end, then the writing end.
pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(no_pipe)
}

fn no_pipe(errno: rustix::io::Errno) -> Error {
    Error::environment(format!("cannot make a pipe for a step: {errno}"))
        .with_help("raise the limit of open files (`ulimit -n`)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_of_sigterm_is_seen() {
        assert!(catches_term("Name:\tsh\nSigCgt:\t0000000000004002\n"));
        assert!(!catches_term("SigCgt:\t0000000000000002\n"));
        assert!(!catches_term(""));
    }
}
