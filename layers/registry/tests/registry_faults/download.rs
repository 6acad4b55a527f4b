use axum::body::Bytes;
use axum::http::{Method, StatusCode, header};
use axum::response::IntoResponse as _;
use strake_layers::{Digest, ErrorKind, Timestamp};
use strake_registry::{DownloadRequest, Error, Secret, Validators};

use crate::mock::{Mock, broken_off, client, noise, ranged, status, store};

fn request(mock: &Mock, path: &str) -> DownloadRequest {
    DownloadRequest {
        url: format!("http://{}/{path}", mock.address),
        validators: Validators::default(),
        limit: 10 << 20,
        headers: Vec::new(),
    }
}

fn file() -> axum::response::Response {
    let headers = [(header::ETAG, "\"v1\""), (header::LAST_MODIFIED, "Sun, 06 Nov 1994 08:49:37 GMT")];
    (headers, "content").into_response()
}

#[tokio::test]
async fn a_file_comes_with_its_name_time_and_validators() {
    let mock = Mock::with(|_| Some(file())).await;
    let (_dir, store) = store();
    let found = client().download(&request(&mock, "dir/file%20name.txt?x=1"), &store).await.unwrap();
    assert_eq!(found.body, Some((Digest::of(b"content"), 7)));
    assert_eq!(found.name.as_deref(), Some("file name.txt"));
    assert_eq!(found.modified, Some(Timestamp::from_seconds(784_111_777)));
    assert_eq!(found.validators.etag.as_deref(), Some("\"v1\""));
    assert_eq!(store.read_document(&Digest::of(b"content"), 100).unwrap(), b"content");
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again() {
    let mock =
        Mock::with(|seen| Some(if seen.header("if-none-match") == Some("\"v1\"") { status(304) } else { file() }))
            .await;
    let (_dir, store) = store();
    let mut again = request(&mock, "f");
    again.validators = client().download(&again, &store).await.unwrap().validators;
    let found = client().download(&again, &store).await.unwrap();
    assert_eq!((found.status, found.body), (304, None));
}

#[tokio::test]
async fn an_interrupted_download_is_continued_only_for_the_same_file() {
    let content = Bytes::from(noise(200_000));
    for etag in [Some("\"v1\""), Some("W/\"v1\""), None] {
        let copy = content.clone();
        let mock = Mock::with(move |seen| {
            let mut answer = match seen.earlier {
                0 => broken_off(StatusCode::OK, copy.slice(..50_000), copy.len()),
                _ => ranged(&copy, seen.header("range")),
            };
            if let Some(etag) = etag {
                answer.headers_mut().insert(header::ETAG, etag.parse().unwrap());
            }
            Some(answer)
        })
        .await;
        let (_dir, store) = store();
        let found = client().download(&request(&mock, "f"), &store).await.unwrap();
        assert_eq!(found.body, Some((Digest::of(&content), 200_000)));
        assert_eq!(found.status, 200);
        let last = mock.log().pop().unwrap();
        assert_eq!(last.header("range").is_some(), etag == Some("\"v1\""));
    }
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_and_not_kept() {
    let mock = Mock::with(|_| Some(noise(5000).into_response())).await;
    let (_dir, store) = store();
    let mut small = request(&mock, "f");
    small.limit = 4999;
    let error = client().download(&small, &store).await.unwrap_err();
    insta::assert_snapshot!(mock.text_of(&error), @"the file at http://HOST/f exceeds the limit of 4999 bytes");
    assert!(store.list().unwrap().is_empty());
}

#[tokio::test]
async fn headers_and_passwords_are_not_carried_elsewhere() {
    let other = Mock::with(|_| Some(file())).await;
    let target = format!("http://{}/g", other.address);
    let mock =
        Mock::with(move |_| Some((StatusCode::FOUND, [(header::LOCATION, target.clone())]).into_response())).await;
    let (_dir, store) = store();
    let mut secret = request(&mock, "f");
    secret.url = format!("http://me:pw@{}/f", mock.address);
    secret.headers = vec![("X-Token".to_owned(), Secret("hidden".to_owned()))];
    let found = client().download(&secret, &store).await.unwrap();
    assert_eq!(found.name.as_deref(), Some("g"));
    let (first, second) = (mock.log().pop().unwrap(), other.log().pop().unwrap());
    assert_eq!((first.header("authorization"), first.header("x-token")), (Some("Basic bWU6cHc="), Some("hidden")));
    assert_eq!((second.header("authorization"), second.header("x-token")), (None, None));
}

#[tokio::test]
async fn statuses_become_errors_that_name_the_address_without_its_secrets() {
    let mock = Mock::with(|_| Some(status(404))).await;
    let (_dir, store) = store();
    let error = client().download(&request(&mock, "f?token=hidden"), &store).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)));
    insta::assert_snapshot!(mock.text_of(&error), @r"
    cannot download http://HOST/f: HOST answered 404 Not Found (1 attempt)
    help: does it exist, and is it spelled right?
    ");
    assert_eq!(error.kind(), ErrorKind::User);
    let mock = Mock::with(|_| Some(status(401))).await;
    let error = client().download(&request(&mock, "f"), &store).await.unwrap_err();
    insta::assert_snapshot!(mock.text_of(&error), @r"
    cannot download http://HOST/f: HOST answered 401 Unauthorized (1 attempt)
    help: give credentials for HOST
    ");
    let mock = Mock::with(|seen| (seen.earlier < 2).then(|| status(503))).await;
    client().download(&request(&mock, "f"), &store).await.unwrap();
    assert_eq!(mock.count(&Method::GET, "/f"), 3);
}

#[tokio::test]
async fn redirects_to_other_schemes_are_not_followed() {
    let mut said = Vec::new();
    for target in ["file:///etc/passwd", "ftp://h.example/x"] {
        let mock = Mock::with(move |_| Some((StatusCode::FOUND, [(header::LOCATION, target)]).into_response())).await;
        let (_dir, store) = store();
        let error = client().download(&request(&mock, "f"), &store).await.unwrap_err();
        said.push(mock.text_of(&error));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    cannot download http://HOST/f: a redirect to file:///etc/passwd is not followed (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot download http://HOST/f: a redirect to ftp://h.example/x is not followed (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    ");
}
