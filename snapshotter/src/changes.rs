use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use strake_layers::{
    ContentSource, DeviceNumber, Entry, EntryKind, FileContent, HostDir, HostKind, ImagePath, Metadata, Rootfs,
    Timestamp,
};

use crate::scan::Found;
use crate::stubs::Stubs;
use crate::{Error, Result};

/// From this number of children on an emptied directory is written as opaque, below it as a whiteout for each
/// (linux.md §4.4).
const MANY_CHILDREN: usize = 1000;

/// The one extended attribute of a layer (linux.md §4.4).
const CAPABILITY: &[u8] = b"security.capability";

/// What an upper directory, or the comparison with an earlier state, says of a layer.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The layer's entries; contents are not hashed yet.
    pub(crate) entries: Vec<Entry>,
    /// What was found but is no part of the layer, in order.
    pub(crate) unwanted: Vec<ImagePath>,
    /// Directories that hide everything below them although the layer tells each absence one by one.
    pub(crate) spelled_out: Vec<ImagePath>,
    /// Directories that the layer calls opaque although they have no mark.
    pub(crate) unmarked: Vec<ImagePath>,
    /// Whiteouts that the directory found does not hold as such.
    pub(crate) added_whiteouts: Vec<ImagePath>,
    /// Sockets, which no archive can hold.
    pub(crate) sockets: Vec<ImagePath>,
}

/// Works out the changes. It touches nothing but through `same_content`.
pub(crate) struct Differ<'a> {
    /// The view of the layers below.
    pub(crate) rootfs: &'a Rootfs,
    /// What was there for mounts only.
    pub(crate) stubs: &'a Stubs,
    /// Where the contents of files lie.
    pub(crate) root: &'a Arc<HostDir>,
    /// Whether owners and devices are what they seem, or could not be given.
    pub(crate) is_privileged: bool,
    /// Tells whether a file found has the content of a file of the layers below, sizes being equal.
    pub(crate) same_content: &'a dyn Fn(&ImagePath, &FileContent) -> Result<bool>,
}

/// What becomes of a thing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// An entry of the layer.
    Changed,
    /// As it was: an entry only if it is needed as a parent, or as a name of a file that changed.
    Same,
    /// No part of the layer.
    Dropped,
}

/// A directory whose subtree is being looked at.
struct Level {
    index: usize,
    hides: Hides,
}

/// What lower layers show in a directory of the upper.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hides {
    /// What is not covered.
    Nothing,
    /// Nothing, and the layer says so one by one.
    OneByOne,
    /// Nothing, and the layer says so by its opaque entry.
    Opaque,
}

impl Differ<'_> {
    /// Takes the changes from what was found, in the order of paths, each directory before what it holds.
    pub(crate) fn run(&self, found: &[Found]) -> Result<Changes> {
        let mut changes = Changes::default();
        let mut fates = Vec::with_capacity(found.len());
        let mut parents = Vec::with_capacity(found.len());
        let mut opaque = vec![false; found.len()];
        let mut levels: Vec<Level> = Vec::new();
        for (index, item) in found.iter().enumerate() {
            refuse_forged(item)?;
            while levels.pop_if(|level| !item.path.starts_with(&found[level.index].path)).is_some() {}
            let (parent, hides) = levels.last().map_or((0, Hides::Nothing), |level| (level.index, level.hides));
            parents.push(parent);
            if !item.is_directory() {
                fates.push(self.judge(item, hides, &mut changes)?);
                continue;
            }
            let below = match hides {
                Hides::Opaque => None,
                _ => self.rootfs.lookup(&item.path).filter(|entry| entry.is_directory()),
            };
            let hides = self.hiding(item, hides, below);
            opaque[index] = hides == Hides::Opaque && below.is_some();
            if hides == Hides::OneByOne && below.is_some() {
                self.spell_out(&item.path, &found[index..], &mut changes.added_whiteouts);
            }
            match has_opaque_mark(item) {
                true if hides != Hides::Opaque => changes.spelled_out.push(item.path.clone()),
                false if opaque[index] => changes.unmarked.push(item.path.clone()),
                _ => {}
            }
            let is_new = hides != Hides::Nothing && below.is_some();
            fates.push(if is_new { Fate::Changed } else { self.judge_directory(item, below) });
            levels.push(Level { index, hides });
        }
        let links = link_names(found, &mut fates);
        for index in (1..found.len()).rev() {
            if fates[index] == Fate::Changed && parents[index] != 0 {
                fates[parents[index]] = Fate::Changed;
            }
        }
        for (index, item) in found.iter().enumerate() {
            match fates[index] {
                Fate::Changed => {
                    let link = links.get(&index).map(|&first| &found[first].path);
                    changes.entries.push(self.entry(item, link, opaque[index]));
                }
                Fate::Same | Fate::Dropped if item.path.is_root() => {}
                Fate::Same | Fate::Dropped => changes.unwanted.push(item.path.clone()),
            }
        }
        changes.entries.extend(changes.added_whiteouts.iter().cloned().map(Entry::whiteout));
        Ok(changes)
    }

    /// What lower layers show in a directory.
    fn hiding(&self, item: &Found, around: Hides, below: Option<&Entry>) -> Hides {
        match around {
            Hides::Nothing if !has_opaque_mark(item) => Hides::Nothing,
            // Nothing is there to be hidden.
            Hides::Nothing if below.is_none() => Hides::Nothing,
            Hides::Opaque => Hides::Opaque,
            _ if self.rootfs.read_dir(&item.path).len() >= MANY_CHILDREN => Hides::Opaque,
            _ => Hides::OneByOne,
        }
    }

    /// Adds a whiteout for each child of a lower directory that was not found again. `found` begins with it.
    fn spell_out(&self, directory: &ImagePath, found: &[Found], whiteouts: &mut Vec<ImagePath>) {
        let children = self.rootfs.read_dir(directory);
        let gone = children.iter().filter(|child| found.binary_search_by(|item| item.path.cmp(&child.path)).is_err());
        whiteouts.extend(gone.map(|child| child.path.clone()));
    }

    fn judge_directory(&self, item: &Found, below: Option<&Entry>) -> Fate {
        if item.path.is_root() {
            let meta = self.rootfs.lookup(&item.path).map(|entry| &entry.meta);
            let (mode, uid, gid) = meta.map_or((0o755, 0, 0), |meta| (meta.mode, meta.uid, meta.gid));
            let is_same = item.stat.mode == mode && self.is_owned(item, uid, gid);
            return if is_same { Fate::Same } else { Fate::Changed };
        }
        let Some(below) = below else {
            // Made for a mount, and left as it was: not by the step.
            let stub = self.stubs.new_directory(&item.path);
            let is_stub = stub.is_some_and(|stub| self.has_attributes(item, stub) && item.stat.mtime == stub.mtime);
            return if is_stub { Fate::Same } else { Fate::Changed };
        };
        // A time of its own changes whenever something in it does.
        if self.has_attributes(item, &below.meta) { Fate::Same } else { Fate::Changed }
    }

    fn judge(&self, item: &Found, hides: Hides, changes: &mut Changes) -> Result<Fate> {
        let below = if hides == Hides::Opaque { None } else { self.rootfs.lookup(&item.path) };
        if is_whiteout(item) {
            return Ok(if below.is_some() { Fate::Changed } else { Fate::Dropped });
        }
        if item.stat.kind == HostKind::Socket {
            changes.sockets.push(item.path.clone());
            return Ok(Fate::Dropped);
        }
        match below {
            // What is below such a directory was made anew, whatever it looks like.
            Some(below) if hides == Hides::Nothing && self.is_same(item, below)? => Ok(Fate::Same),
            _ => Ok(Fate::Changed),
        }
    }

    fn is_same(&self, item: &Found, below: &Entry) -> Result<bool> {
        if !self.has_attributes(item, &below.meta) || !is_same_time(item.stat.mtime, below.meta.mtime) {
            return Ok(false);
        }
        let is_device = |kind: HostKind, number: &DeviceNumber| {
            (item.stat.kind == kind && item.stat.rdev == *number) || (!self.is_privileged && item.stat.size == 0)
        };
        Ok(match &below.kind {
            EntryKind::File(_) | EntryKind::HardLink(_) if item.stat.kind == HostKind::File => {
                match self.rootfs.file_content(&item.path) {
                    Some(content) if content.size == item.stat.size => (self.same_content)(&item.path, content)?,
                    _ => false,
                }
            }
            EntryKind::Symlink(target) => item.link.as_deref() == Some(&**target),
            EntryKind::CharDevice(number) => is_device(HostKind::CharDevice, number),
            EntryKind::BlockDevice(number) => is_device(HostKind::BlockDevice, number),
            EntryKind::Fifo => item.stat.kind == HostKind::Fifo,
            _ => false,
        })
    }

    fn has_attributes(&self, item: &Found, meta: &Metadata) -> bool {
        let capability = meta.xattrs.get(CAPABILITY).map(|value| &**value);
        // A link's mode is always 0777, whatever an archive says.
        (item.stat.mode == meta.mode || item.stat.kind == HostKind::Symlink)
            && self.is_owned(item, meta.uid, meta.gid)
            && (!self.is_privileged || capability_of(item) == capability)
    }

    fn is_owned(&self, item: &Found, uid: u32, gid: u32) -> bool {
        !self.is_privileged || (item.stat.uid == uid && item.stat.gid == gid)
    }

    fn entry(&self, item: &Found, link: Option<&ImagePath>, opaque: bool) -> Entry {
        if is_whiteout(item) {
            return Entry::whiteout(item.path.clone());
        }
        let kind = match (item.stat.kind, link, &item.link) {
            (HostKind::Directory, ..) => EntryKind::Directory { opaque, implicit: false },
            (_, Some(first), _) => EntryKind::HardLink(first.clone()),
            (HostKind::Symlink, _, Some(target)) => EntryKind::Symlink(target.clone().into()),
            (HostKind::CharDevice, ..) => EntryKind::CharDevice(item.stat.rdev),
            (HostKind::BlockDevice, ..) => EntryKind::BlockDevice(item.stat.rdev),
            (HostKind::Fifo, ..) => EntryKind::Fifo,
            _ => EntryKind::File(FileContent {
                size: item.stat.size,
                hash: None,
                source: ContentSource::Host { root: Arc::clone(self.root), path: item.path.clone(), stamp: None },
            }),
        };
        let mode = if item.stat.kind == HostKind::Symlink { 0o777 } else { item.stat.mode };
        let below = self.rootfs.lookup(&item.path).map(|entry| (entry.meta.uid, entry.meta.gid));
        // Where nothing can be given to others, a thing keeps the owner that its image tells, and new ones are root's.
        let (uid, gid) = if self.is_privileged { (item.stat.uid, item.stat.gid) } else { below.unwrap_or_default() };
        let mut xattrs = BTreeMap::new();
        if let Some(value) = capability_of(item) {
            xattrs.insert(CAPABILITY.into(), value.into());
        }
        Entry {
            path: item.path.clone(),
            meta: Metadata { mode, uid, gid, mtime: item.stat.mtime, xattrs, windows: None },
            kind,
        }
    }
}

/// Finds the names that are hard links to another one: by index, that one's index. A name that a lower layer has just
/// so is a file of its own, since what it was linked to there is not (linux.md §4.4).
fn link_names(found: &[Found], fates: &mut [Fate]) -> HashMap<usize, usize> {
    let mut groups: BTreeMap<(u64, u64), Vec<usize>> = BTreeMap::new();
    for (index, item) in found.iter().enumerate() {
        let counts = !item.is_directory() && item.stat.nlink > 1 && !is_whiteout(item);
        if counts && fates[index] != Fate::Dropped {
            groups.entry((item.stat.dev, item.stat.ino)).or_default().push(index);
        }
    }
    let mut links = HashMap::new();
    for members in groups.values() {
        if !members.iter().any(|&index| fates[index] == Fate::Changed) {
            continue;
        }
        let mut first = None;
        for &index in members {
            if fates[index] == Fate::Same {
                fates[index] = Fate::Changed;
            } else if found[index].stat.kind == HostKind::File {
                match first {
                    None => first = Some(index),
                    Some(first) => drop(links.insert(index, first)),
                }
            }
        }
    }
    links
}

/// Compares times of which either may have lost its fraction on the way through an archive.
fn is_same_time(a: Timestamp, b: Timestamp) -> bool {
    a.seconds == b.seconds && (a.nanos == b.nanos || a.nanos == 0 || b.nanos == 0)
}

/// Overlay's own record of an absence (kernel documentation, filesystems/overlayfs.rst, "whiteouts and opaque
/// directories").
pub(crate) fn is_whiteout(item: &Found) -> bool {
    match item.stat.kind {
        HostKind::CharDevice => item.stat.rdev == DeviceNumber { major: 0, minor: 0 },
        HostKind::File => item.stat.size == 0 && mark(item, b"whiteout").is_some(),
        _ => false,
    }
}

fn has_opaque_mark(item: &Found) -> bool {
    mark(item, b"opaque") == Some(b"y")
}

/// The value of one of overlay's marks.
fn mark<'a>(item: &'a Found, name: &[u8]) -> Option<&'a [u8]> {
    item.xattrs.iter().find(|(found, _)| overlay_name(found) == Some(name)).map(|(_, value)| &**value)
}

/// What follows `trusted.overlay.` or `user.overlay.`.
pub(crate) fn overlay_name(attribute: &[u8]) -> Option<&[u8]> {
    attribute.strip_prefix(b"trusted.overlay.").or_else(|| attribute.strip_prefix(b"user.overlay."))
}

fn capability_of(item: &Found) -> Option<&[u8]> {
    item.xattrs.get(CAPABILITY).map(|value| &**value)
}

/// Overlay is mounted so that it never writes these; what has one came from elsewhere (linux.md §4.2).
fn refuse_forged(item: &Found) -> Result<()> {
    let forged = item.xattrs.keys().find(|name| matches!(overlay_name(name), Some(b"redirect" | b"metacopy")));
    match forged {
        Some(name) => {
            let attribute = String::from_utf8_lossy(name).into_owned();
            Err(Error::ForgedUpper { path: item.path.clone(), attribute })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_only_a_forger_sets_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "").unwrap();
        let path = ImagePath::parse("f").unwrap();
        let stat = strake_layers::HostDir::open(dir.path()).unwrap().stat(&path).unwrap();
        let mut found = Found { path, stat, link: None, xattrs: Default::default() };
        assert!(refuse_forged(&found).is_ok());
        found.xattrs.insert(b"trusted.overlay.redirect"[..].into(), b"/etc"[..].into());
        let error = refuse_forged(&found).unwrap_err();
        insta::assert_snapshot!(format!("{error}\nhelp: {}", error.help().unwrap()), @r"
        the step left the attribute trusted.overlay.redirect at /f, by which overlay would show what is elsewhere
        help: the step must not set attributes whose names hold `overlay.`
        ");
    }
}
