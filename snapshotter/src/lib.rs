//! What strake keeps on a machine, and how layers become directories that a step can run in.
//!
//! # Owns
//! The [`Store`]: its layout, its index, locks, leases, cache mounts and pruning. Trees, which are layers written out
//! as directories; writable snapshots over them; and finding out what a step changed.
//!
//! # Depends on
//! `strake-layers` only. It knows nothing of Dockerfiles, cache keys (records are opaque), registries and processes.
//!
//! # Invariants
//! - Nothing is visible in the store before it is whole: made beside, then renamed.
//! - Whatever a killed process leaves has no held lock, and the next start removes it, mounts first.
//! - A tree holds exactly what its layer's entries say; it is never written again.
//! - Nothing below a store's directories is ever reached by following a link of an image.
//!
//! # Example
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use strake_layers::{Entry, ImagePath, Layer, Metadata, Rootfs};
//! use strake_snapshotter::{CopySnapshotter, Snapshotter, Stack, Store, StoreOptions};
//!
//! let store = Arc::new(Store::open(Path::new("store"), StoreOptions::default())?);
//! let snapshotter = CopySnapshotter::new(store);
//! let hello = Entry::inline_file(ImagePath::parse("hello").expect("a path"), Metadata::default(), *b"hello");
//! let base = Layer::from_plan(vec![hello])?;
//! let tree = snapshotter.materialise(&base, None)?;
//! let rootfs = Arc::new(Rootfs::new(vec![tree.entries().clone()]));
//! let step = snapshotter.prepare(&Stack { trees: &[tree], rootfs: &rootfs }, &[])?;
//! // … run something in `step.mount()?` …
//! let changes = step.commit()?;
//! # Ok::<(), strake_snapshotter::Error>(())
//! ```

mod apply;
mod cache_mount;
mod changes;
mod commit;
mod copy;
mod error;
mod lock;
mod output;
mod overlay;
mod scan;
mod snapshot;
mod store;
mod stubs;
mod sys;
mod trees;

pub use cache_mount::{CacheMount, CacheRequest, CacheSeed, Sharing};
pub use copy::CopySnapshotter;
pub use error::{Error, Result};
pub use output::write_files;
pub use overlay::OverlaySnapshotter;
pub use snapshot::{Access, ActiveSnapshot, Mount, MountKind, MountTarget, Snapshotter, Stack, TargetKind, Tree};
pub use store::{
    DiskUsage, Durability, ImageRecord, KeyLock, Lease, PruneOptions, PruneReport, Record, Store, StoreOptions,
};
