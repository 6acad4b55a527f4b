use super::Rootfs;
use crate::windows::fold_case;
use crate::{Entry, EntryKind, Error, ImagePath, Result};

/// Links that one path may lead through (the kernel's limit, path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Where a path leads: the part that exists, links followed, and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The deepest place that exists. No component of it is a link.
    pub existing: ImagePath,
    /// What is left of the path below it; the root where all of it exists.
    pub rest: ImagePath,
}

impl Rootfs {
    /// Where a path leads when all links are followed inside the root, as the kernel does after `chroot`. Components that do
    /// not exist are kept as they are.
    pub fn resolve(&self, path: &ImagePath) -> Result<ImagePath> {
        let Resolved { existing, rest } = self.resolve_partial(path)?;
        Ok(existing.join_path(&rest))
    }

    /// As [`Rootfs::resolve`], the part that exists told from the rest.
    pub fn resolve_partial(&self, path: &ImagePath) -> Result<Resolved> {
        let mut existing = ImagePath::root();
        let mut rest = ImagePath::root();
        // Components still to be taken, the next one last.
        let mut pending: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
        let mut links = 0;
        while let Some(part) = pending.pop() {
            if part == b".." {
                let shortened = if rest.is_root() { &mut existing } else { &mut rest };
                *shortened = shortened.parent().unwrap_or_default();
                continue;
            }
            let join = |base: &ImagePath| {
                base.join(&part).map_err(|error| Error::Invalid(format!("{path} leads through a bad link: {error}")))
            };
            if !rest.is_root() {
                rest = join(&rest)?;
                continue;
            }
            let next = join(&existing)?;
            match self.lookup(&next).map(|entry| &entry.kind) {
                None => rest = join(&rest)?,
                Some(EntryKind::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Error::Invalid(format!(
                            "{path} leads through more than {MAX_LINKS} symbolic links, the last one at {next}: the links \
                             form a loop"
                        )));
                    }
                    if target.first() == Some(&b'/') {
                        existing = ImagePath::root();
                    }
                    let parts = target.split(|b| *b == b'/').rev();
                    pending.extend(parts.filter(|part| !matches!(*part, b"" | b".")).map(<[u8]>::to_vec));
                }
                Some(_) => existing = next,
            }
        }
        Ok(Resolved { existing, rest })
    }

    /// The spelling that the image has for a path of which the case is not known, component by component; from the first
    /// one that it does not have on, the path's own (windows.md §5.2). No link is followed.
    pub fn fold_path(&self, path: &ImagePath) -> ImagePath {
        let mut found = ImagePath::root();
        for part in path.components() {
            let Ok(next) = found.join(part) else { return path.clone() };
            found = if self.lookup(&next).is_some() { next } else { self.spelled(&found, part).unwrap_or(next) };
        }
        found
    }

    /// What is at a path of which the case is not known (windows.md §5.2).
    pub fn lookup_folded(&self, path: &ImagePath) -> Option<&Entry> {
        self.lookup(path).or_else(|| self.lookup(&self.fold_path(path)))
    }

    /// The child of a directory that has a name in some case.
    fn spelled(&self, directory: &ImagePath, name: &[u8]) -> Option<ImagePath> {
        let wanted = fold_case(name);
        let children = self.read_dir(directory);
        let child =
            children.into_iter().find(|child| child.path.file_name().is_some_and(|n| fold_case(n) == wanted))?;
        Some(child.path.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{path, rootfs};
    use super::*;

    #[test]
    fn links_are_followed_inside_the_root() {
        let rootfs = rootfs(&[&[
            "d usr",
            "d usr/lib",
            "f usr/lib/x",
            "l lib=usr/lib",
            "d var",
            "l var/run=/run",
            "d run",
            "l up=../../../usr",
            "l abs=/../usr",
            "l chain=up",
            "l dangling=/opt/real",
            "l var/sibling=../lib/x",
            "l dots=./usr/./lib/../lib",
        ]]);
        for (from, to) in [
            ("lib/x", "usr/lib/x"),
            ("var/run/lock/y", "run/lock/y"),
            ("up/lib", "usr/lib"),
            ("abs/lib", "usr/lib"),
            ("chain/lib/x", "usr/lib/x"),
            ("dangling/new", "opt/real/new"),
            ("var/sibling", "usr/lib/x"),
            ("dots/x", "usr/lib/x"),
            ("lib/x/below", "usr/lib/x/below"),
            ("", ""),
        ] {
            assert_eq!(rootfs.resolve(&path(from)).expect(from), path(to), "{from}");
        }
        let found = rootfs.resolve_partial(&path("dangling/new")).expect("resolved");
        assert_eq!((found.existing, found.rest), (path(""), path("opt/real/new")));
        let stat = rootfs.stat(&path("var/sibling")).expect("resolved").expect("there");
        assert!(matches!(stat.kind, EntryKind::Symlink(_)));
        assert!(rootfs.stat(&path("lib/x")).is_ok_and(|entry| entry.is_some()));
        assert!(rootfs.stat(&path("dangling/new")).is_ok_and(|entry| entry.is_none()));
    }

    #[test]
    fn loops_are_an_error_that_names_them() {
        let rootfs = rootfs(&[&["l loop=/loop", "l a=b", "l b=a/x"]]);
        let said =
            ["loop", "loop/x", "a"].map(|looping| rootfs.resolve(&path(looping)).expect_err(looping).to_string());
        insta::assert_snapshot!(said.join("\n"), @r"
        /loop leads through more than 40 symbolic links, the last one at /loop: the links form a loop
        /loop/x leads through more than 40 symbolic links, the last one at /loop: the links form a loop
        /a leads through more than 40 symbolic links, the last one at /a: the links form a loop
        ");
    }

    #[test]
    fn links_that_no_path_can_be_are_named() {
        let long = format!("l long={}", "x".repeat(256));
        let rootfs = rootfs(&[&[&long, "l nul=a\0b"]]);
        let said = ["long", "nul/x"].map(|link| rootfs.resolve(&path(link)).expect_err(link).to_string());
        insta::assert_snapshot!(said.join("\n"), @r"
        /long leads through a bad link: a name in the path is longer than 255 bytes
        /nul/x leads through a bad link: the path holds a NUL byte
        ");
    }

    #[test]
    fn windows_names_are_found_in_any_case() {
        let rootfs = rootfs(&[&["d Files", "d Files/app", "f Files/app/Größe.TXT", "d Files/B", "d Files/b"]]);
        assert_eq!(rootfs.fold_path(&path("files/APP/größe.txt")), path("Files/app/Größe.TXT"));
        assert_eq!(rootfs.fold_path(&path("Files/APP/New/Dir")), path("Files/app/New/Dir"));
        assert_eq!(rootfs.fold_path(&path("Files/b")), path("Files/b"));
        assert!(rootfs.lookup_folded(&path("FILES/App")).is_some());
        assert!(rootfs.lookup_folded(&path("FILES/Appx")).is_none());
    }
}
