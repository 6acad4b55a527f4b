//! The answer to a request: its head, its bounded body, and what an error's body says.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use tokio::time::timeout;

use crate::cause::{deepest, seconds};
use crate::options::ClientOptions;
use crate::retry::{Attempts, Failure, retry_after};
use crate::target::authority_of;

/// The most bytes of an error's body that are looked at (edges: 8).
const ERROR_BODY_LIMIT: usize = 64 << 10;

/// The head of an answer, and its body to come.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Where it came from, after redirects.
    pub(crate) url: Url,
    /// Whether it came from the server that the request was for, with no other between.
    pub(crate) trusted: bool,
    response: reqwest::Response,
    received: u64,
}

impl Reply {
    pub(crate) fn new(url: Url, trusted: bool, response: reqwest::Response) -> Self {
        Self { url, trusted, response, received: 0 }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header's text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The length of the body, as the server tells it.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.text("content-length")?.trim().parse().ok()
    }

    /// The media type without parameters, in lower case.
    pub(crate) fn media_type(&self) -> Option<String> {
        let value = self.text("content-type")?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// The next bytes of the body.
    pub(crate) async fn chunk(
        &mut self,
        idle: Duration,
        attempts: &mut Attempts<'_>,
    ) -> Result<Option<Bytes>, Failure> {
        let limit = idle.min(attempts.patience());
        match timeout(limit, self.response.chunk()).await {
            Err(_) => Err(Failure::broken(format!("silence for {} s after {} bytes", seconds(limit), self.received))),
            Ok(Err(error)) => Err(Failure::broken(format!(
                "the connection broke off after {} bytes: {}",
                self.received,
                deepest(&error)
            ))),
            Ok(Ok(chunk)) => {
                if let Some(chunk) = &chunk {
                    self.received += chunk.len() as u64;
                    attempts.note_movement();
                }
                Ok(chunk)
            }
        }
    }

    /// Reads a whole small body, which must not be larger than `limit`.
    pub(crate) async fn document(
        mut self,
        limit: u64,
        options: &ClientOptions,
        attempts: &mut Attempts<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let too_large = || Failure::refused(format!("the answer is larger than the limit of {limit} bytes"));
        if self.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let read = async {
            let mut bytes = Vec::new();
            while let Some(chunk) = self.chunk(options.limits.idle, attempts).await? {
                if (bytes.len() + chunk.len()) as u64 > limit {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        };
        let whole = options.limits.document;
        timeout(whole, read)
            .await
            .unwrap_or_else(|_| Err(Failure::broken(format!("a small document took longer than {} s", seconds(whole)))))
    }

    /// Makes a failure of an answer whose status is no success.
    pub(crate) async fn into_failure(mut self, options: &ClientOptions, attempts: &mut Attempts<'_>) -> Failure {
        let status = self.status();
        let retry_after = retry_after(self.headers());
        let media_type = self.media_type();
        let is_json = media_type.as_deref().is_some_and(|kind| kind.ends_with("json"));
        let mut body = Vec::new();
        // The body only explains; a server that is slow with it is not waited for.
        let read = async {
            while let Ok(Some(chunk)) = self.chunk(options.limits.idle, attempts).await {
                let room = ERROR_BODY_LIMIT - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() >= room {
                    break;
                }
            }
        };
        drop(timeout(Duration::from_secs(5), read).await);
        let detail = if is_json || body.starts_with(b"{") {
            registry_errors(&body)
        } else {
            plain_text(&body, media_type.as_deref())
        };
        if self.trusted {
            return Failure::Status { status, detail, retry_after };
        }
        let detail = joined(format!("said by {}, to which it redirects", authority_of(&self.url)), &detail);
        Failure::Status { status, detail, retry_after }
    }
}

/// Reads the errors of a registry's JSON (OCI distribution specification, "Error Codes").
fn registry_errors(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(default)]
        errors: Vec<Item>,
        #[serde(default, alias = "error_description", alias = "error", alias = "details")]
        message: Option<String>,
    }
    #[derive(serde::Deserialize)]
    struct Item {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else { return String::new() };
    let mut texts: Vec<String> = Vec::new();
    for item in body.errors.into_iter().take(3) {
        texts.push(if item.message.is_empty() {
            item.code.to_ascii_lowercase().replace('_', " ")
        } else {
            item.message
        });
    }
    if texts.is_empty() {
        texts.extend(body.message);
    }
    shorten(&texts.join("; "))
}

fn plain_text(body: &[u8], media_type: Option<&str>) -> String {
    match media_type {
        Some("text/plain") | None => shorten(&String::from_utf8_lossy(body)),
        _ => String::new(),
    }
}

/// One line of at most 300 characters, free of control characters: it goes to a terminal.
fn shorten(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Puts what is known here before what a server said, if it said anything.
pub(crate) fn joined(known: String, detail: &str) -> String {
    if detail.is_empty() { known } else { format!("{known}: {detail}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_become_one_short_line() {
        assert_eq!(
            registry_errors(br#"{"errors":[{"code":"NAME_UNKNOWN","message":"no \u001b[1mname"}]}"#),
            "no [1mname"
        );
        assert_eq!(registry_errors(br#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#), "name unknown");
        assert_eq!(registry_errors(br#"{"message":"too many"}"#), "too many");
        assert_eq!(registry_errors(b"<html>"), "");
        assert_eq!(plain_text(b"<html>", Some("text/html")), "");
        assert_eq!(plain_text("x".repeat(5000).as_bytes(), None).len(), 300);
    }
}
