//! Directories that WORKDIR makes.

use strake_layers::{Rootfs, Timestamp, hash_contents};
use strake_parser::Span;

use super::dest::{Dest, EARLIEST, MadeDirectory};
use super::{Copied, CopyError, Fault, emit, owner, windows};
use crate::source::{LastLink, Root, files_root};

/// Which directories are wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::execute) struct Directories<'a> {
    /// The lowest of them, absolute.
    pub path: &'a str,
    /// USER as written: the owner.
    pub user: &'a str,
    /// Whether the image is one of Windows.
    pub is_windows: bool,
    /// `SOURCE_DATE_EPOCH`.
    pub epoch: Option<Timestamp>,
    /// Where it is written.
    pub span: Span,
    /// The code of what goes wrong.
    pub code: &'static str,
}

/// Works out the layer that makes a directory and those above it that are missing.
pub(in crate::execute) fn make_directories(base: &Rootfs, wanted: &Directories<'_>) -> Result<Copied, CopyError> {
    make(base, wanted).map_err(|fault| fault.at(wanted.span))
}

fn make(base: &Rootfs, wanted: &Directories<'_>) -> Result<Copied, Fault> {
    let root = if wanted.is_windows { Root { path: files_root(), is_windows: true } } else { Root::default() };
    let path = if wanted.is_windows {
        windows::absolute(wanted.path, "")?
    } else {
        strake_layers::ImagePath::clean(wanted.path)
            .map_err(|error| Fault::new(wanted.code, format!("WORKDIR {:?}: {error}", wanted.path)))?
    };
    let mut dest = Dest::new(Some(base), root);
    let mut warnings = Vec::new();
    let followed = dest.follow(&path, LastLink::Follow)?.path;
    let mut owner = None;
    if !dest.is_directory(&followed) && !wanted.is_windows {
        owner = owner::of_user(wanted.user, base, wanted.span, &mut warnings)?;
    }
    let made = MadeDirectory { mode: 0o755, owner };
    dest.make_directories(&followed, made).map_err(|there| {
        let there = there.0.strip_prefix(&dest_root(wanted)).unwrap_or(there.0);
        Fault::new(
            wanted.code,
            format!("cannot make the working directory {}: {there} is not a directory", wanted.path),
        )
        .with_help("choose another path, or remove what is there in an earlier RUN")
    })?;
    let time = wanted.epoch.unwrap_or(EARLIEST);
    let dress = wanted.is_windows.then(|| windows::WindowsDress::new((!wanted.user.is_empty()).then_some(wanted.user)));
    let dress = dress.transpose()?;
    for path in dest.made() {
        let Some(mut entry) = dest.get(&path).cloned() else { continue };
        entry.meta.mtime = time;
        if let Some(dress) = &dress {
            dress.dress(&mut entry, &dest)?;
        }
        if let Some(node) = dest.node_mut(&path) {
            node.entry = entry;
        }
    }
    let (nodes, cut, base) = dest.into_parts();
    let (mut entries, groups) = emit::split(nodes);
    hash_contents(&mut entries, &strake_layers::Cancel::new())?;
    let entries = emit::layer(entries, &groups, &cut, &base, time);
    Ok(Copied { entries, warnings })
}

fn dest_root(wanted: &Directories<'_>) -> strake_layers::ImagePath {
    if wanted.is_windows { files_root() } else { strake_layers::ImagePath::root() }
}
