//! Contexts that change while they are read (edges.md 14): no byte from outside, no half of a file, no hang.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags};
use strake_tests::{Host, Outcome};

const OUTSIDE: &str = "what lies outside of the context";

/// Does something over and over while another thing is done some times.
fn while_doing(mut disturb: impl FnMut() + Send, rounds: usize, mut act: impl FnMut(usize)) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                disturb();
            }
        });
        // A failed assertion must end the other thread, too.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (0..rounds).for_each(&mut act)));
        is_over.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|cause| std::panic::resume_unwind(cause));
    });
}

/// Builds the context into a tar; what comes out, if anything, is whole and from inside.
fn build(host: &Host) -> (Outcome, Option<PathBuf>) {
    let output = host.path("out.tar");
    let _ignored = fs::remove_file(&output);
    let outcome = host.build("ctx").args("--no-cache -o type=tar,dest=out.tar").run();
    assert!(matches!(outcome.code, Some(0 | 1)), "{:?}: {}", outcome.code, outcome.stderr);
    assert_eq!(output.exists(), outcome.code == Some(0), "{}", outcome.stderr);
    let output = output.exists().then_some(output);
    if let Some(output) = &output {
        let bytes = fs::read(output).unwrap();
        assert!(!bytes.windows(OUTSIDE.len()).any(|window| window == OUTSIDE.as_bytes()), "bytes from outside");
    }
    (outcome, output)
}

/// Makes two names of a folder change places, again and again.
fn swap(host: &Host, one: &str, other: &str) -> impl FnMut() + Send + use<> {
    let (one, other) = (host.path(one), host.path(other));
    move || rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap()
}

#[test]
fn folder_swapped_for_a_link_gives_nothing_from_outside() {
    for (source, names) in [("COPY . /", 40), ("COPY d /", 1), ("COPY d/f0 /", 1), ("COPY d/* /", 40), ("ADD d /", 1)] {
        let host = Host::new();
        for number in 0..names {
            host.write(&format!("ctx/d/f{number}"), "inside");
            host.write(&format!("outside/f{number}"), OUTSIDE);
        }
        symlink(host.path("outside"), host.path("ctx/e")).unwrap();
        host.write("ctx/Dockerfile", format!("FROM scratch\n{source}\n"));
        while_doing(swap(&host, "ctx/d", "ctx/e"), 8, |_| drop(build(&host)));
    }
}

#[test]
fn file_swapped_for_a_link_gives_nothing_from_outside() {
    let host = Host::new();
    host.write("outside", OUTSIDE);
    host.write("ctx/f", "inside");
    symlink(host.path("outside"), host.path("ctx/l")).unwrap();
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY f /\n");
    while_doing(swap(&host, "ctx/f", "ctx/l"), 20, |_| drop(build(&host)));
}

#[test]
fn file_swapped_for_a_pipe_never_hangs() {
    let host = Host::new();
    host.write("ctx/f", "inside");
    let pipe = host.path("ctx/p");
    rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o644), 0).unwrap();
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY f /\n");
    while_doing(swap(&host, "ctx/f", "ctx/p"), 20, |_| drop(build(&host)));
}

#[test]
fn file_that_changes_is_whole_or_an_error_with_its_name() {
    let host = Host::new();
    // Versions differ in every byte, so that a mixture shows.
    let version = |letter: u8| vec![letter; 3 << 20];
    host.write("ctx/f", version(b'a'));
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY f /\n");
    let path = host.path("ctx/f");
    let mut letter = b'a';
    let rewrite = move || {
        letter = if letter == b'z' { b'a' } else { letter + 1 };
        // In place, in several writes.
        let mut file = fs::File::options().write(true).open(&path).unwrap();
        for part in version(letter).chunks(1 << 16) {
            file.write_all(part).unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(u64::from(letter) % 7));
    };
    while_doing(rewrite, 12, |_| {
        let (outcome, output) = build(&host);
        match output {
            Some(output) => {
                let bytes = fs::read(output).unwrap();
                let content: Vec<u8> = bytes.split(|byte| *byte == 0).max_by_key(|run| run.len()).unwrap().to_vec();
                assert_eq!(content.len(), 3 << 20);
                assert!(content.iter().all(|byte| *byte == content[0]), "a mixture of two versions");
            }
            None => outcome.says(&["f", "chang"]),
        }
    });
}

#[test]
fn file_that_grows_shrinks_or_goes_is_whole_or_an_error_with_its_name() {
    let host = Host::new();
    host.write("ctx/f", vec![b'x'; 1 << 20]);
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY f /\n");
    let path = host.path("ctx/f");
    let mut round = 0_u32;
    let disturb = move || {
        round += 1;
        match round % 3 {
            0 => fs::write(&path, vec![b'x'; 1 << 20]).unwrap(),
            1 => {
                let mut file = fs::File::options().append(true).open(&path).unwrap();
                (0..64).for_each(|_| file.write_all(&[b'x'; 1 << 14]).unwrap());
            }
            _ => fs::remove_file(&path).unwrap(),
        }
    };
    while_doing(disturb, 12, |_| {
        let (outcome, output) = build(&host);
        if output.is_none() {
            outcome.says(&["f"]);
        }
    });
}
