use std::fmt;
use std::str::FromStr;

use crate::{Digest, DigestError};

/// The registry of references that name none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// The namespace of single-component repositories of the default registry.
const DEFAULT_NAMESPACE: &str = "library/";
/// The tag of references that have neither tag nor digest.
const DEFAULT_TAG: &str = "latest";
/// Longest name of a repository, registry included (distribution reference grammar).
const MAX_NAME: usize = 255;
/// Longest tag (OCI distribution specification, "Pulling manifests").
const MAX_TAG: usize = 128;

/// The name of an image: registry, repository, tag, digest (dockerfile.md §7.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that is no image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image reference: {problem}")]
pub struct ReferenceError {
    text: String,
    problem: String,
}

impl ReferenceError {
    /// Says what to write instead.
    pub fn help(&self) -> String {
        let lower = self.text.to_ascii_lowercase();
        if lower != self.text && Reference::parse(&lower).is_ok() {
            return format!("write {lower}");
        }
        match self.text.split_once('@') {
            Some(_) => "a name with a digest is NAME[:TAG]@sha256: and 64 lower-case hexadecimal digits".to_owned(),
            None => {
                "an image name is [REGISTRY/]NAME[:TAG], as in alpine:3.20 or registry.example/team/app:1; NAME is \
                     lower-case letters, digits and . _ - between them"
                    .to_owned()
            }
        }
    }
}

impl Reference {
    /// Reads `[registry/]repository[:tag][@digest]` and fills in what is missing: `docker.io`, `library/`, `latest`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        Self::parse_parts(text).map_err(|problem| ReferenceError { text: text.chars().take(300).collect(), problem })
    }

    fn parse_parts(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        if text.trim() != text {
            return Err("it begins or ends with a blank".to_owned());
        }
        if let Some(at) = text.find("://") {
            return Err(format!("an image has no URL scheme; leave {:?} out", &text[..at + 3]));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|e: DigestError| e.to_string())?)),
            None => (text, None),
        };
        // A colon after the last slash begins the tag; one before it belongs to a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        let (registry, path) = split_registry(name);
        check_registry(&registry)?;
        let path = if registry == DEFAULT_REGISTRY && !path.contains('/') {
            format!("{DEFAULT_NAMESPACE}{path}")
        } else {
            path.to_owned()
        };
        if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("64 hexadecimal digits are an image ID, not a repository".to_owned());
        }
        check_repository(&path)?;
        if registry.len() + 1 + path.len() > MAX_NAME {
            return Err(format!("the name has more than {MAX_NAME} characters"));
        }
        let tag = match (tag, &digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some(DEFAULT_TAG.to_owned()),
        };
        Ok(Self { registry, repository: path, tag, digest })
    }

    /// The registry: host name and optional port, `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository within the registry: `library/busybox`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag. Only a reference with a digest may be without one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Registry and repository, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same image pinned to a digest; the tag stays.
    #[must_use]
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// What a registry is asked for: the digest where there is one, else the tag.
    pub fn target(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.as_deref().unwrap_or(DEFAULT_TAG).to_owned(),
        }
    }

    /// The short form that people write: without `docker.io/` and `library/`.
    pub fn familiar(&self) -> String {
        let name = self.name();
        let short = name.strip_prefix("docker.io/").unwrap_or(&name);
        let short = if self.registry == DEFAULT_REGISTRY {
            short.strip_prefix(DEFAULT_NAMESPACE).filter(|rest| !rest.contains('/')).unwrap_or(short)
        } else {
            short
        };
        format!("{short}{}", self.suffix())
    }

    fn suffix(&self) -> String {
        let mut suffix = String::new();
        if let Some(tag) = &self.tag {
            suffix.push(':');
            suffix.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            suffix.push('@');
            suffix.push_str(&digest.to_string());
        }
        suffix
    }
}

/// Takes the registry off a name: the first component, where it holds a dot, a colon or a capital, or is `localhost`.
fn split_registry(name: &str) -> (String, &str) {
    if let Some((first, rest)) = name.split_once('/') {
        let is_host =
            first == "localhost" || first.contains(['.', ':', '[']) || first.bytes().any(|b| b.is_ascii_uppercase());
        if is_host {
            let first = if first == "index.docker.io" { DEFAULT_REGISTRY } else { first };
            return (first.to_owned(), rest);
        }
    }
    (DEFAULT_REGISTRY.to_owned(), name)
}

fn check_registry(registry: &str) -> Result<(), String> {
    let (host, port) = match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(format!("the registry {registry:?} is not an IPv6 address in brackets"));
            }
            (None, rest.strip_prefix(':').or_else(|| (!rest.is_empty()).then_some("?")))
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(registry), None),
        },
    };
    if port.is_some_and(|p| p.is_empty() || !p.bytes().all(|b| b.is_ascii_digit()) || p.parse::<u16>().is_err()) {
        return Err(format!("the registry {registry:?} has a port that is no number between 0 and 65535"));
    }
    let part_is_good = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if host.is_some_and(|host| !host.split('.').all(part_is_good)) {
        return Err(format!("{registry:?} is not the name of a registry"));
    }
    Ok(())
}

fn check_repository(path: &str) -> Result<(), String> {
    for part in path.split('/') {
        if part.is_empty() {
            return Err("the repository has an empty component".to_owned());
        }
        if part.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err("the repository must be in lower case".to_owned());
        }
        if !is_path_component(part) {
            return Err(format!(
                "the component {part:?} holds something else than lower-case letters and digits separated by `.`, `_`, \
                 `__` or dashes"
            ));
        }
    }
    Ok(())
}

/// `[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*` (distribution reference grammar, "path-component").
fn is_path_component(part: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    if !bytes.first().copied().is_some_and(is_word) || !bytes.last().copied().is_some_and(is_word) {
        return false;
    }
    bytes
        .split(|b| is_word(*b))
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

/// `[\w][\w.-]{0,127}` (distribution reference grammar, "tag").
fn check_tag(tag: &str) -> Result<(), String> {
    let first = tag.bytes().next().ok_or("the tag after the colon is empty")?;
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if tag.len() > MAX_TAG {
        return Err(format!("the tag has more than {MAX_TAG} characters"));
    }
    if !is_word(first) || !tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-') {
        return Err(format!("the tag {tag:?} holds something else than letters, digits, `_`, `.` and `-`"));
    }
    Ok(())
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.repository, self.suffix())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl serde::Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn missing_parts_are_filled_in() {
        for (text, canonical, familiar) in [
            ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("docker.io/busybox:1", "docker.io/library/busybox:1", "busybox:1"),
            ("index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("user/app:v1.2", "docker.io/user/app:v1.2", "user/app:v1.2"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"),
            ("127.0.0.1:5055/base/x:1", "127.0.0.1:5055/base/x:1", "127.0.0.1:5055/base/x:1"),
            ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
            ("MYHOST/x", "MYHOST/x:latest", "MYHOST/x:latest"),
            ("ghcr.io/a/b/c", "ghcr.io/a/b/c:latest", "ghcr.io/a/b/c:latest"),
            ("a__b/c-----d.e", "docker.io/a__b/c-----d.e:latest", "a__b/c-----d.e:latest"),
            ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ] {
            let reference = Reference::parse(text).expect(text);
            assert_eq!(reference.to_string(), canonical, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
            assert_eq!(Reference::parse(canonical).as_ref(), Ok(&reference));
            assert_eq!(Reference::parse(familiar).as_ref(), Ok(&reference));
        }
    }

    #[test]
    fn digest_stands_with_or_without_a_tag() {
        let reference = Reference::parse(&format!("busybox@sha256:{HEX}")).expect("valid");
        assert_eq!((reference.tag(), reference.target()), (None, format!("sha256:{HEX}")));
        let reference = Reference::parse(&format!("localhost:5000/a:1@sha256:{HEX}")).expect("valid");
        assert_eq!((reference.registry(), reference.repository(), reference.tag()), ("localhost:5000", "a", Some("1")));
        assert_eq!(reference.to_string(), format!("localhost:5000/a:1@sha256:{HEX}"));
    }

    #[test]
    fn errors_tell_which_part_is_wrong() {
        let long = "a".repeat(256);
        let tag = format!("x:{}", "t".repeat(129));
        let said = [
            "",
            " x",
            "https://ghcr.io/x",
            "Busybox",
            "ghcr.io/Ab",
            "a..b",
            "a//b",
            "a/",
            "a:",
            "a:-x",
            "a@sha256:12",
            "host.io:x/y",
            "host.io:70000/y",
            "-host.io/y",
            "[zz]/y",
            HEX,
            &long,
            &tag,
            "a b",
            "größe",
        ]
        .map(|text| Reference::parse(text).expect_err(text).to_string());
        insta::assert_snapshot!(said.join("\n").replace(&long, "LONG").replace(&tag, "TAG"), @r#"
        "" is not an image reference: it is empty
        " x" is not an image reference: it begins or ends with a blank
        "https://ghcr.io/x" is not an image reference: an image has no URL scheme; leave "https://" out
        "Busybox" is not an image reference: the repository must be in lower case
        "ghcr.io/Ab" is not an image reference: the repository must be in lower case
        "a..b" is not an image reference: the component "a..b" holds something else than lower-case letters and digits separated by `.`, `_`, `__` or dashes
        "a//b" is not an image reference: the repository has an empty component
        "a/" is not an image reference: the repository has an empty component
        "a:" is not an image reference: the tag after the colon is empty
        "a:-x" is not an image reference: the tag "-x" holds something else than letters, digits, `_`, `.` and `-`
        "a@sha256:12" is not an image reference: "sha256:12" is not a digest
        "host.io:x/y" is not an image reference: the registry "host.io:x" has a port that is no number between 0 and 65535
        "host.io:70000/y" is not an image reference: the registry "host.io:70000" has a port that is no number between 0 and 65535
        "-host.io/y" is not an image reference: "-host.io" is not the name of a registry
        "[zz]/y" is not an image reference: the registry "[zz]" is not an IPv6 address in brackets
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" is not an image reference: 64 hexadecimal digits are an image ID, not a repository
        "LONG" is not an image reference: the name has more than 255 characters
        "TAG" is not an image reference: the tag has more than 128 characters
        "a b" is not an image reference: the component "a b" holds something else than lower-case letters and digits separated by `.`, `_`, `__` or dashes
        "größe" is not an image reference: the component "größe" holds something else than lower-case letters and digits separated by `.`, `_`, `__` or dashes
        "#);
    }
}
