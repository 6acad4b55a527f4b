use std::cmp::Ordering;
use std::ops::Range;

use super::search::{entries_at, find, is_within, lower_bound, subtree_end};
use super::{Rootfs, is_implicit};
use crate::path::compare_paths;
use crate::{Entry, EntryKind, EntryList, ImagePath};

/// The entries of a merged subtree in order of their paths, made by [`Rootfs::walk`].
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    /// What is left of the subtree in each layer that shows through, newest first.
    cursors: Vec<Cursor<'a>>,
}

#[derive(Clone, Debug)]
struct Cursor<'a> {
    layer: usize,
    entries: &'a EntryList,
    /// The positions that are left.
    range: Range<usize>,
}

/// What the layers passed so far say about one path.
#[derive(Default)]
struct Seen<'a> {
    entry: Option<(usize, &'a Entry)>,
    /// The entry's attributes hold, whatever lower layers have.
    settled: bool,
    /// Lower layers show nothing below the path.
    hides_below: bool,
}

impl Rootfs {
    /// The entry at a path and all below it, in order of their paths. No link is followed; hard links are given as they
    /// are (see [`Rootfs::file_content`]). One pass over the layers' ranges, no search for each entry.
    pub fn walk(&self, path: &ImagePath) -> Walk<'_> {
        let mut cursors = Vec::new();
        for (layer, entries) in self.layers.iter().enumerate().rev() {
            let start = lower_bound(entries, 0..entries.len(), path.as_bytes());
            let range = start..subtree_end(entries, start..entries.len(), path.as_bytes());
            let found = find(entries, path.as_bytes());
            // Entries below something that is no directory are not there.
            if !range.is_empty() && (found.entry.is_some() || path.is_root()) {
                cursors.push(Cursor { layer, entries, range });
            }
            if found.hides_lower {
                break;
            }
        }
        Walk { cursors }
    }

    /// The children of a directory, in bytewise order of their names. The path is taken literally: no link is followed.
    pub fn read_dir(&self, path: &ImagePath) -> Vec<&Entry> {
        let mut walk = self.walk(path);
        let mut children = Vec::new();
        if !path.is_root() && walk.next_in_layer().is_none_or(|(_, entry)| !entry.is_directory()) {
            return children;
        }
        while let Some((_, entry)) = walk.next_in_layer() {
            if entry.path.is_root() {
                continue;
            }
            walk.skip_subtree(entry.path.as_bytes());
            children.push(entry);
        }
        children
    }
}

impl<'a> Walk<'a> {
    /// The next visible entry and the layer that has it.
    pub(super) fn next_in_layer(&mut self) -> Option<(usize, &'a Entry)> {
        loop {
            let heads = self.cursors.iter().filter_map(Cursor::first);
            let path = heads.map(|entry| entry.path.as_bytes()).min_by(|a, b| compare_paths(a, b))?;
            let mut seen = Seen::default();
            for cursor in &mut self.cursors {
                cursor.take(path, &mut seen);
            }
            self.cursors.retain(|cursor| !cursor.range.is_empty());
            if seen.entry.is_some() {
                return seen.entry;
            }
        }
    }

    /// Leaves out what lies below a path.
    pub(super) fn skip_subtree(&mut self, path: &[u8]) {
        for cursor in &mut self.cursors {
            cursor.skip_subtree(path);
        }
    }
}

impl<'a> Cursor<'a> {
    fn first(&self) -> Option<&'a Entry> {
        if self.range.is_empty() { None } else { self.entries.get(self.range.start) }
    }

    /// Takes the entries of a path, which no entry left precedes, and adds what they say.
    fn take(&mut self, path: &[u8], seen: &mut Seen<'a>) {
        let head = self.first().map(|entry| compare_paths(entry.path.as_bytes(), path));
        if head == Some(Ordering::Equal) {
            let (whiteout, entry) = entries_at(self.entries, self.range.start, path);
            let count = usize::from(whiteout) + usize::from(entry.is_some());
            self.range.start += count;
            self.judge(whiteout, entry, path, seen);
        } else if seen.hides_below {
            self.skip_subtree(path);
        }
    }

    fn judge(&mut self, whiteout: bool, entry: Option<&'a Entry>, path: &[u8], seen: &mut Seen<'a>) {
        // Whether this layer's entries below the path are to be left out is decided by the layers above it.
        let hidden = seen.hides_below;
        if let Some(entry) = entry {
            match seen.entry {
                _ if seen.settled => {}
                None => {
                    seen.entry = Some((self.layer, entry));
                    seen.settled = !is_implicit(entry);
                }
                // An implied directory takes a lower one's attributes, and hides anything else.
                Some(_) if !entry.is_directory() => seen.settled = true,
                Some(_) if is_implicit(entry) => {}
                Some(_) => {
                    seen.entry = Some((self.layer, entry));
                    seen.settled = true;
                }
            }
            match entry.kind {
                EntryKind::Directory { opaque, .. } => seen.hides_below |= opaque,
                _ => {
                    seen.hides_below = true;
                    self.skip_subtree(path);
                }
            }
        }
        if whiteout {
            seen.hides_below = true;
            seen.settled = true;
        }
        if hidden {
            self.skip_subtree(path);
        }
    }

    fn skip_subtree(&mut self, path: &[u8]) {
        // Most often there is nothing to skip, which the first entry tells.
        if self.first().is_some_and(|entry| is_within(entry.path.as_bytes(), path)) {
            self.range.start = subtree_end(self.entries, self.range.clone(), path);
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = &'a Entry;

    fn next(&mut self) -> Option<&'a Entry> {
        self.next_in_layer().map(|(_, entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{path, rootfs};
    use super::*;

    fn names<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<String> {
        entries.into_iter().map(|entry| entry.path.to_string()).collect()
    }

    #[test]
    fn walk_merges_in_path_order() {
        let rootfs = rootfs(&[
            &["d a", "f a/x", "d a/y", "f a/y/z", "f a-b", "d c", "f c/old", "f e"],
            &["d a", "w a/x", "o c", "f c/new", "f a/y"],
            &["w e", "d e", "f e/f"],
        ]);
        assert_eq!(names(rootfs.walk(&path(""))), ["/a", "/a/y", "/a-b", "/c", "/c/new", "/e", "/e/f"]);
        assert_eq!(names(rootfs.walk(&path("a"))), ["/a", "/a/y"]);
        assert_eq!(names(rootfs.walk(&path("a/y"))), ["/a/y"]);
        assert_eq!(names(rootfs.walk(&path("c/old"))), [""; 0]);
        assert_eq!(names(rootfs.read_dir(&path(""))), ["/a", "/a-b", "/c", "/e"]);
        assert_eq!(names(rootfs.read_dir(&path("c"))), ["/c/new"]);
        assert_eq!(names(rootfs.read_dir(&path("a-b"))), [""; 0]);
        assert_eq!(names(rootfs.read_dir(&path("none"))), [""; 0]);
    }
}
