use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::sys;

/// Takes what is no longer wanted out of sight at once and deletes it in the background (linux.md §4.9).
#[derive(Clone, Debug)]
pub(crate) struct Trash {
    folder: PathBuf,
    deleter: Arc<Mutex<Option<Sender<Work>>>>,
}

/// What the deleting thread is told.
#[derive(Debug)]
enum Work {
    Delete(PathBuf),
    /// Say when everything before this is done, by dropping it.
    Tell(Sender<()>),
}

impl Trash {
    /// Makes the trash in a folder, and goes on deleting what an earlier process left there.
    pub(super) fn open(folder: PathBuf) -> Self {
        let trash = Self { folder, deleter: Arc::default() };
        for left in fs::read_dir(&trash.folder).into_iter().flatten().flatten() {
            trash.delete(left.path());
        }
        trash
    }

    /// Throws away a file or folder. What cannot be thrown away now is found again by the next start.
    pub(crate) fn discard(&self, path: &Path) {
        // A name of its own, taken by making a folder that the rename then replaces, or fills.
        let Ok(place) = tempfile::Builder::new().prefix("t").rand_bytes(12).tempdir_in(&self.folder) else { return };
        let place = place.keep();
        let target = place.join("x");
        match fs::rename(path, &target) {
            Ok(()) => self.delete(place),
            Err(_) => {
                drop(fs::remove_dir(place));
            }
        }
    }

    /// Waits until what was thrown away before is gone, as far as it can be.
    pub(crate) fn settle(&self) {
        let deleter = self.deleter.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (sender, receiver) = channel();
        if deleter.is_some_and(|deleter| deleter.send(Work::Tell(sender)).is_ok()) {
            // An error is the answer: nothing is ever sent.
            let _gone = receiver.recv();
        }
    }

    fn delete(&self, path: PathBuf) {
        let mut deleter = self.deleter.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = deleter.get_or_insert_with(|| {
            let (sender, receiver) = channel::<Work>();
            let work = move || {
                receiver.into_iter().for_each(|work| match work {
                    Work::Delete(path) => delete_tree(&path),
                    Work::Tell(sender) => drop(sender),
                });
            };
            // Without a thread the paths wait for the next start.
            drop(std::thread::Builder::new().name("strake-trash".into()).spawn(work));
            sender
        });
        drop(sender.send(Work::Delete(path)));
    }
}

fn delete_tree(path: &Path) {
    let outcome = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    if outcome.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        // Folders that their owner may not write, as only others than root meet them.
        sys::open_up(path);
        drop(fs::remove_dir_all(path));
    }
}
