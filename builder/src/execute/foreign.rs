//! Judges the layers of a base of Windows, which somebody else made (windows.md §2.1).

use std::sync::Arc;

use strake_layers::windows::check_layer;
use strake_layers::{Layer, LayerSource};
use strake_parser::Diagnostic;

use super::{StepWork, codes};
use crate::{Error, Result};

/// Warns of base layers that Windows will not import, once for each; their entries are known by now. It is no error:
/// nothing is imported here, and the registry gets those layers as they are.
pub(super) async fn judge(work: &StepWork<'_>) -> Result<()> {
    if !work.stage.platform.is_windows() {
        return Ok(());
    }
    for (index, layer) in work.below.layers.iter().enumerate() {
        let LayerSource::Blob { descriptor, .. } = layer.source() else { continue };
        if !work.session.is_first_look(layer) {
            continue;
        }
        let (layer, digest, is_lowest) = (Arc::clone(layer), descriptor.digest.clone(), index == 0);
        let judged = tokio::task::spawn_blocking(move || problem(&layer, is_lowest, &digest.to_string())).await;
        let judged = judged.map_err(|error| Error::internal(format!("judging a layer ended abnormally: {error}")))?;
        if let Some(problem) = judged {
            let help = "containers of Windows do not start from the image: ask its maker for layers in Windows' format";
            let warning = Diagnostic::warning(codes::FOREIGN_LAYER, problem, work.stage.span).with_help(help);
            work.session.warn(work.session.found_in.finding(warning));
        }
    }
    Ok(())
}

fn problem(layer: &Layer, is_lowest: bool, digest: &str) -> Option<String> {
    let name = format!("layer {digest} of the base image");
    check_layer(layer.entries()?, is_lowest, &name).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use strake_layers::{Descriptor, DiffId, Digest, Entry, ImagePath, MediaType, Metadata};

    use super::*;

    fn layer(names: &[&str]) -> Layer {
        let layer = Layer::from_blob(Descriptor::of(MediaType::OCI_LAYER_GZIP, b"x"), DiffId(Digest::of(b"x")));
        let file =
            |name: &&str| Entry::inline_file(ImagePath::clean(name).expect("a path"), Metadata::default(), *b"x");
        layer.set_entries(names.iter().map(file).collect::<Vec<_>>().into());
        layer
    }

    #[test]
    fn a_layer_of_another_builder_is_named_with_what_is_wrong() {
        assert_eq!(problem(&layer(&["Files/app", "Hives/Software_Delta"]), false, "sha256:1"), None);
        let linux = problem(&layer(&["bin/busybox"]), true, "sha256:2").expect("a problem");
        assert!(
            linux.starts_with("layer sha256:2 of the base image: entry \"bin/busybox\": path outside Files"),
            "{linux}"
        );
        let twice = problem(&layer(&["Files/App", "Files/app"]), false, "sha256:3").expect("a problem");
        assert!(twice.contains("Windows takes its name for that of"), "{twice}");
    }
}
