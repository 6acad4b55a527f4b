//! What an ignore file does in a folder: whether it leaves out anything, and whether it leaves anything.

use strake_layers::{Cancel, HostDir, HostKind, ImagePath};
use strake_parser::ignore::{IgnoreRules, IgnoreState};

use crate::Result;

/// A folder of more entries is not looked through to its end.
const MOST: usize = 200_000;

/// What an ignore file does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ignoring {
    /// It leaves out something.
    pub(crate) leaves_out: bool,
    /// It leaves something to copy.
    pub(crate) leaves: bool,
    /// There is something to leave out or not.
    pub(crate) has_files: bool,
    /// A file that stays, and that a pattern would leave out if it stood at the top.
    pub(crate) missed: Option<ImagePath>,
}

/// Looks through a folder until all is known. The files at the top with the names in `known` are there for the builder
/// and nothing to copy.
pub(super) fn look(root: &HostDir, rules: &IgnoreRules, known: &[&str], cancel: &Cancel) -> Result<Ignoring> {
    let mut seen = Ignoring::default();
    let mut count = 0;
    let mut folders = vec![(ImagePath::root(), IgnoreState::default())];
    while let Some((folder, state)) = folders.pop() {
        cancel.check()?;
        for found in root.read_dir(&folder)? {
            // A name that no image can have is reported by the step that copies it.
            let Ok(name) = ImagePath::parse(&found.name) else { continue };
            let path = folder.join_path(&name);
            let is_ignored = rules.decide_below(&state, path.as_bytes()).ignored;
            let is_directory = found.entry.kind == HostKind::Directory;
            let is_known = folder.is_root() && known.iter().any(|name| name.as_bytes() == &*found.name);
            seen.has_files |= !is_known;
            seen.leaves_out |= is_ignored;
            seen.leaves |= !is_ignored && !is_directory && !is_known;
            let is_missed = !is_ignored && !folder.is_root() && rules.decide(name.as_bytes()).ignored;
            if is_missed && seen.missed.is_none() {
                seen.missed = Some(path.clone());
            }
            count += 1;
            if count > MOST {
                return Ok(Ignoring { leaves_out: true, leaves: true, has_files: true, missed: None });
            }
            if seen.leaves_out && seen.leaves {
                return Ok(seen);
            }
            if is_directory && !(is_ignored && rules.may_prune_dir(path.as_bytes())) {
                let (_, below) = rules.enter(&state, path.as_bytes());
                folders.push((path, below));
            }
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(rules: &str, files: &[&str]) -> Ignoring {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
            std::fs::write(path, "").expect("written");
        }
        let root = HostDir::open(folder.path()).expect("opened");
        let rules = IgnoreRules::parse(rules.as_bytes()).expect("rules");
        look(&root, &rules, &["Dockerfile", ".dockerignore"], &Cancel::new()).expect("looked through")
    }

    #[test]
    fn all_nothing_and_some_are_told_apart() {
        let files = &["Dockerfile", ".dockerignore", "a/b.log", "a/c", "d"];
        let as_pair = |rules: &str| {
            let seen = looked(rules, files);
            (seen.leaves_out, seen.leaves)
        };
        assert_eq!(as_pair("*.txt\nnone\n"), (false, true));
        assert_eq!(as_pair("**/*.log\n"), (true, true));
        assert_eq!(as_pair("*\n"), (true, false));
        assert_eq!(as_pair("*\n!src\n!Dockerfile\n"), (true, false));
        assert_eq!(as_pair("*\n!a/c\n"), (true, true));
        assert!(!looked("*\n", &["Dockerfile"]).has_files);
        let missed = |rules: &str| looked(rules, files).missed.map(|path| path.to_string());
        assert_eq!(missed("*.log\n").as_deref(), Some("/a/b.log"));
        assert_eq!(missed("c/\n").as_deref(), Some("/a/c"));
        assert_eq!(missed("*.txt\nnode_modules\n"), None);
    }
}
