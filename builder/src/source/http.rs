//! Files of the web as sources (dockerfile.md §13.5, "URL").

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use strake_layers::{Algorithm, ContentHash, ContentSource, Digest, FileContent, HostDir, ImagePath, Timestamp};
use strake_registry::{Client, DownloadRequest, Secret, Validators};
use strake_snapshotter::{Record, Store};

use crate::{Error, Result};

/// The kind under which the store keeps what is known of addresses.
const KIND: &str = "download";

/// The version of [`Known`]; others are passed over.
const VERSION: u32 = 1;

/// The largest file that is downloaded: 16 GiB, as the largest layer (linux.md §4.3).
const LIMIT: u64 = 16 << 30;

/// What is known of an address.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    version: u32,
    digest: Digest,
    size: u64,
    name: Option<String>,
    etag: Option<String>,
    last_modified: Option<String>,
    modified: Option<i64>,
    hash: Option<ContentHash>,
}

/// A download for ADD.
#[derive(Clone, Debug)]
pub(crate) struct FetchedFile {
    /// The name it has in a directory.
    pub name: String,
    /// Its content.
    pub content: FileContent,
    /// `Last-Modified`, else 1970.
    pub mtime: Timestamp,
}

/// A file that was fetched; it lies in the store.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Its name.
    pub name: Option<String>,
    /// Its content, hashed.
    pub content: FileContent,
    /// `Last-Modified`.
    pub modified: Option<Timestamp>,
    /// Its digest.
    pub digest: Digest,
}

/// Fetches a file, or finds that what the store has is what the server would send.
pub(super) async fn fetch(
    url: &str,
    checksum: Option<&str>,
    headers: Vec<(String, Secret)>,
    client: &Client,
    store: &Store,
) -> Result<Page> {
    let wanted = checksum.map(str::parse::<Digest>).transpose();
    let wanted = wanted.map_err(|error| Error::user(format!("checksum of {}: {error}", shown(url))))?;
    let key = *blake3::hash(url.as_bytes()).as_bytes();
    let known = store.get_record(KIND, &key)?.and_then(|bytes| serde_json::from_slice::<Known>(&bytes).ok());
    let known = known.filter(|known| known.version == VERSION && store.use_blob(&known.digest));
    if let (Some(known), Some(wanted)) = (&known, &wanted)
        && known.digest == *wanted
    {
        return page(known, store);
    }
    let validators =
        known.as_ref().map(|known| Validators { etag: known.etag.clone(), last_modified: known.last_modified.clone() });
    let request =
        DownloadRequest { url: url.to_owned(), validators: validators.unwrap_or_default(), limit: LIMIT, headers };
    let download = client.download(&request, store.blobs()).await?;
    let fresh = match (download.body, known) {
        (Some((digest, size)), _) => Known {
            version: VERSION,
            digest,
            size,
            name: download.name,
            etag: download.validators.etag,
            last_modified: download.validators.last_modified,
            modified: download.modified.map(|time| time.seconds),
            hash: None,
        },
        (None, Some(known)) => known,
        (None, None) => {
            return Err(Error::user(format!("invalid response status {} of {}", download.status, shown(url))));
        }
    };
    store.use_blob(&fresh.digest);
    let blobs = store.blobs().clone();
    let address = shown(url);
    let checked = tokio::task::spawn_blocking(move || check(fresh, wanted.as_ref(), &blobs, &address)).await;
    let fresh = checked.map_err(|error| Error::internal(format!("hashing ended abnormally: {error}")))??;
    let bytes = serde_json::to_vec(&fresh).map_err(|error| Error::internal(error.to_string()))?;
    let cost = std::time::Duration::ZERO;
    store.put_record(&Record { kind: KIND.to_owned(), key, group: String::new(), bytes, cost })?;
    page(&fresh, store)
}

/// Compares the content with the wanted digest, and hashes it.
fn check(mut known: Known, wanted: Option<&Digest>, blobs: &strake_layers::BlobStore, address: &str) -> Result<Known> {
    let other = wanted.filter(|wanted| wanted.algorithm() != known.digest.algorithm());
    if known.hash.is_none() || other.is_some() {
        let mut reader = std::io::BufReader::with_capacity(1 << 20, blobs.open_blob(&known.digest)?);
        let (mut content, mut sum) = (blake3::Hasher::new(), sha2::Sha512::new());
        loop {
            use std::io::BufRead;
            let bytes = reader.fill_buf().map_err(|error| strake_layers::Error::stream(address, error))?;
            if bytes.is_empty() {
                break;
            }
            content.update(bytes);
            if other.is_some() {
                sum.update(bytes);
            }
            let length = bytes.len();
            reader.consume(length);
        }
        known.hash = Some(ContentHash(*content.finalize().as_bytes()));
        if let Some(wanted) = other.filter(|wanted| wanted.algorithm() == Algorithm::Sha512) {
            return same(wanted, &Digest::from_sha512(sum.finalize().into()), address).map(|()| known);
        }
    }
    if let Some(wanted) = wanted {
        same(wanted, &known.digest, address)?;
    }
    Ok(known)
}

fn same(wanted: &Digest, found: &Digest, address: &str) -> Result<()> {
    if wanted == found {
        return Ok(());
    }
    let error = Error::user(format!("digest mismatch for {address}: {found} (expected: {wanted})"));
    Err(error.with_help(
        "the server gives another file than the one that the Dockerfile was written for: look at it before you write its \
         digest, or name the version that was meant",
    ))
}

fn page(known: &Known, store: &Store) -> Result<Page> {
    let path = store.blobs().path(&known.digest);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::internal("a blob has no folder"));
    };
    let root = Arc::new(HostDir::open(folder)?);
    let file = ImagePath::parse(name.as_encoded_bytes())
        .map_err(|error| Error::internal(format!("the name of a blob: {error}")))?;
    // No stamp: using a blob touches its times, and what is read is compared with the hash.
    let source = ContentSource::Host { root, path: file, stamp: None };
    let content = FileContent { size: known.size, hash: known.hash, source };
    let modified = known.modified.map(Timestamp::from_seconds);
    Ok(Page { name: known.name.clone(), content, modified, digest: known.digest.clone() })
}

/// The headers that secrets give for a host (dockerfile.md §13.5, "Auth").
pub(super) fn headers(url: &str, secret: &dyn Fn(&str) -> Option<Vec<u8>>) -> Vec<(String, Secret)> {
    let host = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let text = |name: &str| {
        let bytes = secret(&format!("{name}_{host}"))?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|text| !text.is_empty())
    };
    let header = text("HTTP_AUTH_HEADER").or_else(|| text("HTTP_AUTH_TOKEN").map(|token| format!("Bearer {token}")));
    header.map(|value| ("Authorization".to_owned(), Secret(value))).into_iter().collect()
}

/// An address without a password and without its query, which may hold a token.
pub(super) fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('@'))) {
        Some((scheme, Some((user, rest)))) if !user.contains('/') => format!("{scheme}://{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_show_no_secrets() {
        assert_eq!(shown("https://me:pass@host/x?token=1"), "https://host/x");
        assert_eq!(shown("https://host/a@b"), "https://host/a@b");
    }

    #[test]
    fn secrets_of_a_host_become_its_header() {
        let secret = |name: &str| (name == "HTTP_AUTH_TOKEN_h:8080").then(|| b"abc\n".to_vec());
        let found = headers("http://h:8080/x", &secret);
        assert_eq!(found, [("Authorization".to_owned(), Secret("Bearer abc".into()))]);
        assert!(headers("http://other/x", &secret).is_empty());
    }
}
