use std::collections::BTreeMap;
use std::path::Path;

use strake_layers::{Cancel, HostDir, HostEntry, HostKind, ImagePath};

use crate::{Result, sys};

/// Extended attributes by their full names.
pub(crate) type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// An entry found in a directory of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its path below that directory.
    pub(crate) path: ImagePath,
    /// What it is.
    pub(crate) stat: HostEntry,
    /// The target of a symbolic link.
    pub(crate) link: Option<Vec<u8>>,
    /// Extended attributes that matter to a layer or to overlay.
    pub(crate) xattrs: Xattrs,
}

impl Found {
    /// Tells whether it is a directory.
    pub(crate) fn is_directory(&self) -> bool {
        self.stat.kind == HostKind::Directory
    }
}

/// Whether extended attributes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attributes {
    /// Yes.
    Read,
    /// No: only what stat tells.
    Skip,
}

/// Lists everything below a directory, itself first, in the order of paths. Nothing else may write there.
pub(crate) fn scan(root: &Path, attributes: Attributes, cancel: &Cancel) -> Result<Vec<Found>> {
    let dir = HostDir::open(root)?;
    let mut found = Vec::new();
    // What is still to be listed; the last one is next, so the order of paths comes out by itself.
    let mut pending = vec![(ImagePath::root(), dir.stat(&ImagePath::root())?)];
    while let Some((path, stat)) = pending.pop() {
        if stat.kind == HostKind::Directory {
            cancel.check()?;
            let names = dir.read_dir(&path)?;
            for name in names.into_iter().rev() {
                pending.push((path.join(&name.name).map_err(|e| invalid(root, &e))?, name.entry));
            }
        }
        let link = if stat.kind == HostKind::Symlink { Some(dir.read_link(&path)?) } else { None };
        let has_attributes =
            attributes == Attributes::Read && matches!(stat.kind, HostKind::Directory | HostKind::File);
        let mut xattrs = BTreeMap::new();
        if has_attributes {
            let full = dir.host_path(&path);
            xattrs = sys::read_xattrs(&full).map_err(|e| crate::Error::host("read attributes of", full, e))?;
        }
        found.push(Found { path, stat, link, xattrs });
    }
    Ok(found)
}

fn invalid(root: &Path, error: &strake_layers::PathError) -> crate::Error {
    let what = format!("a file below {} has a name that no image can hold: {error}", root.display());
    strake_layers::Error::Invalid(what).into()
}
