use std::io;
use std::path::PathBuf;

use crate::{Digest, ImagePath, sys};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose problem an error is. It alone decides exit code, retry and tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input is wrong: the Dockerfile, the context, a flag, an image's content.
    User,
    /// The machine is in the way: disk full, file system read-only, kernel feature or program missing.
    Environment,
    /// A remote side did not answer, or not as it must.
    Network,
    /// Permission or credentials are missing.
    Denied,
    /// A bug of strake.
    Internal,
}

/// What can go wrong with layers, images and blobs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
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
    /// A stream of bytes failed while it was read or written.
    #[error("{what}: {source}")]
    Stream {
        /// Which stream.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Bytes do not have the digest that was promised.
    #[error("{what} has digest {found}, but {expected} was promised: the content was changed or damaged on its way")]
    DigestMismatch {
        /// Which object.
        what: String,
        /// The digest that was promised.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// Bytes do not have the size that was promised.
    #[error("{what} has the size {found}, but {expected} was promised: the content was changed or damaged on its way")]
    SizeMismatch {
        /// Which object.
        what: String,
        /// The size that was promised.
        expected: u64,
        /// The number of bytes seen.
        found: u64,
    },
    /// A blob is not in the store.
    #[error("blob {0} is not in the store")]
    BlobMissing(Digest),
    /// A file changed between the moment it was looked at and the moment it was read.
    #[error("{path} changed while it was read: build again when nothing writes to it")]
    Changed {
        /// The file, as the user knows it.
        path: String,
    },
    /// A file's content has not the hash its entry tells.
    #[error("the content of {path} is not what it was when the layer was made")]
    ContentMismatch {
        /// The entry's path.
        path: ImagePath,
    },
    /// An archive or layer holds something that must not be there.
    #[error("{what}: {}{problem}", of_entry(.entry))]
    BadArchive {
        /// Which archive.
        what: String,
        /// The entry's name as found; empty where the problem is no entry's.
        entry: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A limit on untrusted input was exceeded.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What is too large.
        what: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// A document (manifest, config, index, layout) is not valid.
    #[error("{what} is not valid: {problem}")]
    BadDocument {
        /// Which document.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A value given by the user is not valid.
    #[error("{0}")]
    Invalid(String),
    /// Something that does not work yet or cannot work here.
    #[error("{0}")]
    Unsupported(String),
    /// The build was asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// An invariant does not hold.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// Tells whose problem the error is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Host { source, .. } => kind_of_io(source),
            Self::Stream { source, .. } => kind_of_io(source),
            Self::BlobMissing(_) => ErrorKind::Environment,
            Self::Internal(_) => ErrorKind::Internal,
            _ => ErrorKind::User,
        }
    }

    /// Wraps the failure of an operation on a host file.
    pub fn host(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Host { action, path: path.into(), source }
    }

    /// Wraps the failure of a stream. An error of this crate that travelled through an [`io::Error`] comes out again
    /// as it was.
    pub fn stream(what: impl Into<String>, source: io::Error) -> Self {
        match source.downcast::<Self>() {
            Ok(inner) => inner,
            Err(source) => Self::Stream { what: what.into(), source },
        }
    }

    /// Packs the error for a way through [`io::Read`] or [`io::Write`]; [`Error::stream`] unpacks it.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Stream { source, .. } => source,
            other => io::Error::other(other),
        }
    }

    /// Of an operation on what was there a moment ago: it is gone, or something else has taken its place. Any other error is
    /// given back as it is.
    #[must_use]
    pub fn as_change(self) -> Self {
        match &self {
            Self::Host { path, source, .. } if self.is_not_found() || is_other_now(source) => {
                Self::Changed { path: path.display().to_string() }
            }
            _ => self,
        }
    }

    /// Tells whether something of the host does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Host { source, .. } if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }
}

fn of_entry(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("entry {name:?}: ") }
}

/// Tells whether something is there, but not what was asked for: a link, a pipe, something outside.
fn is_other_now(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput || sys::is_link_in_the_way(error)
}

/// Judges an operating system's error: what the user may not do is `Denied`, the rest is the machine's.
fn kind_of_io(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => ErrorKind::User,
        _ => ErrorKind::Environment,
    }
}
