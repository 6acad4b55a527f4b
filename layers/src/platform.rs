use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A target platform (OCI image specification, image-index.md, "platform").
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(expecting = "an object")]
pub struct Platform {
    /// CPU architecture in Go's names: `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// Operating system in Go's names: `linux`, `windows`.
    #[serde(default)]
    pub os: String,
    /// Version of the operating system; Windows only in practice.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "crate::descriptor::null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// CPU variant: `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A text that is no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a platform: {problem}")]
pub struct PlatformError {
    text: String,
    problem: &'static str,
}

impl Platform {
    /// Go's names of operating systems, which the image specification takes (config.md, `os`).
    pub const SYSTEMS: &[&str] = &[
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "hurd",
        "illumos",
        "ios",
        "js",
        "linux",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "wasip1",
        "windows",
    ];

    /// Go's names of architectures, likewise (config.md, `architecture`).
    pub const ARCHITECTURES: &[&str] = &[
        "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv",
        "riscv64", "s390x", "sparc64", "wasm",
    ];

    /// Makes a platform in normal form: `new("linux", "x86_64")` is `linux/amd64`.
    pub fn new(os: &str, architecture: &str) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), ..Self::default() }.normalized()
    }

    /// The platform this program runs on, without a version of the operating system.
    pub fn host() -> Self {
        Self::new(std::env::consts::OS, std::env::consts::ARCH)
    }

    /// Reads `os[(osversion[+feature])]/arch[/variant]`, an operating system alone or an architecture alone
    /// (dockerfile.md §7.3). What is missing comes from the host; images for macOS do not exist, so `linux` stands in.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let error = |problem| PlatformError { text: text.chars().take(100).collect(), problem };
        let (system, rest) = match text.split_once('/') {
            Some((system, rest)) => (system, Some(rest)),
            None => (text, None),
        };
        let (name, version, features) = parse_system(system).map_err(error)?;
        let base =
            Self { os: name.to_ascii_lowercase(), os_version: version, os_features: features, ..Self::default() };
        let host = Self::host();
        let Some(rest) = rest else {
            let known = base.clone().normalized();
            // By these lists `linux` alone is told from `amd64` alone (dockerfile.md §7.3).
            if Self::SYSTEMS.contains(&known.os.as_str()) {
                return Ok(Self { architecture: host.architecture, variant: host.variant, ..known });
            }
            let os = if host.os == "windows" { "windows" } else { "linux" };
            let alone = Self::new(os, name);
            if !system.contains('(') && Self::ARCHITECTURES.contains(&alone.architecture.as_str()) {
                return Ok(alone);
            }
            return Err(error("neither an operating system nor an architecture has this name"));
        };
        let (architecture, variant) = match rest.split_once('/') {
            Some((architecture, variant)) => (architecture, Some(variant)),
            None => (rest, None),
        };
        if variant.is_some_and(|v| v.contains('/')) {
            return Err(error("it has more than three parts"));
        }
        if !is_word(architecture) || !variant.is_none_or(is_word) {
            return Err(error("a part is empty or holds a sign other than letters, digits, `_`, `-` and `.`"));
        }
        let variant = variant.map(str::to_owned);
        Ok(Self { architecture: architecture.to_owned(), variant, ..base }.normalized())
    }

    /// The same platform under the names that images use: `x86_64` becomes `amd64`, `arm64/v8` becomes `arm64`, `arm`
    /// becomes `arm/v7` (dockerfile.md §7.3).
    #[must_use]
    pub fn normalized(mut self) -> Self {
        self.os = match self.os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let architecture = self.architecture.to_ascii_lowercase();
        let variant = self.variant.take().map(|v| v.to_ascii_lowercase()).unwrap_or_default();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386" | "i686" | "x86", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64" | "amd64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64" | "arm64", variant) => ("arm64", variant),
            ("armhf", _) => ("arm", "v7"),
            ("armel", _) => ("arm", "v6"),
            ("arm", "" | "7") => ("arm", "v7"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "6") => ("arm", "v6"),
            ("arm", "8") => ("arm", "v8"),
            // Rust's names where they differ from Go's.
            ("powerpc64", variant) if cfg!(target_endian = "little") => ("ppc64le", variant),
            ("powerpc64", variant) => ("ppc64", variant),
            ("loongarch64", variant) => ("loong64", variant),
            (architecture, variant) => (architecture, variant),
        };
        self.variant = (!variant.is_empty()).then(|| variant.to_owned());
        self.architecture = architecture.to_owned();
        self
    }

    /// Tells whether images for it are Windows images (windows.md).
    pub fn is_windows(&self) -> bool {
        self.os == "windows"
    }
}

/// Splits `os(version+feature+feature)`.
fn parse_system(text: &str) -> Result<(&str, Option<String>, Vec<String>), &'static str> {
    let (name, inner) = match text.split_once('(') {
        None => (text, None),
        Some((name, inner)) => {
            (name, Some(inner.strip_suffix(')').ok_or("the parenthesis after the operating system is not closed")?))
        }
    };
    if !is_word(name) {
        return Err("a part is empty or holds a sign other than letters, digits, `_`, `-` and `.`");
    }
    let Some(inner) = inner else { return Ok((name, None, Vec::new())) };
    let mut parts = inner.split('+');
    let version = parts.next().filter(|v| !v.is_empty()).map(str::to_owned);
    let features: Vec<String> = parts.map(str::to_owned).collect();
    if !version.as_deref().is_none_or(is_word) || !features.iter().all(|f| is_word(f)) {
        return Err("the version or a feature in parentheses is empty or holds a forbidden sign");
    }
    Ok((name, version, features))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        if self.os_version.is_some() || !self.os_features.is_empty() {
            write!(f, "({}", self.os_version.as_deref().unwrap_or_default())?;
            for feature in &self.os_features {
                write!(f, "+{feature}")?;
            }
            f.write_str(")")?;
        }
        write!(f, "/{}", self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Platform>().expect(text).to_string()
    }

    #[test]
    fn parse_gives_the_names_that_images_use() {
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/9", "linux/arm64/v9"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("linux/riscv64", "linux/riscv64"),
            ("windows(10.0.20348.2849)/amd64", "windows(10.0.20348.2849)/amd64"),
            ("windows(10.0.17763+win32k)/amd64", "windows(10.0.17763+win32k)/amd64"),
            ("windows(+win32k)/amd64", "windows(+win32k)/amd64"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn one_part_takes_the_other_from_the_host() {
        let host = Platform::host();
        assert_eq!(shown("windows"), format!("windows/{}", host.architecture));
        assert!(shown("s390x").ends_with("/s390x"));
        assert!(shown("armhf").ends_with("/arm/v7"));
    }

    #[test]
    fn other_texts_are_refused_with_a_reason() {
        let said =
            ["", "/", "linux/", "linux//v7", "a/b/c/d", "foo", "linux/am d64", "windows(10/amd64", "linux/*", "("]
                .map(|bad| Platform::parse(bad).expect_err(bad).to_string());
        insta::assert_snapshot!(said.join("\n"), @r#"
        "" is not a platform: a part is empty or holds a sign other than letters, digits, `_`, `-` and `.`
        "/" is not a platform: a part is empty or holds a sign other than letters, digits, `_`, `-` and `.`
        "linux/" is not a platform: a part is empty or holds a sign other than letters, digits, `_`, `-` and `.`
        "linux//v7" is not a platform: a part is empty or holds a sign other than letters, digits, `_`, `-` and `.`
        "a/b/c/d" is not a platform: it has more than three parts
        "foo" is not a platform: neither an operating system nor an architecture has this name
        "linux/am d64" is not a platform: a part is empty or holds a sign other than letters, digits, `_`, `-` and `.`
        "windows(10/amd64" is not a platform: the parenthesis after the operating system is not closed
        "linux/*" is not a platform: a part is empty or holds a sign other than letters, digits, `_`, `-` and `.`
        "(" is not a platform: the parenthesis after the operating system is not closed
        "#);
    }

    #[test]
    fn json_takes_null_lists_and_writes_only_what_is_set() {
        let json = r#"{"architecture":"amd64","os":"windows","os.version":"10.0.20348.1","os.features":null}"#;
        let platform: Platform = serde_json::from_str(json).expect("valid");
        assert_eq!(platform.os_version.as_deref(), Some("10.0.20348.1"));
        let written = serde_json::to_string(&Platform::new("linux", "amd64")).expect("valid");
        assert_eq!(written, r#"{"architecture":"amd64","os":"linux"}"#);
    }
}
