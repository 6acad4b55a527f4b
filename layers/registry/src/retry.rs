//! What is tried again, when, and how often (full-jitter back-off).

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use strake_layers::{Cancel, NoticeSink};

use crate::error::{Error, Failed, Place, Result};
use crate::options::Limits;

/// Why one attempt did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An answer with a status that is no success.
    Status {
        status: StatusCode,
        /// What the server says of it.
        detail: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// No answer, or one that broke off.
    Connection { kind: ConnectionFault, cause: String },
    /// The answer is complete, but wrong. `retry`: another attempt may bring the right one.
    Wrong { problem: String, retry: bool },
    /// No attempt can change this.
    Fatal(Error),
}

/// Where a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionFault {
    /// The name has no address.
    UnknownHost,
    /// The certificate does not verify.
    Certificate,
    /// Bytes that are no TLS where TLS was wanted.
    NotTls,
    /// Refused, reset, silent, or broken off.
    Broken,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Fatal(error)
    }
}

impl From<strake_layers::Error> for Failure {
    fn from(error: strake_layers::Error) -> Self {
        Self::Fatal(match error {
            strake_layers::Error::Cancelled => Error::Cancelled,
            error => Error::Layers(error),
        })
    }
}

impl Failure {
    pub(crate) fn broken(cause: impl Into<String>) -> Self {
        Self::Connection { kind: ConnectionFault::Broken, cause: cause.into() }
    }

    /// A wrong answer that a second attempt may mend.
    pub(crate) fn wrong(problem: impl Into<String>) -> Self {
        Self::Wrong { problem: problem.into(), retry: true }
    }

    /// A wrong answer that stays wrong.
    pub(crate) fn refused(problem: impl Into<String>) -> Self {
        Self::Wrong { problem: problem.into(), retry: false }
    }

    /// Tells whether the answer was this status.
    pub(crate) fn has_status(&self, wanted: StatusCode) -> bool {
        matches!(self, Self::Status { status, .. } if *status == wanted)
    }

    /// Makes the error that the user sees.
    pub(crate) fn into_error(self, place: &Place, attempts: u32) -> Error {
        let failed =
            |cause: String, help: Option<String>| Box::new(Failed { place: place.clone(), cause, attempts, help });
        let host = &place.host;
        match self {
            Self::Fatal(error) => error,
            Self::Wrong { problem, .. } => Error::BadAnswer(failed(
                problem,
                Some(format!(
                    "is {host} the right address, and what stands between it and this machine (proxy, portal)?"
                )),
            )),
            Self::Connection { kind, cause } => match kind {
                ConnectionFault::Certificate => Error::Certificate(failed(
                    cause,
                    Some(format!("put the certificate of the authority that {host} uses into certs.d/{host}/ca.crt")),
                )),
                ConnectionFault::NotTls => Error::Unreachable(failed(
                    cause,
                    Some(format!("if {host} speaks plain http, name it as an insecure registry")),
                )),
                ConnectionFault::UnknownHost => {
                    Error::Unreachable(failed(cause, Some(format!("is {host} spelled right, and does DNS work here?"))))
                }
                ConnectionFault::Broken => Error::Unreachable(failed(
                    cause,
                    Some(format!("is {host} up, and does it need a proxy (https_proxy) to be reached from here?")),
                )),
            },
            Self::Status { status, detail, .. } => {
                let mut cause = format!("{host} answered {status}");
                if !detail.is_empty() {
                    cause.push_str(": ");
                    cause.push_str(&detail);
                }
                match status {
                    StatusCode::UNAUTHORIZED => Error::Denied(failed(cause, Some(log_in(place)))),
                    StatusCode::FORBIDDEN => Error::Denied(failed(
                        cause,
                        Some(format!("the account used for {host} may not do this; {}", log_in(place))),
                    )),
                    StatusCode::NOT_FOUND | StatusCode::GONE => {
                        let help = match place.is_part {
                            true => format!("the image needs it, but {host} does not have it: push the image again"),
                            false => "does it exist, and is it spelled right?".to_owned(),
                        };
                        Error::NotFound(failed(cause, Some(help)))
                    }
                    StatusCode::TOO_MANY_REQUESTS => Error::Status(failed(
                        cause,
                        Some(format!("wait, or {} for a higher rate limit", log_in(place))),
                    )),
                    _ => Error::Status(failed(cause, None)),
                }
            }
        }
    }
}

fn log_in(place: &Place) -> String {
    match (place.action, place.host.as_str()) {
        ("download", host) => format!("give credentials for {host}"),
        (_, "docker.io") => "log in with `docker login`".to_owned(),
        (_, host) => format!("log in with `docker login {host}`"),
    }
}

/// The attempts of one operation.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    limits: &'a Limits,
    cancel: &'a Cancel,
    notices: &'a NoticeSink,
    place: Place,
    /// Attempts in all.
    made: u32,
    /// Attempts since the operation last got on.
    fruitless: u32,
    /// Complete but wrong answers seen.
    wrong: u32,
    /// When something last moved.
    moved: Instant,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(limits: &'a Limits, cancel: &'a Cancel, notices: &'a NoticeSink, place: Place) -> Self {
        Self { limits, cancel, notices, place, made: 0, fruitless: 0, wrong: 0, moved: Instant::now() }
    }

    /// How much silence is left before the whole operation is given up.
    pub(crate) fn patience(&self) -> Duration {
        self.limits.silence.saturating_sub(self.moved.elapsed())
    }

    /// Notes that bytes arrived.
    pub(crate) fn note_movement(&mut self) {
        self.moved = Instant::now();
    }

    /// Notes that the operation got on so far that earlier failures no longer count.
    pub(crate) fn note_progress(&mut self) {
        self.fruitless = 0;
        self.moved = Instant::now();
    }

    /// Judges a failure: waits and returns where another attempt makes sense, else gives the error.
    pub(crate) async fn after(&mut self, failure: Failure) -> Result<()> {
        self.made += 1;
        self.fruitless += 1;
        self.cancel.check().map_err(|_| Error::Cancelled)?;
        let left = match &failure {
            Failure::Fatal(_) => 0,
            Failure::Wrong { retry, .. } => {
                self.wrong += 1;
                // A digest that is wrong twice is not an accident (edges: 6).
                if *retry && self.wrong < 2 { self.limits.attempts } else { 0 }
            }
            Failure::Status { status, .. } => {
                self.note_movement();
                if is_transient(*status) { self.limits.attempts } else { 0 }
            }
            Failure::Connection { kind, .. } => match kind {
                // A second look-up helps against a resolver that hiccups, not against a wrong name.
                ConnectionFault::UnknownHost => self.limits.attempts.min(3),
                ConnectionFault::Certificate | ConnectionFault::NotTls => 0,
                ConnectionFault::Broken => self.limits.attempts,
            },
        };
        if self.fruitless >= left {
            return Err(failure.into_error(&self.place, self.made));
        }
        let asked = match &failure {
            Failure::Status { retry_after, .. } => retry_after.map(|wait| wait.min(self.limits.retry_after_cap)),
            _ => None,
        };
        let wait = asked.unwrap_or_else(|| jitter(backoff(self.limits, self.fruitless)));
        if asked.is_none() && wait >= self.patience() {
            return Err(failure.into_error(&self.place, self.made));
        }
        if wait >= Duration::from_secs(5) {
            let host = &self.place.host;
            self.notices.send(strake_layers::Notice::Waiting(format!("{host}, for {} s", wait.as_secs())));
        }
        stoppable(self.cancel, tokio::time::sleep(wait)).await?;
        if asked.is_some() {
            self.note_movement();
        }
        Ok(())
    }

    /// The error for a failure that is not to be retried.
    pub(crate) fn fail(&self, failure: Failure) -> Error {
        failure.into_error(&self.place, self.made + 1)
    }
}

/// Runs a future until it ends or the build is stopped.
pub(crate) async fn stoppable<F: Future>(cancel: &Cancel, future: F) -> Result<F::Output> {
    let stop = async {
        // The flag has no waker; ten looks a second cost nothing and end a wait fast enough for a person.
        while !cancel.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        biased;
        output = future => Ok(output),
        () = stop => Err(Error::Cancelled),
    }
}

/// 408, 425, 429 and the 5xx pass (RFC 9110, section 15); 501 and 505 say that they do not.
fn is_transient(status: StatusCode) -> bool {
    match status.as_u16() {
        408 | 425 | 429 => true,
        501 | 505 => false,
        code => code >= 500,
    }
}

fn backoff(limits: &Limits, fruitless: u32) -> Duration {
    let doubled = limits.backoff.saturating_mul(1u32.checked_shl(fruitless.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(limits.backoff_cap)
}

/// A random part of `most`: callers that failed together do not come back together.
fn jitter(most: Duration) -> Duration {
    // The standard library seeds each RandomState anew; no need for a crate of random numbers.
    let random = RandomState::new().hash_one(0u8);
    let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.checked_rem(nanos).unwrap_or(0))
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, which is compared with the server's own `Date`.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = parse_http_date(value)?;
    let now = parse_http_date(headers.get(DATE)?.to_str().ok()?)?;
    Some(Duration::from_secs(u64::try_from(until.checked_sub(now)?).unwrap_or(0)))
}

/// Reads an HTTP date (RFC 9110, section 5.6.7) as seconds since 1970.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    // The preferred form is a subset of RFC 2822 but for the zone's name, which jiff knows.
    jiff::fmt::rfc2822::parse(text.trim()).ok().map(|zoned| zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn place() -> Place {
        Place { action: "pull", host: "docker.io".into(), object: "docker.io/library/a:1".into(), is_part: false }
    }

    #[test]
    fn retry_after_reads_seconds_and_dates() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:47 GMT"));
        assert_eq!(retry_after(&headers), None, "without a Date there is nothing to compare with");
        headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(10)));
    }

    #[test]
    fn backoff_doubles_up_to_its_cap_and_jitter_stays_below() {
        let limits = Limits::default();
        assert_eq!(backoff(&limits, 1), Duration::from_millis(500));
        assert_eq!(backoff(&limits, 3), Duration::from_secs(2));
        assert_eq!(backoff(&limits, 90), limits.backoff_cap);
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
        assert!((0..100).all(|_| jitter(Duration::from_millis(3)) < Duration::from_millis(3)));
    }

    #[test]
    fn errors_name_place_status_attempts_and_remedy() {
        let failure =
            Failure::Status { status: StatusCode::NOT_FOUND, detail: "manifest unknown".into(), retry_after: None };
        let error = failure.into_error(&place(), 1);
        assert_eq!(
            error.to_string(),
            "cannot pull docker.io/library/a:1: docker.io answered 404 Not Found: manifest unknown (1 attempt)"
        );
        assert!(error.help().is_some());
        let denied = Failure::Status { status: StatusCode::UNAUTHORIZED, detail: String::new(), retry_after: None };
        assert_eq!(denied.into_error(&place(), 2).help(), Some("log in with `docker login`"));
    }

    #[tokio::test]
    async fn what_cannot_pass_is_not_tried_again() {
        let (limits, cancel, notices) = (Limits::default(), Cancel::new(), NoticeSink::silent());
        for status in [400u16, 401, 403, 404, 501] {
            let mut attempts = Attempts::new(&limits, &cancel, &notices, place());
            let status = StatusCode::from_u16(status).unwrap();
            let failure = Failure::Status { status, detail: String::new(), retry_after: None };
            assert!(attempts.after(failure).await.is_err(), "{status}");
        }
    }
}
