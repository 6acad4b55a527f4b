use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use strake_layers::{Digest, Reference};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::auth::{Auth, Scope};
use crate::error::{Error, Place, Result};
use crate::options::ClientOptions;
use crate::reply::Reply;
use crate::retry::{Attempts, ConnectionFault, Failure, stoppable};
use crate::target::{Registry, is_loopback};
use crate::transport::{Request, Transport};

/// How long a server may take to show that it speaks TLS where plain HTTP would do as well.
const PROBE_TIME: Duration = Duration::from_secs(5);

/// Talks to registries and web servers. Cheap to clone; one for each build is enough, and shares connections and tokens.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: Arc<ClientOptions>,
    pub(crate) transport: Transport,
    auth: Auth,
    /// The scheme that a registry turned out to speak.
    schemes: Mutex<HashMap<String, &'static str>>,
    /// One lock for each blob that is being fetched.
    pub(crate) fetching: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
}

/// A repository of a registry, or of a mirror in its place.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) registry: Registry,
    pub(crate) name: String,
}

impl Repository {
    pub(crate) fn of(reference: &Reference) -> Self {
        Self { registry: Registry::new(reference.registry()), name: reference.repository().to_owned() }
    }

    /// The repository of the same name on another registry.
    pub(crate) fn on(&self, registry: &str) -> Self {
        Self { registry: Registry::new(registry), name: self.name.clone() }
    }
}

impl Client {
    /// Makes a client. Nothing is read or connected to before it is needed.
    pub fn new(options: ClientOptions) -> Self {
        let options = Arc::new(options);
        let inner = Inner {
            transport: Transport::new(options.clone()),
            auth: Auth::new(options.clone()),
            schemes: Mutex::default(),
            fetching: Mutex::default(),
            options,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Begins the attempts of one operation.
    pub(crate) fn attempts(&self, place: Place) -> Attempts<'_> {
        let options = &self.inner.options;
        Attempts::new(&options.limits, &options.cancel, &options.notices, place)
    }

    /// Runs an operation until it ends or the build is stopped.
    pub(crate) async fn until_stopped<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        // On the heap: the futures of whole operations are large.
        stoppable(&self.inner.options.cancel, Box::pin(operation)).await?
    }

    /// The URL of something in a repository: `manifests/latest`, `blobs/uploads/`.
    pub(crate) async fn url(
        &self,
        repository: &Repository,
        path: &str,
        attempts: &mut Attempts<'_>,
    ) -> Result<Url, Failure> {
        let scheme = self.scheme(&repository.registry, attempts).await?;
        let text = format!("{scheme}://{}/v2/{}/{path}", repository.registry.authority, repository.name);
        Url::parse(&text).map_err(|error| Failure::Fatal(Error::Invalid(format!("{text} is no URL: {error}"))))
    }

    /// Sends a request to a registry, authorised.
    pub(crate) async fn send(
        &self,
        repository: &Repository,
        scope: &Scope,
        request: Request,
        attempts: &mut Attempts<'_>,
    ) -> Result<Reply, Failure> {
        let inner = &self.inner;
        let scheme = if request.url.scheme() == "https" { "https" } else { "http" };
        let send = inner.auth.send(&inner.transport, &repository.registry, &repository.name, scope, request, attempts);
        let reply = Box::pin(send).await?;
        // Learned from an answer only: a host that was down when it was probed is probed again.
        inner
            .schemes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(repository.registry.authority.clone(), scheme);
        Ok(reply)
    }

    /// Makes a failure of an answer that is no success.
    pub(crate) async fn failure(&self, reply: Reply, attempts: &mut Attempts<'_>) -> Failure {
        reply.into_failure(&self.inner.options, attempts).await
    }

    /// Finds out whether a registry that plain HTTP is allowed with speaks TLS all the same; the others must.
    async fn scheme(&self, registry: &Registry, attempts: &mut Attempts<'_>) -> Result<&'static str, Failure> {
        let invalid =
            |error| Failure::Fatal(Error::Invalid(format!("{} is no address of a registry: {error}", registry.name)));
        let probe = Url::parse(&format!("https://{}/v2/", registry.authority)).map_err(invalid)?;
        if !self.inner.transport.allows_plain(&probe) {
            return Ok("https");
        }
        if let Some(known) = self.inner.schemes.lock().unwrap_or_else(PoisonError::into_inner).get(&registry.authority)
        {
            return Ok(known);
        }
        if is_loopback(&probe) && !greets_in_tls(&registry.authority, &probe, &self.inner.options).await {
            return Ok("http");
        }
        // Over TLS first, as docker does; plain HTTP servers answer the greeting with bytes that are no TLS, and at once.
        let request = Request::new(Method::GET, probe);
        let limit = PROBE_TIME.min(self.inner.options.limits.connect);
        match tokio::time::timeout(limit, self.inner.transport.send(&request, attempts)).await {
            Ok(Ok(_)) => Ok("https"),
            Ok(Err(
                failure @ (Failure::Fatal(_)
                | Failure::Connection {
                    kind: ConnectionFault::Certificate | ConnectionFault::UnknownHost,
                    ..
                }),
            )) => Err(failure),
            Ok(Err(_)) | Err(_) => Ok("http"),
        }
    }
}

/// Tells whether a server of this machine answers the begin of a TLS record with one of its own, as every TLS server does
/// (RFC 8446 §5.1). It costs one connection, and no certificates.
async fn greets_in_tls(authority: &str, probe: &Url, options: &ClientOptions) -> bool {
    /// A handshake record with a message of no known type, which TLS servers answer with an alert; the line ends make
    /// HTTP servers answer it, too, at once.
    const RECORD: &[u8] = b"\x16\x03\x01\0\x04\xff\0\0\0\r\n\r\n";
    let port = probe.port_or_known_default().unwrap_or(443);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let answer = async {
        let mut stream = tokio::net::TcpStream::connect((host, port)).await?;
        stream.write_all(RECORD).await?;
        stream.read_u8().await
    };
    let limit = PROBE_TIME.min(options.limits.connect);
    // An alert (21) or a handshake (22); anything else, silence included, is no TLS.
    matches!(tokio::time::timeout(limit, answer).await, Ok(Ok(21 | 22)))
}

/// What is said of an answer that cannot come from a registry.
pub(crate) fn not_a_registry(reply: &Reply) -> Failure {
    let kind = reply.media_type().unwrap_or_else(|| "no media type".to_owned());
    Failure::refused(format!("status {} with {kind} is not a registry's answer", reply.status()))
}

/// Tells whether a status means that something is not there.
pub(crate) fn is_absent(status: StatusCode) -> bool {
    matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}
