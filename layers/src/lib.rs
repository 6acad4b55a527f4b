//! OCI layers as lists of entries: what a layer is, how it is read and written, and where its bytes lie.
//!
//! # Owns
//! Digests and the identities built on them, [`ImagePath`], [`Entry`], [`Layer`], the merged view of layers,
//! tar in and out, compression, image documents, the blob store, and the writers of image archives. Beside
//! them the few values that every part shares: [`ErrorKind`], [`Notice`], [`Cancel`].
//!
//! # Depends on
//! No other crate of the workspace. It opens no socket, mounts nothing, runs no process, and reads no
//! environment variable and no clock.
//!
//! # Invariants
//! - Layer bytes are a pure function of the entries: equal entries give equal bytes on every host and at every
//!   thread count.
//! - A path of an image is an [`ImagePath`]; a host path never is one.
//! - A blob is visible in the store only after its digest and size were verified.
//! - Bytes that do not match the hash of their entry fail the layer, by name.

mod archive;
mod blob_store;
mod cancel;
mod canonical;
mod codec;
mod compress;
mod content;
mod descriptor;
mod digest;
mod entry;
mod entry_list;
mod error;
mod host;
mod image;
mod layer;
mod layer_writer;
mod layout;
mod notice;
mod output_file;
mod passwd;
mod path;
mod pipeline;
mod platform;
mod platform_matcher;
mod reference;
mod rootfs;
mod sys;
mod tar;
mod time;
pub mod windows;

pub use archive::Archive;
pub use blob_store::{BlobStore, BlobWriter};
pub use cancel::Cancel;
pub use codec::encode_entries;
pub use compress::{ArchiveFormat, Compression};
pub use content::hash_contents;
pub use descriptor::Descriptor;
pub use digest::{Algorithm, ChainId, ContentHash, DiffId, Digest, DigestError, LayerId};
pub use entry::{ContentSource, DeviceNumber, Entry, EntryKind, FileContent, Metadata, WindowsMetadata, Xattrs};
pub use entry_list::{ContentPlace, EntryList};
pub use error::{Error, ErrorKind, Result};
pub use host::{HostDir, HostEntry, HostKind, HostName, Stamp};
pub use image::{
    ContainerConfig, DOCUMENT_LIMIT, Document, Healthcheck, History, Image, ImageConfig, ImageFormat, Index,
    LayerEncoding, LayerMediaType, Manifest, MediaType, Raw, assemble_index, assemble_manifest,
};
pub use layer::{Layer, LayerSource, TimesInId};
pub use layer_writer::{LayerOptions, WrittenLayer, diff_id_of, recompress_layer, write_layer};
pub use layout::{ImportedImage, Layout, LayoutImage, OciLayout};
pub use notice::{Notice, NoticeSink};
pub use output_file::OutputFile;
pub use passwd::{Owner, UnknownName, User, resolve_owner, resolve_user};
pub use path::{ImagePath, PathError};
pub use platform::{Platform, PlatformError};
pub use platform_matcher::{PlatformMatcher, Rank, WindowsIsolation};
pub use reference::{Reference, ReferenceError};
pub use rootfs::{Resolved, Rootfs, Walk};
pub use tar::{
    ArchiveEntry, ArchiveEntryKind, ArchiveReader, LayerReader, Limits, TarSummary, WhiteoutNames, write_tar,
};
pub use time::Timestamp;
