//! Platforms that nobody makes images for: likely misspelt.

use strake_layers::Platform;
use strake_parser::{Diagnostic, Span, suggest};

use super::codes;
use super::lints::Lints;

/// The systems and architectures that images are made for: those of the Go toolchain, whose names the OCI image
/// specification takes (config.md, "os" and "architecture").
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "ios",
    "js",
    "linux",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "wasi",
    "wasip1",
    "windows",
];
const ARCHITECTURES: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x", "sparc64", "wasm",
];

/// Warns of a platform that no image is likely to have; it is built all the same, as by the reference.
pub(super) fn warn_unknown(platform: &Platform, span: Span, lints: &mut Lints) {
    let (os, architecture) = (platform.os.as_str(), platform.architecture.as_str());
    let is_swapped = ARCHITECTURES.contains(&os) && SYSTEMS.contains(&architecture);
    let known_or_near = |name, list: &[&'static str]| match list.iter().find(|known| **known == name) {
        Some(known) => Some(*known),
        None => suggest(name, list.iter().copied()),
    };
    if SYSTEMS.contains(&os) && ARCHITECTURES.contains(&architecture) {
        return;
    }
    let meant = match is_swapped {
        true => Some(format!("{architecture}/{os}")),
        false => known_or_near(os, SYSTEMS)
            .zip(known_or_near(architecture, ARCHITECTURES))
            .map(|(os, architecture)| format!("{os}/{architecture}")),
    };
    let hint = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
    let message = format!("no images are known for the platform {platform}{hint}");
    let help = "a platform is OS/ARCHITECTURE, as in linux/amd64, linux/arm64 or windows/amd64";
    lints.push(Diagnostic::warning(codes::UNKNOWN_PLATFORM, message, span).with_help(help));
}
