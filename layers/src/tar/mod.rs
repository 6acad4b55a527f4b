//! Layers as tar archives (OCI image specification, layer.md).

mod header;
mod index;
mod layer_reader;
mod limits;
mod member;
mod pax;
mod reader;
mod sparse;
mod writer;

#[cfg(test)]
mod tests;

pub use layer_reader::LayerReader;
pub use limits::Limits;
pub(crate) use member::is_header;
pub use member::{ArchiveEntry, ArchiveEntryKind, WhiteoutNames};
pub use reader::ArchiveReader;
pub use writer::{TarSummary, write_tar};
