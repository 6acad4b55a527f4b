//! Where a build context can come from beside a folder: the network, git, standard input (dockerfile.md §11).

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use strake_tests::{Host, Tar, Web, git_repository, needs_program};

const DOCKERFILE: &str = "FROM scratch\nCOPY a /x\n";

/// A context with another one in its folder `sub`.
fn context() -> Vec<u8> {
    let tar = Tar::new().file("Dockerfile", DOCKERFILE.as_bytes()).file("a", b"above").dir("sub");
    tar.file("sub/Dockerfile", DOCKERFILE.as_bytes()).file("sub/a", b"below").finish()
}

/// What a program makes of bytes.
fn filtered(program: &Path, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn a_tar_on_standard_input_is_the_context_however_it_is_compressed() {
    let test = "a_tar_on_standard_input_is_the_context_however_it_is_compressed";
    let host = Host::new();
    let (_, image) = host.build("-").stdin(context()).image();
    assert_eq!(image.file("x"), "above");
    for name in ["gzip", "bzip2", "xz", "zstd"] {
        let Some(program) = needs_program(test, name) else { continue };
        let (_, image) = host.build("-").stdin(filtered(&program, &context())).args("-f sub/Dockerfile").image();
        assert_eq!(image.file("x"), "above", "{name}");
    }
}

#[test]
fn a_tar_on_standard_input_heeds_its_ignore_file() {
    let tar = Tar::new().file("Dockerfile", b"FROM scratch\nCOPY . /\n").file(".dockerignore", b"secret\n");
    let host = Host::new();
    let (_, image) = host.build("-").stdin(tar.file("secret", b"s").file("a", b"a").finish()).image();
    assert_eq!(image.file("a"), "a");
    assert!(!image.names(0).contains(&"secret".to_owned()), "{:?}", image.names(0));
}

#[test]
fn an_archive_from_the_web_is_the_context() {
    let host = Host::new();
    host.write("web/ctx.tar", context());
    let web = Web::serve(host.path("web"));
    let (_, image) = host.build(&format!("{}/ctx.tar", web.url)).image();
    assert_eq!(image.file("x"), "above");
    // The Dockerfile is looked up in the context, not beside the caller.
    let (_, image) = host.build(&format!("{}/ctx.tar", web.url)).args("-f sub/Dockerfile").image();
    assert_eq!(image.file("x"), "above");
    host.build(&format!("{}/none.tar", web.url)).run().fails().says(&["404 Not Found"]);
}

#[test]
fn an_archive_from_the_web_is_unpacked_whatever_its_name() {
    let test = "an_archive_from_the_web_is_unpacked_whatever_its_name";
    let host = Host::new();
    for name in ["gzip", "zstd"] {
        let Some(program) = needs_program(test, name) else { continue };
        host.write("web/latest", filtered(&program, &context()));
        let web = Web::serve(host.path("web"));
        let (_, image) = host.build(&format!("{}/latest", web.url)).image();
        assert_eq!(image.file("x"), "above", "{name}");
    }
}

#[test]
fn any_other_file_from_the_web_is_the_dockerfile_and_alone() {
    let host = Host::new();
    host.write("web/Other", "FROM scratch\nENV FROM=web\n");
    host.write("web/Copying", "FROM scratch\nCOPY Copying a /\n");
    host.write("web/a", "a");
    let web = Web::serve(host.path("web"));
    let (_, image) = host.build(&format!("{}/Other", web.url)).image();
    assert_eq!(image.config["config"]["Env"][1], "FROM=web");
    host.build(&format!("{}/Copying", web.url)).run().fails().says(&["E1101"]);
    assert!(!web.seen().iter().any(|path| path == "/a"), "{:?}", web.seen());
}

#[test]
fn a_dockerfile_from_the_web_builds_a_folder() {
    let host = Host::new();
    host.write("web/far.dockerfile", DOCKERFILE);
    host.write("ctx/a", "near");
    let web = Web::serve(host.path("web"));
    let (_, image) = host.build("ctx").args(&format!("-f {}/far.dockerfile", web.url)).image();
    assert_eq!(image.file("x"), "near");
}

#[test]
fn a_file_from_the_web_is_named_as_the_dockerfile_says() {
    let host = Host::new();
    host.write("web/release-1.2.bin", "a");
    std::os::unix::fs::symlink("/release-1.2.bin", host.path("web/latest")).unwrap();
    let web = Web::serve(host.path("web"));
    let text = format!("FROM scratch\nADD {0}/latest /d/\nADD {0}/latest/?x=/y /e/\n", web.url);
    let (_, image) = host.dockerfile("ctx", &text).image();
    assert_eq!((image.file("d/latest"), image.file("e/latest")), ("a".to_owned(), "a".to_owned()));
}

#[test]
fn an_epoch_that_names_a_stage_is_seconds_for_arg() {
    let host = Host::new();
    host.write("web/src.tar", context());
    let web = Web::serve(host.path("web"));
    let text = format!(
        "ARG SOURCE_DATE_EPOCH=src\nFROM scratch AS src\nADD {}/src.tar /\nFROM scratch\nARG SOURCE_DATE_EPOCH\n\
         LABEL epoch=$SOURCE_DATE_EPOCH\n",
        web.url
    );
    let (_, image) = host.dockerfile("ctx", &text).image();
    let epoch = image.config["config"]["Labels"]["epoch"].as_str().unwrap_or_default().to_owned();
    assert!(epoch.parse::<i64>().is_ok(), "{epoch:?}");
}

/// `git daemon` on a free port; ends with its value.
struct Daemon {
    child: Child,
    url: String,
}

impl Daemon {
    fn start(host: &Host) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // `git daemon` would start this program as a child of its own, which outlives it.
        let folder = Command::new("git").arg("--exec-path").output().unwrap();
        let folder = String::from_utf8(folder.stdout).unwrap();
        let mut command = Command::new(Path::new(folder.trim()).join("git-daemon"));
        command.args(["--listen=127.0.0.1", "--export-all", "--reuseaddr"]);
        command.arg(format!("--port={port}")).arg(format!("--base-path={}", host.path("web").display()));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let daemon = Self { child, url: format!("git://127.0.0.1:{port}/repo.git") };
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return daemon;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("git daemon does not answer");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ignored = self.child.kill();
        let _ignored = self.child.wait();
    }
}

/// Builds from a repository by every form of its address.
fn builds_from(host: &Host, url: &str) {
    for (suffix, expected) in [
        ("", "second"),
        ("#main", "second"),
        ("#v1", "first"),
        ("#refs/tags/v1", "first"),
        ("#v1:sub", "below"),
        ("#:sub", "below"),
        ("?tag=v1&subdir=sub", "below"),
        ("?branch=main", "second"),
    ] {
        let (_, image) = host.build(&format!("{url}{suffix}")).image();
        assert_eq!(image.file("x"), expected, "{suffix}: the ignore file of a repository is not applied");
    }
    let head = |flags: &str| host.build(url).args(flags).args("-f -").stdin("FROM scratch\nCOPY .git/HEAD /x\n");
    head("").run().fails().says(&[".git/HEAD", "not found"]);
    let (_, image) = head("--build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1").image();
    assert!(!image.file("x").is_empty());
    host.build(&format!("{url}#nowhere")).run().fails().says(&["nowhere"]);
    host.build(&format!("{url}#v1:nowhere")).run().fails().says(&["has no directory \"nowhere\""]);
}

#[test]
fn a_repository_behind_a_git_server_is_the_context() {
    if needs_program("a_repository_behind_a_git_server_is_the_context", "git").is_none() {
        return;
    }
    let host = Host::new();
    git_repository(&host, DOCKERFILE);
    let daemon = Daemon::start(&host);
    builds_from(&host, &daemon.url);
}

#[test]
fn a_repository_on_a_plain_web_server_is_the_context() {
    if needs_program("a_repository_on_a_plain_web_server_is_the_context", "git").is_none() {
        return;
    }
    let host = Host::new();
    git_repository(&host, DOCKERFILE);
    let web = Web::serve(host.path("web"));
    builds_from(&host, &format!("{}/repo.git", web.url));
}
