use std::collections::BTreeMap;

use super::{Rootfs, is_implicit, is_whiteout};
use crate::{Entry, EntryKind, EntryList, ImagePath, Metadata};

/// How often implied directories are led through links: a link's target may lie below another link.
const MAX_ROUNDS: usize = 40;

/// Gives a layer what the search relies upon: an entry for every directory above another entry, and no implied
/// directory in the place of a lower layer's link. Nearly every layer has that already and is handed back as it is.
pub(super) fn prepare(entries: EntryList, below: &Rootfs) -> EntryList {
    let mut entries = if entries.has_all_parents() { entries } else { add_parents(&entries).into() };
    for _ in 0..MAX_ROUNDS {
        let Some((from, to)) = linked_directory(&entries, below) else { break };
        entries = add_parents(&move_subtree(&entries, &from, &to)).into();
    }
    entries
}

/// Looks through entries in order: is there one for every directory above each of them?
#[derive(Debug, Default)]
pub(crate) struct ParentCheck {
    previous: Vec<u8>,
    /// The directories that hold the previous entry, outermost first, each by the length of its path.
    open: Vec<usize>,
}

impl ParentCheck {
    /// Takes the next entry; tells whether its parent was there.
    pub(crate) fn take(&mut self, path: &[u8], is_directory: bool) -> bool {
        let common = path.iter().zip(&self.previous).take_while(|(a, b)| a == b).count();
        let holds = |length: usize| length <= common && matches!(path.get(length), None | Some(b'/'));
        while self.open.last().is_some_and(|length| !holds(*length)) {
            self.open.pop();
        }
        let parent = path.iter().rposition(|b| *b == b'/');
        // The last one may be of the same path: a whiteout's or, in archives of others, a second entry's.
        let is_there = parent.is_none_or(|parent| self.open.iter().rev().take(2).any(|length| *length == parent));
        if is_directory && !path.is_empty() {
            self.open.push(path.len());
        }
        self.previous.truncate(common);
        self.previous.extend_from_slice(&path[common..]);
        is_there
    }
}

fn add_parents(entries: &[Entry]) -> Vec<Entry> {
    let mut all: BTreeMap<(ImagePath, bool), Entry> = BTreeMap::new();
    for entry in entries {
        for parent in entry.path.ancestors().take_while(|parent| !parent.is_root()) {
            let key = (parent.clone(), true);
            if all.contains_key(&key) {
                break;
            }
            let meta = Metadata { mode: 0o755, ..Metadata::default() };
            let kind = EntryKind::Directory { opaque: false, implicit: true };
            all.insert(key, Entry { path: parent, meta, kind });
        }
        let key = (entry.path.clone(), !is_whiteout(entry));
        match all.get(&key) {
            // Two subtrees that came together: what is listed wins over what is implied.
            Some(known) if is_implicit(entry) && known.is_directory() => {}
            _ => drop(all.insert(key, entry.clone())),
        }
    }
    all.into_values().collect()
}

/// The first implied directory in whose place the lower layers have a link, and where that leads.
fn linked_directory(entries: &EntryList, below: &Rootfs) -> Option<(ImagePath, ImagePath)> {
    if below.is_empty() {
        return None;
    }
    entries.implicit().into_iter().find_map(|entry| {
        let EntryKind::Symlink(_) = below.lookup(&entry.path)?.kind else { return None };
        // A link that loops or leads to itself cannot be followed; then the directory replaces it.
        let target = below.resolve(&entry.path).ok()?;
        (!target.starts_with(&entry.path) && !hides(entries, &entry.path)).then(|| (entry.path.clone(), target))
    })
}

/// Tells whether the layer itself takes the link away.
fn hides(entries: &[Entry], path: &ImagePath) -> bool {
    entries.iter().any(|entry| is_whiteout(entry) && path.starts_with(&entry.path))
}

fn move_subtree(entries: &[Entry], from: &ImagePath, to: &ImagePath) -> Vec<Entry> {
    let moved = |path: &ImagePath| path.strip_prefix(from).map(|rest| to.join_path(&rest));
    let mut all: Vec<Entry> = entries
        .iter()
        .map(|entry| {
            let mut entry = entry.clone();
            entry.path = moved(&entry.path).unwrap_or(entry.path);
            if let EntryKind::HardLink(target) = &mut entry.kind
                && let Some(path) = moved(target)
            {
                *target = path;
            }
            entry
        })
        .collect();
    // Implied entries last, so that they never replace a listed one of the same path.
    all.sort_by_key(is_implicit);
    all
}

#[cfg(test)]
mod tests {
    use super::super::tests::{path, rootfs};

    #[test]
    fn what_lies_below_an_implied_directory_goes_through_a_lower_link() {
        let rootfs = rootfs(&[
            &["d usr", "d usr/lib", "f usr/lib/a=1", "l lib=usr/lib", "l l2=/lib"],
            &["i lib", "f lib/b=2", "h lib/c=lib/b", "w lib/a"],
            &["i l2", "i l2/d", "f l2/d/e=3"],
        ]);
        for there in ["usr/lib/b", "usr/lib/c", "usr/lib/d/e"] {
            assert!(rootfs.file_content(&path(there)).is_some(), "{there}");
        }
        assert!(rootfs.lookup(&path("usr/lib/a")).is_none());
        assert!(!rootfs.lookup(&path("lib")).is_some_and(crate::Entry::is_directory));
        assert!(rootfs.lookup(&path("usr/lib")).is_some_and(|entry| entry.meta.mode == 0o700));
    }

    #[test]
    fn listed_directory_replaces_a_link() {
        let rootfs = rootfs(&[&["d usr", "l lib=usr", "l loop=loop"], &["d lib", "f lib/b=2", "f loop/x=1"]]);
        assert!(rootfs.lookup(&path("lib/b")).is_some());
        assert!(rootfs.lookup(&path("usr/b")).is_none());
        assert!(rootfs.lookup(&path("loop/x")).is_some());
    }
}
