//! A whole context as one layer, for `FROM` a named context.

use std::collections::BTreeMap;

use strake_layers::{Cancel, Entry, EntryKind, ImagePath, Layer, hash_contents};

use super::tree::{FileId, Tree};
use crate::Result;

/// Makes a layer of everything in a tree.
pub(super) fn as_layer(tree: &Tree, cancel: &Cancel) -> Result<Layer> {
    let top = tree.root().path.clone();
    tree.prepare(&top)?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut first_names: BTreeMap<FileId, ImagePath> = BTreeMap::new();
    let mut links: Vec<Entry> = Vec::new();
    let mut levels = vec![(tree.children(&top)?, 0)];
    while let Some((children, next)) = levels.last_mut() {
        let Some(child) = children.get(*next).cloned() else {
            levels.pop();
            continue;
        };
        *next += 1;
        cancel.check()?;
        let mut entry = child.entry;
        if entry.is_directory() {
            let below = tree.children(&entry.path)?;
            entries.push(entry);
            levels.push((below, 0));
            continue;
        }
        if let Some(id) = child.id {
            if let Some(first) = first_names.get(&id) {
                entry.kind = EntryKind::HardLink(first.clone());
                links.push(entry);
                continue;
            }
            first_names.insert(id, entry.path.clone());
        }
        entries.push(entry);
    }
    if let Some(context) = tree.as_context() {
        context.fill_hashes(&mut entries)?;
    }
    hash_contents(&mut entries, cancel)?;
    entries.append(&mut links);
    Ok(Layer::from_plan(entries)?)
}
