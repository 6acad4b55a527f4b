use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use strake_layers::{
    ContentSource, Entry, EntryKind, HostDir, ImagePath, Layer, LayerId, LayerReader, LayerSource, Limits, Metadata,
    Rootfs,
};

use crate::apply::{Flavour, Placing, Target};
use crate::snapshot::Tree;
use crate::store::{Scratch, Store, relocate};
use crate::{Error, Result, sys};

impl Flavour {
    /// The folder of a layer's tree. Trees of both flavours may exist side by side.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Overlay { .. } => "fs",
            Self::Plain | Self::Merged => "plain",
        }
    }
}

/// The trees of one flavour in a store. Those that were asked for before are remembered with their entries.
#[derive(Clone, Debug)]
pub(crate) struct Trees {
    store: Arc<Store>,
    flavour: Flavour,
    known: Arc<Mutex<HashMap<LayerId, Tree>>>,
}

impl Trees {
    pub(crate) fn new(store: Arc<Store>, flavour: Flavour) -> Self {
        Self { store, flavour, known: Arc::default() }
    }

    /// Writes a layer out as a tree, unless it is there.
    pub(crate) fn materialise(&self, layer: &Layer, below: Option<&Rootfs>) -> Result<Tree> {
        let tree = match self.find(layer)? {
            Some(tree) => tree,
            None => {
                // Of several steps and processes that need the layer one writes it.
                let _making = self.store.lock_key(&layer.id().0)?;
                match self.find(layer)? {
                    Some(tree) => tree,
                    None => make(&self.store, layer, self.flavour)?,
                }
            }
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(layer.id(), tree.clone());
        layer.set_entries(tree.entries.clone());
        match below {
            Some(below) => place(&self.store, tree, below, self.flavour),
            None => Ok(tree),
        }
    }

    fn find(&self, layer: &Layer) -> Result<Option<Tree>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&layer.id()).cloned();
        match known {
            Some(tree) if self.store.use_layer(tree.id) && tree.path.is_dir() => Ok(Some(tree)),
            _ => find(&self.store, layer, self.flavour),
        }
    }
}

/// The tree of a layer, if there is one.
fn find(store: &Store, layer: &Layer, flavour: Flavour) -> Result<Option<Tree>> {
    let id = layer.id();
    let path = store.layout.layer(id).join(flavour.folder());
    if !store.use_layer(id) || !path.is_dir() {
        return Ok(None);
    }
    let entries = match layer.entries() {
        Some(entries) if entries.tree().is_some_and(|root| root.path() == path) => entries.clone(),
        Some(entries) => relocate(entries, &Arc::new(HostDir::open(&path)?)).into(),
        None => match store.load_entries(id)? {
            Some(kept) if kept.has_contents() => kept,
            // The list is lost: the tree is made anew beside it.
            _ => {
                store.trash.discard(&path);
                return Ok(None);
            }
        },
    };
    Ok(Some(Tree::new(id, path, entries)))
}

fn make(store: &Store, layer: &Layer, flavour: Flavour) -> Result<Tree> {
    let begin = Instant::now();
    let scratch = store.scratch()?;
    let fs = make_folder(&scratch, "fs")?;
    let target = Target::new(&fs, flavour, &store.options);
    let entries = match (layer.source(), layer.entries()) {
        (LayerSource::Blob { diff_id, descriptor }, entries) if entries.is_none_or(|all| lies_in_archive(all)) => {
            let staged = make_folder(&scratch, "staged")?;
            let reader = LayerReader {
                store: store.blobs(),
                descriptor,
                diff_id,
                limits: Limits::default(),
                cancel: &store.options.cancel,
            };
            store.use_blob(&descriptor.digest);
            // One pass: each content goes to a file named by its place in the archive. Where the file belongs is only
            // certain after the last member.
            let mut entries = reader.index_into(&|offset| fs::File::create_new(staged.join(offset.to_string())))?;
            stage(&mut entries, &Arc::new(HostDir::open(&staged)?))?;
            target.apply(&entries, &Placing::Move)?;
            entries
        }
        (_, Some(entries)) => {
            target.apply(entries, &Placing::Copy)?;
            entries.to_vec()
        }
        (_, None) => return Err(Error::Internal(format!("layer {} has no entries", layer.id()))),
    };
    install(store, layer.id(), &fs, &entries, flavour, begin)
}

/// Makes a finished directory the tree of a layer.
pub(crate) fn install(
    store: &Store,
    id: LayerId,
    fs: &Path,
    entries: &[Entry],
    flavour: Flavour,
    begin: Instant,
) -> Result<Tree> {
    let bytes = entries.iter().map(size).sum();
    // First the list, then the tree: a tree without its list would be of no use.
    store.store_entries(id, entries)?;
    let path = store.layout.layer(id).join(flavour.folder());
    match fs::rename(fs, &path) {
        Ok(()) => {}
        // Somebody was faster; the trees are equal.
        Err(_) if path.is_dir() => {}
        Err(error) => return Err(Error::host("rename a finished tree to", path, error)),
    }
    store.use_layer(id);
    if let Err(error) = store.note_tree(id, bytes, begin.elapsed()) {
        store.options.notices.warn(error.to_string());
    }
    let root = Arc::new(HostDir::open(&path)?);
    Ok(Tree::new(id, path, relocate(entries, &root).into()))
}

/// The tree as it must be upon `below`: where the layer has directories that its archive did not list, lower layers
/// may have links to other places, and then what is in them belongs there (linux.md §4.3).
fn place(store: &Store, tree: Tree, below: &Rootfs, flavour: Flavour) -> Result<Tree> {
    if tree.implicit.is_empty() {
        return Ok(tree);
    }
    let view = below.with_layer(tree.entries.clone());
    let Some(placed) = view.layers().last().filter(|placed| !placed.is_same(&tree.entries)) else {
        return Ok(tree);
    };
    let paths = |entries: &[Entry]| {
        let mut hasher = blake3::Hasher::new();
        for entry in entries.iter().filter(|entry| !matches!(entry.kind, EntryKind::Directory { implicit: true, .. })) {
            hasher.update(entry.path.as_bytes());
            hasher.update(&[0]);
        }
        *hasher.finalize().as_bytes()
    };
    let moved = paths(placed);
    if moved == paths(&tree.entries) {
        return Ok(Tree::new(tree.id, tree.path, placed.clone()));
    }
    let id = LayerId(*blake3::hash(&[&b"strake placed tree 1\0"[..], &tree.id.0, &moved].concat()).as_bytes());
    let path = store.layout.layer(id).join(flavour.folder());
    if !store.use_layer(id) || !path.is_dir() {
        let scratch = store.scratch()?;
        let fs = make_folder(&scratch, "fs")?;
        Target::new(&fs, flavour, &store.options).apply(placed, &Placing::Copy)?;
        install(store, id, &fs, placed, flavour, Instant::now())?;
    }
    // The view that steps have of the layer is made from the entries as they were: their contents stay there.
    Ok(Tree::new(id, path, placed.clone()))
}

/// Makes a folder of a scratch folder.
pub(crate) fn make_folder(scratch: &Scratch, name: &str) -> Result<PathBuf> {
    let path = scratch.path().join(name);
    fs::create_dir(&path).map_err(|e| Error::host("make directory", &path, e))?;
    Ok(path)
}

/// Gives a new directory the mode, the owner and the time of a root file system's root.
pub(crate) fn set_root(directory: &Path, rootfs: &Rootfs) -> Result<()> {
    let error = |e| Error::host("prepare", directory, e);
    let root = ImagePath::root();
    let plain = Metadata { mode: 0o755, ..Metadata::default() };
    let meta = rootfs.lookup(&root).map_or(&plain, |entry| &entry.meta);
    let mut writer = sys::TreeWriter::new(directory).map_err(error)?;
    writer.directory(&root, Some(meta)).map_err(error)?;
    writer.finish().map_err(error)
}

/// Lets entries name the files in which an archive's contents were put aside.
fn stage(entries: &mut [Entry], staged: &Arc<HostDir>) -> Result<()> {
    for entry in entries {
        if let EntryKind::File(content) = &mut entry.kind
            && let ContentSource::Archive { offset, .. } = content.source
        {
            let path = ImagePath::parse(offset.to_string())
                .map_err(|e| Error::host("name a file in", staged.path(), io::Error::other(e)))?;
            content.source = ContentSource::Host { root: Arc::clone(staged), path, stamp: None };
        }
    }
    Ok(())
}

fn lies_in_archive(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| {
        matches!(&entry.kind, EntryKind::File(content) if matches!(content.source, ContentSource::Archive { .. }))
    })
}

fn size(entry: &Entry) -> u64 {
    match &entry.kind {
        // What the file system takes for the inode comes on top.
        EntryKind::File(content) => content.size.div_ceil(4096) * 4096 + 256,
        EntryKind::Directory { .. } => 4096,
        _ => 256,
    }
}
