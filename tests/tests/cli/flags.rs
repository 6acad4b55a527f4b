//! What is said of flags with wrong values, and of flags that strake does not have.

use std::fmt::Write as _;

use strake_tests::Host;

use super::{again, assert_text, said};

/// Flags of `build`, one command line each.
const BUILD: &str = "\
--progress fancy
--progress rawjson
--network bridge
--platform linux/
--pull=maybe
--rm=false
--ulimit nofile=2:1
--ulimit nofile=x
--shm-size lots
--add-host x
--add-host a:b
--secret id=
--secret id=x,src=a,env=B
--secret id=x,foo=b
--secret foo
--ssh default
--ssh =agent.sock
--allow all
--call lints
--call check,format=yaml
--build-arg
--build-arg =x
--label =x
--annotation x
--tag UPPER
--tag localhost:99999/x
--output type=oci,dest=nosuch/x.tar
--output type=oci,dest=file/x
--output type=oci,dest=ctx
--output type=oci,tar=false
--output type=docker,dest=x,tar=false
--output type=local,dest=file
--output type=local
--output type=image,push=maybe
--output type=tarball,dest=x
--output dest=x
--output type=oci,x
--output type=oci,dest=x,what=y
--output type=oci,dest=x,compression=bzip2
--output type=oci,dest=x,compression=estargz
--output type=oci,dest=x,compression-level=99
--output type=oci,dest=\"x
--output type=oci,\"dest=x\"y
--output=
--output type=oci --output type=docker
--iidfile nosuch/x
--metadata-file nosuch/x
--push
--load
--cache-from x
--cache-to=type=inline
--sbom=true
--squash
-m 1g
--compress
--network-fallback x
--nosuch
";

#[test]
fn wrong_flags_say_what_to_write() {
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY a /\n");
    host.write("ctx/a", "");
    host.write("file", "");
    let mut shown = String::new();
    for line in BUILD.lines() {
        writeln!(shown, "=== {line}\n{}", said(&again(&host).args(line).run())).unwrap();
    }
    assert_text("wrong_flags", &host, &shown);
}

/// Variables that flags take; set to nothing, they are not set.
const VARIABLES: [&str; 2] = ["STRAKE_ROOT", "BUILDKIT_PROGRESS"];

#[test]
fn empty_variables_are_none() {
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let all = String::from_utf8(host.strake(&["build", "--help"]).ok().stdout).unwrap();
    assert_eq!(all.matches("[env: ").count(), VARIABLES.len(), "VARIABLES names all: {all}");
    for variable in VARIABLES {
        assert!(all.contains(&format!("[env: {variable}]")), "{all}");
        let empty = host.strake(&["build", "ctx", "--root", "store"]).env(variable, "");
        empty.args("-o type=cacheonly").ok().says(&["COPY Dockerfile"]);
    }
    // What is set still counts.
    let wrong = host.strake(&["build", "ctx"]).env("BUILDKIT_PROGRESS", "fancy").run().expect(2);
    wrong.says(&["invalid value 'fancy' for '--progress"]);
    // Without --root; the command opens no store.
    host.strake(&["version"]).env("STRAKE_ROOT", "").ok();
}

#[test]
fn standard_input_that_cannot_be_used_says_why() {
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM scratch\n");
    let large = "# nothing\n".repeat(17 << 20 >> 3);
    let mut shown = String::new();
    for (line, input) in [
        ("build - -f -", "FROM scratch\n"),
        ("build - -f Dockerfile", "FROM scratch\n"),
        ("build -", ""),
        ("build -", "\u{1f}\u{8b}"),
        ("build ctx -f -", ""),
        ("build ctx -f -", &large),
        ("build -", &large),
        ("dockerfile format -", &large),
    ] {
        let build = host.strake(&line.split_whitespace().collect::<Vec<_>>()).stdin(input);
        writeln!(shown, "=== {line}\n{}", said(&build.run())).unwrap();
    }
    assert_text("standard_input", &host, &shown);
}

#[test]
fn wrong_uses_of_the_tools_say_what_to_write() {
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY a /\n");
    let mut shown = String::new();
    for line in [
        "check ctx --skip JsonArgsRecommended",
        "check ctx --skip Nothing",
        "check nosuch",
        "check - --fix",
        "dockerfile format nosuch",
        "dockerfile format --write -",
        "dockerfile format ctx/Dockerfile ctx/Dockerfile",
        "dockerfile graph nosuch",
        "dockerfile graph ctx/Dockerfile --target app",
        "dockerfile lower nosuch --file ctx/Dockerfile",
        "explain",
        "prune --keep-storage lots",
        "prune --until long",
        "biuld ctx",
    ] {
        let outcome = host.strake(&line.split_whitespace().collect::<Vec<_>>()).run();
        writeln!(shown, "=== {line}\nexit code: {:?}\n{}", outcome.code, outcome.stderr.trim_end()).unwrap();
    }
    assert_text("wrong_uses_of_tools", &host, &shown);
}
