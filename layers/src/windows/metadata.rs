use std::collections::BTreeMap;

use data_encoding::BASE64;

use super::{Sid, encode_sddl};
use crate::{Timestamp, WindowsMetadata};

/// What an entry is that gets attributes of Windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink {
        /// Whether it leads to a directory, which Windows wants to know (windows.md §2.5).
        to_directory: bool,
    },
}

/// FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_ARCHIVE and FILE_ATTRIBUTE_REPARSE_POINT (\[MS-FSCC\] 2.6).
const DIRECTORY: u32 = 0x10;
const ARCHIVE: u32 = 0x20;
const REPARSE_POINT: u32 = 0x400;

/// Descriptors of directories and files that come from another host (windows.md §2.3); they are the reference's.
const FOR_DIRECTORY: &str = "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)\
                             (A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)";
const FOR_FILE: &str = "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)";

impl FileKind {
    /// The value of `MSWINDOWS.fileattr` (windows.md §2.2).
    pub fn attributes(self) -> u32 {
        match self {
            Self::Directory => DIRECTORY,
            Self::File => ARCHIVE,
            Self::Symlink { to_directory: true } => REPARSE_POINT | DIRECTORY,
            Self::Symlink { to_directory: false } => REPARSE_POINT | ARCHIVE,
        }
    }
}

/// Attributes of something that comes from another host than Windows, for its owner where `--chown` names one
/// (windows.md §2.3).
pub fn metadata_for(kind: FileKind, owner: Option<&Sid>) -> WindowsMetadata {
    let text = match (owner, kind) {
        (Some(owner), _) => {
            format!("O:{owner}G:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;GRGWGXRCWDSD;;;{owner})")
        }
        (None, FileKind::Directory) => FOR_DIRECTORY.to_owned(),
        (None, _) => FOR_FILE.to_owned(),
    };
    let descriptor = encode_sddl(&text).expect("the texts above are descriptors, as the tests show");
    WindowsMetadata {
        records: BTreeMap::from([
            ("MSWINDOWS.fileattr".to_owned(), kind.attributes().to_string().into_bytes()),
            ("MSWINDOWS.rawsd".to_owned(), BASE64.encode(&descriptor).into_bytes()),
        ]),
    }
}

/// Cuts a time to the 100 nanoseconds that NTFS keeps, so that a way through Windows does not change it
/// (windows.md §2.2).
pub fn truncate_time(time: Timestamp) -> Timestamp {
    Timestamp { nanos: time.nanos / 100 * 100, ..time }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(metadata: &WindowsMetadata, name: &str) -> String {
        String::from_utf8(metadata.records[name].clone()).unwrap()
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let directory = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA";
        let file = "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA==";
        let to_file = FileKind::Symlink { to_directory: false };
        let to_directory = FileKind::Symlink { to_directory: true };
        for (kind, attributes, descriptor) in [
            (FileKind::Directory, "16", directory),
            (FileKind::File, "32", file),
            (to_file, "1056", file),
            (to_directory, "1040", file),
        ] {
            let made = metadata_for(kind, None);
            assert_eq!(record(&made, "MSWINDOWS.fileattr"), attributes);
            assert_eq!(record(&made, "MSWINDOWS.rawsd"), descriptor, "{kind:?}");
            assert_eq!(made.records.len(), 2);
        }
    }

    #[test]
    fn an_owner_is_named_twice() {
        let owner = Sid::parse("ContainerUser").unwrap();
        for kind in [FileKind::Directory, FileKind::File] {
            let made = BASE64.decode(record(&metadata_for(kind, Some(&owner)), "MSWINDOWS.rawsd").as_bytes()).unwrap();
            let sid = owner.to_bytes();
            assert_eq!(made[20..20 + sid.len()], sid);
            assert!(made.ends_with(&sid));
            // Inherited by files and directories, with the rights GRGWGXRCWDSD.
            assert_eq!(made[made.len() - sid.len() - 8..][..8], [0, 3, 28, 0, 0, 0, 7, 0xe0]);
        }
    }

    #[test]
    fn times_lose_what_ntfs_cannot_hold() {
        let time = |seconds, nanos| Timestamp { seconds, nanos };
        assert_eq!(truncate_time(time(5, 123_456_789)), time(5, 123_456_700));
        assert_eq!(truncate_time(time(-5, 99)), time(-5, 0));
    }
}
