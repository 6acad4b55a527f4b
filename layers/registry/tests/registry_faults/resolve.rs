use axum::http::Method;
use axum::response::IntoResponse as _;
use insta::assert_snapshot;
use strake_layers::{ErrorKind, MediaType, Platform, PlatformMatcher};
use strake_registry::Error;

use crate::mock::{Mock, client, for_platform, html, noise, status, store};

fn linux() -> PlatformMatcher {
    PlatformMatcher::new(&Platform::new("linux", "amd64"))
}

#[tokio::test]
async fn a_tag_leads_through_its_index_to_the_platforms_manifest() {
    let mock = Mock::start().await;
    let (amd, arm) = (mock.add_image("", b"amd"), mock.add_image("", b"arm"));
    let index = mock.add_index("1", &[for_platform(arm, "linux/arm64"), for_platform(amd.clone(), "linux/amd64")]);
    let found = client().resolve(&mock.reference("a:1"), &linux(), None).await.unwrap();
    assert_eq!(found.manifest.digest, amd.digest);
    assert_eq!(found.index.unwrap().digest, index.digest);
    assert_eq!(found.platform.unwrap().architecture, "amd64");
}

#[tokio::test]
async fn a_platform_that_is_not_offered_gets_the_list_of_those_that_are() {
    let mock = Mock::start().await;
    let arm = mock.add_image("", b"arm");
    mock.add_index("1", &[for_platform(arm.clone(), "linux/arm64"), for_platform(arm, "windows/amd64")]);
    let error = client().resolve(&mock.reference("a:1"), &linux(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert_snapshot!(mock.text_of(&error), @r"
    HOST/a:1 has no image for linux/amd64; it offers linux/arm64, windows/amd64
    help: choose one of these with --platform, or another image or tag
    ");
    mock.add_index("none", &[]);
    let error = client().resolve(&mock.reference("a:none"), &linux(), None).await.unwrap_err();
    assert_snapshot!(mock.text_of(&error), @r"
    HOST/a:none has no image for linux/amd64; it offers none
    help: choose another image or tag
    ");
}

#[tokio::test]
async fn indexes_nest_four_deep_and_no_deeper() {
    let mock = Mock::start().await;
    let mut inner = for_platform(mock.add_image("", b"x"), "linux/amd64");
    for depth in 1..=5 {
        inner = for_platform(mock.add_index(&format!("depth{depth}"), &[inner]), "linux/amd64");
    }
    client().resolve(&mock.reference("a:depth4"), &linux(), None).await.unwrap();
    let error = client().resolve(&mock.reference("a:depth5"), &linux(), None).await.unwrap_err();
    assert_snapshot!(mock.text_of(&error), @"the nesting of indexes of HOST/a:depth5 exceeds the limit of 4 levels");
}

#[tokio::test]
async fn documents_in_the_store_are_not_fetched_again() {
    let mock = Mock::start().await;
    let manifest = mock.add_image("1", b"x");
    let (_dir, store) = store();
    let client = client();
    client.resolve(&mock.reference("a:1"), &linux(), Some(&store)).await.unwrap();
    assert_eq!(mock.count(&Method::GET, "/manifests/"), 1);
    client.resolve(&mock.reference("a:1"), &linux(), Some(&store)).await.unwrap();
    assert_eq!(mock.count(&Method::GET, "/manifests/"), 1);
    assert_eq!(mock.count(&Method::HEAD, "/manifests/"), 2);
    let pinned = mock.reference("a:1").with_digest(manifest.digest);
    let before = mock.log().len();
    client.resolve(&pinned, &linux(), Some(&store)).await.unwrap();
    assert_eq!(mock.log().len(), before);
}

#[tokio::test]
async fn a_registry_without_head_is_asked_by_get() {
    let mock = Mock::with(|seen| (seen.method == Method::HEAD).then(|| status(405))).await;
    mock.add_image("1", b"x");
    let (_dir, store) = store();
    client().resolve(&mock.reference("a:1"), &linux(), Some(&store)).await.unwrap();
}

#[tokio::test]
async fn a_missing_tag_is_the_users_error_and_says_what_the_registry_says() {
    let mock = Mock::start().await;
    let error = client().resolve(&mock.reference("a/b:none"), &linux(), None).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)));
    assert_snapshot!(mock.text_of(&error), @r"
    cannot pull HOST/a/b:none: HOST answered 404 Not Found: manifest unknown (1 attempt)
    help: does it exist, and is it spelled right?
    ");
}

#[tokio::test]
async fn a_manifest_with_another_digest_is_refused() {
    let mock = Mock::with(|seen| {
        let body = r#"{"schemaVersion":2,"manifests":[]}"#;
        (seen.is(&Method::GET, "/manifests/")).then(|| ([("content-type", MediaType::OCI_INDEX)], body).into_response())
    })
    .await;
    let manifest = mock.add_image("1", b"x");
    let error =
        client().resolve(&mock.reference("a:1").with_digest(manifest.digest), &linux(), None).await.unwrap_err();
    assert!(matches!(error, Error::BadAnswer(_)), "{error}");
    assert_snapshot!(mock.text_of(&error), @r"
    cannot pull HOST/a@sha256:9a62d8b8f203f5b20075169c3a8aded9edf28209ff0be1606ebf57f902aa6960: the content has digest sha256:bc5857ac9458293d5111ab85c952172cd7f56bceb4e3014ddc4cafac8927b313, but sha256:9a62d8b8f203f5b20075169c3a8aded9edf28209ff0be1606ebf57f902aa6960 was promised (2 attempts)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    ");
    assert_eq!(mock.count(&Method::GET, "/manifests/"), 2);
}

#[tokio::test]
async fn oversized_and_foreign_answers_are_refused() {
    let mock =
        Mock::with(|seen| seen.is(&Method::GET, "/manifests/").then(|| noise((8 << 20) + 1).into_response())).await;
    let error = client().resolve(&mock.reference("a:1"), &linux(), None).await.unwrap_err();
    assert_snapshot!(mock.text_of(&error), @r"
    cannot pull HOST/a:1: the answer is larger than the limit of 8388608 bytes (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    ");
    let mock = Mock::with(|seen| seen.is(&Method::GET, "/manifests/").then(|| html(200))).await;
    let error = client().resolve(&mock.reference("a:1"), &linux(), None).await.unwrap_err();
    assert_snapshot!(mock.text_of(&error), @r"
    cannot pull HOST/a:1: status 200 OK with text/html is not a registry's answer (1 attempt)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    ");
}

#[tokio::test]
async fn a_config_is_read_whole_and_verified() {
    let mock = Mock::start().await;
    let config = mock.add_blob(br#"{"os":"linux"}"#);
    let name = mock.reference("a:1");
    assert_eq!(client().fetch_document(&name, &config, 1000).await.unwrap(), br#"{"os":"linux"}"#);
    assert_snapshot!(mock.text_of(&client().fetch_document(&name, &config, 10).await.unwrap_err()), @"sha256:5809269daf2d55e988b09feecc13180c284754e4d2376d0f7297ab7c6a90b358 of HOST/a exceeds the limit of 10 bytes");
    let mut lie = config.clone();
    lie.size += 1;
    assert_snapshot!(mock.text_of(&client().fetch_document(&name, &lie, 1000).await.unwrap_err()), @r"
    cannot pull blob sha256:5809269daf2d55e988b09feecc13180c284754e4d2376d0f7297ab7c6a90b358 of HOST/a: the answer has 14 bytes, but 15 were promised (2 attempts)
    help: is HOST the right address, and what stands between it and this machine (proxy, portal)?
    ");
}
