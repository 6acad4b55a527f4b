//! The one thread that makes steps' processes.
//!
//! A process whose parent-death signal is set dies when the *thread* that made it ends (prctl(2)), so all are made by
//! one that lives as long as the runner (linux.md §1.8).

#![cfg(target_os = "linux")]

use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::child::{self, Report};
use super::program::Program;
use super::spawn::{self, Birth, Stack};
use super::sys::{self, Errno, Raw};

/// A request: what to run, and where the answer goes.
struct Job {
    program: Program,
    pid: Arc<AtomicI32>,
    answer: SyncSender<Raw<OwnedFd>>,
}

/// The thread.
#[derive(Debug)]
pub(super) struct Spawner {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// A process that executes its program.
#[derive(Debug)]
pub(super) struct Started {
    /// Its number in strake's namespace.
    pub(super) pid: i32,
    /// The descriptor of the process.
    pub(super) pidfd: OwnedFd,
    /// What was refused on the way: the number of the operation and the error.
    pub(super) skipped: Vec<(u16, Errno)>,
}

/// Why there is no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotStarted {
    /// The spawner or the kernel refused to make one.
    NoProcess(Errno),
    /// The child reported why it ended.
    Reported(Report),
}

impl Spawner {
    /// Starts it.
    pub(super) fn start() -> std::io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let work = move || {
            // A child starts with every signal blocked: no handler of strake's may run in it.
            sys::set_signal_mask(u64::MAX);
            let stack = Stack::new();
            while let Ok(Job { program, pid, answer }) = queue.recv() {
                let made = match &stack {
                    Ok(stack) => {
                        let (namespaces, cgroup) = (program.namespaces, program.cgroup.as_ref());
                        spawn::spawn(&Birth { namespaces, cgroup, stack, pid: &pid }, child::run, &program)
                    }
                    Err(errno) => Err(*errno),
                };
                // Closes this side of the pipes, before anybody reads them to their end.
                drop(program);
                answer.send(made).ok();
            }
        };
        let thread = std::thread::Builder::new().name("strake-spawn".to_owned()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Makes a process. `status` is the reading end of the program's status pipe; `map_ids` is called with the
    /// process's number when it asks for its id maps.
    pub(super) fn spawn(
        &self,
        program: Program,
        status: OwnedFd,
        mut map_ids: impl FnMut(i32),
    ) -> Result<Started, NotStarted> {
        let gone = NotStarted::NoProcess(Errno(libc::ESRCH));
        let pid = Arc::new(AtomicI32::new(0));
        let (answer, result) = sync_channel(1);
        let job = Job { program, pid: Arc::clone(&pid), answer };
        self.jobs.as_ref().ok_or(gone)?.send(job).map_err(|_| gone)?;
        let mut status = std::fs::File::from(status);
        let mut skipped = Vec::new();
        let mut failed = None;
        let mut bytes = [0; Report::SIZE];
        while status.read_exact(&mut bytes).is_ok() {
            match Report::decode(bytes) {
                Some(Report::NeedsIdMaps) => map_ids(pid.load(Ordering::SeqCst)),
                Some(Report::Skipped(number, errno)) => skipped.push((number, errno)),
                Some(report) => failed = Some(report),
                None => {}
            }
        }
        let pidfd = result.recv().map_err(|_| gone)?.map_err(NotStarted::NoProcess)?;
        if let Some(report) = failed {
            let _ = sys::wait(std::os::fd::AsRawFd::as_raw_fd(&pidfd));
            return Err(NotStarted::Reported(report));
        }
        Ok(Started { pid: pid.load(Ordering::SeqCst), pidfd, skipped })
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
