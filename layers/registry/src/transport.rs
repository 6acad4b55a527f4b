//! One HTTP exchange: connections, redirects, time limits, and what went wrong, in words.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, NoProxy, Proxy, StatusCode, Url, redirect};
use tokio::time::timeout;

use crate::cause::{deepest, explain, seconds};
use crate::error::{Error, Result};
use crate::options::ClientOptions;
use crate::reply::Reply;
use crate::retry::{Attempts, ConnectionFault, Failure};
use crate::target::{Registry, authority_of, is_loopback, is_private, is_private_address, is_same_origin, shown};
use crate::tls::{HostCertificates, client_config, config_without_roots, read_certificates};
use crate::upload::{FilePart, Watch};

/// The most redirects of one request, as browsers and Go allow.
const REDIRECTS: usize = 10;

/// What is sent with a request. Everything here can be sent a second time.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Empty,
    Bytes(Bytes),
    File(FilePart),
}

/// Which redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// From https to https; to plain http only where plain http is allowed anyway.
    Registry,
    /// To http and https.
    Web,
    /// To https addresses that are not of this machine or its network.
    Public,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// Headers. A server that a redirect leads to gets only those that say what is wanted.
    pub(crate) headers: HeaderMap,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) payload: Payload,
    pub(crate) redirects: Redirects,
}

impl Request {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            authorization: None,
            payload: Payload::Empty,
            redirects: Redirects::Registry,
        }
    }

    pub(crate) fn header(mut self, name: reqwest::header::HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }
}

/// The name under which the client without TLS is kept: no authority looks like it.
const PLAIN: &str = "http://";

/// The connections.
#[derive(Debug)]
pub(crate) struct Transport {
    options: Arc<ClientOptions>,
    /// By authority; hosts without certificates of their own share the one under the empty name.
    clients: Mutex<HashMap<String, reqwest::Client>>,
}

impl Transport {
    pub(crate) fn new(options: Arc<ClientOptions>) -> Self {
        Self { options, clients: Mutex::default() }
    }

    /// Tells whether plain HTTP may be spoken with a host.
    pub(crate) fn allows_plain(&self, url: &Url) -> bool {
        let registry = Registry::new(&authority_of(url));
        is_loopback(url) || self.options.insecure_registries.iter().any(|name| registry.is_named(name))
    }

    /// Sends a request and waits for the head of the answer, whatever its status.
    pub(crate) async fn send(&self, request: &Request, attempts: &mut Attempts<'_>) -> Result<Reply, Failure> {
        let mut url = request.url.clone();
        let mut trusted = true;
        let mut method = request.method.clone();
        for _ in 0..=REDIRECTS {
            let client = match request.redirects {
                Redirects::Public => self.public_client(&url).await?,
                Redirects::Registry | Redirects::Web => self.client_for(&url).await?,
            };
            let mut builder = client.request(method.clone(), url.clone());
            if trusted {
                builder = builder.headers(request.headers.clone());
                if let Some(authorization) = &request.authorization {
                    builder = builder.header(AUTHORIZATION, authorization.clone());
                }
            } else {
                for name in [reqwest::header::RANGE, reqwest::header::IF_RANGE, reqwest::header::ACCEPT, CONTENT_TYPE] {
                    if let Some(value) = request.headers.get(&name) {
                        builder = builder.header(name, value.clone());
                    }
                }
            }
            let response = self.exchange(builder, &request.payload, &url, attempts).await?;
            attempts.note_movement();
            let Some(next) = redirect_target(&response, &method, &url)? else {
                return Ok(Reply::new(url, trusted, response));
            };
            self.check_redirect(&url, &next, request.redirects)?;
            // What was for one server is not for another; another port is another server (edges: 10).
            trusted = trusted && is_same_origin(&url, &next);
            if response.status() == StatusCode::SEE_OTHER && method != Method::HEAD {
                method = Method::GET;
            }
            url = next;
        }
        Err(Failure::refused(format!("more than {REDIRECTS} redirects, the last one to {}", shown(&url))))
    }

    async fn exchange(
        &self,
        builder: reqwest::RequestBuilder,
        payload: &Payload,
        url: &Url,
        attempts: &Attempts<'_>,
    ) -> Result<reqwest::Response, Failure> {
        let limits = &self.options.limits;
        let silent = |limit: Duration| {
            // The last of several silences is cut short by what all of them may last.
            let shown = if limit < limits.first_byte { limits.silence } else { limit };
            Failure::broken(format!("no answer within {} s", seconds(shown)))
        };
        let sent = match payload {
            Payload::Empty | Payload::Bytes(_) => {
                let builder = match payload {
                    Payload::Bytes(bytes) => builder.body(bytes.clone()),
                    _ => builder,
                };
                let limit = limits.first_byte.min(attempts.patience());
                timeout(limit, builder.send()).await.map_err(|_| silent(limit))?
            }
            Payload::File(part) => {
                let watch = Watch::new(part, self.options.notices.clone());
                let builder = builder.header(CONTENT_LENGTH, part.length).body(watch.body());
                tokio::select! {
                    answer = builder.send() => answer,
                    // A registry stores and checks a blob before it answers the last byte, which takes a large one longer
                    // than anything else: twice the usual time.
                    stalled = watch.stalled(limits.idle.min(attempts.patience()), (limits.first_byte * 2).min(attempts.patience())) => return Err(Failure::broken(stalled)),
                }
            }
        };
        sent.map_err(|error| explain(error, url))
    }

    fn check_redirect(&self, from: &Url, to: &Url, rule: Redirects) -> Result<(), Failure> {
        let allowed = match rule {
            Redirects::Web => matches!(to.scheme(), "http" | "https"),
            Redirects::Registry => {
                to.scheme() == "https" || (to.scheme() == "http" && (from.scheme() == "http" || self.allows_plain(to)))
            }
            Redirects::Public => to.scheme() == "https" && !is_private(to),
        };
        if allowed { Ok(()) } else { Err(Failure::refused(format!("a redirect to {} is not followed", shown(to)))) }
    }

    /// A client that connects to the addresses a name has now, which are all public ones: a name must not lead into this
    /// network, not even when it is looked up a second time.
    async fn public_client(&self, url: &Url) -> Result<reqwest::Client, Failure> {
        if self.options.proxies.https.is_some() {
            return Ok(self.client_for(url).await?);
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let found = timeout(self.options.limits.connect, tokio::net::lookup_host((bare, port))).await;
        let addresses: Vec<_> = match found {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(error)) => {
                let cause = format!("{host} has no address: {error}");
                return Err(Failure::Connection { kind: ConnectionFault::UnknownHost, cause });
            }
            Err(_) => return Err(Failure::broken(format!("no address for {host} within the time limit"))),
        };
        if addresses.iter().any(|address| is_private_address(address.ip())) {
            return Err(Failure::refused(format!(
                "{host} leads to an address of this network, where foreign layers are not fetched from"
            )));
        }
        let options = self.options.clone();
        let task = tokio::task::spawn_blocking(move || {
            let builder = client_builder(&options, client_config(HostCertificates::default())?)?;
            finish_client(builder.resolve_to_addrs(&host, &addresses))
        });
        Ok(task.await.map_err(|error| Error::Internal(format!("making a client: {error}")))??)
    }

    /// A client for loopback without TLS, which needs no certificates.
    fn plain_client(&self) -> Result<reqwest::Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(PLAIN) {
            return Ok(client.clone());
        }
        let client = finish_client(client_builder(&self.options, config_without_roots()?)?)?;
        clients.insert(PLAIN.to_owned(), client.clone());
        Ok(client)
    }

    async fn client_for(&self, url: &Url) -> Result<reqwest::Client> {
        if url.scheme() == "http" && is_loopback(url) {
            return self.plain_client();
        }
        let authority = authority_of(url);
        {
            let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(client) = clients.get(&authority) {
                return Ok(client.clone());
            }
        }
        let options = self.options.clone();
        let shared = self.clients.lock().unwrap_or_else(PoisonError::into_inner).get("").cloned();
        let name = authority.clone();
        // Roots and certificates are files.
        let task = tokio::task::spawn_blocking(move || match read_certificates(&options.certs_dirs, &name)? {
            None => match shared {
                Some(client) => Ok((client, true)),
                None => build_client(&options, HostCertificates::default()).map(|client| (client, true)),
            },
            Some(certificates) => build_client(&options, certificates).map(|client| (client, false)),
        });
        let (client, is_shared) =
            task.await.map_err(|error| Error::Internal(format!("making a client: {error}")))??;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if is_shared {
            clients.entry(String::new()).or_insert_with(|| client.clone());
        }
        clients.insert(authority, client.clone());
        Ok(client)
    }
}

fn build_client(options: &ClientOptions, certificates: HostCertificates) -> Result<reqwest::Client> {
    finish_client(client_builder(options, client_config(certificates)?)?)
}

fn finish_client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|error| Error::Configuration(format!("cannot prepare connections: {}", deepest(&error))))
}

fn client_builder(options: &ClientOptions, config: rustls::ClientConfig) -> Result<reqwest::ClientBuilder> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        // Parallel blobs over connections of their own are faster than through the window of one.
        .http1_only()
        .user_agent(&options.user_agent)
        .connect_timeout(options.limits.connect)
        .pool_idle_timeout(Duration::from_secs(60))
        .redirect(redirect::Policy::none())
        .no_proxy();
    // Loopback is this machine's, not the proxy's.
    let exceptions = format!("localhost,127.0.0.0/8,::1,{}", options.proxies.no_proxy.as_deref().unwrap_or_default());
    let proxies = [(&options.proxies.http, "http_proxy"), (&options.proxies.https, "https_proxy")];
    for (address, name) in proxies {
        let Some(address) = address.as_deref().filter(|address| !address.is_empty()) else { continue };
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let proxy = if name == "http_proxy" { Proxy::http(address) } else { Proxy::https(address) };
        let proxy =
            proxy.map_err(|_| Error::Configuration(format!("the value of {name} is not the URL of a proxy")))?;
        builder = builder.proxy(proxy.no_proxy(NoProxy::from_string(&exceptions)));
    }
    Ok(builder)
}

/// Where an answer sends the request on; `None`: it is the last answer.
fn redirect_target(response: &reqwest::Response, method: &Method, url: &Url) -> Result<Option<Url>, Failure> {
    let follows = match response.status().as_u16() {
        307 | 308 => true,
        // A POST answered by these would become a GET, which is never what a registry's upload means.
        301..=303 => *method == Method::GET || *method == Method::HEAD,
        _ => false,
    };
    let location = response.headers().get(LOCATION).filter(|_| follows);
    let Some(location) = location else { return Ok(None) };
    let target = location.to_str().ok().and_then(|text| url.join(text).ok());
    target.map(Some).ok_or_else(|| Failure::refused("it redirects to something that is no URL"))
}
