use std::cmp::Ordering;
use std::ops::Range;

use super::is_whiteout;
use crate::path::compare_paths;
use crate::{Entry, EntryKind, EntryList};

/// What one layer says about a path.
pub(super) struct Found<'a> {
    /// The entry there.
    pub(super) entry: Option<&'a Entry>,
    /// Lower layers have nothing to say about the path: the layer has a whiteout or something that is no directory there
    /// or above, or an opaque directory above.
    pub(super) hides_lower: bool,
}

/// Looks a path up in one layer, which has an entry for every directory above each of its entries but the root.
pub(super) fn find<'a>(entries: &'a EntryList, path: &[u8]) -> Found<'a> {
    let mut from = 0;
    let mut hides_lower = false;
    for end in prefix_ends(path) {
        let prefix = &path[..end];
        from = lower_bound(entries, from..entries.len(), prefix);
        let (whiteout, entry) = entries_at(entries, from, prefix);
        hides_lower |= whiteout;
        if end == path.len() {
            return Found { entry, hides_lower: hides_lower || entry.is_some_and(|e| !e.is_directory()) };
        }
        match entry.map(|entry| &entry.kind) {
            Some(EntryKind::Directory { opaque, .. }) => hides_lower |= opaque,
            Some(_) => return Found { entry: None, hides_lower: true },
            // Only the root may be left out while there is something below it.
            None if end == 0 => {}
            None => return Found { entry: None, hides_lower },
        }
    }
    Found { entry: None, hides_lower }
}

/// The first position of a range whose path is not below `path` in order.
pub(super) fn lower_bound(entries: &EntryList, range: Range<usize>, path: &[u8]) -> usize {
    entries.partition(range, |other| compare_paths(other, path) == Ordering::Less)
}

/// The first position of a range after a path and everything below it.
pub(super) fn subtree_end(entries: &EntryList, range: Range<usize>, path: &[u8]) -> usize {
    entries.partition(range, |other| is_within(other, path) || compare_paths(other, path) == Ordering::Less)
}

/// Tells whether `path` is `base` or lies below it.
pub(super) fn is_within(path: &[u8], base: &[u8]) -> bool {
    base.is_empty() || (path.starts_with(base) && matches!(path.get(base.len()), None | Some(b'/')))
}

/// The whiteout and the entry of a path, given the position of the first of them.
pub(super) fn entries_at<'a>(entries: &'a EntryList, at: usize, path: &[u8]) -> (bool, Option<&'a Entry>) {
    let mut whiteout = false;
    for entry in (at..).map_while(|at| entries.get(at)).take_while(|entry| entry.path.as_bytes() == path) {
        if !is_whiteout(entry) {
            return (whiteout, Some(entry));
        }
        whiteout = true;
    }
    (whiteout, None)
}

/// Where the path of each directory above a path ends, the root first, and the end of the path itself.
fn prefix_ends(path: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let root = (!path.is_empty()).then_some(0);
    root.into_iter().chain(slashes).chain([path.len()])
}
