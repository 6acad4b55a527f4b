//! Why a build ended without its result.

use strake_layers::ErrorKind;

use crate::Finding;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a build ended without its result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The Dockerfile cannot be built as it is: everything found in it, errors and warnings, in file order.
    #[error("{}", summary(.0))]
    Dockerfile(Vec<Finding>),
    /// A step failed: where it stands, and why. The diagnostic's message is the whole first line.
    #[error("{}", .finding.diagnostic.message)]
    Step {
        /// The place in the Dockerfile and the message.
        finding: Box<Finding>,
        /// The progress name of the step.
        step: String,
        /// What happened below, where there is more than the message.
        #[source]
        source: Option<Box<Self>>,
    },
    /// The process of a RUN failed.
    #[error("process {command:?} did not complete successfully: {how}")]
    Run {
        /// The arguments joined by blanks.
        command: String,
        /// `exit code: 2`, `killed by signal 9 (SIGKILL)`, with cause where known.
        how: String,
        /// The exit code, 128+n for a signal.
        code: i32,
        /// The last lines it wrote, secrets masked.
        tail: Vec<String>,
        /// What may help.
        help: Option<String>,
    },
    /// The request, the context or an input of it is wrong, or the machine is in the way.
    #[error("{message}")]
    Other {
        /// Whose problem it is.
        kind: ErrorKind,
        /// What and why.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// From the layers.
    #[error(transparent)]
    Layers(#[from] strake_layers::Error),
    /// From the store or a mount.
    #[error(transparent)]
    Snapshotter(#[from] strake_snapshotter::Error),
    /// From a registry or a download.
    #[error(transparent)]
    Registry(#[from] strake_registry::Error),
    /// The build was asked to stop.
    #[error("the build was stopped")]
    Cancelled,
}

impl Error {
    /// Tells whose problem it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Dockerfile(_) | Self::Run { .. } | Self::Cancelled => ErrorKind::User,
            Self::Step { source, .. } => source.as_ref().map_or(ErrorKind::User, |source| source.kind()),
            Self::Other { kind, .. } => *kind,
            Self::Layers(error) => error.kind(),
            Self::Snapshotter(error) => error.kind(),
            Self::Registry(error) => error.kind(),
        }
    }

    /// Tells whether the build was asked to stop, wherever that was noticed.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled | Self::Layers(strake_layers::Error::Cancelled) => true,
            Self::Snapshotter(error) => error.is_cancelled(),
            Self::Registry(error) => matches!(
                error,
                strake_registry::Error::Cancelled | strake_registry::Error::Layers(strake_layers::Error::Cancelled)
            ),
            Self::Step { source, .. } => source.as_ref().is_some_and(|source| source.is_cancelled()),
            _ => false,
        }
    }

    /// Gives the places in the Dockerfile that it is about, warnings included.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Dockerfile(findings) => findings,
            Self::Step { finding, .. } => std::slice::from_ref(finding),
            _ => &[],
        }
    }

    /// Tells what to do about it, where that is known.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::Step { finding, source, .. } => {
                finding.diagnostic.help.as_deref().or_else(|| source.as_ref().and_then(|source| source.help()))
            }
            Self::Run { help, .. } | Self::Other { help, .. } => help.as_deref(),
            Self::Registry(error) => error.help(),
            Self::Snapshotter(error) => error.help(),
            _ => None,
        }
    }

    /// Makes an error of what the user gave.
    pub fn user(message: impl Into<String>) -> Self {
        Self::Other { kind: ErrorKind::User, message: message.into(), help: None }
    }

    /// Makes an error of the machine.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::Other { kind: ErrorKind::Environment, message: message.into(), help: None }
    }

    /// Makes an error that says what strake's own state must not be.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Other { kind: ErrorKind::Internal, message: message.into(), help: None }
    }

    /// Adds what to do, where there is nothing yet.
    #[must_use]
    pub fn with_help(mut self, text: impl Into<String>) -> Self {
        if let Self::Run { help, .. } | Self::Other { help, .. } = &mut self {
            help.get_or_insert_with(|| text.into());
        }
        self
    }
}

fn summary(findings: &[Finding]) -> String {
    let errors: Vec<_> = findings.iter().filter(|finding| finding.diagnostic.is_error()).collect();
    match errors.as_slice() {
        [] => "the Dockerfile has problems".to_owned(),
        [one] => one.diagnostic.message.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.diagnostic.message, rest.len()),
    }
}
