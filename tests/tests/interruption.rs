//! Builds that are stopped, killed or dropped leave nothing, and what comes after them is as if they had never been.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use strake_tests::{Host, Running, needs_root};

/// A step that says when it runs, holds a process of a name of its own, and never ends.
fn endless(host: &Host, mark: &str) -> String {
    let text = format!("FROM base\nRUN echo {mark} >/made; sleep 86399 & echo up-$((40 + 2)); sleep 86399\n");
    host.write("endless/Dockerfile", &text);
    "endless".to_owned()
}

fn send(running: &Running, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(running.child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// The processes that have an open file, a root or a working folder in the place.
fn processes_in(host: &Host) -> Vec<String> {
    let place = host.path("");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.parse::<u32>().is_err() {
            continue;
        }
        let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        let inside = |link: &str| fs::read_link(entry.path().join(link)).is_ok_and(|path| path.starts_with(&place));
        if inside("root") || inside("cwd") || mounts.contains(&place.display().to_string()) {
            found.push(name);
        }
    }
    found
}

/// Control groups with `strake` in their names, but those of other builds.
fn control_groups(of: u32) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new("/sys/fs/cgroup").to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.contains("strake") && name.split(['-', '.', '_']).any(|part| part == of.to_string()) {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

fn assert_nothing_is_left(host: &Host) {
    let none = Vec::<std::path::PathBuf>::new();
    for folder in ["store/uppers", "store/tmp", "store/leases", "tmp"] {
        assert_eq!(host.left_in(folder), none, "{folder}");
    }
    assert_eq!(host.mounts(), Vec::<String>::new());
    assert_eq!(processes_in(host), Vec::<String>::new());
}

#[test]
fn stopped_build_ends_with_128_and_the_signal_and_leaves_nothing() {
    if !needs_root("a build that is stopped") {
        return;
    }
    let host = Host::with_base();
    let context = endless(&host, "x");
    host.write("o.tar", "earlier");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let build = host.build(&context).args("-o type=oci,dest=o.tar --iidfile id").start();
        let mut build = build;
        build.wait_for("up-42");
        let pid = build.child.id();
        send(&build, signal);
        let outcome = build.end().expect(code);
        assert_eq!(outcome.step("RUN"), "cancelled");
        assert_nothing_is_left(&host);
        assert_eq!(control_groups(pid), Vec::<std::path::PathBuf>::new());
        assert_eq!(host.read("o.tar"), "earlier");
        assert!(!host.path("id").exists());
    }
}

#[test]
fn second_signal_skips_the_grace_of_a_step_that_ignores_the_first() {
    if !needs_root("a build that is stopped") {
        return;
    }
    let host = Host::with_base();
    let text = "FROM base\nRUN trap 'echo asked-$((40 + 2))' TERM; echo up-$((40 + 2)); while true; do sleep 1; done\n";
    let mut build = host.dockerfile("stubborn", text).start();
    build.wait_for("up-42");
    send(&build, Signal::INT);
    build.wait_for("asked-42");
    send(&build, Signal::INT);
    build.end().expect(130);
    assert_nothing_is_left(&host);
}

#[test]
fn killed_build_costs_the_next_one_nothing_but_time() {
    if !needs_root("a build that is killed") {
        return;
    }
    let host = Host::with_base();
    let text = "FROM base AS one\nRUN seq 20000 >/one; touch -d @5 /one\nFROM base\nWORKDIR /w\nCOPY big /big\n\
                RUN mkdir /d; for i in $(seq 40); do echo $i >/d/$i; done; touch -d @5 /d/* /d; sleep 0.1\n\
                COPY --from=one /one /two\n";
    host.write("ctx/Dockerfile", text);
    host.write("ctx/big", vec![3_u8; 1 << 20]);
    let build = |store: &str| {
        let build = host.build("ctx").env("SOURCE_DATE_EPOCH", "1700000000").env("STRAKE_ROOT", host.path(store));
        build.args("-o type=oci,dest=o.tar")
    };
    let began = Instant::now();
    let undisturbed = build("undisturbed").ok().digest();
    let whole = began.elapsed();
    // Points spread over the whole build by a fixed sequence, so that a failure can be had again.
    let mut state = 0x9E37_79B9_u64;
    for _ in 0..10 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let part = u32::try_from(state >> 54).unwrap();
        let mut running = build("store").args("--no-cache").start();
        std::thread::sleep(whole * part / 1024);
        let _ended = running.child.kill();
        running.child.wait().unwrap();
    }
    let outcome = build("store").ok();
    assert_eq!(outcome.digest(), undisturbed);
    assert_nothing_is_left(&host);
    let leftovers: Vec<_> =
        host.left_in("").into_iter().filter(|path| path.display().to_string().contains(".tmp")).collect();
    assert_eq!(leftovers, Vec::<std::path::PathBuf>::new());
}

#[test]
fn processes_of_a_killed_build_end_with_it() {
    if !needs_root("a build that is killed") {
        return;
    }
    let host = Host::with_base();
    let context = endless(&host, "y");
    let mut build = host.build(&context).start();
    build.wait_for("up-42");
    assert_ne!(processes_in(&host), Vec::<String>::new());
    build.child.kill().unwrap();
    build.child.wait().unwrap();
    for _ in 0..3000 {
        if processes_in(&host).is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(processes_in(&host), Vec::<String>::new());
    // The next start sweeps what the kernel does not.
    host.dockerfile("ctx", "FROM base\nRUN true\n").ok();
    assert_nothing_is_left(&host);
}

#[test]
fn dropped_build_of_the_library_kills_its_processes() {
    if !needs_root("a build that is dropped") {
        return;
    }
    let host = Host::with_base();
    let context = endless(&host, "z");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = strake::Settings { root: host.path("store"), ..Default::default() };
    let engine = strake::Engine::open(settings).unwrap();
    let request = strake::BuildRequest {
        context: strake::ContextSource::Directory(host.path(&context)),
        named_contexts: vec![("base".to_owned(), format!("oci-layout://{}", host.path("base").display()))],
        outputs: vec![strake::Output::CacheOnly],
        ..Default::default()
    };
    let (sender, seen) = mpsc::channel();
    let sink = strake::EventSink::new(move |event| {
        let _ignored = sender.send(event);
    });
    let is_up = |event: &strake::Event| matches!(event, strake::Event::Output { bytes, .. } if String::from_utf8_lossy(bytes).contains("up-42"));
    runtime.block_on(async {
        let build = engine.build(request, sink);
        let seen = tokio::task::spawn_blocking(move || {
            assert!(seen.iter().any(|event| is_up(&event)), "the step never ran");
            seen
        });
        let seen = seen.await.unwrap();
        drop(build);
        // The channel closes when the last thing of the build is gone.
        tokio::task::spawn_blocking(move || seen.iter().for_each(drop)).await.unwrap();
    });
    let none = Vec::<std::path::PathBuf>::new();
    assert_eq!((host.left_in("store/uppers"), host.left_in("store/tmp")), (none.clone(), none));
    assert_eq!(host.mounts(), Vec::<String>::new());
}

#[test]
fn step_that_fails_gives_its_space_back() {
    if !needs_root("a step that fails") {
        return;
    }
    let host = Host::with_base();
    host.dockerfile("ctx", "FROM base\nRUN dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null; exit 1\n")
        .run()
        .expect(1);
    assert_nothing_is_left(&host);
    assert_eq!(host.holding("store", &vec![0_u8; 10 << 20]), Vec::<std::path::PathBuf>::new());
}
