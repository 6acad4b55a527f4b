use std::sync::Arc;

use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use insta::assert_snapshot;
use strake_layers::{ErrorKind, Platform, PlatformMatcher};
use strake_registry::{Client, ClientOptions, Credential, CredentialSource, Error, Secret};

use crate::mock::{Mock, Seen, client, noise, quick, status, store};

const TOKEN_PATH: &str = "/token";

fn linux() -> PlatformMatcher {
    PlatformMatcher::new(&Platform::new("linux", "amd64"))
}

fn basic(user: &str, password: &str) -> Credential {
    Credential::Basic { username: user.to_owned(), password: Secret(password.to_owned()) }
}

fn client_with(mock: &Mock, credential: Credential) -> Client {
    let credentials = CredentialSource { given: [(mock.address.to_string(), credential)].into(), ..Default::default() };
    Client::new(ClientOptions { credentials, limits: quick(), ..ClientOptions::default() })
}

/// A registry that wants bearer tokens from a server at the same address; `token` answers for that server.
async fn guarded(token: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Mock {
    Mock::with(move |seen| {
        if seen.path == TOKEN_PATH {
            return Some(token(seen));
        }
        if seen.header("authorization").is_some_and(|value| value.starts_with("Bearer good")) {
            return None;
        }
        let host = seen.header("host").unwrap_or_default();
        let challenge = format!(
            r#"Bearer realm="http://{host}{TOKEN_PATH}",service="mock",scope="repository:a:pull",error="invalid_token""#
        );
        Some((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response())
    })
    .await
}

fn token(text: &str) -> Response {
    axum::Json(serde_json::json!({"token": text, "expires_in": 300})).into_response()
}

#[tokio::test]
async fn an_anonymous_token_is_fetched_once_for_a_scope() {
    let mock = guarded(|_| token("good")).await;
    mock.add_image("1", b"x");
    let blob = mock.add_blob(&noise(100));
    let (_dir, store) = store();
    let client = client();
    client.resolve(&mock.reference("a:1"), &linux(), None).await.unwrap();
    client.fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap();
    let asked: Vec<_> = mock.log().into_iter().filter(|seen| seen.path == TOKEN_PATH).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].query, "service=mock&scope=repository%3Aa%3Apull");
    assert!(asked[0].header("authorization").is_none());
}

#[tokio::test]
async fn parallel_requests_share_one_token() {
    let mock = guarded(|_| token("good")).await;
    let blobs: Vec<_> = (1..9).map(|n| mock.add_blob(&noise(n))).collect();
    mock.add_image("1", b"x");
    let (_dir, store) = store();
    let client = client();
    let tasks: Vec<_> = blobs
        .into_iter()
        .map(|blob| {
            let (client, name, store) = (client.clone(), mock.reference("a:1"), store.clone());
            tokio::spawn(async move { client.fetch_blob(&name, &blob, &store).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(mock.count(&Method::GET, TOKEN_PATH), 1);
}

#[tokio::test]
async fn a_password_goes_to_the_token_server_and_the_token_to_the_registry() {
    let mock = guarded(|seen| match seen.header("authorization") {
        Some("Basic bWU6cHc=") => token("good"),
        _ => status(401),
    })
    .await;
    mock.add_image("1", b"x");
    client_with(&mock, basic("me", "pw")).resolve(&mock.reference("a:1"), &linux(), None).await.unwrap();
    assert!(
        mock.log()
            .iter()
            .filter(|seen| seen.path != TOKEN_PATH)
            .all(|seen| !seen.header("authorization").unwrap_or_default().starts_with("Basic"))
    );
    let error =
        client_with(&mock, basic("me", "wrong")).resolve(&mock.reference("a:1"), &linux(), None).await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)) && error.kind() == ErrorKind::Denied);
    assert_snapshot!(mock.text_of(&error), @r"
    cannot pull HOST/a:1: HOST answered 401 Unauthorized: its token server HOST refused the stored credentials (1 attempt)
    help: log in with `docker login HOST`
    ");
}

#[tokio::test]
async fn an_identity_token_is_exchanged_by_the_refresh_grant() {
    let mock = guarded(|seen| {
        let body = String::from_utf8_lossy(&seen.body);
        let is_grant = seen.method == Method::POST
            && body == "grant_type=refresh_token&refresh_token=refresh&client_id=strake&service=mock&scope=repository%3Aa%3Apull";
        if is_grant { axum::Json(serde_json::json!({"access_token": "good"})).into_response() } else { status(401) }
    })
    .await;
    mock.add_image("1", b"x");
    let client = client_with(&mock, Credential::IdentityToken(Secret("refresh".to_owned())));
    client.resolve(&mock.reference("a:1"), &linux(), None).await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    // The first token is taken back after one use.
    let tokens = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let given = tokens.clone();
    let mock = Mock::with(move |seen| {
        use std::sync::atomic::Ordering::SeqCst;
        if seen.path == TOKEN_PATH {
            return Some(token(&format!("t{}", given.fetch_add(1, SeqCst))));
        }
        match (seen.header("authorization"), seen.path.contains("/blobs/")) {
            (Some("Bearer t0"), false) | (Some("Bearer t1"), true) => None,
            _ => {
                let challenge = format!("Bearer realm=\"http://{}{TOKEN_PATH}\"", seen.header("host").unwrap());
                Some((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response())
            }
        }
    })
    .await;
    mock.add_image("1", b"x");
    let blob = mock.add_blob(b"y");
    let (_dir, store) = store();
    let client = client();
    client.resolve(&mock.reference("a:1"), &linux(), None).await.unwrap();
    client.fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap();
    assert_eq!(tokens.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_401_after_a_fresh_token_is_final() {
    let mock = guarded(|_| token("bad")).await;
    mock.add_image("1", b"x");
    let error = client().resolve(&mock.reference("a:1"), &linux(), None).await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
    assert_eq!(mock.count(&Method::GET, "/manifests/"), 2);
}

#[tokio::test]
async fn oversized_and_useless_token_replies_are_refused() {
    for reply in [noise((1 << 20) + 1), b"<html>".to_vec(), b"{}".to_vec()] {
        let mock = guarded(move |_| reply.clone().into_response()).await;
        mock.add_image("1", b"x");
        let error = client().resolve(&mock.reference("a:1"), &linux(), None).await.unwrap_err();
        assert!(matches!(error, Error::BadAnswer(_)), "{error}");
    }
}

#[tokio::test]
async fn basic_credentials_come_from_the_configuration_file() {
    let mock = Mock::with(|seen| {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"mock\"")];
        (seen.header("authorization") != Some("Basic bWU6cHc="))
            .then(|| (StatusCode::UNAUTHORIZED, challenge).into_response())
    })
    .await;
    mock.add_image("1", b"x");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    std::fs::write(&file, format!(r#"{{"auths": {{"{}": {{"auth": "bWU6cHc="}}}}}}"#, mock.address)).unwrap();
    let credentials = CredentialSource { files: vec![dir.path().join("none.json"), file], ..Default::default() };
    let client = Client::new(ClientOptions { credentials, limits: quick(), ..ClientOptions::default() });
    client.resolve(&mock.reference("a:1"), &linux(), None).await.unwrap();
    let denied = crate::mock::client().resolve(&mock.reference("a:1"), &linux(), None).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_redirect_to_another_port_gets_no_credentials() {
    let cdn = Mock::with(|seen| seen.headers.contains_key(header::AUTHORIZATION).then(|| status(400))).await;
    let blob = cdn.add_blob(&noise(1000));
    let target = format!("http://{}/v2/a/blobs/{}?signature=secret", cdn.address, blob.digest);
    let mock = Mock::with(move |seen| match seen.header("authorization") {
        Some("Basic bWU6cHc=") => {
            Some((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, target.clone())]).into_response())
        }
        _ => Some((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"mock\"")]).into_response()),
    })
    .await;
    let (_dir, store) = store();
    client_with(&mock, basic("me", "pw")).fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap();
    assert_eq!(cdn.count(&Method::GET, "/blobs/"), 1);
}

#[tokio::test]
async fn a_challenge_from_a_redirects_target_is_not_answered() {
    let thief = Mock::with(|_| {
        Some((StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"give\"")]).into_response())
    })
    .await;
    let target = format!("http://{}/x", thief.address);
    let mock =
        Mock::with(move |_| Some((StatusCode::FOUND, [(header::LOCATION, target.clone())]).into_response())).await;
    let blob = mock.add_blob(b"x");
    let (_dir, store) = store();
    let error =
        client_with(&mock, basic("me", "pw")).fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_snapshot!(mock.text_of(&error).replace(&thief.address.to_string(), "THIEF"), @r"
    cannot pull blob sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 of HOST/a: HOST answered 401 Unauthorized: said by THIEF, to which it redirects (1 attempt)
    help: log in with `docker login HOST`
    ");
    assert!(thief.log().iter().all(|seen| !seen.headers.contains_key(header::AUTHORIZATION)));
}

#[tokio::test]
async fn redirects_end() {
    let mock =
        Mock::with(|seen| Some((StatusCode::FOUND, [(header::LOCATION, seen.path.clone())]).into_response())).await;
    let blob = mock.add_blob(b"x");
    let (_dir, store) = store();
    let error = client().fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap_err();
    assert_snapshot!(mock.text_of(&error), @r"
    cannot pull blob sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 of HOST/a: more than 10 redirects, the last one to http://HOST/v2/a/blobs/sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    ");
}

/// The helper that this crate brings for its tests.
const HELPER: &str = env!("CARGO_BIN_EXE_docker-credential-straketest");

/// Tells the test of the helper that it runs with the helper on PATH.
const WITH_HELPER: &str = "STRAKE_TEST_WITH_HELPER";

/// The environment of this process is not changed: the test runs itself again in a process of its own.
#[test]
fn a_credential_helper_is_found_on_path_and_asked_by_its_protocol() {
    if std::env::var_os(WITH_HELPER).is_some() {
        return tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(ask_the_helper());
    }
    let folder = std::path::Path::new(HELPER).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path))).unwrap();
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "auth::a_credential_helper_is_found_on_path_and_asked_by_its_protocol"])
        .env("PATH", path)
        .env(WITH_HELPER, "1")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && log.contains("1 passed"), "{log}{}", String::from_utf8_lossy(&run.stderr));
}

async fn ask_the_helper() {
    let mock = Mock::with(|seen| {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"mock\"")];
        (seen.header("authorization") != Some("Basic bWU6cHc="))
            .then(|| (StatusCode::UNAUTHORIZED, challenge).into_response())
    })
    .await;
    mock.add_image("1", b"x");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    std::fs::write(&file, r#"{"credsStore": "straketest"}"#).unwrap();
    let credentials = CredentialSource { files: vec![file.clone()], ..Default::default() };
    let client = Client::new(ClientOptions { credentials, limits: quick(), ..ClientOptions::default() });
    client.resolve(&mock.reference("a:1"), &linux(), None).await.unwrap();

    // A helper that is missing costs the credentials, not the build: the registry decides.
    std::fs::write(&file, r#"{"credsStore": "straketest-missing"}"#).unwrap();
    let credentials = CredentialSource { files: vec![file], ..Default::default() };
    let client = Client::new(ClientOptions { credentials, limits: quick(), ..ClientOptions::default() });
    let error = client.resolve(&mock.reference("a:1"), &linux(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert_snapshot!(mock.text_of(&error), @r"
    cannot pull HOST/a:1: HOST answered 401 Unauthorized (1 attempt)
    help: log in with `docker login HOST`
    ");
}

#[tokio::test]
async fn token_servers_that_give_no_token_are_named() {
    let mut said = Vec::new();
    for answer in ["<html>", "{}", r#"{"token": ""}"#, r#"{"token": "a\nb"}"#] {
        let mock = guarded(move |_| answer.into_response()).await;
        let error = client().resolve(&mock.reference("a:1"), &linux(), None).await.unwrap_err();
        said.push(mock.text_of(&error));
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"nowhere\"")];
    let mock = Mock::with(move |_| Some((StatusCode::UNAUTHORIZED, challenge.clone()).into_response())).await;
    let error = client().resolve(&mock.reference("a:1"), &linux(), None).await.unwrap_err();
    said.push(mock.text_of(&error));
    assert_snapshot!(said.join("\n"), @r"
    cannot pull HOST/a:1: its token server HOST answered with something that is no token (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot pull HOST/a:1: its token server HOST answered with something that is no token (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot pull HOST/a:1: its token server HOST answered with something that is no token (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot pull HOST/a:1: its token server HOST answered with something that is no token (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot pull HOST/a:1: its challenge names a token server that is no URL (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    ");
}
