//! Answers a registry's challenge: Basic, bearer tokens, refresh tokens (distribution specification, "token
//! authentication"; RFC 6750; OAuth 2 as docker registries speak it).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::BASE64;
use reqwest::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use crate::credentials::Keyring;
use crate::error::Error;
use crate::options::{ClientOptions, Credential};
use crate::reply::{Reply, joined};
use crate::retry::{Attempts, Failure};
use crate::target::{Registry, authority_of, is_same_origin, shown};
use crate::transport::{Payload, Redirects, Request, Transport};

/// The most bytes of a token server's answer (edges: 8).
const TOKEN_LIMIT: u64 = 1 << 20;

/// How long a token lives that does not say it (distribution specification, token authentication: 60 seconds).
const TOKEN_LIFE: u64 = 60;

/// How much earlier a token is taken for expired.
const TOKEN_MARGIN: Duration = Duration::from_secs(5);

/// What a request needs to be allowed: `repository:NAME:pull`, one or more.
pub(crate) type Scope = Vec<String>;

/// The scope of reading a repository.
pub(crate) fn pull_scope(repository: &str) -> Scope {
    vec![format!("repository:{repository}:pull")]
}

/// The scope of writing a repository, and of reading another to take blobs from.
pub(crate) fn push_scope(repository: &str, from: Option<&str>) -> Scope {
    let mut scope = vec![format!("repository:{repository}:pull,push")];
    scope.extend(from.map(|from| format!("repository:{from}:pull")));
    scope
}

/// How a registry wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: Url, service: Option<String>, scope: Option<String> },
}

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    until: Instant,
}

/// What is known of one registry.
#[derive(Debug, Default)]
struct HostAuth {
    challenge: Mutex<Option<Challenge>>,
    tokens: Mutex<HashMap<String, Token>>,
    /// Lets one task at a time ask for tokens; the others then find them.
    asking: tokio::sync::Mutex<()>,
}

/// All registries' challenges and tokens.
#[derive(Debug)]
pub(crate) struct Auth {
    options: Arc<ClientOptions>,
    keyring: Keyring,
    hosts: Mutex<HashMap<String, Arc<HostAuth>>>,
}

impl Auth {
    pub(crate) fn new(options: Arc<ClientOptions>) -> Self {
        let keyring = Keyring::new(options.credentials.clone(), options.notices.clone());
        Self { options, keyring, hosts: Mutex::default() }
    }

    /// Sends a request to a registry with what it needs to be let in; a challenge is answered once.
    pub(crate) async fn send(
        &self,
        transport: &Transport,
        registry: &Registry,
        repository: &str,
        scope: &Scope,
        mut request: Request,
        attempts: &mut Attempts<'_>,
    ) -> Result<Reply, Failure> {
        // Registries may send an upload elsewhere; what is theirs does not go along (edges: 10).
        let own = Url::parse(&format!("{}://{}/", request.url.scheme(), registry.authority));
        if !own.is_ok_and(|own| is_same_origin(&own, &request.url)) {
            return transport.send(&request, attempts).await;
        }
        let host = self.host(registry);
        let ask = Ask { auth: self, transport, registry, repository, scope, host: &host };
        let known = lock(&host.challenge).clone();
        if let Some(challenge) = known {
            request.authorization = ask.authorization(&challenge, None, attempts).await?;
        }
        let used = request.authorization.clone();
        let reply = transport.send(&request, attempts).await?;
        // Only the registry itself may ask for its credentials, not a server it redirects to.
        if reply.status() != StatusCode::UNAUTHORIZED || !reply.trusted {
            return Ok(reply);
        }
        let Some(challenge) = read_challenge(&reply, &request.url, transport)? else { return Ok(reply) };
        *lock(&host.challenge) = Some(challenge.clone());
        let Some(fresh) = ask.authorization(&challenge, used.as_ref(), attempts).await? else { return Ok(reply) };
        let reply = if used.as_ref() == Some(&fresh) {
            reply
        } else {
            drop(reply);
            request.authorization = Some(fresh);
            transport.send(&request, attempts).await?
        };
        let is_refused = reply.status() == StatusCode::UNAUTHORIZED && reply.trusted;
        if !is_refused || !matches!(challenge, Challenge::Basic) {
            return Ok(reply);
        }
        // Else nobody knows whether there were any.
        Err(match reply.into_failure(&self.options, attempts).await {
            Failure::Status { status, detail, retry_after } => {
                let detail = joined("it refused the stored credentials".to_owned(), &detail);
                Failure::Status { status, detail, retry_after }
            }
            other => other,
        })
    }

    fn host(&self, registry: &Registry) -> Arc<HostAuth> {
        lock(&self.hosts).entry(registry.authority.clone()).or_default().clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Every holder only replaces or reads a value, so a panic elsewhere left it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request's question for authorisation.
struct Ask<'a> {
    auth: &'a Auth,
    transport: &'a Transport,
    registry: &'a Registry,
    repository: &'a str,
    scope: &'a Scope,
    host: &'a HostAuth,
}

impl Ask<'_> {
    /// The `Authorization` to send; `None`: there is nothing to send. `stale` was refused.
    async fn authorization(
        &self,
        challenge: &Challenge,
        stale: Option<&HeaderValue>,
        attempts: &mut Attempts<'_>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let (realm, service, scope) = match challenge {
            Challenge::Basic => {
                return match self.auth.keyring.find(self.registry, self.repository).await? {
                    Some(Credential::Basic { username, password }) => Ok(Some(basic_header(&username, &password.0)?)),
                    Some(Credential::RegistryToken(token)) => Ok(Some(bearer_header(&token.0)?)),
                    Some(Credential::IdentityToken(_)) | None => Ok(None),
                };
            }
            Challenge::Bearer { realm, service, scope } => (realm, service, scope),
        };
        let mut wanted = self.scope.clone();
        if wanted.is_empty() {
            wanted.extend(scope.iter().flat_map(|scope| scope.split(' ')).map(str::to_owned));
        }
        let key = wanted.join(" ");
        let _turn = self.host.asking.lock().await;
        if let Some(token) = lock(&self.host.tokens).get(&key)
            && token.until > Instant::now()
            && stale != Some(&token.header)
        {
            return Ok(Some(token.header.clone()));
        }
        let credential = self.auth.keyring.find(self.registry, self.repository).await?;
        if let Some(Credential::RegistryToken(token)) = &credential {
            return Ok(Some(bearer_header(&token.0)?));
        }
        let token = self.fetch_token(realm, service.as_deref(), &wanted, credential.as_ref(), attempts).await?;
        let header = token.header.clone();
        lock(&self.host.tokens).insert(key, token);
        Ok(Some(header))
    }

    async fn fetch_token(
        &self,
        realm: &Url,
        service: Option<&str>,
        scope: &[String],
        credential: Option<&Credential>,
        attempts: &mut Attempts<'_>,
    ) -> Result<Token, Failure> {
        let server = authority_of(realm);
        let mut request = match credential {
            Some(Credential::IdentityToken(token)) => refresh_request(realm, service, scope, &token.0),
            Some(Credential::Basic { username, password }) => {
                let mut request = token_request(realm, service, scope, Some(username));
                request.authorization = Some(basic_header(username, &password.0)?);
                request
            }
            _ => token_request(realm, service, scope, None),
        };
        request.redirects = Redirects::Registry;
        let reply = self.transport.send(&request, attempts).await?;
        if reply.status().is_success() {
            let bytes = reply.document(TOKEN_LIMIT, &self.auth.options, attempts).await?;
            return read_token(&bytes, &server);
        }
        match reply.into_failure(&self.auth.options, attempts).await {
            // 400 is what OAuth servers say to a refresh token that is no longer good (RFC 6749, section 5.2).
            Failure::Status { status, detail, .. }
                if matches!(status.as_u16(), 401 | 403) || (status.as_u16() == 400 && credential.is_some()) =>
            {
                let what = if credential.is_some() {
                    "refused the stored credentials"
                } else {
                    "gives no token without credentials"
                };
                let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
                Err(Failure::Status {
                    status: StatusCode::UNAUTHORIZED,
                    detail: format!("its token server {server} {what}{detail}"),
                    retry_after: None,
                })
            }
            Failure::Status { status, detail, retry_after } => {
                let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
                Err(Failure::Status {
                    status,
                    detail: format!("said by its token server {server}{detail}"),
                    retry_after,
                })
            }
            other => Err(other),
        }
    }
}

/// Reads the challenge of a 401; `None` where it has none that strake can answer.
fn read_challenge(reply: &Reply, asked: &Url, transport: &Transport) -> Result<Option<Challenge>, Failure> {
    let mut basic = None;
    for value in reply.headers().get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        let Ok(challenges) = http_auth::parse_challenges(text) else { continue };
        for challenge in challenges {
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
            if !challenge.scheme.eq_ignore_ascii_case("bearer") {
                continue;
            }
            let parameter = |name: &str| {
                let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped()).filter(|value| !value.is_empty())
            };
            let Some(realm) = parameter("realm") else { continue };
            let realm = Url::parse(&realm)
                .map_err(|_| Failure::refused("its challenge names a token server that is no URL"))?;
            // A password that came in over TLS does not leave in the clear.
            let is_safe = realm.scheme() == "https"
                || (realm.scheme() == "http" && (asked.scheme() == "http" || transport.allows_plain(&realm)));
            if !is_safe {
                return Err(Failure::refused(format!("its token server {} is not reached by https", shown(&realm))));
            }
            return Ok(Some(Challenge::Bearer { realm, service: parameter("service"), scope: parameter("scope") }));
        }
    }
    Ok(basic)
}

fn token_request(realm: &Url, service: Option<&str>, scope: &[String], account: Option<&str>) -> Request {
    let mut url = realm.clone();
    {
        let mut query = url.query_pairs_mut();
        for (name, value) in [("service", service), ("account", account)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        for scope in scope {
            query.append_pair("scope", scope);
        }
    }
    Request::new(Method::GET, url)
}

/// The OAuth 2 request for an access token (RFC 6749, section 6).
fn refresh_request(realm: &Url, service: Option<&str>, scope: &[String], token: &str) -> Request {
    // A query has the same form as such a body.
    let mut form = realm.clone();
    form.set_query(None);
    for (name, value) in [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", "strake"),
        ("service", service.unwrap_or_default()),
        ("scope", &scope.join(" ")),
    ] {
        form.query_pairs_mut().append_pair(name, value);
    }
    let body = form.query().unwrap_or_default().to_owned();
    Request::new(Method::POST, realm.clone())
        .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
        .payload(Payload::Bytes(Bytes::from(body)))
}

fn read_token(bytes: &[u8], server: &str) -> Result<Token, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<u64>,
    }
    let problem = || Failure::refused(format!("its token server {server} answered with something that is no token"));
    let answer: Answer = serde_json::from_slice(bytes).map_err(|_| problem())?;
    let text = answer.token.filter(|token| !token.is_empty()).or(answer.access_token).ok_or_else(problem)?;
    let life = Duration::from_secs(answer.expires_in.unwrap_or(TOKEN_LIFE).clamp(1, 24 * 3600));
    let life = life.checked_sub(TOKEN_MARGIN).unwrap_or(life);
    Ok(Token { header: bearer_header(&text).map_err(|_| problem())?, until: Instant::now() + life })
}

pub(crate) fn basic_header(username: &str, password: &str) -> Result<HeaderValue, Failure> {
    sensitive(&format!("Basic {}", BASE64.encode(format!("{username}:{password}").as_bytes())))
}

fn bearer_header(token: &str) -> Result<HeaderValue, Failure> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        Failure::Fatal(Error::Configuration(
            "the stored credentials hold characters that HTTP cannot carry: log in again".to_owned(),
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_requests_carry_every_scope() {
        let realm = Url::parse("https://auth.example/token?x=1").unwrap();
        let request = token_request(&realm, Some("r.example"), &push_scope("a/b", Some("c")), Some("me"));
        assert_eq!(
            request.url.as_str(),
            "https://auth.example/token?x=1&service=r.example&account=me&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull"
        );
    }

    #[test]
    fn tokens_are_read_under_both_names() {
        for (text, header) in
            [(r#"{"token":"a"}"#, "Bearer a"), (r#"{"access_token":"b","expires_in":300}"#, "Bearer b")]
        {
            assert_eq!(read_token(text.as_bytes(), "s").unwrap().header, header);
        }
        assert!(read_token(b"{}", "s").is_err());
        assert!(read_token(b"<html>", "s").is_err());
        assert!(read_token(br#"{"token":"a\nb"}"#, "s").is_err());
    }

    #[test]
    fn authorisation_never_shows_in_debug_output() {
        assert!(!format!("{:?}", basic_header("u", "hidden").unwrap()).contains("dTpo"));
    }
}
