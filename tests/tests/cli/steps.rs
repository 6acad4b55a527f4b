//! What is said of commands that fail, and of steps that cannot begin.

use strake_tests::{Host, needs_root};

use super::{assert_shows, plain};

#[test]
fn failing_step_shows_its_output_and_its_place() {
    if !needs_root("a failing step") {
        return;
    }
    let host = Host::with_base();
    assert_shows("failing_step", &host, plain(&host, "FROM base\nRUN echo working && \\\n    cat /no/such\n"));
    assert_shows("unknown_program", &host, plain(&host, "FROM base\nRUN maek all\n"));
    let script = "FROM base\nRUN <<EOF\n#!/usr/bin/python3\nprint()\nEOF\n";
    assert_shows("here_document_without_program", &host, plain(&host, script));
    let windows = "FROM base\nRUN <<EOF\nset -e\nEOF\n".replace('\n', "\r\n");
    assert_shows("here_document_of_windows", &host, plain(&host, &windows));
    assert_shows("no_shell", &host, plain(&host, "FROM scratch\nRUN make\n"));
    assert_shows("missing_secret", &host, plain(&host, "FROM base\nRUN --mount=type=secret,id=s,required=true true\n"));
    let other = plain(&host, "FROM base\nRUN --mount=type=secret,id=tokn,required true\n");
    assert_shows("secret_of_another_name", &host, other.args("--secret id=token,src=ctx/Dockerfile"));
    assert_shows("unknown_user", &host, plain(&host, "FROM base\nUSER app\nRUN true\n"));
}

#[test]
fn signals_and_limits_are_told() {
    if !needs_root("steps that are killed") {
        return;
    }
    let host = Host::with_base();
    let limits = |run: &str| plain(&host, &format!("# strake: features=run-limits\nFROM base\nRUN {run}\n"));
    assert_shows("child_killed", &host, limits("sh -c 'kill -9 $$' || exit $?"));
    assert_shows("timeout", &host, limits("--timeout=1s echo waiting; sleep 600"));
    assert_shows("retried", &host, limits("--retry=1 exit 7"));
    // Where memory cannot be limited, the step says so instead.
    let memory = limits("--memory=32m true").run();
    if memory.code == Some(3) {
        println!("skipped: the memory of a step cannot be limited here");
        return;
    }
    // One process only: of several, the unified hierarchy kills all, and the old ones any.
    assert_shows("out_of_memory", &host, limits(r#"--memory=32m ["busybox", "tail", "-c", "200m", "/dev/zero"]"#));
}

#[test]
fn programs_that_cannot_be_executed_are_explained() {
    if !needs_root("steps with broken programs") {
        return;
    }
    let host = Host::with_base();
    let script = |name: &str, run: &str, text: &str, mode: &str| {
        host.write("ctx/prog", text);
        let copy = format!("FROM base\nCOPY --chmod={mode} prog /bin/prog\n");
        assert_shows(name, &host, plain(&host, &format!("{copy}RUN {run}\n")));
    };
    script("program_without_permission", "[\"/bin/prog\"]", "#!/bin/sh\n", "644");
    script("program_without_permission_in_a_shell", "/bin/prog", "#!/bin/sh\n", "644");
    script("script_of_windows", "[\"/bin/prog\"]", "#!/bin/sh\r\necho\r\n", "755");
    script("script_without_interpreter", "/bin/prog", "#!/usr/bin/perl\n", "755");
    script("empty_program", "[\"prog\"]", "", "755");
    script("no_program", "[\"/bin/prog\"]", "text\n", "755");
    // The head of a program for 64-bit PowerPC, big-endian: no machine that runs the tests has it.
    let program = |name: &str, elf: &[u8]| {
        host.write("ctx/prog", elf);
        let text = "FROM base\nCOPY --chmod=755 prog /bin/prog\nRUN [\"/bin/prog\"]\n";
        assert_shows(name, &host, plain(&host, text));
    };
    let foreign = b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x15";
    program("program_of_another_machine", &[&foreign[..], &[0; 44]].concat());
    if cfg!(target_arch = "x86_64") {
        program("program_that_crashes", &crashing());
    }
}

/// A program for x86-64 that does nothing but what no processor can do (`ud2`): its ELF header, one segment, the code.
fn crashing() -> Vec<u8> {
    let (base, code) = (0x40_0000_u64, [0x0f, 0x0b]);
    let size = 64 + 56 + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for number in [base + 64 + 56, 64, 0] {
        elf.extend(number.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    // PT_LOAD, readable and executable.
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for number in [0, base, base, size, size, 0x1000] {
        elf.extend(number.to_le_bytes());
    }
    elf.extend(code);
    elf
}

#[test]
fn output_that_no_variable_can_hold_is_explained() {
    if !needs_root("steps with output") {
        return;
    }
    let host = Host::with_base();
    host.write("token", "hunter2hunter2");
    let env = |script: &str| {
        let run = format!("RUN --mount=type=secret,id=token --env=V {script}");
        let build = plain(&host, &format!("# strake: features=env-from\nFROM base\n{run}\n"));
        build.args("--secret id=token,src=token")
    };
    assert_shows("output_with_nul", &host, env("printf 'a\\0b'"));
    assert_shows("output_that_is_too_long", &host, env("head -c 65537 /dev/zero | tr '\\0' a"));
    assert_shows("output_with_a_secret", &host, env("cat /run/secrets/token"));
}

#[test]
fn mounts_that_cannot_be_made_are_named() {
    if !needs_root("steps with mounts") {
        return;
    }
    let host = Host::with_base();
    host.write("ctx/lib/app.py", "");
    let run = |mount: &str| plain(&host, &format!("FROM base AS one\nFROM base\nRUN --mount={mount} true\n"));
    assert_shows("mount_missing_in_the_context", &host, run("source=lib/ap.py,target=/x"));
    assert_shows("mount_missing_in_a_stage", &host, run("from=one,source=/srv/app,target=/x"));
    assert_shows("seed_missing_in_a_stage", &host, run("type=cache,from=one,source=/srv/app,target=/x"));
    assert_shows("missing_agent", &host, run("type=ssh,required"));
    let agent = |socket: &str| run("type=ssh").arg("--ssh").arg(format!("default={socket}"));
    assert_shows("no_agent_at_the_socket", &host, agent("gone.sock"));
    drop(std::os::unix::net::UnixListener::bind(host.path("dead.sock")));
    assert_shows("agent_does_not_answer", &host, agent("dead.sock"));
    assert_shows("agent_is_a_file", &host, agent("ctx/lib/app.py"));
}
