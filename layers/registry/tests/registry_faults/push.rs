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
    for (method, path) in [(Method::HEAD, "/blobs/"), (Method::POST, "/blobs/uploads"), (Method::PUT, "/blobs/uploads")]
    {
        let wanted = (method.clone(), path);
        let mock = Mock::with(move |seen| seen.is(&wanted.0, wanted.1).then(|| html(200))).await;
        let error = client().push_blob(&mock.reference("a:1"), &blob, &store, &[]).await.unwrap_err();
        assert!(matches!(error, Error::BadAnswer(_)), "{method}: {error}");
    }
    let mock = Mock::with(|seen| (seen.method == Method::PUT).then(|| html(200))).await;
    let error = client().push_manifest(&mock.reference("a:1"), MediaType::OCI_MANIFEST, MANIFEST).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer(_)), "{error}");
    assert!(error.to_string().contains("200 OK with text/html"), "{error}");
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
    assert!(error.help().unwrap().contains("docker login"), "{error}");
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
    assert!(error.to_string().contains(&blob.digest.to_string()), "{error}");
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
