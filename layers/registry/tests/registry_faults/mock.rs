//! A registry in this process, whose answers a test may replace.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use strake_layers::{BlobStore, Descriptor, Digest, Manifest, MediaType, Platform, Reference};
use strake_registry::{Client, ClientOptions, Error, Limits};
use tempfile::TempDir;

/// One request, as the registry saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How many requests with the same method and path came before.
    pub(crate) earlier: usize,
}

impl Seen {
    pub(crate) fn is(&self, method: &Method, path: &str) -> bool {
        self.method == *method && self.path.contains(path)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

type Rule = dyn Fn(&Seen) -> Option<Response> + Send + Sync;

struct Shared {
    blobs: Mutex<BTreeMap<String, Bytes>>,
    /// Media type and content, by tag and by digest.
    manifests: Mutex<BTreeMap<String, (String, Bytes)>>,
    log: Mutex<Vec<Seen>>,
    rule: Box<Rule>,
}

pub(crate) struct Mock {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Mock {
    pub(crate) async fn start() -> Self {
        Self::with(|_| None).await
    }

    /// The whole text of an error and its help, the address taken out.
    pub(crate) fn text_of(&self, error: &Error) -> String {
        let help = error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        format!("{error}{help}").replace(&self.address.to_string(), "HOST")
    }

    /// A registry whose rule may answer a request in its place.
    pub(crate) async fn with(rule: impl Fn(&Seen) -> Option<Response> + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            blobs: Mutex::default(),
            manifests: Mutex::default(),
            log: Mutex::default(),
            rule: Box::new(rule),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(handle).with_state(shared.clone());
        drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        Self { address, shared }
    }

    pub(crate) fn reference(&self, rest: &str) -> Reference {
        Reference::parse(&format!("{}/{rest}", self.address)).unwrap()
    }

    pub(crate) fn add_blob(&self, content: &[u8]) -> Descriptor {
        let digest = Digest::of(content);
        self.shared.blobs.lock().unwrap().insert(digest.to_string(), Bytes::copy_from_slice(content));
        Descriptor::new("application/octet-stream", digest, content.len() as u64)
    }

    pub(crate) fn add_manifest(&self, tag: &str, media_type: &str, content: &[u8]) -> Descriptor {
        let digest = Digest::of(content);
        let stored = (media_type.to_owned(), Bytes::copy_from_slice(content));
        let mut manifests = self.shared.manifests.lock().unwrap();
        manifests.insert(digest.to_string(), stored.clone());
        if !tag.is_empty() {
            manifests.insert(tag.to_owned(), stored);
        }
        Descriptor::new(media_type, digest, content.len() as u64)
    }

    /// A manifest of an image whose only layer has this content.
    pub(crate) fn add_image(&self, tag: &str, layer: &[u8]) -> Descriptor {
        let config = self.add_blob(b"{}");
        let mut layer = self.add_blob(layer);
        layer.media_type = MediaType::OCI_LAYER_GZIP.to_owned();
        let manifest = Manifest::new(config, vec![layer], strake_layers::ImageFormat::Oci).into_raw().unwrap();
        self.add_manifest(tag, &manifest.media_type, &manifest.bytes)
    }

    pub(crate) fn add_index(&self, tag: &str, manifests: &[Descriptor]) -> Descriptor {
        let index = serde_json::json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests});
        let bytes = serde_json::to_vec(&index).unwrap();
        self.add_manifest(tag, MediaType::OCI_INDEX, &bytes)
    }

    pub(crate) fn log(&self) -> Vec<Seen> {
        self.shared.log.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &Method, path: &str) -> usize {
        self.log().iter().filter(|seen| seen.is(method, path)).count()
    }

    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        self.shared.blobs.lock().unwrap().contains_key(&digest.to_string())
    }
}

pub(crate) fn for_platform(mut descriptor: Descriptor, platform: &str) -> Descriptor {
    descriptor.platform = Some(Platform::parse(platform).unwrap());
    descriptor
}

/// Limits with which retry costs no time, though a busy machine has enough of it.
pub(crate) fn quick() -> Limits {
    Limits {
        connect: Duration::from_secs(10),
        first_byte: Duration::from_secs(20),
        idle: Duration::from_secs(20),
        document: Duration::from_secs(30),
        silence: Duration::from_secs(60),
        attempts: 4,
        backoff: Duration::from_millis(2),
        backoff_cap: Duration::from_millis(10),
        retry_after_cap: Duration::from_millis(50),
    }
}

/// Limits with which a silence shows at once.
pub(crate) fn hasty() -> Client {
    let limit = Duration::from_millis(200);
    let limits = Limits { connect: limit, first_byte: limit, idle: limit, silence: limit * 3, ..quick() };
    Client::new(ClientOptions { limits, ..ClientOptions::default() })
}

/// As [`hasty`], but a busy machine may take its time for the first byte.
pub(crate) fn hasty_between_bytes() -> Client {
    let limit = Duration::from_millis(200);
    let limits = Limits { idle: limit, silence: limit * 3, ..quick() };
    Client::new(ClientOptions { limits, ..ClientOptions::default() })
}

pub(crate) fn client() -> Client {
    Client::new(ClientOptions { limits: quick(), ..ClientOptions::default() })
}

pub(crate) fn store() -> (TempDir, BlobStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = BlobStore::open(dir.path()).unwrap();
    (dir, store)
}

/// Content that compresses badly and repeats nowhere.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size);
    for _ in 0..size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push(state.to_le_bytes()[3]);
    }
    bytes
}

/// A body that promises `size` bytes and breaks off after `content`.
pub(crate) fn broken_off(status: StatusCode, content: Bytes, size: usize) -> Response {
    use futures_util::StreamExt as _;
    // While the body waits, the server sends what it has; an error at once would cut that off, too.
    let cut = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err(std::io::Error::other("cut"))
    };
    let parts = futures_util::stream::iter([Ok(content)]).chain(futures_util::stream::once(cut));
    let body = Body::from_stream(parts);
    Response::builder().status(status).header(header::CONTENT_LENGTH, size).body(body).unwrap()
}

/// A body that sends `content` and then nothing more, for ever.
pub(crate) fn silent_after(content: Bytes, size: usize) -> Response {
    use futures_util::StreamExt as _;
    let parts = futures_util::stream::iter([Ok::<_, std::io::Error>(content)]).chain(futures_util::stream::pending());
    Response::builder().header(header::CONTENT_LENGTH, size).body(Body::from_stream(parts)).unwrap()
}

pub(crate) fn status(code: u16) -> Response {
    StatusCode::from_u16(code).unwrap().into_response()
}

pub(crate) fn html(code: u16) -> Response {
    (
        StatusCode::from_u16(code).unwrap(),
        [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
        "<html>Log in to the hotel's network</html>",
    )
        .into_response()
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let seen = {
        let mut log = shared.log.lock().unwrap();
        let earlier = log.iter().filter(|seen| seen.method == parts.method && seen.path == path).count();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let seen = Seen { method: parts.method, path, query, headers: parts.headers, body, earlier };
        log.push(seen.clone());
        seen
    };
    if let Some(answer) = (shared.rule)(&seen) {
        return answer;
    }
    answer(&shared, &seen)
}

/// What a registry that works answers.
fn answer(shared: &Shared, seen: &Seen) -> Response {
    let last = seen.path.rsplit('/').next().unwrap_or_default().to_owned();
    if seen.path.contains("/blobs/uploads") {
        return upload(shared, seen);
    }
    if seen.path.contains("/manifests/") {
        let mut manifests = shared.manifests.lock().unwrap();
        if seen.method == Method::PUT {
            let digest = Digest::of(&seen.body).to_string();
            let stored = (seen.header("content-type").unwrap_or_default().to_owned(), seen.body.clone());
            manifests.insert(last, stored.clone());
            manifests.insert(digest.clone(), stored);
            return (StatusCode::CREATED, [("docker-content-digest", digest)]).into_response();
        }
        return match manifests.get(&last) {
            Some((media_type, content)) => {
                let headers =
                    [("content-type", media_type.clone()), ("docker-content-digest", Digest::of(content).to_string())];
                (headers, content.clone()).into_response()
            }
            None => unknown("MANIFEST_UNKNOWN", "manifest unknown"),
        };
    }
    if seen.path.contains("/blobs/") {
        let blobs = shared.blobs.lock().unwrap();
        let Some(content) = blobs.get(&last) else { return unknown("BLOB_UNKNOWN", "blob unknown") };
        return ranged(content, seen.header("range"));
    }
    status(200)
}

/// A file, or the rest of it that is asked for.
pub(crate) fn ranged(content: &Bytes, range: Option<&str>) -> Response {
    let from = range.and_then(|text| text.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from {
        Some(from) if from < content.len() => {
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, range)], content.slice(from..)).into_response()
        }
        Some(_) => status(416),
        None => content.clone().into_response(),
    }
}

fn upload(shared: &Shared, seen: &Seen) -> Response {
    let query = |name: &str| {
        let pair = seen.query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        pair.map(|value| value.replace("%3A", ":").replace("%2F", "/"))
    };
    let session = format!("{}session?state=secret", seen.path.trim_end_matches("session"));
    let mut blobs = shared.blobs.lock().unwrap();
    if seen.method == Method::POST {
        return match query("mount") {
            Some(digest) if blobs.contains_key(&digest) => {
                (StatusCode::CREATED, [("docker-content-digest", digest)]).into_response()
            }
            _ => (StatusCode::ACCEPTED, [(header::LOCATION, session)]).into_response(),
        };
    }
    if seen.method == Method::DELETE {
        return status(204);
    }
    let mut content = blobs.remove("session").unwrap_or_default().to_vec();
    content.extend_from_slice(&seen.body);
    if seen.method == Method::PATCH {
        blobs.insert("session".to_owned(), content.into());
        return (StatusCode::ACCEPTED, [(header::LOCATION, session)]).into_response();
    }
    let digest = Digest::of(&content).to_string();
    if query("digest").as_deref() != Some(&digest) {
        return unknown("DIGEST_INVALID", "digest invalid");
    }
    blobs.insert(digest.clone(), content.into());
    (StatusCode::CREATED, [("docker-content-digest", digest)]).into_response()
}

fn unknown(code: &str, message: &str) -> Response {
    let body = serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string();
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
