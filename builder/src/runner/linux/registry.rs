//! Which processes are steps of which strake, so that the next start can kill what a killed one left (edges.md 2).
//!
//! A step dies with strake by its parent-death signal. Executing a set-user-id program clears that (prctl(2)), and a
//! shell may execute `sudo` in its own place, so each process is also written down as it is made: one file for each
//! runner, held by `flock` as long as the runner lives.

#![cfg(target_os = "linux")]

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Tells the runners of one process apart.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The file of this runner.
#[derive(Debug)]
pub(super) struct Registry {
    path: PathBuf,
    file: File,
}

impl Registry {
    /// Kills what dead runners left, and starts this one's file. `None`: the folder cannot be written.
    pub(super) fn open(runtime_dir: &Path) -> Option<Self> {
        let dir = runtime_dir.join("steps");
        fs::create_dir_all(&dir).ok()?;
        sweep(&dir);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{}-{number}", std::process::id()));
        let file = OpenOptions::new().create_new(true).append(true).open(&path).ok()?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Self { path, file })
    }

    /// A descriptor for a process to write itself down: what its `/proc/PID/stat` says, before it executes anything.
    pub(super) fn descriptor(&self) -> Option<OwnedFd> {
        self.file.try_clone().ok().map(Into::into)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

/// The greatest size of a list that is read: tens of thousands of steps.
const LIMIT: u64 = 16 << 20;

fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Ok(file) = File::open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let mut text = String::new();
        file.take(LIMIT).read_to_string(&mut text).ok();
        for (pid, start) in text.lines().filter_map(parse) {
            kill(pid, start);
        }
        fs::remove_file(&path).ok();
    }
}

fn parse(line: &str) -> Option<(i32, u64)> {
    let pid = line.split(' ').next()?.parse().ok().filter(|pid| *pid > 1)?;
    Some((pid, start_in(line)?))
}

/// Kills a process if it is still the one that was written down.
fn kill(pid: i32, start: u64) {
    let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else { return };
    // Looked at after the handle is open: from then on it cannot become another one.
    if start_time(pid) == Some(start) {
        pidfd_send_signal(&handle, Signal::KILL).ok();
    }
}

/// When a process started, in the kernel's ticks since its own start: with its number it tells it from all others.
fn start_time(pid: i32) -> Option<u64> {
    start_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The 22nd field of `/proc/PID/stat` (proc_pid_stat(5)); the second one may hold blanks and parentheses.
fn start_in(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat = "77 (a) b (c) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9876 100 200";
        assert_eq!(start_in(stat), Some(9876));
        assert_eq!(start_in("77 (sh"), None);
    }

    #[test]
    fn lines_that_are_no_records_are_passed_over() {
        let rest = "(strake-spawn) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9876 100 200";
        assert_eq!(parse(&format!("12 {rest}")), Some((12, 9876)));
        for line in ["", "12 34", &format!("1 {rest}"), &format!("-5 {rest}"), &format!("x {rest}")] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
