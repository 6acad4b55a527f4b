use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use strake_layers::{Cancel, ContentSource, Entry, EntryKind, Error as LayersError, FileContent, ImagePath, Metadata};

use crate::store::StoreOptions;
use crate::sys::TreeWriter;
use crate::{Error, Result};

/// What whiteouts and opaque directories become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Overlay's own marks, in the names that hold in the first user namespace or in others.
    Overlay {
        /// Whether marks are kept as `user.overlay.*`.
        is_user_namespace: bool,
    },
    /// Nothing: they are in the layer's entries only.
    Plain,
    /// What is below disappears.
    Merged,
}

/// How the bytes of files get into the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Placing<'a> {
    /// They are read from where the entries say, and verified.
    Copy,
    /// The files that the entries name are moved in.
    Move,
    /// The files of this tree, which holds the same paths, get a further name.
    Link(&'a Path),
}

/// A directory into which entries are written.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    root: &'a Path,
    flavour: Flavour,
    cancel: &'a Cancel,
}

impl<'a> Target<'a> {
    pub(crate) fn new(root: &'a Path, flavour: Flavour, options: &'a StoreOptions) -> Self {
        Self { root, flavour, cancel: &options.cancel }
    }

    /// A target in which whiteouts take effect.
    pub(crate) fn merged(root: &'a Path, options: &'a StoreOptions) -> Self {
        Self::new(root, Flavour::Merged, options)
    }

    /// Writes sorted entries.
    pub(crate) fn apply(&self, entries: &[Entry], placing: &Placing<'_>) -> Result<()> {
        let mut writer = TreeWriter::new(self.root).map_err(|e| self.error("open", &ImagePath::root(), e))?;
        let mut links = Vec::new();
        for (position, entry) in entries.iter().enumerate() {
            self.cancel.check()?;
            let next = entries.get(position + 1).filter(|next| next.path == entry.path);
            self.put(&mut writer, entry, next.is_some(), placing, &mut links)?;
        }
        writer.finish().map_err(|e| self.error("finish", &ImagePath::root(), e))?;
        self.link(&links)
    }

    fn put<'e>(
        &self,
        writer: &mut TreeWriter,
        entry: &'e Entry,
        is_replaced: bool,
        placing: &Placing<'_>,
        links: &mut Vec<&'e Entry>,
    ) -> Result<()> {
        let (path, meta) = (&entry.path, &entry.meta);
        let error = |e| self.error("write", path, e);
        match &entry.kind {
            EntryKind::Directory { opaque, implicit } => {
                if *opaque && self.flavour == Flavour::Merged {
                    writer.clear(path).map_err(error)?;
                }
                writer.directory(path, (!implicit).then_some(meta)).map_err(error)?;
                match self.flavour {
                    Flavour::Overlay { is_user_namespace } if *opaque => {
                        writer.opaque(is_user_namespace).map_err(error)
                    }
                    _ => Ok(()),
                }
            }
            EntryKind::File(content) => self.put_file(writer, path, meta, content, placing),
            EntryKind::Symlink(target) => writer.symlink(path, target, meta).map_err(error),
            EntryKind::HardLink(target) => match writer.hard_link(path, target) {
                // The file comes later in the order of paths.
                Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    links.push(entry);
                    Ok(())
                }
                outcome => outcome.map_err(error),
            },
            EntryKind::CharDevice(number) => writer.device(path, false, *number, meta).map_err(error),
            EntryKind::BlockDevice(number) => writer.device(path, true, *number, meta).map_err(error),
            EntryKind::Fifo => writer.fifo(path, meta).map_err(error),
            EntryKind::Whiteout => match self.flavour {
                // An entry of the same path takes its place.
                Flavour::Overlay { .. } if !is_replaced => writer.whiteout(path).map_err(error),
                Flavour::Merged => writer.remove(path).map_err(error),
                _ => Ok(()),
            },
        }
    }

    fn put_file(
        &self,
        writer: &mut TreeWriter,
        path: &ImagePath,
        meta: &Metadata,
        content: &FileContent,
        placing: &Placing<'_>,
    ) -> Result<()> {
        let error = |e| self.error("write", path, e);
        match (placing, &content.source) {
            (Placing::Link(tree), _) => {
                let from = host_path(tree, path);
                match writer.link_in(&from, path) {
                    Ok(()) => return Ok(()),
                    // More names than the file system allows (ext4: 65,000): a copy of its own.
                    Err(e) if e.kind() == io::ErrorKind::TooManyLinks => {}
                    Err(e) => return Err(error(e)),
                }
            }
            (Placing::Move, ContentSource::Host { root, path: from, .. }) => {
                return writer.move_in(&root.host_path(from), path, meta).map_err(error);
            }
            _ => {}
        }
        let mut file = writer.file(path).map_err(error)?;
        copy_content(path, content, &mut file).map_err(|e| self.place_error(path, e))?;
        writer.finish_file(&file, meta).map_err(error)
    }

    fn link(&self, links: &[&Entry]) -> Result<()> {
        if links.is_empty() {
            return Ok(());
        }
        let mut writer = TreeWriter::new(self.root).map_err(|e| self.error("open", &ImagePath::root(), e))?;
        for entry in links {
            if let EntryKind::HardLink(target) = &entry.kind {
                writer.hard_link(&entry.path, target).map_err(|e| self.error("link", &entry.path, e))?;
            }
        }
        writer.finish().map_err(|e| self.error("finish", &ImagePath::root(), e))
    }

    fn place_error(&self, path: &ImagePath, error: CopyError) -> Error {
        match error {
            CopyError::Write(error) => self.error("write", path, error),
            CopyError::Layers(error) => error.into(),
        }
    }

    fn error(&self, action: &'static str, path: &ImagePath, source: io::Error) -> Error {
        Error::host(action, host_path(self.root, path), source)
    }
}

/// The path of an entry below a directory of the host, for messages and links.
pub(crate) fn host_path(root: &Path, path: &ImagePath) -> PathBuf {
    if path.is_root() { root.to_owned() } else { root.join(crate::sys::relative_path(path)) }
}

enum CopyError {
    Write(io::Error),
    Layers(LayersError),
}

/// Writes the bytes of a file. Files of the store are copied by the kernel, which shares their blocks where the file
/// system can; everything else is hashed on the way and must be what its entry says.
fn copy_content(path: &ImagePath, content: &FileContent, file: &mut File) -> Result<(), CopyError> {
    if let ContentSource::Host { root, path: from, stamp: None } = &content.source {
        let mut source = root.open_file(from).map_err(CopyError::Layers)?;
        let copied = io::copy(&mut source, file).map_err(CopyError::Write)?;
        return if copied == content.size { Ok(()) } else { Err(CopyError::Layers(mismatch(path))) };
    }
    let mut out = Hashing { file, hasher: blake3::Hasher::new(), failure: None };
    let outcome = content.copy_to(&mut out);
    if let Some(failure) = out.failure.take() {
        return Err(CopyError::Write(failure));
    }
    outcome.map_err(CopyError::Layers)?;
    let found = *out.hasher.finalize().as_bytes();
    match content.hash {
        Some(hash) if hash.0 != found => Err(CopyError::Layers(mismatch(path))),
        _ => Ok(()),
    }
}

fn mismatch(path: &ImagePath) -> LayersError {
    LayersError::ContentMismatch { path: path.clone() }
}

/// Hashes what it writes. A failure of the file is kept apart from one of the source.
struct Hashing<'a> {
    file: &'a mut File,
    hasher: blake3::Hasher,
    failure: Option<io::Error>,
}

impl Write for Hashing<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.file.write(data).map_err(|error| {
            let copy = io::Error::from(error.kind());
            self.failure = Some(error);
            copy
        })?;
        self.hasher.update(&data[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
