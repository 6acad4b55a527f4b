//! From the changed destination to the entries of the layer (dockerfile.md §15.6): what equals the state below is left
//! out, and the directories above what is left are listed with the attributes they have.

use std::collections::{BTreeMap, BTreeSet};

use strake_layers::{Entry, EntryKind, ImagePath, Metadata, hash_contents};

use super::dest::{BaseView, EARLIEST, Node};
use super::{Copied, Copy, CopyError, Fetched, windows};

impl Copy<'_> {
    /// Makes the layer.
    pub(super) fn finish(mut self) -> Result<Copied, CopyError> {
        let time = self.input.epoch.or(self.newest).unwrap_or(EARLIEST);
        let dest_span = self.input.op.dest_span;
        for path in self.dest.made() {
            let Some(node) = self.dest.node_mut(&path) else { continue };
            let mut entry = node.entry.clone();
            entry.meta.mtime = time;
            self.dress.dress_made(&mut entry, &self.dest).map_err(|fault| fault.at(dest_span))?;
            if let Some(node) = self.dest.node_mut(&path) {
                node.entry = entry;
            }
        }
        for path in self.dest.links_of_windows() {
            let Some(mut entry) = self.dest.get(&path).cloned() else { continue };
            windows::settle_link(&mut entry, &self.dest).map_err(|fault| fault.at(dest_span))?;
            if let Some(node) = self.dest.node_mut(&path) {
                node.entry = entry;
            }
        }
        let input = self.input;
        let (nodes, cut, base) = self.dest.into_parts();
        let (mut entries, groups) = split(nodes);
        let contexts = input.fetched.iter().flatten().filter_map(|fetched| match fetched {
            Fetched::Tree(tree) => Some(tree),
            Fetched::File(_) => None,
        });
        for context in contexts.chain([input.from]).filter_map(crate::source::Tree::as_context) {
            context.fill_hashes(&mut entries)?;
        }
        hash_contents(&mut entries, input.cancel)?;
        let entries = layer(entries, &groups, &cut, &base, time);
        Ok(Copied { entries, warnings: self.warnings })
    }
}

pub(super) fn split(nodes: BTreeMap<ImagePath, Node>) -> (Vec<Entry>, Vec<Option<usize>>) {
    nodes.into_values().map(|node| (node.entry, node.group)).unzip()
}

/// The entries of the layer: what differs from the state below, and the directories above it.
pub(super) fn layer(
    mut entries: Vec<Entry>,
    groups: &[Option<usize>],
    cut: &BTreeSet<ImagePath>,
    base: &BaseView<'_>,
    time: strake_layers::Timestamp,
) -> Vec<Entry> {
    let is_cut = |path: &ImagePath| cut.contains(path) || path.ancestors().any(|above| cut.contains(&above));
    let mut changed: Vec<bool> = Vec::with_capacity(entries.len());
    for entry in &mut entries {
        let below = base.get(&entry.path);
        // What a directory hid in the layer it comes from says nothing of what is below it here.
        if entry.is_directory() {
            let opaque = below.is_some_and(Entry::is_directory) && cut.contains(&entry.path);
            entry.kind = EntryKind::Directory { opaque, implicit: false };
        }
        if !cut.is_empty() && is_cut(&entry.path) {
            changed.push(true);
            continue;
        }
        changed.push(!below.is_some_and(|below| is_equal(entry, below, base)));
    }
    // Names of one file are written together or not at all.
    let changed_groups: BTreeSet<usize> =
        changed.iter().zip(groups).filter_map(|(changed, group)| group.filter(|_| *changed)).collect();
    let mut first_names: BTreeMap<usize, ImagePath> = BTreeMap::new();
    let mut unchanged: BTreeMap<ImagePath, Entry> = BTreeMap::new();
    // In order of their paths, as the entries are.
    let mut out: Vec<Entry> = Vec::with_capacity(entries.len());
    for ((mut entry, changed), group) in entries.into_iter().zip(changed).zip(groups) {
        if !changed && !group.is_some_and(|group| changed_groups.contains(&group)) {
            unchanged.insert(entry.path.clone(), entry);
            continue;
        }
        if let Some(group) = group {
            match first_names.get(group) {
                Some(first) => entry.kind = EntryKind::HardLink(first.clone()),
                None => {
                    first_names.insert(*group, entry.path.clone());
                }
            }
        }
        out.push(entry);
    }
    let gone =
        cut.iter().filter(|path| find(&out, path).is_none() && !path.ancestors().any(|above| cut.contains(&above)));
    let whiteouts: Vec<Entry> = gone.map(|path| Entry::whiteout(path.clone())).collect();
    let mut above = parents(&out, &whiteouts, &unchanged, base);
    if base.is_windows() {
        windows::add_tops(&mut above, base, time);
    }
    // A top that was written stands for itself.
    above.retain(|path, _| find(&out, path).is_none());
    out.extend(whiteouts);
    out.extend(above.into_values());
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

/// Tells whether an entry is what the state below has; of a directory the time does not count (linux.md §4.4).
fn is_equal(entry: &Entry, below: &Entry, base: &BaseView<'_>) -> bool {
    let (meta, old) = (&entry.meta, &below.meta);
    let capability = |meta: &Metadata| meta.xattrs.get(b"security.capability".as_slice()).cloned();
    let is_same_meta = meta.mode == old.mode
        && (meta.uid, meta.gid) == (old.uid, old.gid)
        && capability(meta) == capability(old)
        && without_times(meta) == without_times(old);
    if !is_same_meta {
        return false;
    }
    if entry.is_directory() {
        return below.is_directory();
    }
    meta.mtime == old.mtime
        && match (&entry.kind, &below.kind) {
            (EntryKind::File(new), EntryKind::File(_) | EntryKind::HardLink(_)) => {
                // Content that nobody has hashed yet is taken for another one.
                matches!(base.file(&below.path).map(|file| &file.kind), Some(EntryKind::File(old))
                    if new.size == old.size && new.hash.is_some() && new.hash == old.hash)
            }
            (EntryKind::Symlink(new), EntryKind::Symlink(old)) => new == old,
            (EntryKind::CharDevice(new), EntryKind::CharDevice(old))
            | (EntryKind::BlockDevice(new), EntryKind::BlockDevice(old)) => new == old,
            (EntryKind::Fifo, EntryKind::Fifo) => true,
            _ => false,
        }
}

/// What Windows keeps of a file beside its times.
fn without_times(meta: &Metadata) -> Vec<(&String, &Vec<u8>)> {
    let records = meta.windows.iter().flat_map(|windows| &windows.records);
    records.filter(|(name, _)| name.starts_with("MSWINDOWS.")).collect()
}

/// The entry of a path among entries in order.
fn find<'e>(entries: &'e [Entry], path: &ImagePath) -> Option<&'e Entry> {
    entries.binary_search_by(|entry| entry.path.cmp(path)).ok().and_then(|at| entries.get(at))
}

/// The directories above what is written (dockerfile.md §15.6), the root excepted, as far as they are not written.
fn parents(
    out: &[Entry],
    whiteouts: &[Entry],
    unchanged: &BTreeMap<ImagePath, Entry>,
    base: &BaseView<'_>,
) -> BTreeMap<ImagePath, Entry> {
    let mut missing: BTreeMap<ImagePath, Entry> = BTreeMap::new();
    let mut last = ImagePath::root();
    for entry in out.iter().chain(whiteouts) {
        for (at, above) in entry.path.ancestors().filter(|above| !above.is_root()).enumerate() {
            // Most entries lie beside the one before.
            if above == last || missing.contains_key(&above) || find(out, &above).is_some() {
                if at == 0 {
                    last = above;
                }
                break;
            }
            let there = unchanged.get(&above).cloned().or_else(|| base.get(&above).cloned());
            let plain = || Metadata { mode: 0o755, mtime: EARLIEST, ..Metadata::default() };
            let meta = there.map_or_else(plain, |there| there.meta);
            missing.insert(above.clone(), Entry::directory(above, meta));
        }
    }
    missing
}
