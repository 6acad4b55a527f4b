//! The whole output of typical mistakes, as people see it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod flags;
mod images;
mod output;
mod registries;
mod sources;
mod steps;
mod stores;

use std::fs;

use strake_tests::{Build, Host, Outcome};

/// Asserts what a run wrote, paths and times taken out.
#[track_caller]
fn assert_shows(name: &str, host: &Host, run: Build<'_>) {
    assert_text(name, host, &shown(&run.run()));
}

#[track_caller]
fn assert_text(name: &str, host: &Host, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let place = host.path("").display().to_string();
    settings.add_filter(place.trim_end_matches('/'), "[DIR]");
    settings.add_filter(r"sha256:[0-9a-f]{64}", "[DIGEST]");
    settings.add_filter(r"sha256/[0-9a-f]{64}", "sha256/[DIGEST]");
    settings.add_filter(r"\b\d+\.\d+s", "[TIME]");
    settings.add_filter(r"(?m)^(#\d+) \d+\.\d+ ", "$1 [TIME] ");
    settings.add_filter(r"(?m)^#\d+ warning: steps use the host's network.*\n", "");
    settings.add_filter(r"(?m)^warning: waiting for .*\n", "");
    settings.add_filter(r"(localhost|127\.0\.0\.1):\d+", "$1:[PORT]");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn shown(outcome: &Outcome) -> String {
    format!("exit code: {:?}\n{}", outcome.code, outcome.stderr)
}

/// The same without the lines of steps: where many runs share one snapshot.
fn said(outcome: &Outcome) -> String {
    let lines: Vec<_> = outcome.stderr.lines().filter(|line| !line.starts_with('#')).collect();
    format!("exit code: {:?}\n{}", outcome.code, lines.join("\n").trim_end())
}

fn plain<'a>(host: &'a Host, dockerfile: &str) -> Build<'a> {
    host.write("ctx/Dockerfile", dockerfile);
    again(host)
}

fn again(host: &Host) -> Build<'_> {
    let build = host.strake(&["build", "ctx", "--progress", "plain"]);
    if host.path("base").exists() { build.arg("--build-context").arg("base=oci-layout://base") } else { build }
}

#[test]
fn mistakes_in_a_dockerfile_show_the_line() {
    let host = Host::new();
    assert_shows("unknown_instruction", &host, plain(&host, "FROM scratch\nCOPPY a /\n"));
    assert_shows("several_mistakes", &host, plain(&host, "FROM scratch\nCOPY a\nEXPOSE x\nENV\nUSER\n"));
    assert_shows("no_stage", &host, plain(&host, "RUN true\n"));
    assert_shows("empty_dockerfile", &host, plain(&host, "# nothing\n"));
    assert_shows("unknown_flag", &host, plain(&host, "FROM scratch\nCOPY --chwon=1 a /\n"));
    assert_shows(
        "unknown_stage",
        &host,
        plain(
            &host,
            "FROM scratch AS build
FROM scratch
COPY --from=3 /a /
",
        ),
    );
    assert_shows("unset_variable", &host, plain(&host, "FROM scratch\nENV A=${B:?B is needed}\n"));
}

#[test]
fn missing_files_are_named() {
    let host = Host::new();
    host.write("ctx/app.py", "");
    assert_shows("missing_source", &host, plain(&host, "FROM scratch\nCOPY ap.py /\n"));
    let several =
        "FROM scratch AS one\nCOPY ap.py app.py lib/*.c /x/\nFROM scratch\nCOPY --from=one /x /\nADD data.tar /\n";
    assert_shows("several_missing_sources", &host, plain(&host, several));
    let stage = "FROM scratch AS one\nCOPY app.py /\nFROM scratch\nCOPY --from=one /ap.py /app.py /lib /x/\n";
    assert_shows("several_sources_missing_in_a_stage", &host, plain(&host, stage));
    host.write("ctx/src/main.c", "");
    let near = "FROM scratch\nCOPY Src/main.c srcc/main.c srcc/gone.c —from=one -chown=1 /x/\nCOPY [a, /x/\n";
    assert_shows("sources_in_near_folders", &host, plain(&host, near));
    host.write("ctx/.dockerignore", "*.py\n");
    assert_shows("source_hidden_by_dockerignore", &host, plain(&host, "FROM scratch\nCOPY app.py /\n"));
    host.write("ctx/docker/app.Dockerfile", "FROM scratch\n");
    assert_shows("dockerfile_counted_from_the_context", &host, again(&host).args("-f docker/app.Dockerfile"));
    fs::remove_file(host.path("ctx/Dockerfile")).unwrap();
    assert_shows("missing_dockerfile", &host, again(&host));
    assert_shows("missing_context", &host, host.strake(&["build", "no/such", "--progress", "plain"]));
    host.write("file", "");
    assert_shows("context_is_a_file", &host, host.strake(&["build", "file", "--progress", "plain"]));
}

#[test]
fn trigger_that_fails_is_shown_with_the_from_that_fires_it() {
    let host = Host::new();
    let base = "FROM scratch AS base\nONBUILD COPY app.py /app/\n";
    assert_shows("trigger_of_a_stage", &host, plain(&host, &format!("{base}FROM base\n")));
    plain(&host, base).args("-o type=oci,tar=false,dest=child").ok();
    let child = plain(&host, "FROM child\n").args("--build-context child=oci-layout://child");
    assert_shows("trigger_of_an_image", &host, child);
}

#[test]
fn wrong_values_of_flags_are_named() {
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM scratch AS build\nENV A=1\nFROM scratch AS app\nENV B=1\n");
    assert_shows("unknown_target", &host, again(&host).args("--target biuld"));
    assert_shows("bad_output_type", &host, again(&host).args("-o type=oic,dest=x"));
    assert_shows("bad_platform", &host, again(&host).args("--platform linux/am64/x/y"));
    assert_shows("bad_secret", &host, again(&host).args("--secret src=x"));
    assert_shows("missing_secret_file", &host, again(&host).args("--secret id=s,src=nosuch"));
    assert_shows("missing_secret_variable", &host, again(&host).args("--secret id=NO_SUCH,type=env"));
    assert_shows("bad_ulimit", &host, again(&host).args("--ulimit nofile"));
    assert_shows("bad_add_host", &host, again(&host).args("--add-host here:there"));
    assert_shows("bad_tag", &host, again(&host).args("-t app:1:2"));
    assert_shows("unknown_flag_of_build", &host, again(&host).args("--tags x"));
    assert_shows("bad_build_context", &host, again(&host).args("--build-context x=nosuch"));
    assert_shows("unknown_code", &host, host.strake(&["explain", "e101"]));
    assert_shows("no_arguments", &host, host.strake(&["build"]));
}

#[test]
fn registry_that_does_not_answer_is_named() {
    let host = Host::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_shows("silent_registry", &host, plain(&host, &format!("FROM localhost:{port}/team/app:1\n")));
}
