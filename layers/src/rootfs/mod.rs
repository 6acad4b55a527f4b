//! The merged view of a chain of layers: no mount, no copy.

mod flatten;
mod prepare;
mod resolve;
mod search;
mod walk;

#[cfg(test)]
mod property_tests;

use std::sync::LazyLock;

pub(crate) use self::prepare::ParentCheck;
pub use self::resolve::Resolved;
use self::search::find;
pub use self::walk::Walk;
use crate::{Entry, EntryKind, EntryList, Error, FileContent, ImagePath, Metadata, Result};

/// The file system that a chain of layers makes, read by looking through the layers, newest first.
///
/// A whiteout hides what lower layers have at a path and below; so does everything that is no directory; an opaque
/// directory hides what they have below it. A directory that a layer only implies takes the attributes of the next
/// lower layer that has it; where a lower layer has a symbolic link in its place, what the layer has below it lies
/// below the link's target, as it would if the layer were unpacked upon the others.
#[derive(Clone, Debug, Default)]
pub struct Rootfs {
    layers: Vec<EntryList>,
}

/// The root of layers that say nothing about it.
static ROOT: LazyLock<Entry> = LazyLock::new(|| Entry {
    path: ImagePath::root(),
    meta: Metadata { mode: 0o755, ..Metadata::default() },
    kind: EntryKind::Directory { opaque: false, implicit: true },
});

/// Links that one hard link may lead through; a layer's own links lead straight to the file.
const MAX_HARD_LINKS: usize = 40;

impl Rootfs {
    /// Makes the view of layers, lowest first. The entries of each are in order of their paths, a whiteout before an entry
    /// of the same path.
    pub fn new(layers: Vec<EntryList>) -> Self {
        layers.into_iter().fold(Self::default(), |rootfs, layer| rootfs.with_layer(layer))
    }

    /// The view with one more layer on top.
    #[must_use]
    pub fn with_layer(&self, entries: EntryList) -> Self {
        let mut layers = self.layers.clone();
        layers.push(prepare::prepare(entries, self));
        Self { layers }
    }

    /// The view of the lowest `count` layers only.
    #[must_use]
    pub fn lowest(&self, count: usize) -> Self {
        Self { layers: self.layers.iter().take(count).cloned().collect() }
    }

    /// The entries of each layer, lowest first, as the view has them: parents added that a layer does not list, and
    /// what lies below such a parent moved to where a lower layer's link in its place leads.
    pub fn layers(&self) -> &[EntryList] {
        &self.layers
    }

    /// Tells whether there are no layers, as in a stage that begins with `FROM scratch`.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// What is at a path. No link is followed, neither on the way nor at its end.
    pub fn lookup(&self, path: &ImagePath) -> Option<&Entry> {
        self.find(path).map(|(_, entry)| entry)
    }

    /// What is at a path, links on the way followed inside the root, a link at its end not.
    pub fn stat(&self, path: &ImagePath) -> Result<Option<&Entry>> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(self.lookup(path)) };
        let parent = self.resolve(&parent)?;
        Ok(parent.join(name).ok().and_then(|path| self.lookup(&path)))
    }

    /// The content of the regular file at a path, through a hard link to its file; `None` where there is no such file.
    /// Symbolic links are not followed.
    pub fn file_content(&self, path: &ImagePath) -> Option<&FileContent> {
        match &self.file_entry(path)?.kind {
            EntryKind::File(content) => Some(content),
            _ => None,
        }
    }

    /// The entry that has the content of the regular file at a path: a hard link's own has none. Names of one file give
    /// the same entry.
    pub fn file_entry(&self, path: &ImagePath) -> Option<&Entry> {
        let (layer, entry) = self.find(path)?;
        self.linked(layer, entry).filter(|entry| matches!(entry.kind, EntryKind::File(_)))
    }

    /// Reads a whole file of at most `limit` bytes, links followed inside the root. `None` where nothing is there.
    pub fn read_small_file(&self, path: &ImagePath, limit: u64) -> Result<Option<Vec<u8>>> {
        let real = self.resolve(path)?;
        if self.lookup(&real).is_none() {
            return Ok(None);
        }
        let Some(content) = self.file_content(&real) else {
            return Err(Error::Invalid(format!("{path} of the image is not a regular file")));
        };
        if content.size > limit {
            return Err(Error::Limit { what: format!("{path} of the image"), limit: format!("{limit} bytes") });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(content.size).unwrap_or_default());
        content.copy_to(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The visible entry at a path and the layer that has it.
    fn find(&self, path: &ImagePath) -> Option<(usize, &Entry)> {
        let mut implied = None;
        for (layer, entries) in self.layers.iter().enumerate().rev() {
            let found = find(entries, path.as_bytes());
            match found.entry {
                Some(entry) if is_implicit(entry) => implied = implied.or(Some((layer, entry))),
                // An implied directory takes a lower one's attributes, and hides anything else.
                Some(entry) if implied.is_some() && !entry.is_directory() => return implied,
                Some(entry) => return Some((layer, entry)),
                None => {}
            }
            if found.hides_lower {
                break;
            }
        }
        implied.or_else(|| path.is_root().then_some((0, &*ROOT)))
    }

    /// The entry that a hard link of a layer leads to; any other entry is itself.
    fn linked<'a>(&'a self, layer: usize, entry: &'a Entry) -> Option<&'a Entry> {
        let mut entry = entry;
        for _ in 0..MAX_HARD_LINKS {
            let EntryKind::HardLink(target) = &entry.kind else { return Some(entry) };
            // Links stay inside their layer; archives of other tools may link to a file of a lower one.
            let layers = self.layers.get(..=layer)?;
            entry = layers.iter().rev().find_map(|entries| find(entries, target.as_bytes()).entry)?;
        }
        None
    }
}

pub(crate) fn is_implicit(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Directory { implicit: true, .. })
}

fn is_whiteout(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Whiteout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical;

    pub(super) fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).expect("valid")
    }

    /// Entries in a line each: `d a`, `o a` (opaque), `i a` (implied), `f a=text`, `l a=target`, `h a=b`, `w a`.
    pub(super) fn layer(lines: &[&str]) -> EntryList {
        let entries = lines.iter().map(|line| {
            let (kind, rest) = line.split_once(' ').expect("kind and path");
            let (at, value) = rest.split_once('=').unwrap_or((rest, ""));
            let meta = Metadata { mode: 0o700, ..Metadata::default() };
            let directory = |opaque, implicit| EntryKind::Directory { opaque, implicit };
            let kind = match kind {
                "d" => directory(false, false),
                "o" => directory(true, false),
                "i" => directory(false, true),
                "f" => return Entry::inline_file(path(at), meta, value.as_bytes()),
                "l" => EntryKind::Symlink(value.as_bytes().into()),
                "h" => EntryKind::HardLink(path(value)),
                "p" => EntryKind::Fifo,
                _ => EntryKind::Whiteout,
            };
            Entry { path: path(at), meta, kind }
        });
        canonical::sort(entries.collect()).expect("no duplicates").into()
    }

    pub(super) fn rootfs(layers: &[&[&str]]) -> Rootfs {
        Rootfs::new(layers.iter().map(|lines| layer(lines)).collect())
    }

    fn text(rootfs: &Rootfs, at: &str) -> Option<String> {
        let bytes = rootfs.read_small_file(&path(at), 100).expect("readable")?;
        Some(String::from_utf8(bytes).expect("UTF-8"))
    }

    #[test]
    fn newest_layer_wins_and_whiteouts_hide() {
        let rootfs = rootfs(&[
            &["d a", "f a/x=1", "f a/y=1", "d b", "f b/x=1", "d c", "f c/x=1", "d d", "f d/x=1"],
            &["d a", "f a/x=2", "w b", "o c", "f c/z=2", "f d=file"],
            &["d a", "w a/y", "d b", "f b/new=3"],
        ]);
        assert_eq!(text(&rootfs, "a/x").as_deref(), Some("2"));
        for gone in ["a/y", "b/x", "c/x", "d/x", "a/x/below", "nothing"] {
            assert!(rootfs.lookup(&path(gone)).is_none(), "{gone}");
        }
        for there in ["a", "b/new", "c/z", "d", ""] {
            assert!(rootfs.lookup(&path(there)).is_some(), "{there}");
        }
    }

    #[test]
    fn whiteout_and_new_entry_in_one_layer() {
        let rootfs = rootfs(&[&["d a", "f a/x=1"], &["w a", "d a", "f a/y=2"]]);
        assert!(rootfs.lookup(&path("a/x")).is_none());
        assert!(rootfs.lookup(&path("a/y")).is_some());
    }

    #[test]
    fn implied_directory_takes_the_attributes_of_a_lower_one() {
        let mode = |rootfs: &Rootfs, at: &str| rootfs.lookup(&path(at)).map(|entry| entry.meta.mode);
        let lower: &[&str] = &["d a", "d a/b"];
        let upper = || {
            let mut entries = layer(&["i a", "i a/b", "f a/b/x"]).to_vec();
            entries[0].meta.mode = 0o755;
            entries[1].meta.mode = 0o755;
            EntryList::from(entries)
        };
        let both = rootfs(&[lower]).with_layer(upper());
        assert_eq!((mode(&both, "a"), mode(&both, "a/b")), (Some(0o700), Some(0o700)));
        let hidden = rootfs(&[lower, &["w a"]]).with_layer(upper());
        assert_eq!((mode(&hidden, "a"), mode(&hidden, "a/b")), (Some(0o755), Some(0o755)));
        let over_file = rootfs(&[&["f a"]]).with_layer(upper());
        assert_eq!(mode(&over_file, "a"), Some(0o755));
        assert!(over_file.lookup(&path("a/b/x")).is_some());
    }

    #[test]
    fn missing_parents_are_implied() {
        let rootfs = rootfs(&[&["f a/b/c=1"]]);
        assert!(rootfs.lookup(&path("a/b")).is_some_and(Entry::is_directory));
        assert_eq!(text(&rootfs, "a/b/c").as_deref(), Some("1"));
    }

    #[test]
    fn hard_links_lead_to_their_file_even_when_its_name_is_gone() {
        let rootfs = rootfs(&[&["f a=content", "h b=a", "h c=b"], &["w a", "h d=c", "h e=e"]]);
        for name in ["b", "c", "d"] {
            assert_eq!(text(&rootfs, name).as_deref(), Some("content"), "{name}");
        }
        assert!(matches!(rootfs.lookup(&path("b")).map(|e| &e.kind), Some(EntryKind::HardLink(_))));
        assert!(rootfs.file_content(&path("e")).is_none());
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let rootfs = rootfs(&[&["d d", "p fifo", "f big=0123456789", "l link=big", "l dangling=none"]]);
        let read = |at: &str, limit| rootfs.read_small_file(&path(at), limit);
        assert!(read("fifo", 9).is_err_and(|e| e.to_string().contains("/fifo")));
        assert!(read("d", 9).is_err());
        assert!(read("link", 9).is_err_and(|e| e.to_string().contains("limit of 9 bytes")));
        assert_eq!(read("link", 10).expect("readable").as_deref(), Some(&b"0123456789"[..]));
        assert!(read("dangling", 9).is_ok_and(|found| found.is_none()));
    }
}
