//! Tests that run themselves again: as another user, in another network namespace, and to be killed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use strake_builder::runner::{LinuxOptions, LinuxRunner, Rung, Runner};
use strake_layers::Cancel;
use strake_parser::Network;

use super::{Sandbox, any_sandbox, is_root, running, sandbox};

/// The name of the test that is run again as another user.
const ROOTLESS: &str = "again::without_root_a_step_runs_as_the_only_user_there_is";

#[test]
fn without_root_a_step_runs_as_the_only_user_there_is() {
    if is_root() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        let Ok(output) =
            again.args(["--exact", ROOTLESS, "--nocapture"]).uid(65534).gid(65534).current_dir("/").output()
        else {
            println!("skipped: the test program cannot be executed by another user");
            return;
        };
        print!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let Some(sandbox) = any_sandbox("rootless") else { return };
    let facts = sandbox.runner.probe();
    if facts.rung != Rung::SingleId {
        println!("skipped: a step with one id needs user namespaces and no subordinate ids: {facts:?}");
        return;
    }
    let script = "id -u; touch /new && stat -c %u /new; ls /dev/null /dev/pts/ptmx; echo x > /dev/null; \
                  ls -d /proc/1/status; cat /etc/hosts | wc -l; test / -ef /.. && echo root";
    // Twice: a step must not spoil the next one.
    for network in [Network::None, Network::Default] {
        let mut process = sandbox.shell(script);
        process.network = network;
        let output = sandbox.output(&process);
        assert_eq!(output, "0\n0\n/dev/null\n/dev/pts/ptmx\n/proc/1/status\n2\nroot\n");
    }
    assert_eq!(fs::metadata(sandbox.root().join("new")).unwrap().uid(), 65534);
    let mut process = sandbox.shell("true");
    process.uid = 7;
    let error = sandbox.runner.run(&process, &sandbox.io(), &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("user 7"), "{error}");
    assert!(error.help().is_some_and(|help| help.contains("/etc/subuid")), "{error:?}");
}

/// The name of the test that is run again in a network namespace of its own.
const BRIDGE: &str = "again::the_bridge_gives_steps_addresses_and_goes_with_its_last_user";

#[test]
fn the_bridge_gives_steps_addresses_and_goes_with_its_last_user() {
    let Some(sandbox) = sandbox("bridge") else { return };
    let devices = || fs::read_to_string("/proc/net/dev").unwrap();
    if devices().lines().count() > 3 {
        let program = std::env::current_exe().unwrap();
        let script = format!(
            "echo 1 > /proc/sys/net/ipv4/ip_forward && exec {} --exact {BRIDGE} --nocapture",
            program.display()
        );
        let Ok(output) = Command::new("unshare").args(["-n", "sh", "-c", &script]).output() else {
            println!("skipped: bridge needs the program unshare");
            return;
        };
        print!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    if fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim() != "1" {
        println!("skipped: bridge needs a host that forwards packets");
        return;
    }
    let script = "cat /proc/net/dev | grep -c eth0; ping -c 1 -W 5 host > /dev/null && echo reached; \
                  cat /proc/net/fib_trie | grep -o '10[.]63[.]0[.][0-9]*' | sort -u | tr '\\n' ' '";
    let mut process = sandbox.shell(script);
    process.network = Network::Default;
    process.refuse_host_network = true;
    process.extra_hosts = vec![("host".to_owned(), "host-gateway".to_owned())];
    assert_eq!(sandbox.output(&process), "1\nreached\n10.63.0.0 10.63.0.2 10.63.0.255 ");
    assert!(sandbox.output(&process).contains("10.63.0.3 "));
    assert!(devices().contains("strake0:"));
    let options = LinuxOptions { runtime_dir: sandbox.dir.path().join("run"), ..LinuxOptions::default() };
    let other = Sandbox { runner: LinuxRunner::new(options).unwrap(), ..any_sandbox("bridge").unwrap() };
    let begun = Instant::now();
    assert!(other.output(&process).starts_with("1\nreached\n"));
    println!("a step on the bridge: {:?}", begun.elapsed());
    let folder = sandbox.dir;
    drop(sandbox.runner);
    assert!(devices().contains("strake0:"), "somebody else still uses it");
    drop(other);
    assert!(!devices().contains("strake0:"), "the last user removes it");
    let left: Vec<_> =
        fs::read_dir(folder.path().join("run/network")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(left.iter().all(|name| name == "setup" || name == "users"), "{left:?}");
}

/// The name of the test that is run again and killed.
const KILLED: &str = "again::steps_die_with_a_killed_strake";
/// The folder that the killed one and the next one share.
const KILLED_RUNTIME: &str = "/tmp/strake-sandbox-test";

#[test]
fn steps_die_with_a_killed_strake() {
    let Some(sandbox) = sandbox("kill -9") else { return };
    // The one that is to be killed has a pipe as its standard input.
    if fs::read_link("/proc/self/fd/0").is_ok_and(|link| link.to_string_lossy().starts_with("pipe:")) {
        // A process that gave up its parent-death signal, as a set-user-id program does.
        fs::set_permissions(sandbox.root().join("bin/busybox"), fs::Permissions::from_mode(0o4755)).unwrap();
        let mut process = sandbox.process(&["sleep", "1003"]);
        process.uid = 1000;
        let options = LinuxOptions { runtime_dir: KILLED_RUNTIME.into(), ..LinuxOptions::default() };
        let runner = LinuxRunner::new(options).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| runner.run(&process, &sandbox.io(), &Cancel::new()).unwrap());
            sandbox.output(&sandbox.shell("sleep 1004 & sleep 1004"));
        });
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", KILLED, "--nocapture"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let wait_until = |condition: &dyn Fn() -> bool| {
        for _ in 0..2000 {
            if condition() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    };
    assert!(wait_until(&|| running("sleep 1003") && running("sleep 1004")), "the steps start");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(wait_until(&|| !running("sleep 1004")), "the step ends");
    assert!(running("sleep 1003"), "it lost its parent-death signal");
    let options = LinuxOptions { runtime_dir: KILLED_RUNTIME.into(), ..LinuxOptions::default() };
    let next = Sandbox { runner: LinuxRunner::new(options).unwrap(), ..any_sandbox("kill -9").unwrap() };
    next.output(&next.process(&["true"]));
    assert!(wait_until(&|| !running("sleep 1003")), "the next start ends it");
    fs::remove_dir_all(KILLED_RUNTIME).unwrap();
}
