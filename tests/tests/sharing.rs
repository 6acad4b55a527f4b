//! Several processes on one store: a step runs once, caches keep their promises, and none harms another.

#![cfg(target_os = "linux")]

use strake_tests::{Host, Image, Outcome, needs_root};

const EPOCH: &str = "1700000000";

#[test]
fn step_of_two_builds_at_once_runs_once() {
    if !needs_root("two builds at once") {
        return;
    }
    let host = Host::with_base();
    let text = "FROM base\nRUN --mount=type=cache,target=/c echo run >>/c/runs; sleep 1; cat /proc/sys/kernel/random/uuid >/made\n\
                RUN cat /made >/copy\n";
    host.write("ctx/Dockerfile", text);
    let build = |number: u32| {
        let output = format!("type=oci,dest=layout{number},tar=false,compression=uncompressed");
        host.build("ctx").env("SOURCE_DATE_EPOCH", EPOCH).arg("-o").arg(output).start()
    };
    let running = [build(1), build(2), build(3)];
    let outcomes: Vec<Outcome> = running.into_iter().map(|one| one.end().expect(0)).collect();
    let first = Image::open(&host.path("layout1"));
    for (number, outcome) in [2, 3].into_iter().zip(&outcomes[1..]) {
        assert_eq!(outcome.digest(), outcomes[0].digest());
        assert_eq!(Image::open(&host.path(&format!("layout{number}"))).file("copy"), first.file("made"));
    }
    let (_, image) = host.dockerfile("look", "FROM base\nRUN --mount=type=cache,target=/c cp /c/runs /runs\n").image();
    assert_eq!(image.file("runs"), "run\n");
}

#[test]
fn build_that_waits_takes_over_from_one_that_is_killed() {
    if !needs_root("two builds at once") {
        return;
    }
    let host = Host::with_base();
    let text = "FROM base\nRUN --mount=type=cache,target=/c if mkdir /c/first; then echo up-$((40 + 2)); \
                sleep 86399; fi; echo made >/made\n";
    let mut first = host.dockerfile("ctx", text).start();
    first.wait_for("up-42");
    let mut second = host.build("ctx").args("-o out").start();
    second.wait_for("RUN");
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    second.end().expect(0);
    assert_eq!(host.read("out/made"), "made\n");
}

#[test]
fn build_that_waits_takes_over_from_one_that_fails() {
    if !needs_root("two builds at once") {
        return;
    }
    let host = Host::with_base();
    let text = "FROM base\nRUN --mount=type=cache,target=/c if mkdir /c/first; then echo up-$((40 + 2)); \
                sleep 1; exit 7; fi; echo made >/made\n";
    let mut first = host.dockerfile("ctx", text).start();
    first.wait_for("up-42");
    let second = host.build("ctx").args("-o out").start();
    first.end().expect(1).says(&["exit code: 7"]);
    second.end().expect(0);
    assert_eq!(host.read("out/made"), "made\n");
}

#[test]
fn locked_and_private_caches_exclude_each_other_and_shared_ones_meet() {
    if !needs_root("two builds at once") {
        return;
    }
    let host = Host::with_base();
    for (sharing, script) in [
        ("locked", "mkdir /c/busy && sleep 1 && rmdir /c/busy"),
        ("private", "mkdir /c/busy && sleep 1 && rmdir /c/busy"),
        // Each waits until it sees the other.
        ("shared", "touch /c/$N; while ! test -e /c/1 || ! test -e /c/2; do sleep 0.1; done"),
    ] {
        let start = |number: u32| {
            let folder = format!("{sharing}{number}");
            let text = format!(
                "FROM base\nENV N={number}\nRUN --mount=type=cache,target=/c,id={sharing},sharing={sharing} {script}\n"
            );
            host.dockerfile(&folder, &text).start()
        };
        for running in [start(1), start(2)] {
            running.end().expect(0);
        }
    }
}

#[test]
fn many_builds_may_make_one_store_at_once() {
    let host = Host::new();
    host.write("ctx/a", vec![1_u8; 1 << 20]);
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY a /\n");
    let start = |number: u32| {
        let output = format!("type=oci,dest={number}.tar");
        host.build("ctx").env("SOURCE_DATE_EPOCH", EPOCH).args("-t example.test/app:1 -o").arg(output).start()
    };
    let running: Vec<_> = (0..6).map(start).collect();
    let digests: Vec<_> = running.into_iter().map(|one| one.end().expect(0).digest()).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn pruning_while_a_build_runs_does_not_harm_it() {
    if !needs_root("a build beside a prune") {
        return;
    }
    let host = Host::with_base();
    host.write("ctx/a", "a");
    let text = "FROM base AS one\nCOPY a /a\nRUN echo up-$((40 + 2)); sleep 1; echo 1 >/one\n\
                FROM base\nCOPY --from=one /one /a /\nRUN cat /one >/two\n";
    let mut build = host.dockerfile("ctx", text).args("-o out").start();
    build.wait_for("up-42");
    host.strake(&["prune", "--all"]).ok();
    build.end().expect(0);
    assert_eq!((host.read("out/a"), host.read("out/two")), ("a".to_owned(), "1\n".to_owned()));
}
