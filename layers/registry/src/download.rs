use std::time::{Duration, Instant};

use reqwest::header::{
    AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use reqwest::{Method, StatusCode, Url};
use strake_layers::{Algorithm, BlobStore, Digest, Notice, Timestamp};

use crate::auth::basic_header;
use crate::client::Client;
use crate::error::{Error, Place, Result};
use crate::options::Secret;
use crate::reply::Reply;
use crate::retry::{Attempts, Failure, parse_http_date};
use crate::sink::Sink;
use crate::target::{authority_of, shown};
use crate::transport::{Redirects, Request};

/// So many new bytes make earlier failures forgotten.
const PROGRESS: u64 = 1 << 20;

/// How often progress is reported at most.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// What an earlier download said of its content (RFC 9110, section 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`, as it was sent.
    pub last_modified: Option<String>,
}

/// A file of the web to be fetched.
#[derive(Clone, Debug)]
pub struct DownloadRequest {
    /// The address, `http` or `https`. A user and password in it become credentials for its host.
    pub url: String,
    /// Where given, the server may answer that nothing changed.
    pub validators: Validators,
    /// The most bytes.
    pub limit: u64,
    /// Further headers for the address's own host and port; redirects elsewhere do not get them.
    pub headers: Vec<(String, Secret)>,
}

/// What a server gave.
#[derive(Clone, Debug)]
pub struct Download {
    /// The content's digest and size, in the store; `None`: it did not change (HTTP 304).
    pub body: Option<(Digest, u64)>,
    /// The HTTP status.
    pub status: u16,
    /// A file name: the last element of the address's path, or what `Content-Disposition` says; `None` where neither has
    /// one.
    pub name: Option<String>,
    /// `Last-Modified` as a time.
    pub modified: Option<Timestamp>,
    /// What a later download can ask with.
    pub validators: Validators,
    /// The media type.
    pub media_type: Option<String>,
    /// The address after redirects, without secrets.
    pub final_url: String,
}

/// A download between its attempts.
struct Partial {
    sink: Sink,
    /// What the bytes so far belong to; a body without one is never continued.
    validator: Option<HeaderValue>,
    total: Option<u64>,
}

impl Client {
    /// Fetches a file into the store. An interrupted one is continued where the server can tell that it is the same file.
    pub async fn download(&self, request: &DownloadRequest, store: &BlobStore) -> Result<Download> {
        self.until_stopped(self.download_now(request, store)).await
    }

    async fn download_now(&self, request: &DownloadRequest, store: &BlobStore) -> Result<Download> {
        let prepared = prepare(request)?;
        let url = prepared.url.clone();
        let place = Place { action: "download", host: authority_of(&url), object: shown(&url), is_part: false };
        let mut attempts = self.attempts(place);
        let mut partial = None;
        loop {
            match self.download_once(&prepared, request, store, &mut partial, &mut attempts).await {
                Ok(download) => return Ok(download),
                Err(failure) => attempts.after(failure).await?,
            }
        }
    }

    async fn download_once(
        &self,
        prepared: &Request,
        request: &DownloadRequest,
        store: &BlobStore,
        partial: &mut Option<Partial>,
        attempts: &mut Attempts<'_>,
    ) -> Result<Download, Failure> {
        let mut ask = prepared.clone();
        match partial {
            Some(Partial { sink, validator: Some(validator), .. }) if sink.received() > 0 => {
                let range = HeaderValue::from_str(&format!("bytes={}-", sink.received()));
                ask = ask.header(RANGE, range.map_err(|error| Error::Internal(error.to_string()))?);
                ask = ask.header(IF_RANGE, validator.clone());
                // A condition would be answered in place of the range.
                ask.headers.remove(IF_NONE_MATCH);
                ask.headers.remove(IF_MODIFIED_SINCE);
            }
            _ => *partial = None,
        }
        let reply = self.inner.transport.send(&ask, attempts).await?;
        let mut download = describe(&reply);
        match reply.status() {
            StatusCode::NOT_MODIFIED if partial.is_none() && has_condition(&ask.headers) => return Ok(download),
            StatusCode::PARTIAL_CONTENT if continues(&reply, partial.as_ref()) => {}
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT if partial.is_some() => {
                *partial = None;
                return Err(Failure::broken("the server cannot continue an interrupted download"));
            }
            status if status.is_success() => *partial = None,
            _ => return Err(self.failure(reply, attempts).await),
        }
        self.receive_file(reply, request, store, partial, attempts).await?;
        let Some(whole) = partial.take() else { return Ok(download) };
        download.body = Some(whole.sink.finish(None).await?);
        if download.status == StatusCode::PARTIAL_CONTENT.as_u16() {
            // The last part of a file that is whole now.
            download.status = StatusCode::OK.as_u16();
        }
        Ok(download)
    }

    async fn receive_file(
        &self,
        mut reply: Reply,
        request: &DownloadRequest,
        store: &BlobStore,
        partial: &mut Option<Partial>,
        attempts: &mut Attempts<'_>,
    ) -> Result<(), Failure> {
        let into = partial.get_or_insert_with(|| Partial {
            sink: Sink::new(store, Algorithm::Sha256),
            validator: strong_validator(reply.headers()),
            total: reply.content_length(),
        });
        let limit_error = |url: &Url| {
            Failure::Fatal(Error::Layers(strake_layers::Error::Limit {
                what: format!("the file at {}", shown(url)),
                limit: format!("{} bytes", request.limit),
            }))
        };
        if into.total.is_some_and(|total| total > request.limit) {
            return Err(limit_error(&reply.url));
        }
        // A transfer has no digest yet; progress goes by that of the address.
        let id = Digest::of(request.url.as_bytes());
        let mut counted = into.sink.received();
        let mut reported = Instant::now();
        while let Some(chunk) = reply.chunk(self.inner.options.limits.idle, attempts).await? {
            let done = into.sink.received() + chunk.len() as u64;
            if done > request.limit {
                return Err(limit_error(&reply.url));
            }
            if !into.sink.push(chunk).await {
                let Some(broken) = partial.take() else { return Ok(()) };
                let error = broken.sink.finish(None).await.err();
                return Err(Failure::Fatal(
                    error.unwrap_or_else(|| Error::Internal("the writer of a blob stopped".to_owned())),
                ));
            }
            if done - counted >= PROGRESS {
                counted = done;
                attempts.note_progress();
            }
            if reported.elapsed() >= REPORT_EVERY {
                reported = Instant::now();
                self.inner.options.notices.send(Notice::Transfer {
                    digest: id.clone(),
                    action: "download",
                    done,
                    total: into.total,
                });
            }
        }
        let done = into.sink.received();
        match into.total {
            Some(total) if done < total => {
                Err(Failure::broken(format!("the body ended after {done} of {total} bytes")))
            }
            Some(total) if done > total => {
                *partial = None;
                Err(Failure::wrong(format!("{done} bytes came, but {total} were promised")))
            }
            _ => Ok(()),
        }
    }
}

fn prepare(request: &DownloadRequest) -> Result<Request> {
    let invalid = |problem: &str| {
        Error::Invalid(format!("{} is not an address to download from: {problem}", cut_secrets(&request.url)))
    };
    let scheme = request.url.split(':').next().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(invalid("it must begin with http:// or https://"));
    }
    let mut url = Url::parse(&request.url).map_err(|error| invalid(&error.to_string()))?;
    let user = percent_decoded(url.username());
    let password = url.password().map(percent_decoded).unwrap_or_default();
    // Both succeed for the two schemes.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_fragment(None);
    let mut prepared = Request::new(Method::GET, url);
    prepared.redirects = Redirects::Web;
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("a header's name is not valid"))?;
        let mut value =
            HeaderValue::from_str(&value.0).map_err(|_| invalid("a header's value holds control characters"))?;
        value.set_sensitive(true);
        if name == AUTHORIZATION {
            prepared.authorization = Some(value);
        } else {
            prepared.headers.append(name, value);
        }
    }
    if !user.is_empty() && prepared.authorization.is_none() {
        prepared.authorization =
            Some(basic_header(&user, &password).map_err(|_| invalid("its user or password holds control characters"))?);
    }
    let conditions =
        [(IF_NONE_MATCH, &request.validators.etag), (IF_MODIFIED_SINCE, &request.validators.last_modified)];
    for (name, value) in conditions {
        if let Some(value) = value.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            prepared.headers.insert(name, value);
        }
    }
    Ok(prepared)
}

fn has_condition(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE)
}

fn describe(reply: &Reply) -> Download {
    let text = |name| reply.text(name).map(str::to_owned);
    let last_modified = text("last-modified");
    Download {
        body: None,
        status: reply.status().as_u16(),
        name: disposition_name(reply.text("content-disposition")).or_else(|| path_name(&reply.url)),
        modified: last_modified.as_deref().and_then(parse_http_date).map(Timestamp::from_seconds),
        validators: Validators { etag: text("etag"), last_modified },
        media_type: reply.media_type(),
        final_url: shown(&reply.url),
    }
}

/// What tells for sure that a body is the same one: a strong ETag, else nothing (RFC 9110, section 13.1.5).
fn strong_validator(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get("etag").filter(|etag| etag.as_bytes().starts_with(b"\"")).cloned()
}

fn continues(reply: &Reply, partial: Option<&Partial>) -> bool {
    let Some(partial) = partial else { return false };
    let range = reply.text("content-range").and_then(|text| text.trim().strip_prefix("bytes "));
    let Some((span, total)) = range.and_then(|range| range.split_once('/')) else { return false };
    let starts = span.split('-').next().and_then(|first| first.trim().parse().ok()) == Some(partial.sink.received());
    starts && (total == "*" || partial.total.is_none() || total.trim().parse().ok() == partial.total)
}

/// The name of the file at an address: the last element of its path, as it is written there; what a server says does not
/// count.
pub fn file_name(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("://")?;
    let (_, path) = rest.split(['?', '#']).next()?.split_once('/')?;
    last_element(path)
}

fn path_name(url: &Url) -> Option<String> {
    last_element(url.path())
}

/// The last element of a path that is decoded first: `%2F` is a slash like any.
/// For `..` the reference says `download`.
fn last_element(path: &str) -> Option<String> {
    let path = percent_decoded(path);
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    if name == ".." { Some("download".to_owned()) } else { safe_name(name) }
}

/// The `filename` of a `Content-Disposition` (RFC 6266), in its plain form.
fn disposition_name(value: Option<&str>) -> Option<String> {
    let mut parts = value?.split(';').skip(1);
    let name = parts.find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case("filename").then(|| value.trim().trim_matches('"').to_owned())
    })?;
    safe_name(&name).filter(|name| !name.contains('\\'))
}

/// A name that is one component of a path, and leads nowhere else where `\` separates, too (images of Windows).
fn safe_name(name: &str) -> Option<String> {
    let is_safe = !name.is_empty()
        && name.len() <= 255
        && !name.split('\\').any(|part| matches!(part, "." | ".."))
        && !name.chars().any(|c| c.is_control() || c == '/');
    is_safe.then(|| name.to_owned())
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|hex| data_encoding::HEXLOWER_PERMISSIVE.decode(hex).ok());
        match (first, pair.as_deref()) {
            (b'%', Some(&[byte])) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An address that cannot be parsed, without what stands before an `@` or after a `?`.
fn cut_secrets(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let shown = match (text.find("://"), text.rfind('@')) {
        (Some(start), Some(at)) if start < at => format!("{}{}", &text[..start + 3], &text[at + 1..]),
        _ => text.to_owned(),
    };
    shown.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_header_or_the_path_and_are_one_component() {
        let name = |url: &str| path_name(&Url::parse(url).unwrap());
        assert_eq!(name("https://h.example/a/b.tar.gz?x=1").as_deref(), Some("b.tar.gz"));
        assert_eq!(name("https://h.example/a%20b").as_deref(), Some("a b"));
        assert_eq!(name("https://h.example/a/b/").as_deref(), Some("b"));
        assert_eq!(file_name("http://h.example/a/c?x=/d#/e").as_deref(), Some("c"));
        assert_eq!(name("https://h.example/").as_deref(), None);
        assert_eq!(name("https://h.example/%2e%2e%2fetc").as_deref(), Some("etc"));
        assert_eq!(disposition_name(Some(r#"attachment; filename="x.zip""#)).as_deref(), Some("x.zip"));
        assert_eq!(disposition_name(Some(r#"attachment; filename="../x""#)), None);
    }

    /// As measured with the reference; an address without a name is None here.
    #[test]
    fn names_are_taken_from_decoded_paths() {
        for (path, name) in [
            ("/o/p%2Fq.bin?alt=media", Some("q.bin")),
            ("/x%2Fy.txt", Some("y.txt")),
            ("/%2Fabs%2Fn.txt", Some("n.txt")),
            ("/x%2F", Some("x")),
            ("/x%2Fy/", Some("y")),
            ("/a//", Some("a")),
            ("/a%5Cb", Some("a\\b")),
            ("/..%5C..%5Ca", None),
            ("/x%252Fy", Some("x%2Fy")),
            ("/a/../b.txt", Some("b.txt")),
            ("/x%2f..", Some("download")),
            ("/%2e%2e", Some("download")),
            ("/..", Some("download")),
            ("/../", Some("download")),
            ("/%2E", None),
            ("/a/.", None),
            ("/x%2F.", None),
            ("/%2F", None),
            ("/", None),
            ("", None),
            ("?a=/z.txt", None),
            ("#/z.txt", None),
            ("/a%00b", None),
            ("/x%2Fa%00b", None),
            ("/a%0Ab", None),
        ] {
            assert_eq!(file_name(&format!("http://h.example{path}")).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn addresses_in_errors_hold_no_secret() {
        let request = |url: &str| DownloadRequest {
            url: url.into(),
            validators: Validators::default(),
            limit: 1,
            headers: Vec::new(),
        };
        let said = ["ftp://user:hidden@h.example/a?hidden", "http://user:hidden@h.example:x/", "shown@"]
            .map(|url| prepare(&request(url)).unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n"), @r"
        ftp://h.example/a is not an address to download from: it must begin with http:// or https://
        http://h.example:x/ is not an address to download from: invalid port number
        shown@ is not an address to download from: it must begin with http:// or https://
        ");
        let prepared = prepare(&request("https://user:p%40ss@h.example/a")).unwrap();
        assert_eq!(prepared.url.as_str(), "https://h.example/a");
        assert!(prepared.authorization.is_some());
    }
}
