//! What is said where standard output takes nothing.

use std::fs::File;
use std::io::Read as _;
use std::process::Stdio;

use strake_tests::{Build, Host, Outcome};

/// Runs a command whose standard output is a full disk.
fn on_full_disk(build: Build<'_>) -> Outcome {
    let mut command = build.command();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: Vec::new(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn host() -> Host {
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM scratch AS app\nCOPY a /\n");
    host.write("ctx/a", "");
    host
}

#[test]
fn full_disk_is_an_error_of_every_command() {
    let host = host();
    for line in [
        "check ctx",
        "check ctx --format json",
        "check ctx --format sarif",
        "build ctx --call check,format=text",
        "build ctx --call check,format=json",
        "build ctx --call outline,format=json",
        "build ctx --call targets",
        "dockerfile graph ctx/Dockerfile",
        "dockerfile lower ctx/Dockerfile",
        "dockerfile format ctx/Dockerfile",
        "debug parse ctx/Dockerfile",
        "images",
        "explain E0101",
        "doctor",
        "version",
        "prune --dry-run",
        "--version",
        "check --help",
    ] {
        let outcome = on_full_disk(host.strake(&line.split_whitespace().collect::<Vec<_>>()));
        assert_eq!(outcome.code, Some(2), "{line}: {}", outcome.stderr);
        assert!(outcome.stderr.starts_with("error: cannot write to standard output: "), "{line}: {}", outcome.stderr);
        outcome.says(&["help: free space"]);
    }
}

#[test]
fn build_whose_id_cannot_be_written_is_done() {
    let host = host();
    let outcome = on_full_disk(host.strake(&["build", "ctx", "-q", "-t", "app", "--iidfile", "id"])).expect(2);
    let id = host.read("id");
    outcome.says(&["error: cannot write to standard output: ", &format!("note: the build is done: its image is {id}")]);
    let images = host.strake(&["images"]).ok();
    assert!(String::from_utf8_lossy(&images.stdout).contains("app"));
}

#[test]
fn reader_that_went_away_is_no_error() {
    let host = host();
    let mut command = host.strake(&["check", "ctx", "--format", "sarif"]).command();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), &*said), (Some(0), ""));
}
