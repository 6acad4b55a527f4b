//! References to git repositories (dockerfile.md §11.3).

use crate::boolean::parse_bool;
use crate::clean::clean_path;

/// A reference to a git repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitRef {
    /// What is cloned, without fragment and query.
    pub remote: String,
    /// The last element of the path, without `.git`.
    pub name: String,
    /// The branch, tag or commit; none for the default branch.
    pub reference: Option<String>,
    /// The directory inside, without a slash at its start; none for the root.
    pub subdir: Option<String>,
    /// The start of the commit id that must be found.
    pub checksum: Option<String>,
    /// Whether `.git` is kept; none when not said.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are fetched; none when not said, which means yes.
    pub submodules: Option<bool>,
    /// The times of the files; none when not said.
    pub mtime: Option<Mtime>,
    /// Whether the commit of `checksum` is fetched without asking for a reference.
    pub fetch_by_commit: bool,
    /// Whether the transport is not encrypted.
    pub is_unencrypted: bool,
}

/// The times of files of a checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mtime {
    /// When they were written.
    Checkout,
    /// When the commit was made.
    Commit,
}

/// A reference that is one to git but has something wrong; its text is ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitRefError {
    message: String,
}

impl std::fmt::Display for GitRefError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for GitRefError {}

impl GitRef {
    /// Reads a source of ADD; none when it is no reference to git.
    pub fn parse(text: &str) -> Option<Result<Self, GitRefError>> {
        Self::read(text, false)
    }

    /// Reads the argument of a build, for which `github.com/…` is git, too; none when it is no reference to git.
    pub fn parse_context(text: &str) -> Option<Result<Self, GitRefError>> {
        Self::read(text, true)
    }

    fn read(text: &str, is_context: bool) -> Option<Result<Self, GitRefError>> {
        if text.starts_with("./") || text.starts_with("../") {
            return None;
        }
        let (rest, fragment) = match text.split_once('#') {
            Some((rest, fragment)) => (rest, fragment),
            None => (text, ""),
        };
        let (remote, query) = match rest.split_once('?') {
            Some((remote, query)) => (remote, query),
            None => (rest, ""),
        };
        let mut made = Self::default();
        match remote.split_once("://") {
            Some((scheme, path)) => {
                let scheme = scheme.to_ascii_lowercase();
                match scheme.as_str() {
                    "http" | "https" if !path.contains('/') || !path.ends_with(".git") => return None,
                    "http" | "https" | "git" | "ssh" => {}
                    _ => return None,
                }
                made.is_unencrypted = matches!(scheme.as_str(), "http" | "git");
                made.remote = format!("{scheme}://{path}");
            }
            None if remote.starts_with("github.com/") => {
                if !is_context {
                    return None;
                }
                made.remote = format!("https://{remote}");
            }
            None if is_scp_style(remote) => remote.clone_into(&mut made.remote),
            None => return None,
        }
        let last = made.remote.rsplit(['/', ':']).next().unwrap_or_default();
        made.name = last.strip_suffix(".git").unwrap_or(last).to_owned();
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        made.reference = non_empty(&decode_percent(reference));
        made.subdir = clean_subdir(&decode_percent(subdir));
        Some(made.read_query(query).map(|()| made))
    }

    fn read_query(&mut self, query: &str) -> Result<(), GitRefError> {
        let mut seen: Vec<String> = Vec::new();
        let (mut tag, mut branch) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode_query(key), decode_query(value));
            if seen.contains(&key) {
                return fail(format!("query {key:?} has multiple values"));
            }
            let may_be_empty = matches!(key.as_str(), "submodules" | "keep-git-dir" | "fetch-by-commit");
            if value.is_empty() && !may_be_empty {
                return fail(format!("query {key:?} has no value"));
            }
            let read_bool = || match value.as_str() {
                "" => Ok(true),
                value => {
                    parse_bool(value).ok_or_else(|| GitRefError { message: format!("invalid {key} value: {value:?}") })
                }
            };
            match key.as_str() {
                "ref" => agree("ref", &mut self.reference, value)?,
                "subdir" => {
                    let value = clean_subdir(&value).unwrap_or_default();
                    agree("subdir", &mut self.subdir, value)?;
                }
                "tag" => tag = Some(value),
                "branch" => branch = Some(value),
                "checksum" | "commit" => agree("checksum", &mut self.checksum, value)?,
                "keep-git-dir" => self.keep_git_dir = Some(read_bool()?),
                "submodules" => self.submodules = Some(read_bool()?),
                "fetch-by-commit" => self.fetch_by_commit = read_bool()?,
                "mtime" => {
                    self.mtime = Some(match value.as_str() {
                        "checkout" => Mtime::Checkout,
                        "commit" => Mtime::Commit,
                        _ => {
                            let message =
                                format!("invalid mtime value: {value:?} (must be \"checkout\" or \"commit\")");
                            return fail(message);
                        }
                    });
                }
                _ => return fail(format!("unexpected query {key:?}")),
            }
            seen.push(key);
        }
        if let (Some(tag), Some(branch)) = (&tag, &branch) {
            return fail(format!("branch conflicts with tag: {branch:?} vs {tag:?}"));
        }
        for (name, prefix) in [(tag, "refs/tags/"), (branch, "refs/heads/")] {
            let Some(name) = name else { continue };
            let full = if name.starts_with(prefix) { name } else { format!("{prefix}{name}") };
            agree("ref", &mut self.reference, full)?;
        }
        self.check_checksum()
    }

    fn check_checksum(&self) -> Result<(), GitRefError> {
        let Some(checksum) = &self.checksum else {
            if self.fetch_by_commit {
                return fail("fetch-by-commit requires checksum with a full commit id".to_owned());
            }
            return Ok(());
        };
        let is_hex = checksum.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || checksum.len() > 64 {
            return fail(format!("invalid checksum {checksum:?}, expected the start of a hexadecimal commit id"));
        }
        if self.fetch_by_commit && !matches!(checksum.len(), 40 | 64) {
            return fail(format!("fetch-by-commit requires a full commit id, not {checksum:?}"));
        }
        Ok(())
    }
}

/// Says whether a source is a URL to download.
pub fn is_http_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn fail<T>(message: String) -> Result<T, GitRefError> {
    Err(GitRefError { message })
}

/// Sets a value that may have been said before, if it is the same then.
fn agree(what: &str, slot: &mut Option<String>, value: String) -> Result<(), GitRefError> {
    match slot {
        Some(before) if *before != value => fail(format!("{what} conflicts: {before:?} vs {value:?}")),
        _ => {
            *slot = Some(value).filter(|value| !value.is_empty());
            Ok(())
        }
    }
}

/// Says whether the text has the form `user@host:path`.
fn is_scp_style(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else { return false };
    let Some((host, path)) = rest.split_once(':') else { return false };
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    is_name(user) && is_name(host) && !path.is_empty()
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Cleans a subdirectory; it cannot leave the root.
fn clean_subdir(text: &str) -> Option<String> {
    let cleaned = clean_path(&format!("/{text}"));
    non_empty(cleaned.trim_start_matches('/'))
}

fn decode_query(text: &str) -> String {
    decode_percent(&text.replace('+', " "))
}

fn decode_percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        let value =
            hex.filter(|hex| byte == b'%' && !hex.starts_with('+')).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> GitRef {
        GitRef::parse(text).unwrap().unwrap()
    }

    #[test]
    fn references_are_told_from_paths_and_urls() {
        for text in [
            "./x.git",
            "../x.git",
            "x.git",
            "a/b",
            "https://h/x",
            "https://h/x.tar.gz",
            "http://x.git",
            "ftp://h/x.git",
            "github.com/a/b",
            "user@host",
            "C:/x",
            "@h:p",
            "https://h/x.git/y",
            "a b@c:d",
        ] {
            assert_eq!(GitRef::parse(text), None, "{text}");
        }
        assert_eq!(GitRef::parse_context("github.com/a/b").unwrap().unwrap().remote, "https://github.com/a/b");
        assert!(is_http_url("https://h/x") && !is_http_url("ftp://h/x"));
    }

    #[test]
    fn fragments_name_reference_and_directory() {
        let git = read("https://github.com/foo/bar.git#baz/qux:quux/../q/");
        assert_eq!(git.remote, "https://github.com/foo/bar.git");
        assert_eq!(git.name, "bar");
        assert_eq!((git.reference.as_deref(), git.subdir.as_deref()), (Some("baz/qux"), Some("q")));
        let git = read("git@github.com:foo/bar.git#:docs");
        assert_eq!((git.remote.as_str(), git.name.as_str()), ("git@github.com:foo/bar.git", "bar"));
        assert_eq!((git.reference, git.subdir.as_deref()), (None, Some("docs")));
        assert!(read("git://h/x").is_unencrypted);
        assert!(!read("ssh://git@h/x").is_unencrypted);
        assert_eq!(read("ssh://h/x#:../../etc").subdir.as_deref(), Some("etc"));
    }

    #[test]
    fn queries_are_read() {
        let git =
            read("https://h/x.git?branch=main&subdir=a&checksum=abc123&keep-git-dir&submodules=false&mtime=commit");
        assert_eq!(git.reference.as_deref(), Some("refs/heads/main"));
        assert_eq!(git.checksum.as_deref(), Some("abc123"));
        assert_eq!((git.keep_git_dir, git.submodules), (Some(true), Some(false)));
        assert_eq!(git.mtime, Some(Mtime::Commit));
        assert_eq!(read("https://h/x.git?tag=v1%2E0").reference.as_deref(), Some("refs/tags/v1.0"));
    }

    #[test]
    fn conflicts_name_both_values() {
        for (query, message) in [
            ("?ref=a#b", "ref conflicts: \"b\" vs \"a\""),
            ("?tag=a&branch=b", "branch conflicts with tag: \"b\" vs \"a\""),
            ("?tag=a#x", "ref conflicts: \"x\" vs \"refs/tags/a\""),
            ("?subdir=a#:b", "subdir conflicts: \"b\" vs \"a\""),
            ("?ref=a&ref=b", "query \"ref\" has multiple values"),
            ("?ref=", "query \"ref\" has no value"),
            ("?foo=1", "unexpected query \"foo\""),
            ("?mtime=now", "invalid mtime value: \"now\" (must be \"checkout\" or \"commit\")"),
            ("?submodules=maybe", "invalid submodules value: \"maybe\""),
            ("?checksum=xyz", "invalid checksum \"xyz\", expected the start of a hexadecimal commit id"),
            ("?fetch-by-commit&checksum=abc", "fetch-by-commit requires a full commit id, not \"abc\""),
            ("?fetch-by-commit", "fetch-by-commit requires checksum with a full commit id"),
        ] {
            let error = GitRef::parse(&format!("https://h/x.git{query}")).unwrap().unwrap_err();
            assert_eq!(error.to_string(), message, "{query}");
        }
    }
}
