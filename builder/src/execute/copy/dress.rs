//! What a copied file looks like in the image: mode, owner, attributes (dockerfile.md §13.5, "Metadata").

use strake_layers::{Entry, EntryKind, Metadata};
use strake_parser::{Diagnostic, chmod::ModeChange};

use super::super::codes;
use super::dest::{Dest, MadeDirectory};
use super::{CopyInput, Fault, owner, windows};

/// What the flags make of mode and owner.
#[derive(Debug)]
pub(super) struct Dress {
    owner: Option<(u32, u32)>,
    mode: Option<ModeChange>,
    windows: Option<windows::WindowsDress>,
}

impl Dress {
    pub(super) fn new(input: &CopyInput<'_>, warnings: &mut Vec<Diagnostic>) -> Result<Self, Fault> {
        let op = input.op;
        if op.platform.os == "windows" {
            if op.chmod.is_some() {
                let message = "--chmod changes nothing in an image of Windows".to_owned();
                warnings.push(Diagnostic::warning(codes::MODE_IGNORED, message, op.dest_span));
            }
            let windows = windows::WindowsDress::new(op.chown.as_deref())?;
            return Ok(Self { owner: None, mode: None, windows: Some(windows) });
        }
        let owner = match &op.chown {
            Some(text) => Some(owner::resolve(text, input, warnings)?),
            None => None,
        };
        Ok(Self { owner, mode: op.chmod.clone(), windows: None })
    }

    /// Attributes of directories that the instruction makes of itself: the lower nine bits of an octal mode.
    pub(super) fn made_directory(&self) -> MadeDirectory {
        let mode = self.mode.as_ref().and_then(ModeChange::octal).unwrap_or(0o755);
        MadeDirectory { mode: mode & 0o777, owner: self.owner }
    }

    /// Gives an entry the mode and owner that the flags tell, and takes away what an image does not keep.
    pub(super) fn dress(&self, entry: &mut Entry, dest: &Dest<'_>) -> Result<(), Fault> {
        if let Some(windows) = &self.windows {
            return windows.dress(entry, dest);
        }
        if let (Some(mode), false) = (&self.mode, matches!(entry.kind, EntryKind::Symlink(_))) {
            entry.meta.mode = mode.apply(entry.meta.mode, entry.is_directory());
        }
        self.give_owner(&mut entry.meta);
        keep_capability(&mut entry.meta);
        Ok(())
    }

    /// As [`Dress::dress`], for what an archive brings: `--chmod` does not apply.
    pub(super) fn dress_unpacked(&self, entry: &mut Entry, dest: &Dest<'_>) -> Result<(), Fault> {
        if let Some(windows) = &self.windows {
            return windows.dress(entry, dest);
        }
        self.give_owner(&mut entry.meta);
        keep_capability(&mut entry.meta);
        Ok(())
    }

    /// Gives a directory that was made of itself what it has on Windows.
    pub(super) fn dress_made(&self, entry: &mut Entry, dest: &Dest<'_>) -> Result<(), Fault> {
        match &self.windows {
            Some(windows) => windows.dress(entry, dest),
            None => Ok(()),
        }
    }

    /// Tells whether `--chmod` was given.
    pub(super) fn changes_modes(&self) -> bool {
        self.mode.is_some()
    }

    fn give_owner(&self, meta: &mut Metadata) {
        if let Some((uid, gid)) = self.owner {
            (meta.uid, meta.gid) = (uid, gid);
        }
    }
}

/// Of extended attributes an image keeps the capabilities (dockerfile.md §13.5, "Metadata").
fn keep_capability(meta: &mut Metadata) {
    meta.xattrs.retain(|name, _| **name == *b"security.capability");
    meta.windows = None;
}
