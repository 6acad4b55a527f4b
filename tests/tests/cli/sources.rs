//! What is said of what builds read from: repositories, downloads, named contexts, included files.

use std::fmt::Write as _;

use strake_tests::{Host, Tar, Web, git, git_repository, needs_program};

use super::{again, assert_shows, plain};

#[test]
fn repositories_that_do_not_hold_what_is_wanted_are_named() {
    if needs_program("repositories_that_do_not_hold_what_is_wanted_are_named", "git").is_none() {
        return;
    }
    let host = Host::new();
    git_repository(&host, "FROM scratch\nCOPY a /x\n");
    let web = Web::serve(host.path("web"));
    let repository = format!("{}/repo.git", web.url);
    let context = |suffix: &str| host.strake(&["build", &format!("{repository}{suffix}"), "--progress", "plain"]);
    assert_shows("git_unknown_reference", &host, context("#v2"));
    assert_shows("git_unknown_folder", &host, context("#v1:src"));
    assert_shows("git_unknown_key", &host, context("?tga=v1"));
    let add = |rest: &str| plain(&host, &format!("FROM scratch\nADD {rest} /src/\n"));
    assert_shows("git_no_such_commit", &host, add(&format!("{repository}#0123456789012345678901234567890123456789")));
    assert_shows("git_add_unknown_reference", &host, add(&format!("{repository}?branch=mian")));
    assert_shows("git_other_commit", &host, add(&format!("--checksum=0123456 {repository}#v1")));
    assert_shows("git_two_checksums", &host, add(&format!("--checksum=0123456 {repository}?tag=v1&checksum=6543210")));
    assert_shows("git_no_checksum", &host, add(&format!("--checksum=sha256:0123 {repository}#v1")));
    assert_shows("git_kept_and_not", &host, add(&format!("--keep-git-dir=true {repository}?keep-git-dir=false")));
    assert_shows("git_nothing_there", &host, add(&format!("{}/gone.git", web.url)));
    git(&host, "web", "init -q --bare empty.git");
    git(&host, "web/empty.git", "update-server-info");
    assert_shows("git_nothing_in_it", &host, add(&format!("{}/empty.git", web.url)));
    let path = host.path("empty").display().to_string();
    assert_shows("git_is_not_installed", &host, context("").env("PATH", path));
}

#[test]
fn downloads_that_fail_are_named() {
    let host = Host::new();
    host.write("web/file", "text");
    let web = Web::serve(host.path("web"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let zeros = "0".repeat(64);
    let add = |rest: &str| plain(&host, &format!("FROM scratch\nADD {rest} /\n"));
    assert_shows("download_of_another_content", &host, add(&format!("--checksum=sha256:{zeros} {}/file", web.url)));
    assert_shows("download_that_is_not_there", &host, add(&format!("{}/gone", web.url)));
    assert_shows("download_without_server", &host, add(&format!("http://127.0.0.1:{port}/file")));
    assert_shows("download_with_a_bad_checksum", &host, add(&format!("--checksum=sha256:12 {}/file", web.url)));
    let context = |address: &str| host.strake(&["build", address, "--progress", "plain"]);
    assert_shows("context_that_is_not_there", &host, context(&format!("{}/gone.tar.gz", web.url)));
    let remote = again(&host).arg("-f").arg(format!("{}/gone.Dockerfile", web.url));
    assert_shows("dockerfile_that_is_not_there", &host, remote);
}

#[test]
fn contexts_that_cannot_be_used_are_named() {
    let host = Host::new();
    strake_tests::Layout::busybox().write(&host.path("base"));
    host.write("ctx/x", "");
    let from = |flag: &str| plain(&host, "FROM app\nCOPY x /\n").arg("--build-context").arg(flag);
    assert_shows("context_of_a_reserved_name", &host, from("scratch=ctx"));
    assert_shows("context_without_value", &host, from("app"));
    assert_shows("layout_without_folder", &host, from("app=oci-layout://"));
    assert_shows("layout_with_a_bad_digest", &host, from("app=oci-layout://base@sha256:12"));
    assert_shows("layout_without_the_tag", &host, from("app=oci-layout://base:v2"));
    assert_shows("layout_without_the_digest", &host, from(&format!("app=oci-layout://base@sha256:{}", "0".repeat(64))));
    assert_shows("layout_that_is_none", &host, from("app=oci-layout://ctx"));
    assert_shows("layout_that_is_missing", &host, from("app=oci-layout://bse"));
    assert_shows("context_of_an_unknown_kind", &host, from("app=oci-archive://base"));
    let stdin = |bytes: &[u8]| host.strake(&["build", "-", "--progress", "plain"]).stdin(bytes);
    let tar = Tar::new().file("Dockerfile", b"FROM scratch\nCOPY a /\n").file("a", &[7; 4096]).finish();
    assert_shows("context_that_ends_too_soon", &host, stdin(&tar[..3000]));
    assert_shows("context_without_the_dockerfile", &host, stdin(&tar).args("-f docker/app.Dockerfile"));
    assert_shows("context_without_dockerfile", &host, stdin(&Tar::new().file("a", b"").finish()));
    assert_shows("nothing_on_standard_input", &host, stdin(b""));
}

#[test]
fn files_that_cannot_be_copied_are_named() {
    let host = Host::new();
    host.write("ctx/app.py", "");
    std::os::unix::fs::symlink("loop", host.path("ctx/loop")).unwrap();
    let copy = |line: &str| plain(&host, &format!("FROM scratch\n{line}\n"));
    assert_shows("source_above_the_context", &host, copy("COPY ../ap.py /"));
    assert_shows("source_that_is_a_circle_of_links", &host, copy("COPY loop /"));
    let windows = |line: &str| copy(line).args("--platform windows(10.0.20348.1)/amd64");
    assert_shows("owner_of_windows", &host, windows("COPY --chown=app app.py C:/"));
    assert_shows("mode_of_windows", &host, windows("COPY --chmod=644 app.py C:/"));
    host.write("ctx/both/A", "");
    host.write("ctx/both/a", "");
    assert_shows("names_that_windows_takes_for_one", &host, windows("COPY both C:/both/"));
    for (name, rules) in [("ignore_file_with_an_open_set", "a\n[a-\n"), ("ignore_file_with_a_lone_sign", "!\n")] {
        host.write("ctx/.dockerignore", rules);
        assert_shows(name, &host, copy("COPY app.py /"));
    }
}

#[test]
fn included_files_that_cannot_be_read_are_named() {
    let host = Host::new();
    let with = |text: &str| format!("# strake: features=include\nFROM scratch\n{text}");
    let include = |path: &str| plain(&host, &with(&format!("INCLUDE {path}\n")));
    host.write("secret", "LABEL a=b\n");
    host.write("ctx/common.docker", "LABEL a=b\n");
    std::os::unix::fs::symlink("../secret", host.path("ctx/link")).unwrap();
    std::os::unix::fs::symlink("gone", host.path("ctx/stale")).unwrap();
    assert_shows("included_file_that_is_missing", &host, include("comon.docker"));
    assert_shows("included_file_outside", &host, include("../secret"));
    assert_shows("included_link_to_the_outside", &host, include("link"));
    assert_shows("included_link_to_nothing", &host, include("stale"));
    assert_shows("included_folder", &host, include("."));
    for level in 0..20 {
        host.write(&format!("ctx/{level}.docker"), format!("INCLUDE {}.docker\n", level + 1));
    }
    assert_shows("included_files_too_deep", &host, include("0.docker"));
    let mut many = String::new();
    for _ in 0..257 {
        many.push_str("INCLUDE common.docker\n");
    }
    writeln!(many, "COPY x /").unwrap();
    assert_shows("too_many_included_files", &host, plain(&host, &with(&many)));
}
