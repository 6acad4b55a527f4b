//! What one member of an archive says, once its extension headers are applied.

use tar::{EntryType, Header};

use super::pax::{Records, parse_time};
use crate::{DeviceNumber, ImagePath, Metadata, PathError, Timestamp, WindowsMetadata};

/// One member of an archive, its name cleaned and all extension headers applied.
#[derive(Clone, Debug)]
pub struct ArchiveEntry {
    /// Where it is; for a whiteout the path that disappears, for [`ArchiveEntryKind::Opaque`] the directory.
    pub path: ImagePath,
    /// Mode, owner, time, extended attributes.
    pub meta: Metadata,
    /// What it is.
    pub kind: ArchiveEntryKind,
}

/// What a member of an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveEntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Bytes of its content, holes included.
        size: u64,
        /// Where its bytes begin in the uncompressed archive; `None` where they are not in one piece (a sparse file).
        offset: Option<u64>,
    },
    /// A symbolic link and its target, as written.
    Symlink(Box<[u8]>),
    /// A further name of another member.
    HardLink(ImagePath),
    /// A character device.
    CharDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A named pipe.
    Fifo,
    /// The path disappears from lower layers.
    Whiteout,
    /// The directory hides what lower layers have in it.
    Opaque,
}

/// Whether `.wh.` names have their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhiteoutNames {
    /// Yes: a layer.
    Whiteouts,
    /// No: an archive of a user, whose names are only names. `..` in them stays at the top, as it does for `tar` in a
    /// root of its own.
    Plain,
}

impl WhiteoutNames {
    fn read_path(self, name: &[u8]) -> Result<ImagePath, PathError> {
        match self {
            Self::Whiteouts => ImagePath::parse(name),
            Self::Plain => ImagePath::clean(name),
        }
    }
}

/// A header with its extension headers, not yet judged.
pub(super) struct RawMember {
    pub(super) header: Header,
    pub(super) records: Records,
    pub(super) long_name: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
}

/// Tells whether a block looks like the header of a tar member.
pub(crate) fn is_header(block: &[u8]) -> bool {
    let Ok(block) = <&[u8; 512]>::try_from(block) else { return false };
    block.iter().any(|&b| b != 0) && has_checksum(block) && size_of(block).is_some()
}

/// Verifies a header's checksum; some old writers summed signed bytes, which Go and GNU tar accept, too.
pub(super) fn has_checksum(block: &[u8; 512]) -> bool {
    let Some(expected) = parse_number(&block[148..156]) else { return false };
    let counted = || block[..148].iter().chain([b' '; 8].iter()).chain(&block[156..]);
    let unsigned: i64 = counted().map(|&b| i64::from(b)).sum();
    let signed: i64 = counted().map(|&b| i64::from(b.cast_signed())).sum();
    expected == unsigned || expected == signed
}

/// The size a header tells.
pub(super) fn size_of(block: &[u8; 512]) -> Option<u64> {
    u64::try_from(parse_number(&block[124..136])?).ok()
}

/// Reads a number: octal with blanks and NULs around it, or GNU's base 256, which may be negative.
fn parse_number(field: &[u8]) -> Option<i64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let negative = first & 0x40 != 0;
        let fill = if negative { 0xff } else { 0 };
        let lead = if negative { first } else { first & 0x7f };
        let bytes: Vec<u8> = std::iter::once(lead).chain(rest.iter().copied()).collect();
        let (high, low) = bytes.split_at(bytes.len().saturating_sub(8));
        if high.iter().any(|&b| b != fill) {
            return None;
        }
        let value = low.iter().fold(if negative { -1_i64 } else { 0 }, |value, &b| (value << 8) | i64::from(b));
        return ((value < 0) == negative).then_some(value);
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    // What follows a NUL is not part of the number.
    let text = text.split('\0').next().unwrap_or_default();
    if text.is_empty() {
        return Some(0);
    }
    i64::from_str_radix(text, 8).ok().filter(|value| *value >= 0)
}

impl RawMember {
    /// The member's name as the archive gives it.
    pub(super) fn name(&self) -> Vec<u8> {
        let special = self.records.get(b"GNU.sparse.name").or_else(|| self.records.get(b"path"));
        special
            .map(<[u8]>::to_vec)
            .or_else(|| self.long_name.clone())
            .unwrap_or_else(|| self.header.path_bytes().into())
    }

    fn link_name(&self) -> Vec<u8> {
        let special = self.records.get(b"linkpath").map(<[u8]>::to_vec).or_else(|| self.long_link.clone());
        special.unwrap_or_else(|| self.header.link_name_bytes().map(Vec::from).unwrap_or_default())
    }

    /// Whether a header of this type is followed by data. Go, and so every container tool, ignores the size that the
    /// header of another type may tell.
    pub(super) fn has_data(&self) -> bool {
        use EntryType as T;
        !matches!(self.header.entry_type(), T::Link | T::Symlink | T::Char | T::Block | T::Directory | T::Fifo)
    }

    /// The size of its data in the archive.
    pub(super) fn stored_size(&self) -> Result<u64, String> {
        if !self.has_data() {
            return Ok(0);
        }
        match self.records.get(b"size") {
            Some(text) => Ok(decimal(text).ok_or("its size is damaged")?),
            None => size_of(self.header.as_bytes()).ok_or_else(|| "its size is damaged".into()),
        }
    }

    /// Judges the member; `None` where it is to be ignored. `size` and `offset` are those of a file's content.
    pub(super) fn judge(
        &self,
        whiteouts: WhiteoutNames,
        size: u64,
        offset: Option<u64>,
    ) -> Result<Option<ArchiveEntry>, String> {
        let name = self.name();
        let path = whiteouts.read_path(&name).map_err(|e| e.to_string())?;
        if whiteouts == WhiteoutNames::Whiteouts
            && let Some(marker) = Marker::of(&path)?
        {
            let (path, kind) = match marker {
                Marker::Whiteout(path) => (path, ArchiveEntryKind::Whiteout),
                Marker::Opaque(path) => (path, ArchiveEntryKind::Opaque),
                Marker::Ignored => return Ok(None),
            };
            return Ok(Some(ArchiveEntry { path, meta: Metadata::default(), kind }));
        }
        let kind = self.kind(whiteouts, &name, size, offset)?;
        if path.is_root() && kind != ArchiveEntryKind::Directory {
            return Err("only a folder can be the root".into());
        }
        Ok(Some(ArchiveEntry { path, meta: self.metadata()?, kind }))
    }

    fn kind(
        &self,
        whiteouts: WhiteoutNames,
        name: &[u8],
        size: u64,
        offset: Option<u64>,
    ) -> Result<ArchiveEntryKind, String> {
        let flag = self.header.as_bytes()[156];
        Ok(match flag {
            // Archives older than POSIX mark directories by a slash at the end.
            0 if name.ends_with(b"/") => ArchiveEntryKind::Directory,
            0 | b'0' | b'7' | b'S' => ArchiveEntryKind::File { size, offset },
            b'1' => {
                let target = whiteouts.read_path(&self.link_name());
                let target = target.map_err(|e| format!("it links to a bad path: {e}"))?;
                if target.is_root() {
                    return Err("it links to the root".into());
                }
                ArchiveEntryKind::HardLink(target)
            }
            b'2' => {
                let target = self.link_name();
                if target.is_empty() || target.contains(&0) || target.len() > 4096 {
                    return Err("its link target is empty, too long or holds a NUL byte".into());
                }
                ArchiveEntryKind::Symlink(target.into())
            }
            b'3' => ArchiveEntryKind::CharDevice(self.device()?),
            b'4' => ArchiveEntryKind::BlockDevice(self.device()?),
            b'5' => ArchiveEntryKind::Directory,
            b'6' => ArchiveEntryKind::Fifo,
            other => return Err(format!("its type {:?} is not known", char::from(other))),
        })
    }

    fn device(&self) -> Result<DeviceNumber, String> {
        let field = |range| {
            parse_number(&self.header.as_bytes()[range])
                .and_then(|n| u32::try_from(n).ok())
                .ok_or("its device number is damaged")
        };
        Ok(DeviceNumber { major: field(329..337)?, minor: field(337..345)? })
    }

    fn metadata(&self) -> Result<Metadata, String> {
        let bytes = self.header.as_bytes();
        let owner = |record: &[u8], field: std::ops::Range<usize>, what: &str| {
            let number = match self.records.get(record) {
                Some(text) => decimal(text).and_then(|n| i64::try_from(n).ok()),
                None => parse_number(&bytes[field]),
            };
            number.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| format!("its {what} is damaged or out of range"))
        };
        let mtime = match self.records.get(b"mtime") {
            Some(text) => parse_time(text),
            None => parse_number(&bytes[136..148]).map(Timestamp::from_seconds),
        };
        let mode = parse_number(&bytes[100..108]).ok_or("its mode is damaged")?;
        let mut meta = Metadata {
            mode: u32::try_from(mode & 0o7777).unwrap_or(0),
            uid: owner(b"uid", 108..116, "owner")?,
            gid: owner(b"gid", 116..124, "group")?,
            mtime: mtime.ok_or("its time is damaged")?,
            ..Metadata::default()
        };
        let mut windows = WindowsMetadata::default();
        let mut has_windows = false;
        for (name, value) in self.records.iter() {
            if let Some(name) = name.strip_prefix(b"SCHILY.xattr.") {
                // These steer overlayfs; one from an image could alias or hide directories (linux.md §4.3).
                if !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.") && !name.is_empty() {
                    meta.xattrs.insert(name.into(), value.into());
                }
                continue;
            }
            let Ok(name) = std::str::from_utf8(name) else { continue };
            let special = name.starts_with("MSWINDOWS.") || name == "LIBARCHIVE.creationtime";
            has_windows |= name.starts_with("MSWINDOWS.");
            if special || matches!(name, "atime" | "ctime") {
                windows.records.insert(name.to_owned(), value.to_vec());
            }
        }
        if has_windows {
            meta.windows = Some(Box::new(windows));
        }
        Ok(meta)
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What a name of the form `.wh.…` means (OCI image specification, layer.md, "Whiteouts").
enum Marker {
    Whiteout(ImagePath),
    Opaque(ImagePath),
    /// Left by AUFS.
    Ignored,
}

impl Marker {
    fn of(path: &ImagePath) -> Result<Option<Self>, String> {
        let Some(name) = path.file_name() else { return Ok(None) };
        let parent = path.parent().unwrap_or_default();
        if name == b".wh..wh..opq" {
            return Ok(Some(Self::Opaque(parent)));
        }
        if path.components().any(|part| part.starts_with(b".wh..wh.")) {
            return Ok(Some(Self::Ignored));
        }
        match name.strip_prefix(b".wh.") {
            None => Ok(None),
            Some(b"" | b"." | b"..") => Err("it is a whiteout without a name".into()),
            Some(hidden) => {
                let hidden = ImagePath::parse(hidden).map_err(|e| e.to_string())?;
                Ok(Some(Self::Whiteout(parent.join_path(&hidden))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_forms() {
        assert_eq!(parse_number(b"0000755\0"), Some(0o755));
        assert_eq!(parse_number(b"   755 \0"), Some(0o755));
        assert_eq!(parse_number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(parse_number(b"77777777"), Some(0o77_777_777));
        assert_eq!(parse_number(b"0000008\0"), None);
        assert_eq!(parse_number(b"-000001\0"), None);
        assert_eq!(parse_number(&[0x80, 0, 0, 0, 0xff, 0, 0, 1]), Some(0xff00_0001));
        assert_eq!(parse_number(&[0xff; 12]), Some(-1));
        assert_eq!(parse_number(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(parse_number(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
