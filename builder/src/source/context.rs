//! A folder of the host as build context: read as far as somebody asks, less what its ignore file leaves out.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use strake_layers::{
    Cancel, ContentSource, Entry, EntryKind, FileContent, HostDir, HostEntry, HostKind, ImagePath, Metadata,
    NoticeSink, Stamp, Timestamp, hash_contents,
};
use strake_parser::ignore::{IgnoreRules, IgnoreState};

use super::memo::{self, Memo};
use super::tree::{FileId, SourceNode};
use crate::{Error, Result};

/// Fewer entries are not worth waking other threads for.
const WORTH_THREADS: usize = 1024;

/// A folder of the host as build context. Cheap to ask twice: what was read once is kept.
#[derive(Debug)]
pub(crate) struct Context {
    root: Arc<HostDir>,
    name: String,
    ignore: Option<IgnoreFile>,
    modes: Modes,
    memo: Option<Memo>,
    notices: NoticeSink,
    cancel: Cancel,
    directories: RwLock<HashMap<ImagePath, Arc<[SourceNode]>>>,
    sockets: Mutex<BTreeSet<ImagePath>>,
}

/// How a context is opened.
#[derive(Debug)]
pub(crate) struct ContextOptions {
    /// What messages call it: `build context`.
    pub name: String,
    /// The rules that leave files out.
    pub ignore: Option<IgnoreFile>,
    /// What becomes of the host's modes.
    pub modes: Modes,
    /// Gives the file for the memo of content hashes, by the identity of the folder; without it every file is read.
    pub memo_file: Option<MemoFile>,
    /// When the build began.
    pub now: Timestamp,
    /// Where warnings go.
    pub notices: NoticeSink,
    /// Asked for each directory.
    pub cancel: Cancel,
}

/// Names the file of a memo.
type NameMemo = dyn Fn(&[u8; 32]) -> PathBuf + Send + Sync;

/// Gives the file of a memo by the identity of its context.
#[derive(Clone)]
pub(crate) struct MemoFile(pub Arc<NameMemo>);

impl std::fmt::Debug for MemoFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoFile")
    }
}

/// What becomes of the modes and times of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modes {
    /// They are kept.
    Kept,
    /// As git has them: 0755 for directories and programs, 0644 for other files; perhaps with the time of the commit
    /// (dockerfile.md §11.3).
    Git(Option<Timestamp>),
}

/// An ignore file that was read.
#[derive(Clone, Debug)]
pub(crate) struct IgnoreFile {
    /// What messages call it: `.dockerignore`.
    pub name: String,
    /// Its rules.
    pub rules: IgnoreRules,
    /// Its bytes.
    pub text: Arc<[u8]>,
}

impl IgnoreFile {
    /// Reads the text of an ignore file.
    pub(crate) fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        // On a host of Windows `\\` separates in ignore files, too (dockerfile.md §12.4).
        let rules = match std::path::MAIN_SEPARATOR {
            '\\' => IgnoreRules::parse_for_windows_host(bytes),
            _ => IgnoreRules::parse(bytes),
        };
        let rules = rules.map_err(|error| Error::user(format!("{name}: {error}")))?;
        Ok(Self { name: name.to_owned(), rules, text: bytes.into() })
    }
}

impl Context {
    /// Makes a context of an opened folder. Nothing below it is looked at yet.
    pub(crate) fn new(root: Arc<HostDir>, options: ContextOptions) -> Result<Self> {
        let top = root.stat(&ImagePath::root())?;
        let memo = options.memo_file.map(|MemoFile(file)| {
            let real = std::fs::canonicalize(root.path()).unwrap_or_else(|_| root.path().to_owned());
            Memo::new(file(&memo::identity(&real, top.dev)), options.now)
        });
        Ok(Self {
            root,
            name: options.name,
            ignore: options.ignore,
            modes: options.modes,
            memo,
            notices: options.notices,
            cancel: options.cancel,
            directories: RwLock::default(),
            sockets: Mutex::default(),
        })
    }

    /// What messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The rule of the ignore file that leaves a path out: the file's name, the line and its text.
    pub(crate) fn ignoring_rule(&self, path: &ImagePath) -> Option<(&str, usize, String)> {
        let ignore = self.ignore.as_ref()?;
        let decision = ignore.rules.decide(path.as_bytes());
        let (line, text) = decision.rule.filter(|_| decision.ignored)?;
        Some((&ignore.name, line, text))
    }

    /// Tells whether the host has a path, ignored or not.
    pub(crate) fn exists_on_host(&self, path: &ImagePath) -> bool {
        self.root.stat(path).is_ok()
    }

    /// What is at a path; links are not followed.
    pub(crate) fn get(&self, path: &ImagePath) -> Result<Option<SourceNode>> {
        let Some(above) = path.parent() else {
            let top = self.root.stat(path)?;
            return Ok(Some(self.node(path.clone(), &top, EntryKind::Directory { opaque: false, implicit: false })));
        };
        match self.get(&above)? {
            Some(node) if node.entry.is_directory() => {}
            _ => return Ok(None),
        }
        let children = self.children(&above)?;
        let found = children.binary_search_by(|child| child.entry.path.cmp(path));
        Ok(found.ok().and_then(|at| children.get(at)).cloned())
    }

    /// What a directory holds, in the order of names.
    pub(crate) fn children(&self, directory: &ImagePath) -> Result<Arc<[SourceNode]>> {
        if let Some(known) = self.directories.read().unwrap_or_else(PoisonError::into_inner).get(directory) {
            return Ok(known.clone());
        }
        self.cancel.check()?;
        let state = self.ignore_state(directory);
        let mut children = Vec::new();
        for found in self.root.read_dir(directory).map_err(strake_layers::Error::as_change)? {
            let name = ImagePath::parse(&found.name).map_err(|error| {
                Error::user(format!("{} in {}: {error}", String::from_utf8_lossy(&found.name), self.name))
            })?;
            let path = directory.join_path(&name);
            let is_directory = found.entry.kind == HostKind::Directory;
            if let Some(ignore) =
                self.ignore.as_ref().filter(|ignore| ignore.rules.decide_below(&state, path.as_bytes()).ignored)
            {
                // A directory that is left out comes back with what is taken back below it.
                let may_come_back = is_directory && !ignore.rules.may_prune_dir(path.as_bytes());
                if !may_come_back || self.children(&path)?.is_empty() {
                    continue;
                }
            }
            let kind = self.kind(&path, &found.entry)?;
            children.push(self.node(path, &found.entry, kind));
        }
        let children: Arc<[SourceNode]> = children.into();
        self.directories.write().unwrap_or_else(PoisonError::into_inner).insert(directory.clone(), children.clone());
        Ok(children)
    }

    /// Reads all directories at and below a path, in parallel.
    pub(crate) fn load(&self, path: &ImagePath) -> Result<()> {
        // A folder without folders needs no threads.
        if !self.children(path)?.iter().any(|child| child.entry.is_directory()) {
            return Ok(());
        }
        let failed = Mutex::new(None);
        rayon::scope(|scope| self.load_below(scope, path, &failed));
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn load_below<'scope>(
        &'scope self,
        scope: &rayon::Scope<'scope>,
        path: &ImagePath,
        failed: &'scope Mutex<Option<Error>>,
    ) {
        match self.children(path) {
            Ok(children) => {
                for child in children.iter().filter(|child| child.entry.is_directory()) {
                    let path = child.entry.path.clone();
                    scope.spawn(move |scope| self.load_below(scope, &path, failed));
                }
            }
            Err(error) => {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    }

    /// Fills in the content hashes of this context's files: from the memo, else by reading them.
    pub(crate) fn fill_hashes(&self, entries: &mut [Entry]) -> Result<()> {
        use rayon::prelude::*;

        if let Some(memo) = &self.memo {
            let fill = |entry: &mut Entry| {
                if let Some((path, stamp, content)) = self.own_file(entry)
                    && content.hash.is_none()
                {
                    content.hash = memo.find(&path, &stamp);
                }
            };
            if entries.len() < WORTH_THREADS {
                entries.iter_mut().for_each(fill);
            } else {
                entries.par_iter_mut().for_each(fill);
            }
        }
        let missing: Vec<usize> = entries
            .iter_mut()
            .enumerate()
            .filter_map(|(at, entry)| self.own_file(entry).filter(|(_, _, content)| content.hash.is_none()).map(|_| at))
            .collect();
        let mut unread: Vec<Entry> = missing.iter().filter_map(|at| entries.get(*at)).cloned().collect();
        if let Err(strake_layers::Error::Changed { .. }) = hash_contents(&mut unread, &self.cancel) {
            // Once more with what the files are now (edges.md 14).
            for entry in &mut unread {
                self.look_again(entry)?;
            }
            hash_contents(&mut unread, &self.cancel)?;
        }
        for (at, mut entry) in missing.into_iter().zip(unread) {
            if let (Some(memo), Some((path, stamp, content))) = (&self.memo, self.own_file(&mut entry))
                && let Some(hash) = &content.hash
            {
                memo.remember(&path, &stamp, hash);
            }
            if let Some(place) = entries.get_mut(at) {
                *place = entry;
            }
        }
        Ok(())
    }

    /// Writes the memo of content hashes. What goes wrong costs a later build time, so it is only told.
    pub(crate) fn save(&self) {
        if let Some(Err(error)) = self.memo.as_ref().map(Memo::save) {
            self.notices.warn(format!("cannot write the memo of file hashes of the {}: {error}", self.name));
        }
    }

    /// Which rules match a directory, for what is in it.
    fn ignore_state(&self, directory: &ImagePath) -> IgnoreState {
        let mut state = IgnoreState::default();
        let Some(ignore) = &self.ignore else { return state };
        let mut ways: Vec<ImagePath> = directory.ancestors().filter(|above| !above.is_root()).collect();
        ways.reverse();
        if !directory.is_root() {
            ways.push(directory.clone());
        }
        for way in ways {
            state = ignore.rules.enter(&state, way.as_bytes()).1;
        }
        state
    }

    /// What an entry of the host becomes; an empty file for a socket, as with the reference.
    fn kind(&self, path: &ImagePath, found: &HostEntry) -> Result<EntryKind> {
        Ok(match found.kind {
            HostKind::Directory => EntryKind::Directory { opaque: false, implicit: false },
            HostKind::File => EntryKind::File(FileContent {
                size: found.size,
                hash: None,
                source: ContentSource::Host {
                    root: self.root.clone(),
                    path: path.clone(),
                    stamp: Some(Stamp::of(found)),
                },
            }),
            HostKind::Symlink => {
                let target = self.root.read_link(path).map_err(strake_layers::Error::as_change)?;
                EntryKind::Symlink(target.into())
            }
            HostKind::CharDevice => EntryKind::CharDevice(found.rdev),
            HostKind::BlockDevice => EntryKind::BlockDevice(found.rdev),
            HostKind::Fifo => EntryKind::Fifo,
            _ => {
                if self.sockets.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone()) {
                    let path = String::from_utf8_lossy(path.as_bytes());
                    self.notices.warn(format!(
                        "{path} in the {} is a socket and counts as an empty file: leave it out by the ignore file",
                        self.name
                    ));
                }
                Entry::inline_file(path.clone(), Metadata::default(), []).kind
            }
        })
    }

    /// Files of a context belong to 0:0 and have no extended attributes (dockerfile.md §13.5, "Metadata").
    fn node(&self, path: ImagePath, found: &HostEntry, kind: EntryKind) -> SourceNode {
        let mode = match (self.modes, found.kind) {
            (Modes::Kept, _) => found.mode,
            (Modes::Git(_), HostKind::Directory) => 0o755,
            (Modes::Git(_), _) if found.mode & 0o100 != 0 => 0o755,
            (Modes::Git(_), _) => 0o644,
        };
        let mtime = match self.modes {
            Modes::Git(Some(time)) => time,
            _ => found.mtime,
        };
        let meta = Metadata { mode, mtime, ..Metadata::default() };
        let id = (found.ino != 0 && found.kind == HostKind::File && found.nlink > 1)
            .then_some(FileId::Host(found.dev, found.ino));
        SourceNode { entry: Entry { path, meta, kind }, id }
    }

    /// The file behind an entry, if it is one of this context.
    fn own_file<'e>(&self, entry: &'e mut Entry) -> Option<(ImagePath, Stamp, &'e mut FileContent)> {
        let EntryKind::File(content) = &mut entry.kind else { return None };
        let ContentSource::Host { root, path, stamp: Some(stamp) } = &content.source else { return None };
        if !Arc::ptr_eq(root, &self.root) {
            return None;
        }
        let (path, stamp) = (path.clone(), *stamp);
        Some((path, stamp, content))
    }

    fn look_again(&self, entry: &mut Entry) -> Result<()> {
        let Some((path, _, content)) = self.own_file(entry) else { return Ok(()) };
        let now = self.root.stat(&path).map_err(strake_layers::Error::as_change)?;
        content.size = now.size;
        content.hash = None;
        content.source = ContentSource::Host { root: self.root.clone(), path, stamp: Some(Stamp::of(&now)) };
        entry.meta.mtime = now.mtime;
        Ok(())
    }
}

/// Reads a file whole, if it is there; it must be a regular one of at most `limit` bytes.
pub(crate) fn read_small(root: &HostDir, path: &ImagePath, limit: u64) -> Result<Option<Vec<u8>>> {
    use std::io::Read;

    let is_missing = |error: &strake_layers::Error| match error {
        strake_layers::Error::Host { source, .. } => {
            matches!(source.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
        }
        _ => false,
    };
    let file = match root.open_file(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| strake_layers::Error::host("read", root.host_path(path), error))?;
    if bytes.len() as u64 > limit {
        let place = root.host_path(path);
        return Err(Error::user(format!("{} has more than {limit} bytes", place.display())));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
