//! Exit codes (ARCHITECTURE.md, decision 10).

use strake::{Error, ErrorKind};

/// The command line or a file it names is wrong.
pub(crate) const USAGE: u8 = 2;

/// The exit code of a failed build.
pub(crate) fn code(error: &Error, signal: Option<i32>) -> u8 {
    if let Some(signal) = signal
        && error.is_cancelled()
    {
        return u8::try_from(128 + signal).unwrap_or(1);
    }
    of_kind(error.kind())
}

/// The exit code of a kind of error.
pub(crate) fn of_kind(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::User => 1,
        ErrorKind::Environment => 3,
        ErrorKind::Network => 4,
        ErrorKind::Denied => 5,
        ErrorKind::Internal => 70,
    }
}
