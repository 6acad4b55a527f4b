//! What went wrong with a connection, in words.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::Url;

use crate::retry::{ConnectionFault, Failure};
use crate::target::authority_of;

/// Finds out what kind of failure an error of the HTTP library is.
pub(crate) fn explain(error: reqwest::Error, url: &Url) -> Failure {
    let error = error.without_url();
    let host = authority_of(url);
    if let Some(tls) = find_tls_error(&error) {
        let (kind, cause) = match tls {
            rustls::Error::InvalidCertificate(_) => (ConnectionFault::Certificate, format!("{host}: {tls}")),
            rustls::Error::InvalidMessage(_) => {
                (ConnectionFault::NotTls, format!("{host} does not speak TLS on this port"))
            }
            _ => (ConnectionFault::Broken, format!("no TLS connection to {host}: {tls}")),
        };
        return Failure::Connection { kind, cause };
    }
    if error.is_dns() {
        return Failure::Connection {
            kind: ConnectionFault::UnknownHost,
            cause: format!("{host} has no address: {}", deepest(&error)),
        };
    }
    if error.is_timeout() {
        return Failure::broken(format!("no connection to {host} within the time limit"));
    }
    if error.is_connect() {
        return Failure::broken(format!("no connection to {host}: {}", deepest(&error)));
    }
    if error.is_builder() {
        return Failure::refused(format!("the request to {host} cannot be made: {}", deepest(&error)));
    }
    Failure::broken(format!("the connection to {host} broke off: {}", deepest(&error)))
}

/// Looks through the causes, and into the `io::Error`s that hide theirs.
fn find_tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            let inner: &(dyn StdError + 'static) = inner;
            if let Some(tls) = find_tls_error(inner) {
                return Some(tls);
            }
        }
        next = error.source();
    }
    None
}

/// The text of the innermost cause.
pub(crate) fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A duration for messages: whole seconds where they are, else with a fraction.
pub(crate) fn seconds(duration: Duration) -> String {
    if duration.subsec_millis() == 0 {
        duration.as_secs().to_string()
    } else {
        format!("{:.1}", duration.as_secs_f64())
    }
}
