//! What is to be said of an image of Windows before it is built (windows.md §4).

use strake_parser::Diagnostic;

use super::codes;
use super::graph::{Base, PlannedStage, StageId};
use super::lints::Lints;

/// Warns of an image that hosts with Windows will not start or not choose. Stages that the target only copies from may
/// be as they like.
pub(super) fn warn(stages: &[PlannedStage], target: StageId, lints: &mut Lints) {
    let Some(image) = stages.get(target.0).filter(|stage| stage.platform.is_windows()) else { return };
    let mut lowest = image;
    while let Base::Stage(id) = &lowest.base {
        let Some(below) = stages.get(id.0) else { return };
        lowest = below;
    }
    if !matches!(lowest.base, Base::Image(_)) {
        let message = "the image holds no Windows and starts nowhere: it is good for COPY --from alone";
        let help = "start from a base image, as mcr.microsoft.com/windows/nanoserver:ltsc2022, if it is to run";
        lints.push(Diagnostic::warning(codes::NO_WINDOWS, message, lowest.span).with_help(help));
    }
    if image.config.os_version.is_none() {
        let message = "the image has no version of Windows (os.version), by which hosts choose";
        let help = "give it with the platform: --platform 'windows(10.0.20348.2849)/amd64'";
        lints.push(Diagnostic::warning(codes::NO_VERSION, message, image.span).with_help(help));
    }
}
