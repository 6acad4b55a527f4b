//! Platforms that nobody makes images for: likely misspelt.

use strake_layers::Platform;
use strake_parser::{Diagnostic, Span, suggest};

use super::codes;
use super::lints::Lints;

/// Warns of a platform that no image is likely to have; it is built all the same, as by the reference.
pub(super) fn warn_unknown(platform: &Platform, span: Span, lints: &mut Lints) {
    let (os, architecture) = (platform.os.as_str(), platform.architecture.as_str());
    let is_system = |name: &str| Platform::SYSTEMS.contains(&name) || name == "wasi";
    let is_architecture = |name: &str| Platform::ARCHITECTURES.contains(&name);
    let known_or_near = |name, list: &[&'static str]| match list.iter().find(|known| **known == name) {
        Some(known) => Some(*known),
        None => suggest(name, list.iter().copied()),
    };
    if is_system(os) && is_architecture(architecture) {
        return;
    }
    let meant = match is_architecture(os) && is_system(architecture) {
        true => Some(format!("{architecture}/{os}")),
        false => known_or_near(os, Platform::SYSTEMS)
            .zip(known_or_near(architecture, Platform::ARCHITECTURES))
            .map(|(os, architecture)| format!("{os}/{architecture}")),
    };
    let hint = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
    let message = format!("no images are known for the platform {platform}{hint}");
    let help = "a platform is OS/ARCHITECTURE, as in linux/amd64, linux/arm64 or windows/amd64";
    lints.push(Diagnostic::warning(codes::UNKNOWN_PLATFORM, message, span).with_help(help));
}
