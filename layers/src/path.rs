use std::cmp::Ordering;
use std::fmt;

/// A path inside an image: bytes, relative to the root, components separated by `/`.
///
/// It has no empty, `.` or `..` component, no leading or trailing slash and no NUL. The root itself is the empty
/// path. Order is by component, each compared bytewise: `a`, `a/x`, `a-b`.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ImagePath(Box<[u8]>);

/// Why a text cannot be a path inside an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The path has a `..` component.
    #[error("the path has a `..` component")]
    ParentComponent,
    /// The path holds a NUL byte.
    #[error("the path holds a NUL byte")]
    Nul,
    /// A component has more than 255 bytes, which no file system takes.
    #[error("a name in the path is longer than 255 bytes")]
    LongName,
    /// The path has more than 4096 bytes (linux.md §4.3).
    #[error("the path is longer than 4096 bytes")]
    Long,
}

impl ImagePath {
    /// The root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a path as an archive names it: leading `/` and `./`, empty and `.` components are dropped, `..` is
    /// refused.
    pub fn parse(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        Self::build(path.as_ref(), |_| Err(PathError::ParentComponent))
    }

    /// Reads a path as a Dockerfile names it: as [`ImagePath::parse`], but `..` takes one component away and stays at
    /// the root.
    pub fn clean(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        Self::build(path.as_ref(), |parts| {
            parts.pop();
            Ok(())
        })
    }

    fn build(path: &[u8], mut parent: impl FnMut(&mut Vec<&[u8]>) -> Result<(), PathError>) -> Result<Self, PathError> {
        if path.contains(&0) {
            return Err(PathError::Nul);
        }
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in path.split(|&b| b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => parent(&mut parts)?,
                _ if part.len() > 255 => return Err(PathError::LongName),
                _ => parts.push(part),
            }
        }
        let joined = parts.join(&b'/');
        if joined.len() > 4096 {
            return Err(PathError::Long);
        }
        Ok(Self(joined.into()))
    }

    /// Takes a path that is known to be clean.
    pub(crate) fn from_clean(path: &[u8]) -> Self {
        Self(path.into())
    }

    /// The path of `relative` below this one, `..` handled as in [`ImagePath::clean`]; an absolute one replaces it.
    pub fn join(&self, relative: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let relative = relative.as_ref();
        if relative.first() == Some(&b'/') {
            return Self::clean(relative);
        }
        let mut all = self.0.to_vec();
        all.push(b'/');
        all.extend_from_slice(relative);
        Self::clean(all)
    }

    /// The path of `relative` below this one, both being clean already.
    pub fn join_path(&self, relative: &Self) -> Self {
        if self.is_root() {
            return relative.clone();
        }
        if relative.is_root() {
            return self.clone();
        }
        let mut all = self.0.to_vec();
        all.push(b'/');
        all.extend_from_slice(&relative.0);
        Self(all.into())
    }

    /// The bytes, without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Tells whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components, from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|part| !part.is_empty())
    }

    /// The last component; `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// The directory that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        Some(Self(self.0[..end].into()))
    }

    /// All directories above it, nearest first, the root last.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        let mut next = self.parent();
        std::iter::from_fn(move || {
            let current = next.take()?;
            next = current.parent();
            Some(current)
        })
    }

    /// Tells whether it is `base` or lies below it.
    pub fn starts_with(&self, base: &Self) -> bool {
        base.is_root()
            || (self.0.starts_with(&base.0)
                && (self.0.len() == base.0.len() || self.0.get(base.0.len()) == Some(&b'/')))
    }

    /// What is left of it below `base`; `None` where it does not lie there.
    pub fn strip_prefix(&self, base: &Self) -> Option<Self> {
        if !self.starts_with(base) {
            return None;
        }
        let rest = &self.0[base.0.len()..];
        Some(Self(rest.strip_prefix(b"/").unwrap_or(rest).into()))
    }
}

impl PartialOrd for ImagePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ImagePath {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_paths(&self.0, &other.0)
    }
}

/// The order of [`ImagePath`]s, for paths that are no values of their own.
pub(crate) fn compare_paths(a: &[u8], b: &[u8]) -> Ordering {
    // A slash sorts below every byte a name can hold, which makes bytewise order an order by component.
    let rank = |b: &u8| if *b == b'/' { 0 } else { *b };
    // Paths of one layer have long beginnings in common: eight bytes at a time.
    let chunks = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let same = 8 * chunks.take_while(|(a, b)| a == b).count();
    let different = a[same..].iter().zip(&b[same..]).find(|(a, b)| a != b);
    match different {
        Some((a, b)) => rank(a).cmp(&rank(b)),
        None => a.len().cmp(&b.len()),
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).expect("valid")
    }

    #[test]
    fn parse_cleans_and_refuses_parents() {
        assert_eq!(path("/a//./b/"), path("a/b"));
        assert_eq!(ImagePath::parse("a/../b"), Err(PathError::ParentComponent));
        assert_eq!(ImagePath::clean("../../a/../b"), Ok(path("b")));
        assert_eq!(ImagePath::parse("a\0b"), Err(PathError::Nul));
        assert!(path("/").is_root());
        let said = ["a/../b", "a\0b", &"x".repeat(256), &"x/".repeat(2100)]
            .map(|path| ImagePath::parse(path).unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n"), @r"
        the path has a `..` component
        the path holds a NUL byte
        a name in the path is longer than 255 bytes
        the path is longer than 4096 bytes
        ");
    }

    #[test]
    fn order_is_by_component() {
        let long = |ends: [&str; 3]| ends.map(|end| path(&format!("usr/share/doc{end}")));
        assert!(long(["", "/x", "-y"]).is_sorted() && long(["/aaaaaaaa", "/aaaaaaab", "/aaaaaaab/c"]).is_sorted());
        let mut paths = ["a-b", "a/x", "a", "", "a/x/y", "a/x-y", "b"].map(path);
        paths.sort();
        assert_eq!(paths.map(|p| p.to_string()), ["/", "/a", "/a/x", "/a/x/y", "/a/x-y", "/a-b", "/b"]);
    }

    #[test]
    fn joins_and_prefixes() {
        assert_eq!(path("a").join("../x/y"), Ok(path("x/y")));
        assert_eq!(path("a").join("/x"), Ok(path("x")));
        assert!(path("a/b").starts_with(&path("a")));
        assert!(!path("ab").starts_with(&path("a")));
        assert_eq!(path("a/b/c").strip_prefix(&path("a")), Some(path("b/c")));
        assert_eq!(path("a/b").ancestors().collect::<Vec<_>>(), [path("a"), path("")]);
    }
}
