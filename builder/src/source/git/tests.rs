use std::fs;
use std::process::Command;

use super::*;

/// Runs git in a folder, told nothing by the machine's own settings; `None` where there is no git.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=main"]).args(arguments);
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let out = command.env("GIT_COMMITTER_DATE", "@1000000000 +0000").output().ok()?;
    assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// A repository with two commits, a tag, a branch and a hook that must not run; `None` where there is no git.
fn repository() -> Option<(tempfile::TempDir, String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    git(path, &["init", "--quiet"])?;
    fs::create_dir(path.join("sub")).expect("made");
    fs::write(path.join("sub/f"), "one\n").expect("written");
    git(path, &["add", "."])?;
    git(path, &["commit", "--quiet", "-m", "one"])?;
    let first = git(path, &["rev-parse", "HEAD"])?;
    git(path, &["tag", "-a", "-m", "v1", "v1"])?;
    fs::write(path.join("sub/f"), "two\n").expect("written");
    git(path, &["commit", "--quiet", "-a", "-m", "two"])?;
    git(path, &["branch", "other", "v1^{commit}"])?;
    let second = git(path, &["rev-parse", "HEAD"])?;
    git(path, &["config", "uploadpack.allowReachableSHA1InWant", "true"])?;
    Some((folder, first, second))
}

fn wanted(remote: &Path, reference: Option<&str>) -> Wanted {
    Wanted {
        remote: format!("file://{}", remote.display()),
        reference: reference.map(str::to_owned),
        subdir: None,
        checksum: None,
        keeps_git_dir: false,
        has_submodules: false,
        has_commit_time: false,
        transports: "file",
    }
}

fn fetch(wanted: &Wanted) -> Result<Checkout> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(checkout(wanted, &Access::default(), &std::env::temp_dir(), &Cancel::new()))
}

fn text(checkout: &Checkout, path: &str) -> String {
    fs::read_to_string(checkout.root.path().join(path)).expect("there")
}

#[test]
fn branches_tags_and_commits_are_checked_out() {
    let Some((repository, first, second)) = repository() else { return };
    let table = [
        (None, "two\n"),
        (Some("main"), "two\n"),
        (Some("other"), "one\n"),
        (Some("v1"), "one\n"),
        (Some("refs/tags/v1"), "one\n"),
        (Some("heads/other"), "one\n"),
        (Some("tags/v1"), "one\n"),
        (Some(&*first), "one\n"),
        (Some(&second[..10]), "two\n"),
    ];
    for (reference, content) in table {
        let found = fetch(&wanted(repository.path(), reference)).expect("fetched");
        assert_eq!(text(&found, "sub/f"), content, "{reference:?}");
        assert!(!found.root.path().join(".git").exists());
        assert_eq!(found.time.seconds, 1_000_000_000);
    }
}

#[test]
fn subdirectories_checksums_and_kept_git_folders() {
    let Some((repository, first, _)) = repository() else { return };
    let base = wanted(repository.path(), Some("v1"));
    let found = fetch(&Wanted { subdir: Some("sub".into()), ..base.clone() }).expect("fetched");
    assert_eq!(text(&found, "f"), "one\n");
    let found =
        fetch(&Wanted { keeps_git_dir: true, checksum: Some(first[..8].into()), ..base.clone() }).expect("fetched");
    assert!(found.root.path().join(".git").is_dir());
    let error = fetch(&Wanted { checksum: Some("0000000".into()), ..base.clone() }).expect_err("another commit");
    assert!(error.to_string().contains(&first), "{error}");
    let error = fetch(&Wanted { subdir: Some("../x".into()), ..base }).expect_err("no such folder");
    assert!(error.to_string().contains("../x"), "{error}");
}

#[test]
fn kept_git_folders_have_the_branch_or_tag_that_was_asked_for() {
    let Some((repository, first, second)) = repository() else { return };
    let references = |reference: Option<&str>| {
        let found = fetch(&Wanted { keeps_git_dir: true, ..wanted(repository.path(), reference) }).expect("fetched");
        let format = "--format=%(refname) %(objecttype)";
        let listed =
            git(found.root.path(), &["for-each-ref", format, "refs/heads", "refs/tags"]).expect("git is there");
        (found, listed)
    };
    for (reference, kept) in [
        (Some("v1"), "refs/tags/v1 tag"),
        (Some("tags/v1"), "refs/tags/v1 tag"),
        (Some("refs/tags/v1"), "refs/tags/v1 tag"),
        (Some("main"), "refs/heads/main commit"),
        (Some("heads/other"), "refs/heads/other commit"),
        (Some(&*first), ""),
        (Some(&*second), ""),
        (None, ""),
    ] {
        let (found, listed) = references(reference);
        assert_eq!(listed, kept, "{reference:?}");
        assert_eq!(git(found.root.path(), &["status", "--short"]).as_deref(), Some(""));
    }
    let (found, _) = references(Some("v1"));
    assert_eq!(git(found.root.path(), &["describe", "--tags"]).as_deref(), Some("v1"));
}

#[test]
fn what_is_not_there_or_not_allowed_is_an_error() {
    let Some((repository, ..)) = repository() else { return };
    let error = fetch(&wanted(repository.path(), Some("nosuch"))).expect_err("no such branch");
    assert!(error.to_string().contains("nosuch"), "{error}");
    let mut other = wanted(repository.path(), None);
    other.transports = TRANSPORTS;
    let error = fetch(&other).expect_err("a transport that no Dockerfile may name");
    assert!(error.to_string().contains("not allowed"), "{error}");
    // A name is never an option of git.
    let error = fetch(&wanted(repository.path(), Some("--upload-pack=touch x"))).expect_err("no such branch");
    assert!(error.to_string().ends_with("has no branch or tag \"--upload-pack=touch x\""), "{error}");
}

#[test]
fn secrets_of_the_host_come_first_and_are_never_shown() {
    let secret = |name: &str| match name {
        "GIT_AUTH_TOKEN" => Some(b"general".to_vec()),
        "GIT_AUTH_HEADER.example.com" => Some(b"Bearer own\n".to_vec()),
        _ => None,
    };
    let access = Access::of("https://me:pass@example.com/x.git", &secret, None);
    assert_eq!(access.header.as_deref(), Some("Bearer own"));
    assert!(!format!("{access:?}").contains("own"));
    let access = Access::of("https://other.org/x.git", &secret, None);
    assert_eq!(access.header.as_deref(), Some("Basic eC1hY2Nlc3MtdG9rZW46Z2VuZXJhbA=="));
    assert_eq!(shown("https://me:pass@example.com/x.git"), "https://example.com/x.git");
    assert_eq!(base_of("https://me@example.com:8443/x.git").as_deref(), Some("https://example.com:8443/"));
    assert_eq!(host_of("git@example.com:a/b.git"), Some("example.com"));
}
