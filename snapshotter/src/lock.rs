use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use strake_layers::{Cancel, Notice, NoticeSink};

use crate::{Error, Result, sys};

/// How long one waits before the user is told (linux.md §1.7).
const NOTICE_AFTER: Duration = Duration::from_secs(2);

/// The longest pause between two looks at a lock that another process holds.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Whether others may hold the lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockMode {
    /// Others may share it.
    Shared,
    /// Nobody else may hold it.
    Exclusive,
}

/// A lock on a file, held until dropped: between processes and between threads, since it belongs to the open file.
/// The kernel frees it when its holder dies.
#[derive(Debug)]
pub(crate) struct FileLock(File);

/// What a waiting call needs to know.
pub(crate) struct Waiting<'a> {
    /// Ends the wait.
    pub(crate) cancel: &'a Cancel,
    /// Is told after two seconds.
    pub(crate) notices: &'a NoticeSink,
    /// What is waited for.
    pub(crate) what: &'a str,
}

/// Who waits for which lock in this process, the first one first: among themselves they are served in order.
static QUEUES: Mutex<Option<HashMap<PathBuf, VecDeque<u64>>>> = Mutex::new(None);

impl FileLock {
    /// Takes the lock if that is possible at once. The file is made where it is missing.
    pub(crate) fn try_acquire(path: &Path, mode: LockMode) -> Result<Option<Self>> {
        Self::try_file(open(path, true)?, path, mode)
    }

    /// As [`FileLock::try_acquire`], but for a file that exists; `None` also where it does not.
    pub(crate) fn try_existing(path: &Path, mode: LockMode) -> Result<Option<Self>> {
        match open(path, false) {
            Ok(file) => Self::try_file(file, path, mode),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the lock, waiting for it in turn.
    pub(crate) fn acquire(path: &Path, mode: LockMode, waiting: &Waiting<'_>) -> Result<Self> {
        if !is_queued(path)
            && let Some(lock) = Self::try_acquire(path, mode)?
        {
            return Ok(lock);
        }
        let ticket = Ticket::draw(path);
        let begin = Instant::now();
        let mut told = false;
        let mut pause = Duration::from_millis(1);
        loop {
            waiting.cancel.check()?;
            if ticket.is_first()
                && let Some(lock) = Self::try_acquire(path, mode)?
            {
                return Ok(lock);
            }
            if !told && begin.elapsed() >= NOTICE_AFTER {
                told = true;
                waiting.notices.send(Notice::Waiting(waiting.what.to_owned()));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Turns an exclusive lock into a shared one.
    pub(crate) fn share(&self, path: &Path) -> Result<()> {
        sys::share_lock(&self.0).map_err(|e| Error::host("lock", path, e))
    }

    /// As [`FileLock::try_acquire`], with the file opened already.
    pub(crate) fn try_file(file: File, path: &Path, mode: LockMode) -> Result<Option<Self>> {
        let outcome = match mode {
            LockMode::Shared => file.try_lock_shared(),
            LockMode::Exclusive => file.try_lock(),
        };
        match outcome {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::host("lock", path, error)),
        }
    }
}

fn open(path: &Path, is_made: bool) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(is_made)
        .truncate(false)
        .open(path)
        .map_err(|e| Error::host("open", path, e))
}

/// A place in the queue for a lock; given up when dropped.
struct Ticket<'a> {
    path: &'a Path,
    number: u64,
}

impl<'a> Ticket<'a> {
    fn draw(path: &'a Path) -> Self {
        let mut queues = queues();
        let queue = queues.get_or_insert_default().entry(path.to_owned()).or_default();
        let number = queue.back().map_or(0, |last| last + 1);
        queue.push_back(number);
        Self { path, number }
    }

    fn is_first(&self) -> bool {
        let queues = queues();
        queues.as_ref().and_then(|all| all.get(self.path)?.front()) == Some(&self.number)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(all) = queues().as_mut()
            && let Some(queue) = all.get_mut(self.path)
        {
            queue.retain(|number| *number != self.number);
            if queue.is_empty() {
                all.remove(self.path);
            }
        }
    }
}

fn is_queued(path: &Path) -> bool {
    queues().as_ref().is_some_and(|all| all.contains_key(path))
}

fn queues() -> MutexGuard<'static, Option<HashMap<PathBuf, VecDeque<u64>>>> {
    QUEUES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn wait(path: &Path, cancel: &Cancel) -> Result<FileLock> {
        let waiting = Waiting { cancel, notices: &NoticeSink::silent(), what: "x" };
        FileLock::acquire(path, LockMode::Exclusive, &waiting)
    }

    #[test]
    fn exclusive_locks_exclude_and_shared_ones_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        let one = FileLock::try_acquire(&path, LockMode::Shared).unwrap();
        let two = FileLock::try_acquire(&path, LockMode::Shared).unwrap();
        assert!(one.is_some() && two.is_some());
        assert!(FileLock::try_acquire(&path, LockMode::Exclusive).unwrap().is_none());
        drop((one, two));
        assert!(FileLock::try_acquire(&path, LockMode::Exclusive).unwrap().is_some());
        assert!(FileLock::try_existing(&dir.path().join("none"), LockMode::Shared).unwrap().is_none());
    }

    #[test]
    fn a_wait_ends_with_the_build() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        let _held = FileLock::try_acquire(&path, LockMode::Exclusive).unwrap().unwrap();
        let cancel = Cancel::new();
        let waiter = std::thread::spawn({
            let (path, cancel) = (path.clone(), cancel.clone());
            move || wait(&path, &cancel).map(drop)
        });
        cancel.cancel();
        assert!(matches!(waiter.join().unwrap(), Err(Error::Layers(strake_layers::Error::Cancelled))));
        assert!(!is_queued(&path));
    }

    #[test]
    fn one_at_a_time_gets_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l");
        let inside = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (path, inside) = (path.clone(), Arc::clone(&inside));
                std::thread::spawn(move || {
                    let _lock = wait(&path, &Cancel::new()).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
