use std::io;
use std::path::PathBuf;

use strake_layers::{ErrorKind, ImagePath};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with the store, trees and mounts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From the layers.
    #[error(transparent)]
    Layers(#[from] strake_layers::Error),
    /// An operation on a host file failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Host {
        /// What was tried, as a verb phrase: `open`, `write`.
        action: &'static str,
        /// The host path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The store cannot be opened, since something else is in its place.
    #[error("{} is no store of strake: {problem}", path.display())]
    NoStore {
        /// The store's root.
        path: PathBuf,
        /// What is there instead.
        problem: String,
    },
    /// The store was made by another version.
    #[error("the store {} has the layout {found:?}, which this version of strake does not know", path.display())]
    StoreVersion {
        /// The store's root.
        path: PathBuf,
        /// The version found.
        found: String,
    },
    /// The store belongs to another user.
    #[error("the store {} belongs to another user (uid {owner})", path.display())]
    StoreOwner {
        /// The store's root.
        path: PathBuf,
        /// The owner's number.
        owner: u32,
    },
    /// The index of the store failed.
    #[error("the index {} failed: {source}", path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// The database's answer.
        source: rusqlite::Error,
    },
    /// A mount could not be made.
    #[error("cannot mount {what}: {source}")]
    Mount {
        /// What was to be mounted.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A mount target of a step cannot be made in its root.
    #[error("{path} cannot be a mount point: {problem}")]
    MountTarget {
        /// The target, as given.
        path: ImagePath,
        /// What is in the way.
        problem: String,
    },
    /// The upper directory of a step holds a mark that only a forger can have set.
    #[error("the step left the attribute {attribute} at {path}, by which overlay would show what is elsewhere")]
    ForgedUpper {
        /// The entry that carries it.
        path: ImagePath,
        /// The extended attribute.
        attribute: String,
    },
    /// Something that cannot work on this host.
    #[error("{0}")]
    Unsupported(String),
    /// An invariant does not hold.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Tells whether the build was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Layers(strake_layers::Error::Cancelled))
    }

    /// Tells whose problem the error is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Layers(error) => error.kind(),
            Self::Host { source, .. } | Self::Mount { source, .. } if is_denied(source) => ErrorKind::Denied,
            Self::StoreOwner { .. } => ErrorKind::Denied,
            Self::MountTarget { .. } | Self::ForgedUpper { .. } => ErrorKind::User,
            Self::Internal(_) => ErrorKind::Internal,
            _ => ErrorKind::Environment,
        }
    }

    /// Tells what to do about it, where that is known.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Host { source, .. } => host_help(source),
            Self::NoStore { .. } => Some("choose an empty or new directory with --root"),
            Self::StoreVersion { .. } => {
                Some("use the version of strake that made it, or choose another directory with --root")
            }
            Self::StoreOwner { .. } => Some("run strake as that user, or choose another directory with --root"),
            Self::Index { .. } => Some("the index only speeds up builds: move it away and build again"),
            Self::Mount { .. } => Some("run `strake doctor`, or use --isolation=chroot, which needs no mounts"),
            Self::ForgedUpper { .. } => Some("the step must not set attributes whose names hold `overlay.`"),
            _ => None,
        }
    }

    /// Wraps the failure of an operation on a host file.
    pub(crate) fn host(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Host { action, path: path.into(), source }
    }

    /// Tells whether it says that a host file is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Host { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn host_help(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("free space on that file system, for example with `strake prune`, or choose another with --root")
        }
        io::ErrorKind::ReadOnlyFilesystem => Some("choose a directory on a writable file system with --root"),
        io::ErrorKind::PermissionDenied => Some("choose a directory that this user may write with --root"),
        io::ErrorKind::NotADirectory => Some("a file is where a directory must be: remove it or choose another --root"),
        io::ErrorKind::IsADirectory => Some("a directory is where a file must be: remove it or choose another --root"),
        io::ErrorKind::AlreadyExists => {
            Some("something else has this name, such as a link to nothing: remove it or choose another --root")
        }
        _ => None,
    }
}
