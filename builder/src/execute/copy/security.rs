//! Security descriptors of files in images of Windows (windows.md §2.3), in the self-relative form of \[MS-DTYP\] 2.4.6.

use data_encoding::BASE64;

/// A security identifier (\[MS-DTYP\] 2.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sid {
    authority: u64,
    parts: Vec<u32>,
}

/// One entry of an access list: flags, mask, whom it is for.
type Ace = (u8, u32, Sid);

const FULL: u32 = 0x001f_01ff;
const GENERIC_ALL: u32 = 0x1000_0000;
const READ_EXECUTE: u32 = 0x0012_00a9;
/// `LC` on a directory: add a subdirectory.
const APPEND: u32 = 4;
/// `DC` on a directory: add a file.
const WRITE: u32 = 2;
/// `GRGWGXRCWDSD`.
const OWNED: u32 = 0xe000_0000 | 0x0007_0000;
/// `OI`: files inherit it.
const OBJECTS: u8 = 1;
/// `CI`: directories inherit it.
const CONTAINERS: u8 = 2;
/// `IO`: it counts for what inherits it only.
const ONLY: u8 = 8;

impl Sid {
    /// Reads an account: one of the two that every container knows, or a literal `S-1-…`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("ContainerAdministrator") {
            return Some(Self::nt(&[93, 2, 1]));
        }
        if text.eq_ignore_ascii_case("ContainerUser") {
            return Some(Self::nt(&[93, 2, 2]));
        }
        let mut numbers = text.strip_prefix("S-1-").or_else(|| text.strip_prefix("s-1-"))?.split('-');
        let authority = numbers.next()?.parse().ok().filter(|authority| *authority < 1 << 48)?;
        let parts = numbers.map(|number| number.parse().ok()).collect::<Option<Vec<u32>>>()?;
        (1..=15).contains(&parts.len()).then_some(Self { authority, parts })
    }

    fn nt(parts: &[u32]) -> Self {
        Self { authority: 5, parts: parts.to_vec() }
    }

    fn administrators() -> Self {
        Self::nt(&[32, 544])
    }

    fn system() -> Self {
        Self::nt(&[18])
    }

    fn users() -> Self {
        Self::nt(&[32, 545])
    }

    fn creator_owner() -> Self {
        Self { authority: 3, parts: vec![0] }
    }

    fn bytes(&self) -> Vec<u8> {
        // Fifteen parts at most, by `parse`.
        let mut out = vec![1, u8::try_from(self.parts.len()).unwrap_or(15)];
        out.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        for part in &self.parts {
            out.extend_from_slice(&part.to_le_bytes());
        }
        out
    }
}

/// The value of `MSWINDOWS.rawsd` for a file or directory made outside of Windows.
pub(super) fn descriptor(is_directory: bool, owner: Option<&Sid>) -> String {
    let inherited = OBJECTS | CONTAINERS;
    let list: Vec<Ace> = match (owner, is_directory) {
        (Some(owner), _) => vec![
            (inherited, FULL, Sid::administrators()),
            (inherited, FULL, Sid::system()),
            (inherited, OWNED, owner.clone()),
        ],
        (None, true) => vec![
            (inherited, FULL, Sid::administrators()),
            (inherited, FULL, Sid::system()),
            (0, FULL, Sid::administrators()),
            (inherited | ONLY, GENERIC_ALL, Sid::creator_owner()),
            (inherited, READ_EXECUTE, Sid::users()),
            (CONTAINERS, APPEND, Sid::users()),
            (CONTAINERS, WRITE, Sid::users()),
        ],
        (None, false) => {
            vec![(0, FULL, Sid::administrators()), (0, FULL, Sid::system()), (0, READ_EXECUTE, Sid::users())]
        }
    };
    let owner = owner.map_or_else(|| Sid::administrators().bytes(), Sid::bytes);
    let group = Sid::system().bytes();
    let mut out = vec![1, 0, 0x04, 0x80];
    let mut offset = 20;
    for length in [owner.len(), group.len()] {
        out.extend_from_slice(&le32(offset));
        offset += length;
    }
    out.extend_from_slice(&le32(0));
    out.extend_from_slice(&le32(offset));
    out.extend_from_slice(&owner);
    out.extend_from_slice(&group);
    let mut aces = Vec::new();
    for (flags, mask, sid) in &list {
        let sid = sid.bytes();
        aces.extend_from_slice(&[0, *flags]);
        aces.extend_from_slice(&le16(8 + sid.len()));
        aces.extend_from_slice(&mask.to_le_bytes());
        aces.extend_from_slice(&sid);
    }
    out.extend_from_slice(&[2, 0]);
    out.extend_from_slice(&le16(8 + aces.len()));
    out.extend_from_slice(&le16(list.len()));
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&aces);
    BASE64.encode(&out)
}

fn le32(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

fn le16(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_reference() {
        let directory = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA";
        let file = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA==";
        assert_eq!(descriptor(true, None), directory);
        assert_eq!(descriptor(false, None), file);
    }

    #[test]
    fn accounts_are_builtin_or_literal() {
        assert_eq!(Sid::parse("ContainerUser"), Some(Sid::nt(&[93, 2, 2])));
        assert_eq!(Sid::parse("S-1-5-93-2-1"), Sid::parse("containeradministrator"));
        for text in ["bob", "S-1", "S-1-x-1", "S-1-5", "S-2-5-1", ""] {
            assert_eq!(Sid::parse(text), None, "{text}");
        }
    }
}
