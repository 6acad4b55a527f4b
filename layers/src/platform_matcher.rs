use std::cmp::Reverse;

use crate::Platform;

/// How Windows containers are separated from their host, which decides what versions it can run (windows.md §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowsIsolation {
    /// The container shares the host's kernel.
    #[default]
    Process,
    /// The container has a kernel of its own.
    HyperV,
}

/// Chooses among the platforms that an index offers.
#[derive(Clone, Debug)]
pub struct PlatformMatcher {
    wanted: Platform,
    isolation: WindowsIsolation,
}

/// The place of a candidate among those that match; the smallest is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    variant: usize,
    version: Reverse<Version>,
}

/// `major.minor.build.revision`.
type Version = [u64; 4];

impl PlatformMatcher {
    /// Makes a matcher for a platform. For Windows its `os_version` is the host's or the requested one; without one
    /// every version matches and the highest is preferred.
    pub fn new(wanted: &Platform) -> Self {
        Self { wanted: wanted.clone().normalized(), isolation: WindowsIsolation::Process }
    }

    /// The same matcher for an isolation of Windows containers.
    #[must_use]
    pub fn with_isolation(self, isolation: WindowsIsolation) -> Self {
        Self { isolation, ..self }
    }

    /// The platform that is wanted, in normal form.
    pub fn wanted(&self) -> &Platform {
        &self.wanted
    }

    /// Tells whether a candidate can serve, and how well.
    pub fn rank(&self, candidate: &Platform) -> Option<Rank> {
        let candidate = candidate.clone().normalized();
        if candidate.os != self.wanted.os {
            return None;
        }
        let variant = accepted_variants(&self.wanted).iter().position(|(architecture, variant)| {
            *architecture == candidate.architecture && *variant == candidate.variant.as_deref().unwrap_or_default()
        })?;
        // An image may ask for features that the wanted platform names; `win32k` every Windows host has (windows.md §4).
        let lacks = |feature: &&String| {
            feature.as_str() != "win32k" && !self.wanted.os_features.iter().any(|have| have == *feature)
        };
        if candidate.os_features.iter().any(|feature| lacks(&feature)) {
            return None;
        }
        let version = candidate.os_version.as_deref().map(parse_version);
        if self.wanted.is_windows() {
            let wanted = self.wanted.os_version.as_deref().map(parse_version);
            if let (Some(wanted), Some(version)) = (wanted, version)
                && !windows_version_matches(wanted, version, self.isolation)
            {
                return None;
            }
        }
        Some(Rank { variant, version: Reverse(version.unwrap_or_default()) })
    }

    /// Chooses the best of several candidates, by its position; of equal ones the first.
    pub fn select<'a>(&self, candidates: impl IntoIterator<Item = &'a Platform>) -> Option<usize> {
        let ranked = candidates.into_iter().enumerate().filter_map(|(at, platform)| Some((self.rank(platform)?, at)));
        ranked.min().map(|(_, at)| at)
    }
}

impl Platform {
    /// Tells whether an image for `candidate` can serve where this platform is wanted.
    pub fn accepts(&self, candidate: &Self) -> bool {
        PlatformMatcher::new(self).rank(candidate).is_some()
    }
}

/// The architectures and variants that serve for a platform, best first: each CPU runs its predecessors' code, 64-bit
/// ones that of their 32-bit siblings.
fn accepted_variants(wanted: &Platform) -> Vec<(&str, String)> {
    let variant = wanted.variant.clone().unwrap_or_default();
    let mut list = vec![(wanted.architecture.as_str(), variant.clone())];
    match wanted.architecture.as_str() {
        "amd64" => {
            let level = variant.strip_prefix('v').and_then(|v| v.parse::<u32>().ok()).unwrap_or(1).min(16);
            list.extend((2..level).rev().map(|v| ("amd64", format!("v{v}"))));
            if level > 1 {
                list.push(("amd64", String::new()));
            }
            list.push(("386", String::new()));
        }
        "arm" => list.extend(older_arm(&variant).map(|v| ("arm", v))),
        "arm64" => {
            list.extend(older_arm64(&variant).into_iter().map(|v| ("arm64", v)));
            list.push(("arm", "v8".to_owned()));
            list.extend(older_arm("v8").map(|v| ("arm", v)));
        }
        _ => {}
    }
    list
}

fn older_arm(variant: &str) -> impl Iterator<Item = String> + use<> {
    let level = variant.strip_prefix('v').and_then(|v| v.parse::<u32>().ok()).unwrap_or(7).min(8);
    (5..level).rev().map(|v| format!("v{v}"))
}

/// The variants of arm64 below one: v9.x runs v9.(x-1) … v9, then v8.5 … v8, each v8.x its predecessors (Arm
/// architecture reference manual: v9.0 is a superset of v8.5). The lowest, v8, is written as no variant.
fn older_arm64(variant: &str) -> Vec<String> {
    let Some((major, minor)) = variant.strip_prefix('v').map(|v| v.split_once('.').unwrap_or((v, "0"))) else {
        return Vec::new();
    };
    let (Ok(major), Ok(minor)) = (major.parse::<u32>(), minor.parse::<u32>().map(|m| m.min(16))) else {
        return vec![String::new()];
    };
    let name = |major: u32, minor: u32| match (major, minor) {
        (8, 0) => String::new(),
        (major, 0) => format!("v{major}"),
        (major, minor) => format!("v{major}.{minor}"),
    };
    let mut list: Vec<_> = (0..minor).rev().map(|m| name(major, m)).collect();
    if major > 8 {
        list.extend((0..=5).rev().map(|m| name(8, m)));
    }
    list
}

/// Reads the four numbers of a version; what is missing or no number is 0.
fn parse_version(text: &str) -> Version {
    let mut version = Version::default();
    for (number, part) in version.iter_mut().zip(text.split('.')) {
        *number = part.parse().unwrap_or(0);
    }
    version
}

/// The rule of windows.md §4.1. The revision does not matter.
fn windows_version_matches(host: Version, candidate: Version, isolation: WindowsIsolation) -> bool {
    /// From this build on (Windows Server 2022), hosts run containers of older versions in process isolation.
    const FIRST_STABLE_ABI: u64 = 20348;
    /// Windows Server 2025, the newest long-term servicing build.
    const NEWEST_LTSC: u64 = 26100;
    if host[..2] != candidate[..2] {
        return false;
    }
    let (host, candidate) = (host[2], candidate[2]);
    if isolation == WindowsIsolation::HyperV {
        return candidate <= host;
    }
    if host < FIRST_STABLE_ABI {
        return candidate == host;
    }
    let oldest = if host > NEWEST_LTSC { NEWEST_LTSC } else { FIRST_STABLE_ABI };
    (oldest..=host).contains(&candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().expect(text)
    }

    fn chosen(wanted: &str, offered: &[&str]) -> Option<String> {
        let offered: Vec<Platform> = offered.iter().map(|text| platform(text)).collect();
        let at = PlatformMatcher::new(&platform(wanted)).select(&offered)?;
        Some(offered[at].to_string())
    }

    #[test]
    fn exact_variant_is_preferred_then_the_nearest_older_one() {
        let arm = ["linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm64"];
        assert_eq!(chosen("linux/arm/v7", &arm).as_deref(), Some("linux/arm/v7"));
        assert_eq!(chosen("linux/arm/v7", &arm[..2]).as_deref(), Some("linux/arm/v6"));
        assert_eq!(chosen("linux/arm/v6", &arm[2..]), None);
        assert_eq!(chosen("linux/arm64", &arm).as_deref(), Some("linux/arm64"));
        assert_eq!(chosen("linux/arm64", &arm[..3]).as_deref(), Some("linux/arm/v7"));
        assert_eq!(chosen("linux/arm64/v9", &["linux/arm64", "linux/arm64/v8.5"]).as_deref(), Some("linux/arm64/v8.5"));
        assert_eq!(chosen("linux/arm64", &["linux/arm64/v9"]), None);
        assert_eq!(chosen("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2"]).as_deref(), Some("linux/amd64/v2"));
        assert_eq!(chosen("linux/amd64", &["linux/386", "linux/amd64"]).as_deref(), Some("linux/amd64"));
        assert_eq!(chosen("linux/amd64", &["linux/386"]).as_deref(), Some("linux/386"));
        assert_eq!(chosen("linux/s390x", &arm), None);
        assert_eq!(chosen("windows/amd64", &["linux/amd64"]), None);
    }

    /// The rows of windows.md §4.1: what each host runs in process isolation.
    #[test]
    fn windows_hosts_run_the_builds_of_the_table() {
        let builds = [14393, 17763, 19042, 20348, 22621, 25398, 26100, 26200];
        let table: [(u64, &[u64]); 8] = [
            (14393, &[14393]),
            (17763, &[17763]),
            (19042, &[19042]),
            (20348, &[20348]),
            (22621, &[20348, 22621]),
            (25398, &[20348, 22621, 25398]),
            (26100, &[20348, 22621, 25398, 26100]),
            (26200, &[26100, 26200]),
        ];
        for (host, runs) in table {
            let wanted = platform(&format!("windows(10.0.{host}.1)/amd64"));
            let matcher = PlatformMatcher::new(&wanted);
            let hyper_v = matcher.clone().with_isolation(WindowsIsolation::HyperV);
            for build in builds {
                let candidate = platform(&format!("windows(10.0.{build}.77)/amd64"));
                assert_eq!(matcher.rank(&candidate).is_some(), runs.contains(&build), "host {host}, image {build}");
                assert_eq!(hyper_v.rank(&candidate).is_some(), build <= host, "host {host}, image {build}, Hyper-V");
            }
        }
    }

    #[test]
    fn highest_windows_version_is_preferred_by_number() {
        let offered = [
            "linux/amd64",
            "windows(10.0.20348.9)/amd64",
            "windows(10.0.20348.10)/amd64",
            "windows(10.0.17763.6532)/amd64",
        ];
        assert_eq!(chosen("windows/amd64", &offered).as_deref(), Some("windows(10.0.20348.10)/amd64"));
        assert_eq!(chosen("windows(10.0.17763)/amd64", &offered).as_deref(), Some("windows(10.0.17763.6532)/amd64"));
        assert_eq!(chosen("windows(10.0.19042)/amd64", &offered), None);
        assert_eq!(chosen("windows(6.3.20348)/amd64", &offered), None);
    }

    #[test]
    fn win32k_is_no_obstacle_and_other_features_are() {
        assert!(platform("windows/amd64").accepts(&platform("windows(10.0.20348.1+win32k)/amd64")));
        assert!(!platform("linux/amd64").accepts(&platform("linux(+gpu)/amd64")));
        assert!(platform("linux(+gpu)/amd64").accepts(&platform("linux(+gpu)/amd64")));
    }
}
