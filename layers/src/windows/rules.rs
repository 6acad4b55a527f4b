use std::collections::HashMap;

use super::fold_case;
use crate::{Entry, EntryKind, Error, ImagePath, Result};

/// Roots of the tree; links stay inside one of them (windows.md §2.1).
const ROOTS: [&str; 2] = ["Files", "UtilityVM/Files"];

/// Checks the rules of a layer of Windows that came from elsewhere (windows.md §2.1): where its entries lie, whiteouts,
/// links, and names that Windows takes for one. `is_base` tells that the image has no layer below it; `what` names the
/// layer in errors.
pub fn check_layer(entries: &[Entry], is_base: bool, what: &str) -> Result<()> {
    let mut seen: HashMap<String, &ImagePath> = HashMap::with_capacity(entries.len());
    for entry in entries {
        let refuse = |problem: String| {
            let entry = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
            Err(Error::BadArchive { what: what.to_owned(), entry, problem })
        };
        let folded = fold_case(entry.path.as_bytes());
        if !is_placed(&folded) {
            return refuse("path outside Files, Hives, UtilityVM/Files: no layer of Windows has it".into());
        }
        match &entry.kind {
            EntryKind::Whiteout if is_base => {
                return refuse("it deletes something, but the image has no layer below this one".into());
            }
            EntryKind::HardLink(target) if root_of(&folded) != root_of(&fold_case(target.as_bytes())) => {
                return refuse(format!("it is a link to {target}, which is in another tree"));
            }
            EntryKind::CharDevice(_) | EntryKind::BlockDevice(_) | EntryKind::Fifo => {
                return refuse("Windows has no device files and no FIFOs".into());
            }
            _ => {}
        }
        // A whiteout comes before what takes the place of the deleted.
        if matches!(entry.kind, EntryKind::Whiteout) {
            continue;
        }
        if let Some(other) = seen.insert(folded, &entry.path) {
            return refuse(format!("Windows takes its name for that of {other}"));
        }
    }
    Ok(())
}

/// Tells whether a folded path is one of the trees, in one, or a directory on the way to one.
fn is_placed(folded: &str) -> bool {
    let is_at_or_below = |root: &str| {
        let root = fold_case(root.as_bytes());
        folded.strip_prefix(&root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    folded.is_empty()
        || folded == "UTILITYVM"
        || is_at_or_below("Hives")
        || ROOTS.iter().any(|root| is_at_or_below(root))
}

/// The tree that a folded path lies in; links in and out of hives are none.
fn root_of(folded: &str) -> Option<&'static str> {
    ROOTS
        .into_iter()
        .find(|root| folded.strip_prefix(&fold_case(root.as_bytes())).is_some_and(|rest| rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metadata;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    fn file(text: &str) -> Entry {
        Entry::inline_file(path(text), Metadata::default(), *b"x")
    }

    fn link(text: &str, target: &str) -> Entry {
        Entry { kind: EntryKind::HardLink(path(target)), ..file(text) }
    }

    fn problem(entries: &[Entry], is_base: bool) -> String {
        match check_layer(entries, is_base, "layer 1") {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_windows_writes_is_taken() {
        let entries = [
            Entry::directory(path(""), Metadata::default()),
            Entry::directory(path("Files"), Metadata::default()),
            Entry::whiteout(path("Files/App")),
            file("Files/app"),
            file("Files/a.txt"),
            file("Files/a.txt:Zone.Identifier"),
            link("Files/b.txt", "files/a.txt"),
            Entry::directory(path("Hives"), Metadata::default()),
            file("Hives/Software_Delta"),
            Entry::directory(path("UtilityVM"), Metadata::default()),
            file("UtilityVM/Files/EFI/Microsoft/Boot/BCD"),
        ];
        assert_eq!(problem(&entries, false), "");
        assert_eq!(problem(&[], true), "");
    }

    #[test]
    fn what_windows_cannot_take_is_refused_by_name() {
        let fifo = Entry { kind: EntryKind::Fifo, ..file("Files/pipe") };
        let table: [(&[Entry], &str); 7] = [
            (&[file("etc/passwd")], "\"etc/passwd\": path outside"),
            (&[file("Filesystem/x")], "path outside"),
            (&[file("UtilityVM/other")], "path outside"),
            (&[Entry::whiteout(path("Files/x"))], "no layer below"),
            (&[file("Files/a"), link("UtilityVM/Files/b", "Files/a")], "another tree"),
            (&[file("Files/App/x"), file("Files/aPP/X")], "that of /Files/App/x"),
            (&[fifo], "no FIFOs"),
        ];
        for (entries, expected) in table {
            let found = problem(entries, true);
            assert!(found.starts_with("layer 1: ") && found.contains(expected), "{expected}: {found}");
        }
    }
}
