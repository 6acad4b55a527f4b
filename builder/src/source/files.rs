//! A context before its ignore file is known: what the Dockerfile is read from.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use strake_layers::{
    Archive, ArchiveFormat, ArchiveReader, Cancel, Entry, EntryKind, HostDir, HostKind, ImagePath, Limits, Rootfs,
    Timestamp, WhiteoutNames,
};

use super::context::{Context, ContextOptions, IgnoreFile, read_small};
use super::links::{LastLink, Root, Seen};
use super::tree::Tree;
use crate::{Error, Result};

/// The files of a context, nothing left out yet.
#[derive(Clone, Debug)]
pub(super) enum Files {
    /// A folder of the host.
    Folder(Arc<HostDir>),
    /// Files that are known as entries: of an archive, of a download.
    Entries(Arc<Rootfs>),
}

impl Files {
    /// No files at all.
    pub(super) fn empty() -> Self {
        Self::Entries(Arc::new(Rootfs::new(Vec::new())))
    }

    /// Reads an archive; nothing where the file is none.
    pub(super) fn archive(name: &str, mut file: File, scratch: &Path, cancel: &Cancel) -> Result<Option<Self>> {
        let Some(format) = ArchiveFormat::detect(&mut file)? else { return Ok(None) };
        let archive = Arc::new(Archive::of_file(name, file, format, scratch, Limits::default()));
        let reader = ArchiveReader { name, whiteouts: WhiteoutNames::Plain, limits: Limits::default(), cancel };
        let mut entries = reader.index(&archive).map_err(|error| match error {
            strake_layers::Error::Stream { ref source, .. } if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                let help = "what wrote it ended early: look at its own messages, or fetch the archive again";
                Error::user(error.to_string()).with_help(help)
            }
            error => error.into(),
        })?;
        for entry in &mut entries {
            // Files of a context belong to 0:0 and have no extended attributes (dockerfile.md §13.5, "Metadata").
            (entry.meta.uid, entry.meta.gid) = (0, 0);
            entry.meta.xattrs.clear();
            entry.meta.windows = None;
        }
        Ok(Some(Self::Entries(Arc::new(Rootfs::new(vec![entries.into()])))))
    }

    /// Reads a file whole, links followed inside the context; nothing where it is missing.
    pub(super) fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = ImagePath::clean(path).map_err(|error| Error::user(format!("{path:?}: {error}")))?;
        match self {
            Self::Folder(root) => {
                let real = Root::default().follow(&path, LastLink::Follow, &mut |at| look(root, at))?;
                read_small(root, &real.path, limit)
            }
            Self::Entries(rootfs) => Ok(rootfs.read_small_file(&path, limit)?),
        }
    }

    /// Says which link on the way to a file that is missing leads nowhere.
    pub(super) fn why_missing(&self, path: &str) -> Option<String> {
        let path = ImagePath::clean(path).ok()?;
        let mut last = None;
        let mut look = |at: &ImagePath| {
            let seen = match self {
                Self::Folder(root) => look(root, at)?,
                Self::Entries(rootfs) => rootfs.lookup(at).map(|entry| Seen {
                    path: at.clone(),
                    link: if let EntryKind::Symlink(target) = &entry.kind { Some(target.clone()) } else { None },
                }),
            };
            if let Some(Seen { path, link: Some(target) }) = &seen {
                last = Some((path.clone(), String::from_utf8_lossy(target).into_owned()));
            }
            Ok(seen)
        };
        Root::default().follow(&path, LastLink::Follow, &mut look).ok()?;
        let (link, target) = last?;
        let why =
            if leads_out(&link, &target) { "leads out of the build context" } else { "is not in the build context" };
        let link = link.to_string();
        Some(format!("{} is a symbolic link to {target}, which {why}", link.trim_start_matches('/')))
    }

    /// The file beside a missing one that has a name near to it.
    pub(super) fn near(&self, path: &str) -> Option<String> {
        let folder = ImagePath::clean(path).ok()?.parent()?;
        let names: Vec<String> = match self {
            Self::Folder(root) => {
                let names = root.read_dir(&folder).ok()?;
                names.iter().map(|found| String::from_utf8_lossy(&found.name).into_owned()).collect()
            }
            Self::Entries(rootfs) => {
                let children = rootfs.read_dir(&folder);
                let names = children.iter().filter_map(|entry| entry.path.file_name());
                names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
            }
        };
        let (above, name) = path.rsplit_once('/').map_or(("", path), |(above, name)| (above, name));
        let near = strake_parser::suggest(name, names.iter().map(String::as_str))?;
        Some(if above.is_empty() { near.to_owned() } else { format!("{above}/{near}") })
    }

    /// The first of some files that is there: its name and its bytes.
    pub(super) fn read_first(&self, names: &[String], limit: u64) -> Result<Option<(String, Vec<u8>)>> {
        for name in names {
            if let Some(bytes) = self.read(name, limit)? {
                return Ok(Some((name.clone(), bytes)));
            }
        }
        Ok(None)
    }

    /// Makes the tree that instructions read from.
    pub(super) fn tree(&self, options: ContextOptions) -> Result<Tree> {
        match self {
            Self::Folder(root) => Ok(Tree::context(Arc::new(Context::new(root.clone(), options)?))),
            Self::Entries(rootfs) => {
                let rootfs = match &options.ignore {
                    Some(ignore) => Arc::new(Rootfs::new(vec![filter(rootfs.flatten(), ignore).into()])),
                    None => rootfs.clone(),
                };
                Ok(Tree::rootfs(rootfs, false, options.name))
            }
        }
    }

    /// The time of the newest regular file; of a folder it is not asked for.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        match self {
            Self::Folder(_) => None,
            Self::Entries(rootfs) => {
                let files = rootfs.walk(&ImagePath::root()).filter(|entry| matches!(entry.kind, EntryKind::File(_)));
                files.map(|entry| entry.meta.mtime).max()
            }
        }
    }
}

/// Says whether what a link holds would lead out of its root where links are not bound to that.
fn leads_out(link: &ImagePath, target: &str) -> bool {
    let mut depth = link.components().count() - 1;
    let is_out = target.split('/').any(|part| match part {
        "" | "." => false,
        ".." => depth.checked_sub(1).map(|less| depth = less).is_none(),
        _ => {
            depth += 1;
            false
        }
    });
    is_out || target.starts_with('/')
}

fn look(root: &HostDir, at: &ImagePath) -> Result<Option<Seen>> {
    let Ok(found) = root.stat(at) else { return Ok(None) };
    let link = if found.kind == HostKind::Symlink { Some(root.read_link(at)?.into()) } else { None };
    Ok(Some(Seen { path: at.clone(), link }))
}

/// Leaves out what an ignore file says; a directory comes back with what is taken back below it.
fn filter(entries: Vec<Entry>, ignore: &IgnoreFile) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    // From the end: what is below a directory is decided before the directory.
    let whole = Rootfs::new(vec![entries.clone().into()]);
    for mut entry in entries.into_iter().rev() {
        let is_ignored = ignore.rules.decide(entry.path.as_bytes()).ignored;
        let holds_kept = || kept.last().is_some_and(|below| below.path.starts_with(&entry.path));
        if !is_ignored || (entry.is_directory() && holds_kept()) {
            // The file that a hard link names may be one of those left out: each name that is left is a file then.
            if let EntryKind::HardLink(target) = &entry.kind
                && ignore.rules.decide(target.as_bytes()).ignored
                && let Some(file) = whole.file_entry(&entry.path)
            {
                entry.kind = file.kind.clone();
            }
            kept.push(entry);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use strake_layers::{EntryKind, Metadata, write_tar};

    use super::*;

    fn entries() -> Vec<Entry> {
        let path = |text: &str| ImagePath::clean(text).expect("a path");
        let own = |mode| Metadata { mode, uid: 7, gid: 8, ..Metadata::default() };
        vec![
            Entry::directory(path("a"), own(0o755)),
            Entry::inline_file(path("a/drop"), own(0o644), b"d".to_vec()),
            Entry::inline_file(path("a/keep"), own(0o600), b"k".to_vec()),
            Entry { path: path("a/link"), meta: own(0o600), kind: EntryKind::HardLink(path("a/drop")) },
            Entry::directory(path("b"), own(0o755)),
            Entry::inline_file(path("b/x"), own(0o644), b"x".to_vec()),
        ]
    }

    fn archive() -> Files {
        let mut file = tempfile::tempfile().expect("a file");
        let mut bytes = Vec::new();
        write_tar(&entries(), None, &mut bytes, &Cancel::new()).expect("written");
        file.write_all(&bytes).expect("written");
        let files = Files::archive("context.tar", file, &std::env::temp_dir(), &Cancel::new());
        files.expect("readable").expect("an archive")
    }

    #[test]
    fn an_archive_is_a_context_of_root() {
        let files = archive();
        assert_eq!(files.read("a/../a/keep", 10).expect("readable"), Some(b"k".to_vec()));
        assert_eq!(files.read("none", 10).expect("readable"), None);
        let Files::Entries(rootfs) = &files else { panic!("it is no folder") };
        assert!(rootfs.flatten().iter().all(|entry| (entry.meta.uid, entry.meta.gid) == (0, 0)));
    }

    #[test]
    fn the_ignore_file_of_an_archive_holds() {
        let Files::Entries(rootfs) = archive() else { panic!("it is no folder") };
        let ignore = IgnoreFile::parse(".dockerignore", b"*\n!a/keep\n!a/link\n").expect("rules");
        let kept = Rootfs::new(vec![filter(rootfs.flatten(), &ignore).into()]).flatten();
        let names: Vec<String> = kept.iter().map(|entry| entry.path.to_string()).collect();
        assert_eq!(names, ["/a", "/a/keep", "/a/link"]);
        let link = kept.last().expect("there");
        assert!(matches!(&link.kind, EntryKind::File(content) if content.size == 1), "{link:?}");
    }

    #[test]
    fn text_is_no_archive() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"FROM scratch\n").expect("written");
        let files = Files::archive("x", file, &std::env::temp_dir(), &Cancel::new()).expect("readable");
        assert!(files.is_none());
    }
}
