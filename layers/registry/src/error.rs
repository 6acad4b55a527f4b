use std::fmt;

use strake_layers::ErrorKind;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was attempted and where: the first half of every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The verb: `pull`, `push`, `download`.
    pub action: &'static str,
    /// The registry or server, as the user names it: `docker.io`, `localhost:5000`.
    pub host: String,
    /// The repository with tag or digest, or the URL without its secrets.
    pub object: String,
    /// Whether it is a part that an image names, and nobody else.
    pub is_part: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.action, self.object)
    }
}

/// One operation on a registry or server that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What was attempted, and where.
    pub place: Place,
    /// The HTTP status or the cause.
    pub cause: String,
    /// How often it was attempted.
    pub attempts: u32,
    /// What may help.
    pub help: Option<String>,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.cause)?;
        match self.attempts {
            0 => Ok(()),
            1 => f.write_str(" (1 attempt)"),
            n => write!(f, " ({n} attempts)"),
        }
    }
}

/// Why a registry or a download did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The registry wants other credentials, or forbids it: HTTP 401 or 403.
    #[error("{0}")]
    Denied(Box<Failed>),
    /// There is no such repository, tag, blob or file: HTTP 404 or 410.
    #[error("{0}")]
    NotFound(Box<Failed>),
    /// The server cannot be reached, stays silent, or breaks off.
    #[error("{0}")]
    Unreachable(Box<Failed>),
    /// The server's certificate does not verify.
    #[error("{0}")]
    Certificate(Box<Failed>),
    /// The server answered with a status that is no success.
    #[error("{0}")]
    Status(Box<Failed>),
    /// The server's answer is not what the protocol says: wrong digest, wrong size, no registry at all.
    #[error("{0}")]
    BadAnswer(Box<Failed>),
    /// The image exists, but not for the platform.
    #[error("{object} has no image for {wanted}; it offers {}", offer(.offered))]
    NoPlatform {
        /// The image.
        object: String,
        /// The platform wanted.
        wanted: String,
        /// The platforms its index lists.
        offered: Vec<String>,
        /// What may help.
        help: String,
    },
    /// A file of the client's configuration cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// What the caller gave makes no request.
    #[error("{0}")]
    Invalid(String),
    /// From the layers or the blob store.
    #[error(transparent)]
    Layers(#[from] strake_layers::Error),
    /// The build was asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// An invariant does not hold.
    #[error("internal error: {0}")]
    Internal(String),
}

fn offer(offered: &[String]) -> String {
    if offered.is_empty() { "none".to_owned() } else { offered.join(", ") }
}

impl Error {
    /// Tells whose problem the error is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Denied(_) => ErrorKind::Denied,
            Self::NotFound(_) | Self::NoPlatform { .. } | Self::Invalid(_) | Self::Cancelled => ErrorKind::User,
            Self::Unreachable(_) | Self::Certificate(_) | Self::Status(_) | Self::BadAnswer(_) => ErrorKind::Network,
            Self::Configuration(_) => ErrorKind::Environment,
            Self::Layers(error) => error.kind(),
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// Tells what to do about it, where that is known.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Denied(failed)
            | Self::NotFound(failed)
            | Self::Unreachable(failed)
            | Self::Certificate(failed)
            | Self::Status(failed)
            | Self::BadAnswer(failed) => failed.help.as_deref(),
            Self::NoPlatform { help, .. } => Some(help),
            _ => None,
        }
    }
}
