use std::collections::{HashMap, HashSet};

use super::Rootfs;
use crate::{Entry, EntryKind, ImagePath};

/// A file that has several names: the layer and the path that its hard links lead to.
type File<'a> = (usize, &'a ImagePath);

impl Rootfs {
    /// The whole tree as the entries of one layer: for the `tar` and `local` outputs and for squashing.
    ///
    /// The root itself is left out. Directories are neither opaque nor implied. Names of one file stay together: the first
    /// one left is the file, the others are hard links to it, even where the name that had the bytes is gone.
    pub fn flatten(&self) -> Vec<Entry> {
        let linked = self.linked_files();
        let mut first_names: HashMap<File<'_>, ImagePath> = HashMap::new();
        let mut entries = Vec::new();
        let mut walk = self.walk(&ImagePath::root());
        while let Some((layer, entry)) = walk.next_in_layer() {
            if entry.path.is_root() {
                continue;
            }
            let mut flat = entry.clone();
            match &entry.kind {
                EntryKind::Directory { .. } => flat.kind = EntryKind::Directory { opaque: false, implicit: false },
                EntryKind::File(_) | EntryKind::HardLink(_) => {
                    // A link that leads nowhere is damage that the layer came with.
                    let Some(target) = self.linked(layer, entry) else { continue };
                    let file = (layer, &target.path);
                    if linked.contains(&file) {
                        if let Some(first) = first_names.get(&file) {
                            flat.kind = EntryKind::HardLink(first.clone());
                        } else {
                            first_names.insert(file, entry.path.clone());
                            flat.kind = target.kind.clone();
                            flat.meta = target.meta.clone();
                        }
                    }
                }
                _ => {}
            }
            entries.push(flat);
        }
        entries
    }

    /// The files that visible hard links lead to.
    fn linked_files(&self) -> HashSet<File<'_>> {
        let mut files = HashSet::new();
        let mut walk = self.walk(&ImagePath::root());
        while let Some((layer, entry)) = walk.next_in_layer() {
            if matches!(entry.kind, EntryKind::HardLink(_))
                && let Some(target) = self.linked(layer, entry)
            {
                files.insert((layer, &target.path));
            }
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rootfs;
    use super::*;

    fn shown(entries: &[Entry]) -> Vec<String> {
        let show = |entry: &Entry| match &entry.kind {
            EntryKind::File(content) => format!("{} {}", entry.path, content.size),
            EntryKind::HardLink(target) => format!("{} -> {target}", entry.path),
            _ => entry.path.to_string(),
        };
        entries.iter().map(show).collect()
    }

    #[test]
    fn links_are_kept_when_the_name_of_their_file_is_gone() {
        let rootfs = rootfs(&[
            &["f a=12", "h b=a", "h c=a", "f d=1", "h e=d"],
            &["w a", "f d=123", "f z=1234", "h y=z", "h x=z"],
        ]);
        let flat = rootfs.flatten();
        assert_eq!(shown(&flat), ["/b 2", "/c -> /b", "/d 3", "/e 1", "/x 4", "/y -> /x", "/z -> /x"]);
    }

    #[test]
    fn directories_are_plain() {
        let flat = rootfs(&[&["d a", "f a/x"], &["o a", "f i/y=1"]]).flatten();
        assert_eq!(shown(&flat), ["/a", "/i", "/i/y 1"]);
        assert!(flat.iter().all(|e| !matches!(e.kind, EntryKind::Directory { opaque: true, .. })));
        assert!(flat.iter().all(|e| !super::super::is_implicit(e)));
    }
}
