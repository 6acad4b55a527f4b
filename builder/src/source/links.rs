//! Following symbolic links inside a root (dockerfile.md §13.5, "Symbolic links on the way").

use std::collections::VecDeque;

use strake_layers::ImagePath;

use crate::{Error, Result};

/// The greatest number of links on one way, as in Linux (path_resolution(7), ELOOP).
const MAX_LINKS: usize = 40;

/// A root and how names below it are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Root {
    /// Where the root directory is in the tree: empty, `Files` in a Windows image.
    pub path: ImagePath,
    /// Whether names are those of Windows: `\` separates too, and upper and lower case are one.
    pub is_windows: bool,
}

/// What is at a path.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The path as the tree spells it.
    pub path: ImagePath,
    /// The target, where it is a symbolic link.
    pub link: Option<Box<[u8]>>,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    /// The place, from the top of the tree (with [`Root::path`] before it). It need not exist.
    pub path: ImagePath,
    /// Whether a link leads to something that does not exist.
    pub is_dangling: bool,
}

/// What is done with a link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastLink {
    /// It is followed.
    Follow,
    /// It is the result.
    Keep,
}

impl Root {
    /// Follows the links on `path`, which counts from this root, without ever leaving the root. `..` in links stays
    /// at the root. What does not exist is taken as it is written.
    pub(crate) fn follow(
        &self,
        path: &ImagePath,
        last: LastLink,
        look: &mut dyn FnMut(&ImagePath) -> Result<Option<Seen>>,
    ) -> Result<Followed> {
        let mut rest: VecDeque<(Vec<u8>, bool)> = path.components().map(|name| (name.to_vec(), false)).collect();
        let mut done = Followed { path: self.path.clone(), is_dangling: false };
        let mut links = 0;
        while let Some((name, is_from_link)) = rest.pop_front() {
            if name == b".." {
                if done.path != self.path {
                    done.path = done.path.parent().unwrap_or_default();
                }
                continue;
            }
            let next = done.path.join_path(&component(&name)?);
            match look(&next)? {
                Some(Seen { link: Some(target), .. }) if !rest.is_empty() || last == LastLink::Follow => {
                    links += 1;
                    if links > MAX_LINKS {
                        let error = Error::user(format!("too many levels of symbolic links at {path}"));
                        return Err(error.with_help("the links lead in a circle: look at where each of them points"));
                    }
                    if self.is_absolute(&target) {
                        done.path = self.path.clone();
                    }
                    for part in self.split(&target).into_iter().rev() {
                        rest.push_front((part, true));
                    }
                }
                Some(seen) => done.path = seen.path,
                None => {
                    done.is_dangling |= is_from_link;
                    done.path = next;
                }
            }
        }
        Ok(done)
    }

    fn is_absolute(&self, target: &[u8]) -> bool {
        match target {
            [b'/', ..] => true,
            [b'\\', ..] => self.is_windows,
            [_, b':', b'\\' | b'/', ..] => self.is_windows,
            _ => false,
        }
    }

    fn split(&self, target: &[u8]) -> Vec<Vec<u8>> {
        let target = match target {
            [_, b':', rest @ ..] if self.is_windows => rest,
            _ => target,
        };
        target
            .split(|&b| b == b'/' || (self.is_windows && b == b'\\'))
            .filter(|part| !part.is_empty() && *part != b".")
            .map(<[u8]>::to_vec)
            .collect()
    }
}

/// Reads one name, which a link's target may hold too long or with NUL.
fn component(name: &[u8]) -> Result<ImagePath> {
    ImagePath::parse(name)
        .map_err(|error| Error::user(format!("{:?} cannot be a path: {error}", String::from_utf8_lossy(name))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::clean(text).expect("a path")
    }

    fn follow(root: &Root, links: &[(&str, &str)], from: &str, last: LastLink) -> Result<(String, bool)> {
        let known: BTreeMap<ImagePath, &str> = links.iter().map(|(at, to)| (path(at), *to)).collect();
        let found = root.follow(&path(from), last, &mut |at| {
            let link = known.get(at).map(|to| to.as_bytes().into());
            let exists = link.is_some() || at.to_string().starts_with("/real") || at.to_string().starts_with("/Files");
            Ok(exists.then(|| Seen { path: at.clone(), link }))
        })?;
        Ok((found.path.to_string(), found.is_dangling))
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let root = Root::default();
        let links = [("lib", "real/lib"), ("abs", "/real/x"), ("real/up", "../../../../real/y"), ("two", "lib")];
        let table = [
            ("lib/a", "/real/lib/a", false),
            ("abs", "/real/x", false),
            ("real/up/z", "/real/y/z", false),
            ("two/a", "/real/lib/a", false),
            ("none/a", "/none/a", false),
        ];
        for (from, to, dangling) in table {
            let found = follow(&root, &links, from, LastLink::Follow).expect("no loop");
            assert_eq!(found, (to.to_owned(), dangling), "{from}");
        }
        assert_eq!(follow(&root, &links, "two", LastLink::Keep).expect("no loop").0, "/two");
        assert_eq!(
            follow(&root, &[("l", "gone/x")], "l", LastLink::Follow).expect("no loop"),
            ("/gone/x".into(), true)
        );
    }

    #[test]
    fn a_loop_is_an_error() {
        let error = follow(&Root::default(), &[("loop", "/loop")], "loop/x", LastLink::Keep).expect_err("a loop");
        assert!(error.to_string().contains("/loop/x"), "{error}");
    }

    #[test]
    fn windows_targets_stay_below_files() {
        let root = Root { path: path("Files"), is_windows: true };
        let links = [("Files/l", "C:\\app\\..\\x"), ("Files/up", "..\\..\\y")];
        assert_eq!(follow(&root, &links, "l/a", LastLink::Follow).expect("no loop").0, "/Files/x/a");
        assert_eq!(follow(&root, &links, "up", LastLink::Follow).expect("no loop").0, "/Files/y");
    }
}
