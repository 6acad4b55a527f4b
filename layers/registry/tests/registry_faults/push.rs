use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse as _;
use strake_layers::{Descriptor, ErrorKind, MediaType};
use strake_registry::{Client, ClientOptions, Credential, CredentialSource, Error, ImagePush, Pushed, Secret};

use crate::mock::{Mock, client, hasty, html, noise, quick, status, store};

const MANIFEST: &[u8] = br#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",
"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;

#[tokio::test]
async fn an_image_is_pushed_with_its_manifest_last() {
    let mock = Mock::start().await;
    let (_dir, store) = store();
    let mut blobs = Vec::new();
    for size in [0, 10, 3 << 20, 3 << 20] {
        let content = noise(size);
        let digest = store.put(&content).unwrap();
        blobs.push(Descriptor::new(MediaType::OCI_LAYER_GZIP, digest, content.len() as u64));
    }
    let foreign = Descriptor::new(MediaType::DOCKER_FOREIGN_LAYER_GZIP, strake_layers::Digest::of(b"far"), 3);
    blobs.push(foreign);
    let image = ImagePush { media_type: MediaType::OCI_MANIFEST, manifest: MANIFEST, blobs: &blobs, bases: &[] };
    let digest = client().push_image(&mock.reference("a/b:1"), &image, &store).await.unwrap();
    assert_eq!(digest, strake_layers::Digest::of(MANIFEST));
    assert!(blobs[..4].iter().all(|blob| mock.has_blob(&blob.digest)));
    let log = mock.log();
    assert!(log.last().unwrap().is(&Method::PUT, "/manifests/1"));
    assert_eq!(log.iter().filter(|seen| seen.is(&Method::PUT, "/blobs/uploads")).count(), 3, "equal blobs go once");
}

#[tokio::test]
async fn a_blob_that_is_there_is_not_sent_again() {
    let mock = Mock::start().await;
    let blob = mock.add_blob(b"there");
    let (_dir, store) = store();
    let pushed = client().push_blob(&mock.reference("a:1"), &blob, &store, &[]).await.unwrap();
    assert_eq!(pushed, Pushed::Present);
}

#[tokio::test]
async fn a_mount_needs_no_bytes_and_a_refused_one_falls_back_to_them() {
    let absent =
        |seen: &crate::mock::Seen| (seen.is(&Method::HEAD, "/v2/b/blobs/") && seen.earlier == 0).then(|| status(404));
    let mock = Mock::with(absent).await;
    let blob = mock.add_blob(b"from the base");
    let (_dir, store) = store();
    let from = [mock.reference("base:1")];
    let pushed = client().push_blob(&mock.reference("b:1"), &blob, &store, &from).await.unwrap();
    assert_eq!(pushed, Pushed::Mounted);
    assert!(mock.log().iter().any(|seen| seen.query.contains("from=base")));

    let mock = Mock::start().await;
    let digest = store.put(b"new").unwrap();
    let blob = Descriptor::new("application/octet-stream", digest, 3);
    let from = [mock.reference("base:1"), mock.reference("other:1")];
    let pushed = client().push_blob(&mock.reference("b:1"), &blob, &store, &from).await.unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    assert!(mock.has_blob(&blob.digest));
}

#[tokio::test]
async fn a_blob_too_large_for_one_request_goes_in_chunks() {
    let mock =
        Mock::with(|seen| (seen.is(&Method::PUT, "/blobs/uploads") && seen.body.len() > 20 << 20).then(|| status(413)))
            .await;
    let (_dir, store) = store();
    let content = noise(33 << 20);
    let blob = Descriptor::new("application/octet-stream", store.put(&content).unwrap(), content.len() as u64);
    client().push_blob(&mock.reference("a:1"), &blob, &store, &[]).await.unwrap();
    assert_eq!(mock.count(&Method::PATCH, "/blobs/uploads"), 3);
    assert!(mock.has_blob(&blob.digest));
}

#[tokio::test]
async fn an_upload_that_fails_for_a_moment_is_made_again() {
    let mock =
        Mock::with(|seen| (seen.is(&Method::PUT, "/blobs/uploads") && seen.earlier < 2).then(|| status(502))).await;
    let (_dir, store) = store();
    let blob = Descriptor::new("application/octet-stream", store.put(b"abc").unwrap(), 3);
    client().push_blob(&mock.reference("a:1"), &blob, &store, &[]).await.unwrap();
    assert_eq!(mock.count(&Method::PUT, "/blobs/uploads"), 3);
}

#[tokio::test]
async fn a_page_with_status_200_is_a_failed_push() {
    let (_dir, store) = store();
    let blob = Descriptor::new("application/octet-stream", store.put(b"abc").unwrap(), 3);
    let mut said = Vec::new();
    for (method, path) in [(Method::HEAD, "/blobs/"), (Method::POST, "/blobs/uploads"), (Method::PUT, "/blobs/uploads")]
    {
        let wanted = (method.clone(), path);
        let mock = Mock::with(move |seen| seen.is(&wanted.0, wanted.1).then(|| html(200))).await;
        let error = client().push_blob(&mock.reference("a:1"), &blob, &store, &[]).await.unwrap_err();
        assert!(matches!(error, Error::BadAnswer(_)), "{method}: {error}");
        said.push(mock.text_of(&error));
    }
    let mock = Mock::with(|seen| (seen.method == Method::PUT).then(|| html(200))).await;
    let error = client().push_manifest(&mock.reference("a:1"), MediaType::OCI_MANIFEST, MANIFEST).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer(_)), "{error}");
    said.push(mock.text_of(&error));
    insta::assert_snapshot!(said.join("\n"), @r"
    cannot push blob sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad of HOST/a: status 200 OK with text/html is not a registry's answer (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot push blob sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad of HOST/a: status 200 OK with text/html is not a registry's answer (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot push blob sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad of HOST/a: status 200 OK with text/html is not a registry's answer (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    cannot push HOST/a:1: status 200 OK with text/html is not a registry's answer (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    ");
}

#[tokio::test]
async fn a_push_is_done_only_with_the_right_digest() {
    let wrong = strake_layers::Digest::of(b"something else").to_string();
    for answer in [Some(wrong), None] {
        let mock = Mock::with(move |seen| {
            (seen.method == Method::PUT).then(|| match &answer {
                Some(digest) => (StatusCode::CREATED, [("docker-content-digest", digest.clone())]).into_response(),
                None => status(201),
            })
        })
        .await;
        let error =
            client().push_manifest(&mock.reference("a:1"), MediaType::OCI_MANIFEST, MANIFEST).await.unwrap_err();
        assert!(matches!(error, Error::BadAnswer(_)), "{error}");
    }
}

#[tokio::test]
async fn a_push_that_is_not_allowed_is_found_before_the_build() {
    let mock = Mock::with(|seen| (seen.method == Method::POST).then(|| status(403))).await;
    let error = client().check_push(&mock.reference("a:1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    insta::assert_snapshot!(mock.text_of(&error), @r"
    cannot push HOST/a:1: HOST answered 403 Forbidden (1 attempt)
    help: the account used for HOST may not do this; log in with `docker login HOST`
    ");
    let mock = Mock::start().await;
    client().check_push(&mock.reference("a:1")).await.unwrap();
    assert_eq!(mock.count(&Method::DELETE, "/blobs/uploads"), 1);
}

#[tokio::test]
async fn a_blob_that_is_nowhere_is_named() {
    let mock = Mock::start().await;
    let (_dir, store) = store();
    let blob = Descriptor::new("application/octet-stream", strake_layers::Digest::of(b"gone"), 4);
    let error = client().push_blob(&mock.reference("a:1"), &blob, &store, &[]).await.unwrap_err();
    insta::assert_snapshot!(mock.text_of(&error), @"blob sha256:283bb9deef02e6843abfb538efa1eca70801bd8a701c3f98191e123496339247 is not in the store");
}

#[tokio::test]
async fn manifests_that_make_no_push_are_refused() {
    let mock = Mock::start().await;
    let wanted = mock.reference("a:1").with_digest(strake_layers::Digest::of(b"other"));
    let mut said = Vec::new();
    for (name, media_type, bytes) in [
        (&wanted, MediaType::OCI_MANIFEST, &b"{}"[..]),
        (&mock.reference("a:1"), "a\nb", b"{}"),
        (&mock.reference("a:1"), MediaType::OCI_MANIFEST, &vec![b' '; 5 << 20]),
    ] {
        let error = client().push_manifest(name, media_type, bytes).await.unwrap_err();
        said.push(mock.text_of(&error));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    cannot push HOST/a:1@sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa: the image has digest sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a, not sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa
    cannot push HOST/a:1: "a\nb" is no media type
    the manifest of HOST/a:1 with 5242880 bytes exceeds the limit of 4194304 bytes that registries take
    "#);
}

#[tokio::test]
async fn a_registry_that_never_answers_an_upload_ends_in_an_error() {
    let mock =
        Mock::with(|seen| seen.is(&Method::PUT, "/blobs/uploads").then(|| crate::mock::silent_after(Bytes::new(), 10)))
            .await;
    let (_dir, store) = store();
    let blob = Descriptor::new("application/octet-stream", store.put(b"abc").unwrap(), 3);
    assert!(hasty().push_blob(&mock.reference("a:1"), &blob, &store, &[]).await.is_err());
}

#[tokio::test]
async fn a_layer_of_a_base_that_was_never_fetched_is_carried_over() {
    let base = Mock::start().await;
    let blob = base.add_blob(&noise(100_000));
    let target = Mock::start().await;
    let (_dir, store) = store();
    let bases = [target.reference("elsewhere:1"), base.reference("base:1")];
    let pushed = client().push_blob(&target.reference("a:1"), &blob, &store, &bases).await.unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    assert!(target.has_blob(&blob.digest));
}

#[tokio::test]
async fn an_upload_that_goes_elsewhere_takes_no_credentials_along() {
    let elsewhere = Mock::start().await;
    let session = format!("http://{}/v2/a/blobs/uploads/session", elsewhere.address);
    let mock = Mock::with(move |seen| match (seen.header("authorization"), seen.method == Method::POST) {
        (None, _) => Some((StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic realm=\"mock\"")]).into_response()),
        (_, true) => Some((StatusCode::ACCEPTED, [("location", session.clone())]).into_response()),
        _ => None,
    })
    .await;
    let (_dir, store) = store();
    let blob = Descriptor::new("application/octet-stream", store.put(b"abc").unwrap(), 3);
    let secret = Credential::Basic { username: "me".to_owned(), password: Secret("pw".to_owned()) };
    let credentials = CredentialSource { given: [(mock.address.to_string(), secret)].into(), ..Default::default() };
    let client = Client::new(ClientOptions { credentials, limits: quick(), ..ClientOptions::default() });
    client.push_blob(&mock.reference("a:1"), &blob, &store, &[]).await.unwrap();
    let upload = elsewhere.log().pop().unwrap();
    assert!(upload.is(&Method::PUT, "/uploads/session") && upload.header("authorization").is_none());
}
