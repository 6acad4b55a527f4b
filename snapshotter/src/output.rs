use std::fs;
use std::io;
use std::path::Path;

use strake_layers::{Cancel, Entry, EntryKind, ImagePath};

use crate::apply::{Placing, Target};
use crate::store::StoreOptions;
use crate::{Error, Result, sys};

/// Writes the entries of a whole tree into a folder of the user, making it where there is none.
///
/// A new folder appears whole or not at all. Into one that exists, all files are first written beside, then renamed one
/// by one; what is there and is not among the entries stays (edges.md 4). All is the caller's, as with the reference.
pub fn write_files(dest: &Path, mut entries: Vec<Entry>, cancel: &Cancel) -> Result<()> {
    entries.iter_mut().for_each(give_to_caller);
    let parent = dest.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| Error::host("create", parent, e))?;
    let exists = dest.exists();
    // Inside an existing folder, which may be a mount of its own; beside a new one.
    let folder = if exists { dest } else { parent };
    let staging = tempfile::Builder::new().prefix(".strake-").tempdir_in(folder);
    let staging = staging.map_err(|e| Error::host("make a folder in", folder, e))?;
    let options = StoreOptions { cancel: cancel.clone(), ..StoreOptions::default() };
    Target::merged(staging.path(), &options).apply(&entries, &Placing::Copy)?;
    sys::open_up(staging.path());
    if !exists {
        let made = staging.keep();
        return fs::rename(&made, dest).map_err(|e| {
            drop(fs::remove_dir_all(&made));
            Error::host("rename the finished folder to", dest, e)
        });
    }
    for entry in &entries {
        cancel.check()?;
        move_in(staging.path(), dest, entry)?;
    }
    Ok(())
}

/// Makes an entry the caller's. As with chown, what ran as its owner no longer does.
fn give_to_caller(entry: &mut Entry) {
    let Some((uid, gid)) = sys::owner() else { return };
    let meta = &mut entry.meta;
    if (meta.uid, meta.gid) != (uid, gid) && !matches!(entry.kind, EntryKind::Directory { .. }) {
        meta.mode &= !0o6000;
    }
    (meta.uid, meta.gid) = (uid, gid);
}

/// Moves one entry to its place; directories are made, so that what the user has in them stays.
fn move_in(staging: &Path, dest: &Path, entry: &Entry) -> Result<()> {
    let (from, to) = (host_path(staging, &entry.path), host_path(dest, &entry.path));
    let error = |e| Error::host("replace", &to, e);
    let there = match fs::symlink_metadata(&to) {
        Ok(meta) => Some(meta),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(error(e)),
    };
    let is_directory_there = there.as_ref().is_some_and(fs::Metadata::is_dir);
    match &entry.kind {
        EntryKind::Whiteout => Ok(()),
        EntryKind::Directory { .. } if is_directory_there => Ok(()),
        EntryKind::Directory { .. } => {
            if there.is_some() {
                return Err(error(io::ErrorKind::NotADirectory.into()));
            }
            let mode = fs::symlink_metadata(&from).map_err(error)?.permissions();
            fs::create_dir(&to).and_then(|()| fs::set_permissions(&to, mode)).map_err(error)
        }
        _ if is_directory_there => Err(error(io::ErrorKind::IsADirectory.into())),
        _ => fs::rename(&from, &to).map_err(error),
    }
}

fn host_path(root: &Path, path: &ImagePath) -> std::path::PathBuf {
    root.join(sys::relative_path(path))
}

#[cfg(test)]
mod tests {
    use strake_layers::Metadata;

    use super::*;

    fn file(path: &str, text: &str) -> Entry {
        let meta = Metadata { mode: 0o644, ..Metadata::default() };
        Entry::inline_file(ImagePath::parse(path).unwrap(), meta, text.as_bytes())
    }

    fn directory(path: &str) -> Entry {
        Entry::directory(ImagePath::parse(path).unwrap(), Metadata { mode: 0o755, ..Metadata::default() })
    }

    #[test]
    fn files_of_the_user_stay_and_ours_replace() {
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("out");
        let entries = vec![directory("d"), file("d/a", "1"), file("b", "2")];
        write_files(&dest, entries, &Cancel::new()).unwrap();
        fs::write(dest.join("d/own"), "mine").unwrap();
        let entries = vec![directory("d"), file("d/a", "new")];
        write_files(&dest, entries, &Cancel::new()).unwrap();
        assert_eq!(fs::read_to_string(dest.join("d/a")).unwrap(), "new");
        assert_eq!(fs::read_to_string(dest.join("d/own")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(dest.join("b")).unwrap(), "2");
        assert_eq!(fs::read_dir(&dest).unwrap().count(), 2);
    }

    #[test]
    fn files_are_the_callers_and_run_as_nobody_else() {
        let meta = Metadata { mode: 0o6755, uid: 4711, gid: 4712, ..Metadata::default() };
        let mut entry = Entry::inline_file(ImagePath::parse("a").unwrap(), meta, b"1".as_slice());
        give_to_caller(&mut entry);
        let Some(caller) = sys::owner() else { return };
        assert_eq!((entry.meta.uid, entry.meta.gid), caller);
        assert_eq!(entry.meta.mode, 0o755);
    }

    #[test]
    fn a_cancelled_export_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(write_files(&folder.path().join("out"), vec![file("a", "1")], &cancel).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
