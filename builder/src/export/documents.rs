//! Manifests and indexes of the built images, put into the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use strake_layers::{Descriptor, ImageFormat, Layer, LayerSource, assemble_index, assemble_manifest};

use super::annotations::Place;
use super::image::BuiltImage;
use super::{Annotations, ExportContext};
use crate::request::ImageOptions;
use crate::{Error, Result};

/// The documents of an image, all in the store.
#[derive(Clone, Debug)]
pub(super) struct Documents {
    /// The manifest of the only image, or the index; its annotations are those of its descriptor.
    pub(super) top: Descriptor,
    /// Manifests, configs and layers below it.
    pub(super) below: Vec<Descriptor>,
    /// The layers of base images: they need not be in the store.
    pub(super) pulled: Vec<Arc<Layer>>,
}

/// Makes the documents, and the blobs of all layers that were made here.
pub(super) async fn make(context: &ExportContext, options: &ImageOptions) -> Result<Documents> {
    if options.force_compression && context.images.iter().flat_map(|image| &image.layers).any(is_pulled) {
        return Err(Error::user("force-compression=true cannot compress the layers of the base image anew yet")
            .with_help("leave force-compression out: layers made here have the compression asked for"));
    }
    let own = Annotations::parse(&options.annotations)?;
    let format = if options.docker_media_types { ImageFormat::Docker } else { ImageFormat::Oci };
    let needs_index = context.images.len() > 1 || wants_index(context);
    if !needs_index && (own.need_index() || context.annotations.need_index()) {
        return Err(Error::user("an annotation of an index was asked for, but a single image has no index")
            .with_help("build for several platforms, or set --build-arg BUILDKIT_MULTI_PLATFORM=1"));
    }
    let merged = |place: Place, image: Option<&BuiltImage>| {
        let platform = image.map(|image| &image.platform);
        let mut all = context.annotations.of(place, platform);
        all.extend(own.of(place, platform));
        all
    };
    let mut documents = Documents { top: Descriptor::of("", b""), below: Vec::new(), pulled: Vec::new() };
    let mut manifests = Vec::new();
    for image in &context.images {
        let mut layers = Vec::with_capacity(image.layers.len());
        for layer in &image.layers {
            let (_, descriptor) = context.blobs.blob(layer, options.compression).await?;
            if is_pulled(layer) {
                documents.pulled.push(Arc::clone(layer));
            }
            layers.push(Descriptor { annotations: BTreeMap::new(), ..descriptor });
        }
        let manifest = assemble_manifest(&image.config_bytes, &layers, merged(Place::Manifest, Some(image)), format)?;
        context.store.blobs().put(&image.config_bytes)?;
        context.store.blobs().put(&manifest.bytes)?;
        documents.below.extend(manifest.value.layers.iter().cloned());
        documents.below.push(manifest.value.config.clone());
        let mut descriptor = manifest.descriptor();
        descriptor.annotations = merged(Place::ManifestDescriptor, Some(image));
        if needs_index {
            descriptor.platform = Some(image.platform.clone());
        }
        manifests.push(descriptor);
    }
    documents.top = match (needs_index, manifests.as_slice()) {
        (false, [only]) => only.clone(),
        _ => {
            let index = assemble_index(manifests.clone(), merged(Place::Index, None), format)?;
            context.store.blobs().put(&index.bytes)?;
            documents.below.extend(manifests);
            Descriptor { annotations: merged(Place::IndexDescriptor, None), ..index.descriptor() }
        }
    };
    Ok(documents)
}

fn is_pulled(layer: &Arc<Layer>) -> bool {
    matches!(layer.source(), LayerSource::Blob { .. })
}

/// `BUILDKIT_MULTI_PLATFORM` makes an index of a single image (dockerfile.md §9.7).
fn wants_index(context: &ExportContext) -> bool {
    let value = context.request.build_args.iter().rev().find(|(name, _)| name == "BUILDKIT_MULTI_PLATFORM");
    value.is_some_and(|(_, value)| value == "1" || value.eq_ignore_ascii_case("true"))
}
