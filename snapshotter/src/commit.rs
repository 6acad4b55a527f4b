use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use strake_layers::{ContentHash, FileContent, HostDir, ImagePath, Layer};

use crate::apply::{Flavour, Placing, Target, host_path};
use crate::changes::{Changes, Differ, overlay_name};
use crate::scan::{Attributes, Found, scan};
use crate::snapshot::{ActiveSnapshot, Form, Tree};
use crate::{Error, Result, copy, sys, trees};

/// Makes a layer of what a step changed.
pub(crate) fn commit(snapshot: &ActiveSnapshot) -> Result<Layer> {
    let begin = Instant::now();
    let cancel = &snapshot.store.options.cancel;
    let upper = snapshot.upper();
    let root = Arc::new(HostDir::open(&upper)?);
    let (found, flavour) = match &snapshot.form {
        Form::Overlay { is_user_namespace, .. } => {
            let flavour = Flavour::Overlay { is_user_namespace: *is_user_namespace };
            (scan(&upper, Attributes::Read, cancel)?, flavour)
        }
        Form::Copy { before } => (copy::changed(snapshot, before)?, Flavour::Plain),
    };
    let same_content = |path: &ImagePath, below: &FileContent| is_same_content(snapshot, &root, path, below);
    let differ = Differ {
        rootfs: &snapshot.rootfs,
        stubs: &snapshot.stubs,
        root: &root,
        is_privileged: sys::is_privileged(),
        same_content: &same_content,
    };
    let mut changes = differ.run(&found)?;
    for path in &changes.sockets {
        snapshot.store.options.notices.warn(format!("{path} is a socket, which a layer cannot hold: it is left out"));
    }
    strake_layers::hash_contents(&mut changes.entries, cancel)?;
    let layer = Layer::from_upper(std::mem::take(&mut changes.entries))?;
    let entries = layer.entries().map_or(&[][..], |entries| entries);
    let tree = match flavour {
        Flavour::Overlay { .. } => {
            tidy(&upper, &found, &changes)?;
            if let Form::Overlay { is_user_namespace, .. } = snapshot.form {
                for path in &changes.unmarked {
                    let full = host_path(&upper, path);
                    sys::set_opaque(&full, is_user_namespace).map_err(|e| Error::host("mark", full, e))?;
                }
            }
            trees::install(&snapshot.store, layer.id(), &upper, entries, flavour, begin)?
        }
        _ => {
            // The directory holds the lower layers, too: what changed is taken out of it.
            let scratch = snapshot.store.scratch()?;
            let fs = trees::make_folder(&scratch, "fs")?;
            Target::new(&fs, flavour, &snapshot.store.options).apply(entries, &Placing::Copy)?;
            trees::install(&snapshot.store, layer.id(), &fs, entries, flavour, begin)?
        }
    };
    // The same layer, its contents where they stay.
    Ok(Layer::from_upper(tree.entries().to_vec())?)
}

/// Compares a file found with one of the layers below; only asked where everything else is equal.
fn is_same_content(
    snapshot: &ActiveSnapshot,
    root: &Arc<HostDir>,
    path: &ImagePath,
    below: &FileContent,
) -> Result<bool> {
    let mine = hash(&mut root.open_file(path)?, path)?;
    let theirs = match below.hash {
        Some(hash) => hash,
        None => match lower_file(&snapshot.trees, path) {
            Some(mut file) => hash(&mut file, path)?,
            None => hash(&mut below.open()?, path)?,
        },
    };
    Ok(mine == theirs)
}

/// The file at a path as the highest tree has it that has one.
fn lower_file(trees: &[Tree], path: &ImagePath) -> Option<std::fs::File> {
    trees.iter().rev().find_map(|tree| HostDir::open(&tree.path).ok()?.open_file(path).ok())
}

fn hash(reader: &mut dyn std::io::Read, path: &ImagePath) -> Result<ContentHash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(reader).map_err(|e| strake_layers::Error::stream(path.to_string(), e))?;
    Ok(ContentHash(*hasher.finalize().as_bytes()))
}

/// Fewer entries are not worth waking other threads for.
const WORTH_THREADS: usize = 256;

/// Turns an upper directory into a tree that holds what the layer's entries say and nothing else, so that it can serve
/// under any other layers, too.
fn tidy(upper: &Path, found: &[Found], changes: &Changes) -> Result<()> {
    let error = |path: &ImagePath, e| Error::host("tidy up", host_path(upper, path), e);
    let remove_marks = |item: &Found| {
        let keeps_opaque = changes.spelled_out.binary_search(&item.path).is_err();
        let is_mark = |name: &[u8]| overlay_name(name).is_some_and(|name| !(keeps_opaque && name == b"opaque"));
        let marks: Vec<Box<[u8]>> = item.xattrs.keys().filter(|name| is_mark(name)).cloned().collect();
        if marks.is_empty() {
            return Ok(());
        }
        sys::remove_xattrs(&host_path(upper, &item.path), &marks).map_err(|e| error(&item.path, e))
    };
    if found.len() < WORTH_THREADS {
        found.iter().try_for_each(remove_marks)?;
    } else {
        found.par_iter().try_for_each(remove_marks)?;
    }
    if changes.unwanted.is_empty() && changes.added_whiteouts.is_empty() {
        return Ok(());
    }
    // In the order of paths, as the writer wants them; directories keep their times.
    let mut work: Vec<(&ImagePath, bool)> = changes.unwanted.iter().map(|path| (path, false)).collect();
    work.extend(changes.added_whiteouts.iter().map(|path| (path, true)));
    work.sort();
    let mut writer = sys::TreeWriter::new(upper).map_err(|e| error(&ImagePath::root(), e))?;
    for (path, is_whiteout) in work {
        let outcome = if is_whiteout { writer.whiteout(path) } else { writer.remove(path) };
        outcome.map_err(|e| error(path, e))?;
    }
    writer.finish().map_err(|e| error(&ImagePath::root(), e))
}
