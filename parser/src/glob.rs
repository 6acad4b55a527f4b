//! Wildcards in the sources of COPY and ADD (dockerfile.md §13.5): Go's `filepath.Match` on slash paths.
//!
//! `*` any run without `/` · `?` one character but `/` · `[a-z]`, `[^a]` sets · `\` makes the next character literal.

use crate::wildcard::{Dialect, Wildcard};

/// A pattern.
#[derive(Clone, Debug)]
pub struct Glob {
    wildcard: Wildcard,
}

/// A pattern with a set that is not closed, an empty set, or a backslash at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobError;

impl std::fmt::Display for GlobError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("syntax error in pattern: a set needs a closing bracket and at least one member")
    }
}

impl std::error::Error for GlobError {}

impl Glob {
    /// Compiles a pattern; `**` is the same as `*`.
    pub fn parse(pattern: impl AsRef<[u8]>) -> Result<Self, GlobError> {
        Self::compile(pattern.as_ref(), Dialect::Match)
    }

    /// Compiles a pattern in which `**` stands for any number of directories, as with `--parents`.
    pub fn parse_with_double_star(pattern: impl AsRef<[u8]>) -> Result<Self, GlobError> {
        Self::compile(pattern.as_ref(), Dialect::Parents)
    }

    /// Says whether the whole path matches.
    pub fn matches(&self, path: impl AsRef<[u8]>) -> bool {
        self.wildcard.matches(path.as_ref())
    }

    fn compile(pattern: &[u8], dialect: Dialect) -> Result<Self, GlobError> {
        let wildcard = Wildcard::parse(pattern, dialect).map_err(|_| GlobError)?;
        Ok(Self { wildcard })
    }
}

/// Says whether the whole path matches the pattern.
pub fn matches(pattern: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Result<bool, GlobError> {
    Ok(Glob::parse(pattern)?.matches(path))
}

/// Says whether the text holds an unescaped `*`, `?` or `[`.
pub fn has_wildcard(text: impl AsRef<[u8]>) -> bool {
    let mut bytes = text.as_ref().iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// Splits a path before its first element with a wildcard: what is looked up, and what is matched below it.
pub fn split_at_wildcard(path: &str) -> (&str, Option<&str>) {
    let mut start = 0;
    for element in path.split('/') {
        if has_wildcard(element) {
            return (path[..start].trim_end_matches('/'), Some(&path[start..]));
        }
        start += element.len() + 1;
    }
    (path, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, path, wanted) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "x", true),
            ("*x", "xxx", true),
            ("arr[[]0].txt", "arr[0].txt", true),
            ("**", "a/b", false),
            ("**", "ab", true),
            ("", "", true),
            ("?", "/", false),
            ("[!a]", "!", true),
        ] {
            assert_eq!(matches(pattern, path), Ok(wanted), "{pattern} {path}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["x[1", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[z-a]"] {
            assert_eq!(matches(pattern, "a"), Err(GlobError), "{pattern}");
        }
    }

    #[test]
    fn double_stars_span_directories_when_asked_for() {
        let glob = Glob::parse_with_double_star("a/**/*.rs").unwrap();
        assert!(glob.matches("a/x.rs") && glob.matches("a/b/c/x.rs"));
        assert!(!glob.matches("b/x.rs") && !glob.matches("a/b/x.c"));
    }

    #[test]
    fn hostile_patterns_end_soon() {
        let path = "a".repeat(4_000);
        assert_eq!(matches("*a".repeat(1_000) + "b", &path), Ok(false));
        assert_eq!(matches("*".repeat(1_000_000) + "b", &path), Ok(false));
    }

    #[test]
    fn paths_split_before_the_first_wildcard() {
        assert_eq!(split_at_wildcard("a/b/*.c/d"), ("a/b", Some("*.c/d")));
        assert_eq!(split_at_wildcard("*"), ("", Some("*")));
        assert_eq!(split_at_wildcard("a/b"), ("a/b", None));
        assert_eq!(split_at_wildcard("/x/a\\*b/?"), ("/x/a\\*b", Some("?")));
        assert!(!has_wildcard("a\\*"));
    }
}
