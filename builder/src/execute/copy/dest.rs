//! The destination of a copy: the current root of the stage with what the instruction has changed so far.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, btree_map};

use strake_layers::windows::fold_case;
use strake_layers::{Entry, EntryKind, ImagePath, Metadata, Rootfs, Timestamp};

use crate::Result;
use crate::source::{Followed, LastLink, Root, Seen};

/// The time of directories that are made where nothing tells a better one: 1980-01-01T00:00:00Z (dockerfile.md §17.5;
/// 1970 breaks zip).
pub(super) const EARLIEST: Timestamp = Timestamp::from_seconds(315_532_800);

/// The current root with changes on top. Nothing is written anywhere.
#[derive(Debug)]
pub(super) struct Dest<'a> {
    /// The state below; `None` for `--link`, which sees an empty root.
    base: Option<&'a Rootfs>,
    /// Where paths count from.
    pub root: Root,
    /// What was written, by path. Files only, no [`EntryKind::HardLink`]: names of one file share a group.
    nodes: BTreeMap<ImagePath, Node>,
    /// Paths at and below which the state below is gone.
    cut: BTreeSet<ImagePath>,
    /// On Windows: the folded path of each node.
    folded: BTreeMap<String, ImagePath>,
    /// The directory that was asked about last, and whether the state below has it.
    last_above: RefCell<Option<(ImagePath, bool)>>,
    /// The names of each file that has several.
    groups: Vec<BTreeSet<ImagePath>>,
}

/// What was written at a path.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The entry.
    pub entry: Entry,
    /// Names of one file have the same number.
    pub group: Option<usize>,
    /// A directory that COPY made of itself: it has no time yet.
    pub is_made: bool,
}

/// Why a directory could not be made: what is there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotADirectory(pub ImagePath);

/// Attributes of directories that COPY makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MadeDirectory {
    /// Permission bits.
    pub mode: u32,
    /// The owner that `--chown` tells.
    pub owner: Option<(u32, u32)>,
}

impl<'a> Dest<'a> {
    pub(super) fn new(base: Option<&'a Rootfs>, root: Root) -> Self {
        Self {
            base,
            root,
            nodes: BTreeMap::new(),
            cut: BTreeSet::new(),
            folded: BTreeMap::new(),
            last_above: RefCell::default(),
            groups: Vec::new(),
        }
    }

    /// What is at a path, links not followed. The root is not asked for.
    pub(super) fn get(&self, path: &ImagePath) -> Option<&Entry> {
        match self.nodes.get(path) {
            Some(node) => Some(&node.entry),
            None => self.below(path),
        }
    }

    /// What the state below has at a path that was not cut off.
    pub(super) fn below(&self, path: &ImagePath) -> Option<&'a Entry> {
        if !self.cut.is_empty() && (self.cut.contains(path) || path.ancestors().any(|above| self.cut.contains(&above)))
        {
            return None;
        }
        self.underneath(path)
    }

    /// What the state below has at a path, whatever was cut off.
    pub(super) fn underneath(&self, path: &ImagePath) -> Option<&'a Entry> {
        let base = self.base?;
        if self.root.is_windows {
            return base.lookup_folded(path);
        }
        is_above_there(&self.last_above, base, path).then(|| base.lookup(path)).flatten()
    }

    /// The state below.
    pub(super) fn base(&self) -> Option<&'a Rootfs> {
        self.base
    }

    /// Tells whether a path is a directory. The root always is one.
    pub(super) fn is_directory(&self, path: &ImagePath) -> bool {
        *path == self.root.path || path.is_root() || self.get(path).is_some_and(Entry::is_directory)
    }

    /// The path as it is spelled by what is there.
    pub(super) fn spelled(&self, path: ImagePath) -> ImagePath {
        if !self.root.is_windows {
            return path;
        }
        let mut done = ImagePath::root();
        for name in path.components() {
            let mut next = done.as_bytes().to_vec();
            if !next.is_empty() {
                next.push(b'/');
            }
            next.extend_from_slice(name);
            // Joining two clean paths gives a clean path; what would be too long is refused when it is written.
            let Ok(next) = ImagePath::parse(next) else { return path.clone() };
            done = match self.folded.get(&fold_case(next.as_bytes())) {
                Some(known) => known.clone(),
                None => self.below(&next).map_or(next, |entry| entry.path.clone()),
            };
        }
        done
    }

    /// Follows links of a path that counts from the root.
    pub(super) fn follow(&self, path: &ImagePath, last: LastLink) -> Result<Followed> {
        self.follow_in(&self.root, path, last)
    }

    /// Follows links of a path that counts from a directory of the image, which nothing leads out of.
    pub(super) fn follow_in(&self, root: &Root, path: &ImagePath, last: LastLink) -> Result<Followed> {
        root.follow(path, last, &mut |at| {
            let at = self.spelled(at.clone());
            Ok(self.get(&at).map(|entry| Seen {
                path: at,
                link: match &entry.kind {
                    EntryKind::Symlink(target) => Some(target.clone()),
                    _ => None,
                },
            }))
        })
    }

    /// Makes a directory and those above it that are missing. No component may be a link.
    pub(super) fn make_directories(
        &mut self,
        path: &ImagePath,
        made: MadeDirectory,
    ) -> std::result::Result<(), NotADirectory> {
        let mut missing = Vec::new();
        let mut at = Some(path.clone());
        while let Some(here) = at {
            if here == self.root.path || here.is_root() {
                break;
            }
            match self.get(&here) {
                Some(entry) if entry.is_directory() => break,
                Some(_) => return Err(NotADirectory(here)),
                None => at = here.parent(),
            }
            missing.push(here);
        }
        for path in missing.into_iter().rev() {
            let above = path.parent().and_then(|above| self.get(&above));
            let mut meta = Metadata { mode: made.mode & 0o777, ..Metadata::default() };
            // As mkdir(2) does: a directory below a set-group one takes its group and the bit.
            if let Some(above) = above.filter(|above| above.meta.mode & 0o2000 != 0 && !self.root.is_windows) {
                meta.mode |= 0o2000;
                meta.gid = above.meta.gid;
            }
            if let Some((uid, gid)) = made.owner {
                (meta.uid, meta.gid) = (uid, gid);
            }
            let node = Node { entry: Entry::directory(path, meta), group: None, is_made: true };
            self.put(node);
        }
        Ok(())
    }

    /// Writes an entry. A directory that is there is kept and takes the new attributes; anything else is replaced.
    pub(super) fn put(&mut self, node: Node) {
        let path = node.entry.path.clone();
        let is_directory = node.entry.is_directory();
        let below = self.below(&path).map(Entry::is_directory);
        if self.root.is_windows {
            self.folded.insert(fold_case(path.as_bytes()), path.clone());
        }
        if let Some(names) = node.group.and_then(|group| self.groups.get_mut(group)) {
            names.insert(path.clone());
        }
        let there = match self.nodes.entry(path.clone()) {
            btree_map::Entry::Occupied(mut known) => {
                let there = known.get().entry.is_directory();
                known.insert(node);
                Some(there)
            }
            btree_map::Entry::Vacant(new) => {
                new.insert(node);
                below
            }
        };
        if there == Some(true) && !is_directory {
            self.remove_below(&path);
        } else if there == Some(false) && is_directory && below.is_some() {
            self.cut.insert(path);
        }
    }

    /// Removes a path with all below it.
    pub(super) fn remove(&mut self, path: &ImagePath) {
        self.remove_below(path);
        self.folded.remove(&fold_case(path.as_bytes()));
        self.nodes.remove(path);
    }

    /// Removes what is below a path, and what the state below has at it.
    fn remove_below(&mut self, path: &ImagePath) {
        if self.below(path).is_some() {
            self.cut.insert(path.clone());
        }
        self.remove_nodes(path);
    }

    /// Removes what the state below has inside a directory; what the instruction wrote there stays.
    pub(super) fn hide_below(&mut self, directory: &ImagePath) {
        let Some(base) = self.base else { return };
        for child in base.read_dir(directory) {
            self.cut.insert(child.path.clone());
        }
    }

    /// Removes what was written below a path.
    fn remove_nodes(&mut self, above: &ImagePath) {
        let inside: Vec<ImagePath> = self
            .nodes
            .range(above.clone()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(above))
            .filter(|path| *path != above)
            .cloned()
            .collect();
        for path in inside {
            self.folded.remove(&fold_case(path.as_bytes()));
            self.nodes.remove(&path);
        }
    }

    /// The group of a file that was written and that gets a further name.
    pub(super) fn group_of(&mut self, path: &ImagePath) -> Option<usize> {
        let next = self.groups.len();
        let node = self.nodes.get_mut(path)?;
        if let Some(group) = node.group {
            return Some(group);
        }
        node.group = Some(next);
        self.groups.push(BTreeSet::from([path.clone()]));
        Some(next)
    }

    /// Makes a file that was written one more name of a group, all of which get its attributes.
    pub(super) fn join(&mut self, path: &ImagePath, group: Option<usize>, meta: &Metadata) {
        let Some(node) = self.nodes.get_mut(path) else { return };
        node.group = group;
        if let Some(names) = group.and_then(|group| self.groups.get_mut(group)) {
            names.insert(path.clone());
        }
        self.change_names_of(path, &mut |node| node.entry.meta = meta.clone());
    }

    /// Changes what was written for all names of a file.
    pub(super) fn change_names_of(&mut self, path: &ImagePath, change: &mut dyn FnMut(&mut Node)) {
        let group = self.nodes.get(path).and_then(|node| node.group);
        let names = group.and_then(|group| self.groups.get(group)).cloned();
        for name in names.unwrap_or_else(|| BTreeSet::from([path.clone()])) {
            if let Some(node) = self.nodes.get_mut(&name).filter(|node| node.group == group) {
                change(node);
            }
        }
    }

    /// The paths that the instruction made of itself.
    pub(super) fn made(&self) -> Vec<ImagePath> {
        self.nodes.iter().filter(|(_, node)| node.is_made).map(|(path, _)| path.clone()).collect()
    }

    /// The symbolic links that were written, in an image of Windows.
    pub(super) fn links_of_windows(&self) -> Vec<ImagePath> {
        let nodes = self.nodes.iter().filter(|_| self.root.is_windows);
        nodes
            .filter(|(_, node)| matches!(node.entry.kind, EntryKind::Symlink(_)))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// Tells whether a path is there only since this instruction.
    pub(super) fn is_new(&self, path: &ImagePath) -> bool {
        self.nodes.contains_key(path) && self.underneath(path).is_none()
    }

    /// What was written at a path.
    pub(super) fn node_mut(&mut self, path: &ImagePath) -> Option<&mut Node> {
        self.nodes.get_mut(path)
    }

    /// Gives up what was written and what was cut off.
    pub(super) fn into_parts(self) -> (BTreeMap<ImagePath, Node>, BTreeSet<ImagePath>, BaseView<'a>) {
        (self.nodes, self.cut, BaseView { base: self.base, root: self.root, last_above: RefCell::default() })
    }
}

/// The state below, once the changes are complete.
#[derive(Debug)]
pub(super) struct BaseView<'a> {
    base: Option<&'a Rootfs>,
    root: Root,
    /// The directory that was asked about last, and whether it is there.
    last_above: RefCell<Option<(ImagePath, bool)>>,
}

impl<'a> BaseView<'a> {
    /// What is at a path.
    pub(super) fn get(&self, path: &ImagePath) -> Option<&'a Entry> {
        let base = self.base?;
        if self.root.is_windows {
            return base.lookup_folded(path);
        }
        is_above_there(&self.last_above, base, path).then(|| base.lookup(path)).flatten()
    }

    /// The content of a file, hard links resolved.
    pub(super) fn file(&self, path: &ImagePath) -> Option<&'a Entry> {
        self.base?.file_entry(path)
    }

    /// Whether the image is one of Windows.
    pub(super) fn is_windows(&self) -> bool {
        self.root.is_windows
    }
}

/// Tells whether the directory above a path is there. A copied tree asks for one new directory after the other, and
/// what is in a new one is not below.
fn is_above_there(last: &RefCell<Option<(ImagePath, bool)>>, base: &Rootfs, path: &ImagePath) -> bool {
    let Some(above) = path.parent() else { return true };
    let mut last = last.borrow_mut();
    match &*last {
        Some((known, is_there)) if *known == above => *is_there,
        _ => {
            let is_there = above.is_root() || base.lookup(&above).is_some();
            *last = Some((above, is_there));
            is_there
        }
    }
}
