use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use axum::http::{Method, StatusCode, header};
use axum::response::IntoResponse as _;
use insta::assert_snapshot;
use strake_layers::{Cancel, Digest, ErrorKind, Notice, NoticeSink, Reference};
use strake_registry::{Client, ClientOptions, Error, ForeignUrls};

use crate::mock::{
    Mock, broken_off, client, hasty, hasty_between_bytes, html, noise, quick, ranged, silent_after, status, store,
};

#[tokio::test]
async fn blob_arrives_verified_and_a_second_fetch_asks_nobody() {
    let mock = Mock::start().await;
    let content = noise(3 << 20);
    let blob = mock.add_blob(&content);
    let (_dir, store) = store();
    let (client, name) = (client(), mock.reference("a/b:1"));
    client.fetch_blob(&name, &blob, &store).await.unwrap();
    client.fetch_blob(&name, &blob, &store).await.unwrap();
    assert_eq!(store.read_document(&blob.digest, 4 << 20).unwrap(), content);
    assert_eq!(mock.count(&Method::GET, "/blobs/"), 1);
}

#[tokio::test]
async fn concurrent_fetches_of_one_blob_are_joined() {
    let mock = Mock::start().await;
    let blob = mock.add_blob(&noise(2 << 20));
    let (_dir, store) = store();
    let client = client();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (client, name, blob, store) = (client.clone(), mock.reference("a:1"), blob.clone(), store.clone());
            tokio::spawn(async move { client.fetch_blob(&name, &blob, &store).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(mock.count(&Method::GET, "/blobs/"), 1);
}

#[tokio::test]
async fn truncated_body_is_resumed_where_it_ended() {
    let content = Bytes::from(noise(300_000));
    let copy = content.clone();
    let mock = Mock::with(move |seen| {
        let first = seen.is(&Method::GET, "/blobs/") && seen.earlier == 0;
        first.then(|| broken_off(StatusCode::OK, copy.slice(..100_000), copy.len()))
    })
    .await;
    let blob = mock.add_blob(&content);
    let (_dir, store) = store();
    client().fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap();
    let ranges: Vec<_> = mock.log().iter().filter_map(|seen| seen.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, ["bytes=100000-"]);
}

#[tokio::test]
async fn refused_and_lying_ranges_begin_anew() {
    let content = Bytes::from(noise(300_000));
    for lie in ["whole", "offset", "total", "content", "416"] {
        let copy = content.clone();
        let mock = Mock::with(move |seen| {
            if !seen.is(&Method::GET, "/blobs/") {
                return None;
            }
            let part = |range: &str, from: usize| {
                let headers = [(header::CONTENT_RANGE, range.to_owned())];
                Some((StatusCode::PARTIAL_CONTENT, headers, copy.slice(from..)).into_response())
            };
            match (seen.earlier, lie) {
                (0, _) => Some(broken_off(StatusCode::OK, copy.slice(..100_000), copy.len())),
                (1, "whole") => Some(ranged(&copy, None)),
                (1, "offset") => part("bytes 99999-299999/300000", 99_999),
                (1, "total") => part("bytes 100000-299999/300001", 100_000),
                (1, "content") => Some(
                    (
                        StatusCode::PARTIAL_CONTENT,
                        [(header::CONTENT_RANGE, "bytes 100000-299999/300000")],
                        vec![0; 200_000],
                    )
                        .into_response(),
                ),
                (1, "416") => Some(status(416)),
                _ => None,
            }
        })
        .await;
        let blob = mock.add_blob(&content);
        let (_dir, store) = store();
        let fetched = client().fetch_blob(&mock.reference("a:1"), &blob, &store).await;
        assert!(fetched.is_ok(), "{lie}: {fetched:?}");
        assert_eq!(store.size(&blob.digest), Some(300_000));
    }
}

#[tokio::test]
async fn a_digest_that_is_wrong_twice_is_an_error_and_nothing_is_kept() {
    let mock = Mock::with(|seen| seen.is(&Method::GET, "/blobs/").then(|| vec![b'x'; 1000].into_response())).await;
    let blob = mock.add_blob(&noise(1000));
    let (_dir, store) = store();
    let error = client().fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_snapshot!(mock.text_of(&error), @r"
    cannot pull blob sha256:ae26722f340430bc2cd3896038dd76ef2fe3729929eb8877aa84fb0877db7f63 of HOST/a: blob sha256:ae26722f340430bc2cd3896038dd76ef2fe3729929eb8877aa84fb0877db7f63 has digest sha256:44f8354494a5ba03ba1792a8d3e9c534c47a9181980fde7a3f44b06ef2ae7c7f, but sha256:ae26722f340430bc2cd3896038dd76ef2fe3729929eb8877aa84fb0877db7f63 was promised: the content was changed or damaged on its way (2 attempts)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    ");
    assert_eq!(mock.count(&Method::GET, "/blobs/"), 2);
    assert!(store.list().unwrap().is_empty());
}

#[tokio::test]
async fn a_digest_that_is_wrong_once_is_fetched_again() {
    let mock = Mock::with(|seen| {
        (seen.is(&Method::GET, "/blobs/") && seen.earlier == 0).then(|| vec![b'x'; 1000].into_response())
    })
    .await;
    let blob = mock.add_blob(&noise(1000));
    let (_dir, store) = store();
    client().fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap();
}

#[tokio::test]
async fn a_wrong_size_is_an_error_in_both_directions() {
    let mut said = Vec::new();
    for size in [500, 2000] {
        for chunked in [false, true] {
            let mock = Mock::with(move |seen| {
                let is_blob = seen.is(&Method::GET, "/blobs/") && chunked;
                let stream = || futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(noise(1000)))]);
                is_blob.then(|| axum::body::Body::from_stream(stream()).into_response())
            })
            .await;
            let mut blob = mock.add_blob(&noise(1000));
            blob.size = size;
            let (_dir, store) = store();
            let error = client().fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Network, "{size}: {error}");
            assert!(store.list().unwrap().is_empty());
            said.push(mock.text_of(&error));
        }
    }
    assert_snapshot!(said.join("\n"), @r"
    cannot pull blob sha256:ae26722f340430bc2cd3896038dd76ef2fe3729929eb8877aa84fb0877db7f63 of HOST/a: the registry has 1000 bytes, but 500 were promised (2 attempts)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot pull blob sha256:ae26722f340430bc2cd3896038dd76ef2fe3729929eb8877aa84fb0877db7f63 of HOST/a: the registry sends more than the 500 bytes that were promised (2 attempts)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot pull blob sha256:ae26722f340430bc2cd3896038dd76ef2fe3729929eb8877aa84fb0877db7f63 of HOST/a: the registry has 1000 bytes, but 2000 were promised (2 attempts)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot pull blob sha256:ae26722f340430bc2cd3896038dd76ef2fe3729929eb8877aa84fb0877db7f63 of HOST/a: the body ended after 1000 of 2000 bytes (4 attempts)
    help: is HOST up, and does it need a proxy (https_proxy) to be reached from here?
    ");
}

#[tokio::test]
async fn passing_faults_are_retried_and_lasting_ones_not() {
    let mut said = Vec::new();
    for (code, tries) in [(408, 4), (429, 4), (500, 4), (503, 4), (400, 1), (403, 1), (404, 1), (501, 1)] {
        let mock = Mock::with(move |seen| seen.is(&Method::GET, "/blobs/").then(|| status(code))).await;
        let blob = mock.add_blob(b"x");
        let (_dir, store) = store();
        let error = client().fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap_err();
        assert_eq!(mock.count(&Method::GET, "/blobs/"), tries, "{code}: {error}");
        said.push(mock.text_of(&error));
    }
    assert_snapshot!(said.join("\n"), @r"
    cannot pull blob sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 of HOST/a: HOST answered 408 Request Timeout (4 attempts)
    cannot pull blob sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 of HOST/a: HOST answered 429 Too Many Requests (4 attempts)
    help: wait, or log in with `docker login HOST` for a higher rate limit
    cannot pull blob sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 of HOST/a: HOST answered 500 Internal Server Error (4 attempts)
    cannot pull blob sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 of HOST/a: HOST answered 503 Service Unavailable (4 attempts)
    cannot pull blob sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 of HOST/a: HOST answered 400 Bad Request (1 attempt)
    cannot pull blob sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 of HOST/a: HOST answered 403 Forbidden (1 attempt)
    help: the account used for HOST may not do this; log in with `docker login HOST`
    cannot pull blob sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 of HOST/a: HOST answered 404 Not Found (1 attempt)
    help: the image needs it, but HOST does not have it: push the image again
    cannot pull blob sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 of HOST/a: HOST answered 501 Not Implemented (1 attempt)
    ");
}

#[tokio::test]
async fn retry_after_is_obeyed_and_capped() {
    // Were the hour obeyed, the test would never end; were it ignored, no wait would be announced.
    let mock = Mock::with(|seen| {
        let busy = seen.is(&Method::GET, "/blobs/") && seen.earlier < 2;
        busy.then(|| (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "3600")]).into_response())
    })
    .await;
    let blob = mock.add_blob(b"x");
    let (_dir, store) = store();
    client().fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap();
    assert_eq!(mock.count(&Method::GET, "/blobs/"), 3);
}

#[tokio::test]
async fn silence_at_any_moment_ends_in_an_error() {
    let quiet = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = quiet.local_addr().unwrap();
    let keep = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = quiet.accept().await {
            open.push(stream);
        }
    });
    let (_dir, store) = store();
    let blob = strake_layers::Descriptor::new("application/octet-stream", Digest::of(b"x"), 1);
    let name = Reference::parse(&format!("{address}/a:1")).unwrap();
    let error = hasty().fetch_blob(&name, &blob, &store).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    keep.abort();

    let mock =
        Mock::with(|seen| seen.is(&Method::GET, "/blobs/").then(|| silent_after(Bytes::from_static(b"ab"), 1000)))
            .await;
    let blob = mock.add_blob(&noise(1000));
    let error = hasty_between_bytes().fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap_err();
    assert!(error.to_string().contains("silence for"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_its_cause() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_dir, store) = store();
    let blob = strake_layers::Descriptor::new("application/octet-stream", Digest::of(b"x"), 1);
    let name = Reference::parse(&format!("{free}/a:1")).unwrap();
    let error = client().fetch_blob(&name, &blob, &store).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&free.to_string()) && text.contains("4 attempts"), "{text}");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.help().is_some());
}

#[tokio::test]
async fn a_stop_ends_a_wait_at_once() {
    let mock = Mock::with(|seen| seen.is(&Method::GET, "/blobs/").then(|| silent_after(Bytes::new(), 1000))).await;
    let blob = mock.add_blob(&noise(1000));
    let (_dir, store) = store();
    let cancel = Cancel::new();
    let client = Client::new(ClientOptions { cancel: cancel.clone(), ..ClientOptions::default() });
    let name = mock.reference("a:1");
    let fetch = tokio::spawn(async move { client.fetch_blob(&name, &blob, &store).await });
    while mock.count(&Method::GET, "/blobs/") == 0 {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    assert!(matches!(fetch.await.unwrap(), Err(Error::Cancelled)));
}

#[tokio::test]
async fn progress_is_reported_up_to_the_last_byte() {
    let mock = Mock::start().await;
    let blob = mock.add_blob(&noise(1 << 20));
    let (_dir, store) = store();
    let last = Arc::new(AtomicUsize::new(0));
    let seen = last.clone();
    let notices = NoticeSink::new(move |notice| {
        if let Notice::Transfer { action: "pull", done, .. } = notice {
            seen.store(usize::try_from(done).unwrap(), Ordering::SeqCst);
        }
    });
    let client = Client::new(ClientOptions { notices, limits: quick(), ..ClientOptions::default() });
    client.fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap();
    assert_eq!(last.load(Ordering::SeqCst), 1 << 20);
}

#[tokio::test]
async fn foreign_addresses_are_asked_only_where_allowed_and_never_in_the_clear() {
    let elsewhere = Mock::start().await;
    let mock = Mock::start().await;
    let mut blob = elsewhere.add_blob(b"foreign");
    blob.urls =
        vec![format!("http://{}/v2/a/blobs/{}", elsewhere.address, blob.digest), "https://10.0.0.1/x".to_owned()];
    let (_dir, store) = store();
    let error = client().fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap_err();
    assert_snapshot!(mock.text_of(&error), @r"
    cannot pull blob sha256:656771905e1ef731f65cd0a0d9fb061238380a1a012e6abdf846ecc7d2ea36fd of HOST/a: HOST answered 404 Not Found: blob unknown (1 attempt)
    help: the layer is a foreign one: allow its own addresses with --foreign-urls
    ");
    let bold =
        Client::new(ClientOptions { foreign_urls: ForeignUrls::Allowed, limits: quick(), ..ClientOptions::default() });
    assert!(bold.fetch_blob(&mock.reference("a:1"), &blob, &store).await.is_err());
    assert!(elsewhere.log().is_empty());
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_the_registry_where_it_fails() {
    let content = noise(1000);
    let mirror = Mock::start().await;
    let origin = Mock::start().await;
    let blob = mirror.add_blob(&content);
    let other = origin.add_blob(b"only at the origin");
    let mirrors = [(origin.address.to_string(), vec![mirror.address.to_string()])].into();
    let client = Client::new(ClientOptions { mirrors, limits: quick(), ..ClientOptions::default() });
    let (_dir, store) = store();
    client.fetch_blob(&origin.reference("a:1"), &blob, &store).await.unwrap();
    assert_eq!(origin.log().len(), 0);
    client.fetch_blob(&origin.reference("a:1"), &other, &store).await.unwrap();
    assert_eq!(origin.count(&Method::GET, "/blobs/"), 1);
}

#[tokio::test]
async fn a_page_in_place_of_a_blob_is_no_blob() {
    let mock = Mock::with(|seen| seen.is(&Method::GET, "/blobs/").then(|| html(200))).await;
    let blob = mock.add_blob(&noise(1000));
    let (_dir, store) = store();
    let error = client().fetch_blob(&mock.reference("a:1"), &blob, &store).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer(_)), "{error}");
    assert_snapshot!(mock.text_of(&error), @r"
    cannot pull blob sha256:ae26722f340430bc2cd3896038dd76ef2fe3729929eb8877aa84fb0877db7f63 of HOST/a: status 200 OK with text/html is not a registry's answer (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    ");
}
