//! Layers as tar archives (OCI image specification, layer.md).

mod limits;
mod reader;
mod writer;

pub use limits::Limits;
pub use reader::{ArchiveEntry, ArchiveEntryKind, ArchiveReader, LayerReader, WhiteoutNames};
pub use writer::{TarSummary, write_tar};
