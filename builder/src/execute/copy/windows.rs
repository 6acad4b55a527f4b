//! What is different in images of Windows: paths and attributes (windows.md §2, §5.2).

use std::collections::BTreeMap;

use strake_layers::windows::{FileKind, Sid, metadata_for, truncate_time};
use strake_layers::{Entry, EntryKind, ImagePath, Metadata, Timestamp};

use super::super::codes;
use super::Fault;
use super::dest::{BaseView, Dest};
use crate::source::{LastLink, files_root};

/// Names that Windows keeps for devices, with or without an extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// What `--chown` makes of files.
#[derive(Debug)]
pub(super) struct WindowsDress {
    owner: Option<Sid>,
}

impl WindowsDress {
    /// Reads an owner.
    pub(super) fn new(owner: Option<&str>) -> Result<Self, Fault> {
        let Some(text) = owner else { return Ok(Self { owner: None }) };
        let name = text.split(':').next().unwrap_or_default();
        match Sid::parse(name) {
            Some(owner) => Ok(Self { owner: Some(owner) }),
            None => Err(Fault::new(codes::OWNER, format!("the account {name:?} cannot be looked up without Windows"))
                .with_help("write ContainerAdministrator, ContainerUser or a security identifier (S-1-…)")),
        }
    }

    /// Gives an entry what Windows keeps of it. What comes from an image of Windows keeps its own.
    pub(super) fn dress(&self, entry: &mut Entry, dest: &Dest<'_>) -> Result<(), Fault> {
        let is_directory = entry.is_directory();
        if matches!(entry.kind, EntryKind::CharDevice(_) | EntryKind::BlockDevice(_) | EntryKind::Fifo) {
            let path = shown(&entry.path.strip_prefix(&dest.root.path).unwrap_or_default());
            return Err(Fault::new(
                codes::WINDOWS_NAME,
                format!("{path}: a device or FIFO cannot be in an image of Windows"),
            ));
        }
        let known = entry.meta.windows.take().filter(|_| self.owner.is_none());
        let mode = if is_directory { 0o755 } else { 0o644 };
        let mtime = truncate_time(entry.meta.mtime);
        entry.meta = Metadata { mode, mtime, windows: known, ..Metadata::default() };
        if entry.meta.windows.is_some() {
            return Ok(());
        }
        let kind = match &mut entry.kind {
            EntryKind::Directory { .. } => FileKind::Directory,
            EntryKind::Symlink(target) => {
                *target = link_target(target);
                FileKind::Symlink { to_directory: false }
            }
            _ => FileKind::File,
        };
        entry.meta.windows = Some(Box::new(metadata_for(kind, self.owner.as_ref())));
        Ok(())
    }
}

/// Tells links to directories from links to files, which Windows wants to know (windows.md §2.5).
pub(super) fn settle_link(entry: &mut Entry, dest: &Dest<'_>) -> Result<(), Fault> {
    if !matches!(entry.kind, EntryKind::Symlink(_)) {
        return Ok(());
    }
    let below = entry.path.strip_prefix(&dest.root.path).unwrap_or_default();
    let leads_to_directory = match dest.follow(&below, LastLink::Follow) {
        Ok(followed) => dest.is_directory(&followed.path),
        // A link that leads round in a circle leads to no directory.
        Err(_) => false,
    };
    if let Some(windows) = &mut entry.meta.windows {
        let kind = FileKind::Symlink { to_directory: leads_to_directory };
        let value = kind.attributes().to_string().into_bytes();
        windows.records.insert("MSWINDOWS.fileattr".to_owned(), value);
    }
    Ok(())
}

/// A link's target as Windows writes it.
fn link_target(target: &[u8]) -> Box<[u8]> {
    let mut out: Vec<u8> = Vec::with_capacity(target.len() + 2);
    if target.first() == Some(&b'/') {
        out.extend_from_slice(b"C:");
    }
    out.extend(target.iter().map(|byte| if *byte == b'/' { b'\\' } else { *byte }));
    out.into()
}

/// Adds the two directories that every layer of Windows has (windows.md §2.1).
pub(super) fn add_tops(out: &mut BTreeMap<ImagePath, Entry>, base: &BaseView<'_>, time: Timestamp) {
    for path in [files_root(), ImagePath::parse("Hives").unwrap_or_default()] {
        if out.get(&path).is_some_and(|there| there.meta.windows.is_some()) {
            continue;
        }
        let mut meta = Metadata { mode: 0o755, mtime: truncate_time(time), ..Metadata::default() };
        meta.windows = Some(Box::new(metadata_for(FileKind::Directory, None)));
        if let Some(there) = base.get(&path).filter(|there| there.meta.windows.is_some()) {
            meta = there.meta.clone();
        }
        out.insert(path.clone(), Entry::directory(path, meta));
    }
}

/// Reads a destination: where it is, counted from `C:\`, and whether it was written as a directory.
pub(super) fn destination(dest: &str, workdir: &str) -> Result<(ImagePath, bool), Fault> {
    let is_directory = matches!(dest, "" | "." | "..")
        || dest.ends_with(['/', '\\'])
        || [r"\.", "/.", r"\..", "/.."].iter().any(|end| dest.ends_with(end));
    Ok((absolute(dest, workdir)?, is_directory))
}

/// Reads a path of the image, which may count from the working directory. Planning has refused what no image can hold.
pub(super) fn absolute(path: &str, workdir: &str) -> Result<ImagePath, Fault> {
    let (path, workdir) = (source(path), source(workdir));
    let whole = if path.starts_with('/') { path } else { format!("{workdir}/{path}") };
    ImagePath::clean(&whole).map_err(|error| Fault::new(codes::WINDOWS_NAME, format!("path {whole:?}: {error}")))
}

/// Reads a source: both slashes separate, the drive says nothing.
pub(super) fn source(text: &str) -> String {
    let text = text.replace('\\', "/");
    match text.as_bytes() {
        [b'c' | b'C', b':', ..] => text.get(2..).unwrap_or_default().to_owned(),
        _ => text,
    }
}

/// A path, counted from `C:\`, as its users know it.
pub(super) fn shown(path: &ImagePath) -> String {
    format!("C:\\{}", String::from_utf8_lossy(path.as_bytes()).replace('/', "\\"))
}

/// Refuses a name that Windows does not take (windows.md §5.2, 7).
pub(super) fn check_name(name: &[u8]) -> Result<(), Fault> {
    let text = String::from_utf8_lossy(name);
    let refuse = |problem: &str| {
        Err(Fault::new(codes::WINDOWS_NAME, format!("name {text:?}: {problem}"))
            .with_help("rename the file, copy it to another name, or leave it out with --exclude"))
    };
    if std::str::from_utf8(name).is_err() {
        return refuse("names of Windows files are text");
    }
    if let Some(sign) = text.chars().find(|sign| matches!(sign, '<' | '>' | ':' | '"' | '|' | '?' | '*') || *sign < ' ')
    {
        return refuse(&format!("Windows takes no {sign:?} in names"));
    }
    if text.ends_with([' ', '.']) {
        return refuse("Windows takes no blank and no dot at the end of a name");
    }
    let stem = text.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let is_port = (stem.starts_with("com") || stem.starts_with("lpt"))
        && stem.len() == 4
        && stem.ends_with(|digit: char| digit.is_ascii_digit() && digit != '0');
    if is_port || DEVICES.contains(&stem.as_str()) {
        return refuse("Windows takes it for the name of a device");
    }
    Ok(())
}

#[cfg(test)]
mod path_tests {
    use super::*;

    #[test]
    fn paths_are_normalised() {
        let table = [
            ("a", "\\", "C:\\a"),
            ("\\foo", "C:\\x", "C:\\foo"),
            ("c:\\foo", "C:\\x", "C:\\foo"),
            ("C:/foo", "", "C:\\foo"),
            ("bar", "\\foo", "C:\\foo\\bar"),
            ("C:sub\\", "C:\\base", "C:\\base\\sub"),
            ("..\\four", "\\one\\two", "C:\\one\\four"),
        ];
        for (path, workdir, expected) in table {
            let path = absolute(path, workdir).expect("a path");
            assert_eq!(shown(&path), expected);
        }
    }

    #[test]
    fn names_that_windows_refuses_are_refused() {
        for name in ["a<b", "nul.txt", "COM1", "a. ", "x?", "a:b"] {
            assert!(check_name(name.as_bytes()).is_err(), "{name}");
        }
        assert!(check_name(b"console").is_ok());
    }
}
