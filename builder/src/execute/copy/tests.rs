//! COPY and ADD over a real context folder and roots of literal entries. The expected trees are those of the
//! reference, as its conformance cases of the same names record them.

mod add;
mod errors;
mod layers;
mod metadata;
mod parents;
mod placing;
mod windows;

use std::path::Path;
use std::sync::Arc;

use strake_layers::{
    Cancel, ContentSource, Entry, EntryKind, HostDir, ImagePath, Metadata, NoticeSink, Platform, Rootfs, Timestamp,
};
use strake_parser::{Diagnostic, Span};

use super::{Copied, CopyError, CopyInput, copy_entries};
use crate::plan::graph::{AddOptions, CopyFrom, CopyOp, Source, SourceKind};
use crate::source::{Context, ContextOptions, IgnoreFile, Modes, Tree};

/// A folder as build context, and a root that instructions change one after the other.
struct Bench {
    folder: tempfile::TempDir,
    root: Rootfs,
    workdir: String,
    os: &'static str,
    epoch: Option<Timestamp>,
    /// What the last instruction made.
    last: Vec<Entry>,
    warnings: Vec<Diagnostic>,
}

impl Bench {
    fn new(files: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            write(folder.path(), file, &format!("{}\n", file.rsplit('/').next().expect("a name")));
        }
        Self {
            folder,
            root: Rootfs::new(Vec::new()),
            workdir: "/".into(),
            os: "linux",
            epoch: None,
            last: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn with_root(mut self, entries: Vec<Entry>) -> Self {
        let mut entries = entries;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        self.root = Rootfs::new(vec![entries.into()]);
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn context(&self) -> Tree {
        let root = HostDir::open(self.path()).expect("a folder");
        let ignore = std::fs::read(self.path().join(".dockerignore")).ok();
        let ignore = ignore.map(|bytes| IgnoreFile::parse(".dockerignore", &bytes).expect("rules"));
        let options = ContextOptions {
            name: "build context".into(),
            ignore,
            modes: Modes::Kept,
            memo_file: None,
            now: Timestamp::default(),
            notices: NoticeSink::silent(),
            cancel: Cancel::new(),
        };
        Tree::context(Arc::new(Context::new(Arc::new(root), options).expect("a context")))
    }

    /// Carries out one instruction over the context.
    fn run(&mut self, line: &str) -> &mut Self {
        let tree = self.context();
        self.run_from(line, &tree)
    }

    fn run_from(&mut self, line: &str, from: &Tree) -> &mut Self {
        if let Some(workdir) = line.strip_prefix("WORKDIR ") {
            self.workdir = workdir.to_owned();
            return self;
        }
        match self.attempt(line, from) {
            Ok(mut done) => {
                as_on_linux(&mut done.entries);
                self.root = self.root.with_layer(done.entries.clone().into());
                self.last = done.entries;
                self.warnings.extend(done.warnings);
                self
            }
            Err(error) => panic!("{line}: {error}"),
        }
    }

    fn fail(&self, line: &str) -> String {
        match self.attempt(line, &self.context()) {
            Ok(done) => panic!("{line} made {:?}", list(&done.entries)),
            Err(error) => error,
        }
    }

    fn attempt(&self, line: &str, from: &Tree) -> Result<Copied, String> {
        let op = self.op(line);
        let input = CopyInput {
            op: &op,
            base: &self.root,
            from,
            fetched: &[],
            epoch: self.epoch,
            scratch: &std::env::temp_dir(),
            cancel: &Cancel::new(),
        };
        copy_entries(&input).map_err(|error| match error {
            CopyError::Located(found) => {
                let shown = found.into_iter().map(|one| match one.help {
                    Some(help) => format!("{} ({help})", one.message),
                    None => one.message,
                });
                shown.collect::<Vec<_>>().join("; ")
            }
            CopyError::Other(error) => error.to_string(),
        })
    }

    /// Reads an instruction: words that are parted by single blanks, flags first.
    fn op(&self, line: &str) -> CopyOp {
        let mut words: Vec<&str> = line.split(' ').collect();
        let keyword = if words.remove(0) == "ADD" { "ADD" } else { "COPY" };
        let dest = words.pop().expect("a destination").to_owned();
        let mut op = CopyOp {
            keyword,
            from: CopyFrom::Context,
            sources: Vec::new(),
            dest,
            dest_span: Span::default(),
            owner_span: Span::default(),
            workdir: self.workdir.clone(),
            chown: None,
            chmod: None,
            link: false,
            parents: false,
            exclude: Vec::new(),
            add: (keyword == "ADD").then(AddOptions::default),
            platform: Platform {
                architecture: "amd64".into(),
                os: self.os.into(),
                os_version: None,
                os_features: Vec::new(),
                variant: None,
            },
        };
        for word in words {
            let value = |name: &str| word.strip_prefix(name).map(str::to_owned);
            if let Some(owner) = value("--chown=") {
                op.chown = Some(owner);
            } else if let Some(mode) = value("--chmod=") {
                op.chmod = Some(strake_parser::chmod::ModeChange::parse(&mode).expect("a mode"));
            } else if let Some(pattern) = value("--exclude=") {
                op.exclude.push(pattern);
            } else if let Some(unpack) = value("--unpack=") {
                op.add.get_or_insert_default().unpack = Some(unpack == "true");
            } else if word == "--link" {
                op.link = true;
            } else if word == "--parents" {
                op.parents = true;
            } else {
                let kind = match word.strip_prefix("<<") {
                    Some(name) => SourceKind::Inline { name: name.into(), bytes: b"inline\n".as_slice().into() },
                    None => SourceKind::Path(word.to_owned()),
                };
                op.sources.push(Source { kind, span: Span::default() });
            }
        }
        op
    }

    /// The whole tree, one name a line.
    fn tree(&self) -> Vec<String> {
        list(&self.root.flatten())
    }

    /// What is at and below a path.
    fn below(&self, path: &str) -> Vec<String> {
        let all = self.root.flatten();
        let path = image(path);
        list(&all.into_iter().filter(|entry| entry.path.starts_with(&path)).collect::<Vec<_>>())
    }

    /// What the last instruction made.
    fn last(&self) -> Vec<String> {
        list(&self.last)
    }
}

/// A Windows host gives all files of a context the mode 0755; the trees expected here are those of Linux.
fn as_on_linux(entries: &mut [Entry]) {
    for entry in entries {
        let EntryKind::File(content) = &entry.kind else { continue };
        if cfg!(windows) && matches!(content.source, ContentSource::Host { .. }) && entry.meta.mode == 0o755 {
            entry.meta.mode = 0o644;
        }
    }
}

/// Shows entries: path, type and mode, owner where it is not root, target of a link, text of a short file.
fn list(entries: &[Entry]) -> Vec<String> {
    let show = |entry: &Entry| {
        let (letter, rest) = match &entry.kind {
            EntryKind::Directory { opaque: true, .. } => ("D", String::new()),
            EntryKind::Directory { .. } => ("d", String::new()),
            EntryKind::File(content) => {
                let mut bytes = Vec::new();
                if content.size < 40 {
                    content.copy_to(&mut bytes).expect("readable");
                }
                ("f", format!(" {}", String::from_utf8_lossy(&bytes).trim_end()))
            }
            EntryKind::Symlink(target) => ("l", format!(" -> {}", String::from_utf8_lossy(target))),
            EntryKind::HardLink(target) => ("h", format!(" = {target}")),
            EntryKind::CharDevice(n) => ("c", format!(" {}:{}", n.major, n.minor)),
            EntryKind::BlockDevice(n) => ("b", format!(" {}:{}", n.major, n.minor)),
            EntryKind::Fifo => ("p", String::new()),
            EntryKind::Whiteout => return format!("{} gone", entry.path),
        };
        let meta = &entry.meta;
        let mode = if letter == "l" { String::new() } else { format!("{:o}", meta.mode) };
        let owner = if (meta.uid, meta.gid) == (0, 0) { String::new() } else { format!(" {}:{}", meta.uid, meta.gid) };
        format!("{} {letter}{mode}{owner}{}", entry.path, rest.trim_end())
    };
    entries.iter().map(show).collect()
}

fn image(path: &str) -> ImagePath {
    ImagePath::clean(path).expect("a path")
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(path, text).expect("written");
}

fn directory(path: &str, mode: u32) -> Entry {
    Entry::directory(image(path), Metadata { mode, ..Metadata::default() })
}

fn owned(mut entry: Entry, uid: u32, gid: u32) -> Entry {
    (entry.meta.uid, entry.meta.gid) = (uid, gid);
    entry
}

fn file(path: &str, mode: u32, text: &str) -> Entry {
    Entry::inline_file(image(path), Metadata { mode, ..Metadata::default() }, text.as_bytes().to_vec())
}

fn link(path: &str, target: &str) -> Entry {
    let meta = Metadata { mode: 0o777, ..Metadata::default() };
    Entry { path: image(path), meta, kind: EntryKind::Symlink(target.as_bytes().into()) }
}

/// A root with users, a merged /usr and links in many places.
fn base() -> Vec<Entry> {
    vec![
        directory("etc", 0o755),
        file("etc/passwd", 0o644, "root:x:0:0::/:/\napp:x:1000:1000::/:/\nwww:x:33:33::/:/\n"),
        file("etc/group", 0o644, "root:x:0:\napp:x:1000:\nwww:x:33:\nextra:x:2000:app\n"),
        directory("usr", 0o755),
        directory("usr/bin", 0o755),
        file("usr/bin/busybox", 0o755, "busybox"),
        link("usr/bin/vi", "busybox"),
        link("usr/bin/awk", "busybox"),
        directory("usr/lib", 0o755),
        link("lib", "usr/lib"),
        link("bin", "usr/bin"),
        directory("run", 0o755),
        directory("var", 0o755),
        link("var/run", "/run"),
        directory("opt", 0o755),
        directory("opt/real", 0o755),
        file("opt/real/file", 0o644, "real"),
        link("opt/up", "../opt/real"),
        link("abs", "/opt/real"),
        link("loop", "/loop"),
        link("dangling", "/no/such/file"),
        directory("tmp", 0o1777),
    ]
}

#[cfg(unix)]
fn set_mode(folder: &Path, path: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder.join(path), std::fs::Permissions::from_mode(mode)).expect("set");
}

#[cfg(unix)]
fn symlink(folder: &Path, target: &str, path: &str) {
    std::os::unix::fs::symlink(target, folder.join(path)).expect("made");
}
