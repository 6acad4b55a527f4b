//! Steps in the Linux sandbox, with real processes. Needs root and a static busybox; says so where they are missing.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests, too")]

mod again;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use strake_builder::events::Stream;
use strake_builder::request::Ulimit;
use strake_builder::runner::{Exit, LinuxOptions, LinuxRunner, MountPoint, MountSource, Process, Rung, Runner, StepIo};
use strake_layers::{Cancel, ImagePath, Notice, NoticeSink};
use strake_parser::{Network, Security};
use strake_snapshotter::Mount;

const BUSYBOX: &str = "/bin/busybox";

/// A root file system with busybox, and a runner.
struct Sandbox {
    dir: tempfile::TempDir,
    runner: LinuxRunner,
    output: Arc<Mutex<Vec<u8>>>,
    notices: Arc<Mutex<Vec<String>>>,
}

/// Whether this process is root.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Makes a sandbox for a test as root; `None`, with a line that says why, where steps cannot be run.
fn sandbox(test: &str) -> Option<Sandbox> {
    if !is_root() {
        println!("skipped: {test} needs root");
        return None;
    }
    let sandbox = any_sandbox(test)?;
    if sandbox.runner.probe().rung != Rung::Rootful {
        println!("skipped: {test} needs CAP_SYS_ADMIN");
        return None;
    }
    Some(sandbox)
}

fn any_sandbox(test: &str) -> Option<Sandbox> {
    if !Path::new(BUSYBOX).exists() {
        println!("skipped: {test} needs {BUSYBOX} (package busybox-static)");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for name in ["bin", "proc", "dev", "sys", "etc", "tmp", "root", "work", "mnt"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(BUSYBOX, root.join("bin/busybox")).unwrap();
    for name in "sh id cat ls env pwd umask echo sleep kill grep touch mkdir ln stat mount mknod wc true hostname dd \
                 readlink chmod tr head test cut sort ping"
        .split_whitespace()
    {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    for name in ["hosts", "resolv.conf"] {
        fs::write(root.join("etc").join(name), "").unwrap();
    }
    let options = LinuxOptions { runtime_dir: dir.path().join("run"), ..LinuxOptions::default() };
    let runner = LinuxRunner::new(options).unwrap();
    Some(Sandbox { dir, runner, output: Arc::default(), notices: Arc::default() })
}

impl Sandbox {
    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("root")
    }

    fn process(&self, argv: &[&str]) -> Process {
        Process {
            root: Mount::directory(self.root()),
            argv: argv.iter().map(|&text| text.to_owned()).collect(),
            env: vec![("PATH".to_owned(), "/bin".to_owned()), ("HOME".to_owned(), "/root".to_owned())],
            cwd: ImagePath::parse("/").unwrap(),
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            hostname: "buildkitsandbox".to_owned(),
            mounts: Vec::new(),
            network: Network::None,
            security: Security::Sandbox,
            extra_hosts: Vec::new(),
            ulimits: Vec::new(),
            shm_size: None,
            timeout: None,
            memory: None,
            grace: Duration::from_secs(10),
            refuse_host_network: false,
        }
    }

    fn shell(&self, script: &str) -> Process {
        self.process(&["sh", "-c", script])
    }

    fn io(&self) -> StepIo {
        let output = Arc::clone(&self.output);
        let notices = Arc::clone(&self.notices);
        StepIo {
            output: Arc::new(move |_: Stream, bytes: &[u8]| output.lock().unwrap().extend(bytes)),
            notices: NoticeSink::new(move |notice| {
                notices.lock().unwrap().extend(match notice {
                    Notice::Warning(text) => Some(text),
                    _ => None,
                });
            }),
        }
    }

    /// Runs a process and gives back its exit and all its output.
    fn run(&self, process: &Process) -> (Exit, String) {
        self.output.lock().unwrap().clear();
        let exit = self.runner.run(process, &self.io(), &Cancel::new()).unwrap();
        (exit, String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned())
    }

    /// The output of a script that succeeds.
    fn output(&self, process: &Process) -> String {
        let (exit, output) = self.run(process);
        assert_eq!(exit.code, 0, "{output} {exit:?}");
        output
    }
}

fn path(text: &str) -> ImagePath {
    ImagePath::parse(text).unwrap()
}

/// The mounts of the host, without what other builders on the machine mount meanwhile.
fn mounts_of_this_process() -> Vec<String> {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    all.lines().filter(|line| !line.contains("buildkit")).map(str::to_owned).collect()
}

#[test]
fn a_step_has_the_environment_it_was_given_and_nothing_else() {
    let Some(sandbox) = sandbox("environment") else { return };
    let mut process = sandbox.shell("env; pwd; umask; hostname; echo $$; ls /proc/self/fd | wc -l");
    process.cwd = path("/work");
    process.env.push(("X".to_owned(), "1 2".to_owned()));
    let output = sandbox.output(&process);
    let mut lines: Vec<_> = output.lines().collect();
    let rest = lines.split_off(lines.iter().position(|line| *line == "/work").unwrap());
    lines.sort_unstable();
    // PWD and SHLVL are the shell's own.
    assert_eq!(lines, ["HOME=/root", "PATH=/bin", "PWD=/work", "SHLVL=1", "X=1 2"]);
    // Three standard streams, and the listing's own descriptor.
    assert_eq!(rest, ["/work", "0022", "buildkitsandbox", "1", "4"]);
}

#[test]
fn root_has_the_fourteen_capabilities_and_others_have_none() {
    let Some(sandbox) = sandbox("capabilities") else { return };
    let script = "id -u; id -g; id -G; grep -E 'Cap|Seccomp:|NoNewPrivs' /proc/self/status";
    let output = sandbox.output(&sandbox.shell(script));
    let expected = "0\n0\n0\nCapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n\
                    CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t2\n";
    assert_eq!(output, expected);
    let mut process = sandbox.shell(script);
    (process.uid, process.gid, process.groups) = (1000, 1001, vec![1001, 7]);
    let output = sandbox.output(&process);
    assert!(output.starts_with("1000\n1001\n1001 7\n"), "{output}");
    assert!(output.contains("CapEff:\t0000000000000000"), "{output}");
    assert!(output.contains("CapBnd:\t00000000a80425fb"), "{output}");
    let mut process = sandbox.shell("echo out > /dev/stdout; echo err > /dev/stderr");
    process.uid = 1000;
    assert_eq!(sandbox.output(&process), "out\nerr\n");
}

#[test]
fn an_insecure_step_keeps_everything() {
    let Some(sandbox) = sandbox("insecure") else { return };
    let mut process =
        sandbox.shell("grep -E 'CapEff|CapAmb|Seccomp:' /proc/self/status; mount -t tmpfs x /mnt && echo ok");
    process.security = Security::Insecure;
    process.uid = 1000;
    let output = sandbox.output(&{
        let mut root = sandbox.shell("mount -t tmpfs x /mnt && echo ok; test -w /proc/sys/kernel/hostname && echo rw");
        root.security = Security::Insecure;
        root
    });
    assert_eq!(output, "ok\nrw\n");
    let (_, output) = sandbox.run(&process);
    assert!(output.contains("Seccomp:\t0"), "{output}");
    assert!(!output.contains("CapAmb:\t0000000000000000"), "{output}");
}

#[test]
fn proc_dev_and_sys_are_the_steps_own() {
    let Some(sandbox) = sandbox("proc and dev") else { return };
    let script = "ls /dev; readlink /dev/fd; readlink /dev/ptmx; stat -c %t:%T:%a /dev/null /dev/tty; cat /proc/interrupts | wc -c; \
                  ls /proc/acpi /sys/firmware 2>/dev/null | grep -v : | wc -w; cat /proc/keys | wc -c; \
                  (echo x > /proc/sys/kernel/hostname) 2>/dev/null || echo ro; touch /sys/x 2>/dev/null || echo ro; \
                  touch /dev/shm/x && echo shm; echo x > /dev/null && echo null; ls -d /proc/[0-9]* | wc -l";
    let output = sandbox.output(&sandbox.shell(script));
    let lines: Vec<_> = output.lines().collect();
    let devices = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(lines[..14].join(" "), devices);
    let rest = "/proc/self/fd pts/ptmx 1:3:666 5:0:666 0 0 0 ro ro shm null";
    assert_eq!(lines[14..25].join(" "), rest);
    assert!(lines[25].parse::<u32>().unwrap() <= 3, "{output}");
    assert_eq!(fs::read_dir(sandbox.root().join("dev")).unwrap().count(), 0, "nothing is left in the root");
    assert_eq!(fs::read_dir(sandbox.root().join("proc")).unwrap().count(), 0);
}

#[test]
fn namespaces_and_mounts_are_out_of_reach() {
    let Some(sandbox) = sandbox("confinement") else { return };
    let script = "mount -t tmpfs x /mnt 2>/dev/null || echo denied; mknod /tmp/n c 1 3 && echo node; \
                  test / -ef /.. && echo root; cut -d' ' -f5 /proc/self/mountinfo";
    let output = sandbox.output(&sandbox.shell(script));
    let mut lines = output.lines();
    for expected in ["denied", "node", "root", "/"] {
        assert_eq!(lines.next(), Some(expected), "{output}");
    }
    for mount in lines {
        let is_ours = ["/proc", "/dev", "/sys", "/etc/hosts", "/etc/resolv.conf"]
            .iter()
            .any(|own| mount == *own || mount.starts_with(&format!("{own}/")));
        assert!(is_ours, "{mount} in {output}");
    }
}

#[test]
fn exit_codes_and_signals_are_told() {
    let Some(sandbox) = sandbox("exit codes") else { return };
    assert_eq!(
        sandbox.run(&sandbox.shell("exit 3")).0,
        Exit { code: 3, signal: None, oom: false, timed_out: false, hint: None }
    );
    let (exit, _) = sandbox.run(&sandbox.shell("sh -c 'kill -9 $$'; exit $?"));
    assert_eq!((exit.code, exit.signal, exit.oom), (137, None, false));
    let mut process = sandbox.shell("ulimit -t 1; while true; do :; done");
    process.ulimits = vec![Ulimit { name: "cpu".to_owned(), soft: 1, hard: 1 }];
    let (exit, _) = sandbox.run(&process);
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
}

#[test]
fn a_program_that_cannot_be_executed_is_explained() {
    let Some(sandbox) = sandbox("hints") else { return };
    let root = sandbox.root();
    let write = |name: &str, bytes: &[u8], mode: u32| {
        fs::write(root.join("bin").join(name), bytes).unwrap();
        fs::set_permissions(root.join("bin").join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let mut arm = fs::read(BUSYBOX).unwrap();
    arm[18..20].copy_from_slice(&[243, 0]);
    write("arm", &arm, 0o755);
    write("script", b"#!/usr/bin/python3\n", 0o755);
    write("text", b"hello", 0o755);
    write("plain", b"#!/bin/sh\n", 0o644);
    let hint = |argv: &[&str]| {
        let (exit, _) = sandbox.run(&sandbox.process(argv));
        (exit.code, exit.hint.unwrap_or_default())
    };
    assert_eq!(hint(&["nothing"]), (127, "nothing is in no directory of PATH in the image".to_owned()));
    assert_eq!(hint(&["/bin/none"]), (127, "/bin/none does not exist in the image".to_owned()));
    let (code, text) = hint(&["script"]);
    assert_eq!((code, text.contains("interpreter /usr/bin/python3 does not")), (127, true), "{text}");
    let (code, text) = hint(&["arm"]);
    assert_eq!((code, text.contains("a program for riscv64")), (126, true), "{text}");
    let (code, text) = hint(&["text"]);
    assert_eq!((code, text.contains("#!/bin/sh")), (126, true), "{text}");
    let (code, text) = hint(&["plain"]);
    assert_eq!((code, text.contains("may not be executed")), (126, true), "{text}");
    // Of these a shell itself says no more than "not found".
    write("windows", b"#!/bin/sh\r\necho\r\n", 0o755);
    write("fails", b"#!/bin/sh\nnothing\n", 0o755);
    for (command, code, text) in [
        ("/bin/windows x", 127, "line ends of Windows"),
        ("bin/script", 127, "interpreter /usr/bin/python3 does not"),
        ("/bin/plain", 126, "may not be executed"),
        ("/bin/fails", 127, ""),
        ("cd / && /bin/windows", 127, ""),
    ] {
        let (exit, _) = sandbox.run(&sandbox.shell(command));
        let hint = exit.hint.unwrap_or_default();
        assert_eq!(
            (exit.code, hint.contains(text), hint.is_empty()),
            (code, true, text.is_empty()),
            "{command}: {hint}"
        );
    }
}

#[test]
fn every_kind_of_mount_is_there_and_leaves_nothing() {
    let Some(sandbox) = sandbox("mounts") else { return };
    let host = sandbox.dir.path().join("cache");
    fs::create_dir(&host).unwrap();
    let tree = sandbox.dir.path().join("tree");
    fs::create_dir_all(tree.join("sub")).unwrap();
    fs::write(tree.join("sub/file"), "from tree\n").unwrap();
    symlink("/sub", tree.join("link")).unwrap();
    for name in ["cache", "tree", "tmpfs"] {
        fs::create_dir(sandbox.root().join("mnt").join(name)).unwrap();
    }
    for name in ["secret", "file"] {
        fs::write(sandbox.root().join("mnt").join(name), "").unwrap();
    }
    let tree = Arc::new(Mount::directory(tree));
    let mount = |target: &str, source, is_read_only| MountPoint { target: path(target), source, is_read_only };
    let mut process = sandbox.shell(
        "echo kept > /mnt/cache/x; cat /mnt/tree/file /mnt/file; touch /mnt/tree/y 2>/dev/null || echo ro; \
         cat /mnt/secret; stat -c '%a %u %g' /mnt/secret; (echo x > /mnt/secret) 2>/dev/null || echo ro; \
         dd if=/dev/zero of=/mnt/tmpfs/big bs=1k count=100 2>/dev/null || echo full; cut -d' ' -f5 /proc/self/mountinfo | grep -c ^/mnt/",
    );
    process.mounts = vec![
        mount("/mnt/cache", MountSource::Host(host.clone()), false),
        mount("/mnt/tree", MountSource::Tree { tree: Arc::clone(&tree), path: path("/link") }, true),
        mount("/mnt/file", MountSource::Tree { tree, path: path("/link/file") }, true),
        mount("/mnt/tmpfs", MountSource::Tmpfs { size: Some(64 << 10) }, false),
        mount("/mnt/secret", MountSource::Bytes { bytes: b"s3cret\n".to_vec(), mode: 0o440, uid: 5, gid: 6 }, true),
    ];
    let before = mounts_of_this_process();
    let output = sandbox.output(&process);
    assert_eq!(output, "from tree\nfrom tree\nro\ns3cret\n440 5 6\nro\nfull\n5\n");
    assert_eq!(fs::read_to_string(host.join("x")).unwrap(), "kept\n");
    assert_eq!(mounts_of_this_process(), before, "no mount is left on the host");
    assert_eq!(fs::read(sandbox.root().join("mnt/secret")).unwrap(), b"");
    assert_eq!(fs::read_dir(sandbox.root().join("mnt/tmpfs")).unwrap().count(), 0);
}

#[test]
fn mounts_may_lie_on_other_mounts_and_in_dev() {
    let Some(sandbox) = sandbox("mounts on mounts") else { return };
    let file = |target: &str| MountPoint {
        target: path(target),
        source: MountSource::Bytes { bytes: b"x\n".to_vec(), mode: 0o755, uid: 0, gid: 0 },
        is_read_only: true,
    };
    let mut process = sandbox.shell("cat /dev/pipes/EOF /mnt/secrets/a /mnt/secrets/b; ls -d /dev/pts/ptmx");
    let tmpfs = MountPoint { target: path("/mnt"), source: MountSource::Tmpfs { size: None }, is_read_only: false };
    process.mounts = vec![file("/mnt/secrets/a"), file("/dev/pipes/EOF"), tmpfs, file("/mnt/secrets/b")];
    assert_eq!(sandbox.output(&process), "x\nx\nx\n/dev/pts/ptmx\n");
    assert_eq!(fs::read_dir(sandbox.root().join("mnt")).unwrap().count(), 0);
}

#[test]
fn a_missing_target_is_an_error_and_no_step() {
    let Some(sandbox) = sandbox("missing target") else { return };
    let mut process = sandbox.shell("true");
    process.mounts =
        vec![MountPoint { target: path("/nowhere/x"), source: MountSource::Tmpfs { size: None }, is_read_only: false }];
    let error = sandbox.runner.run(&process, &sandbox.io(), &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("/nowhere/x"), "{error}");
    process.mounts.clear();
    process.cwd = path("/nowhere");
    let error = sandbox.runner.run(&process, &sandbox.io(), &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("working directory /nowhere"), "{error}");
}

/// Links of an image at the places of mounts lead nowhere but inside the image (edges.md 16).
#[test]
fn links_at_mount_targets_never_lead_outside() {
    let Some(sandbox) = sandbox("links") else { return };
    let root = sandbox.root();
    let outside = sandbox.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "host\n").unwrap();
    let inside = root.join(outside.strip_prefix("/").unwrap());
    fs::create_dir_all(&inside).unwrap();
    fs::write(inside.join("file"), "").unwrap();
    for name in ["dev", "proc", "sys"] {
        fs::remove_dir(root.join(name)).unwrap();
        fs::create_dir_all(root.join("real").join(name)).unwrap();
        symlink(format!("../../../../../../real/{name}"), root.join(name)).unwrap();
    }
    for name in ["hosts", "resolv.conf"] {
        fs::remove_file(root.join("etc").join(name)).unwrap();
        symlink(outside.join("file"), root.join("etc").join(name)).unwrap();
    }
    let names = |dir: &Path| fs::read_dir(dir).unwrap().count();
    let before = (names(Path::new("/dev")), mounts_of_this_process());
    let output = sandbox.output(&sandbox.shell("ls /dev/null /proc/self/status; cat /etc/hosts | wc -l"));
    // Both links lead to one file of the image, where resolv.conf now covers hosts.
    assert!(output.starts_with("/dev/null\n/proc/self/status\n"), "{output}");
    assert_eq!((names(Path::new("/dev")), mounts_of_this_process()), before);
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "host\n");
}

#[test]
fn magic_links_at_mount_targets_are_refused() {
    let Some(sandbox) = sandbox("magic links") else { return };
    fs::remove_file(sandbox.root().join("etc/hosts")).unwrap();
    symlink("/proc/self/exe", sandbox.root().join("etc/hosts")).unwrap();
    let error = sandbox.runner.run(&sandbox.shell("true"), &sandbox.io(), &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("/etc/hosts"), "{error}");
}

#[test]
fn a_process_in_the_background_ends_with_its_step() {
    let Some(sandbox) = sandbox("background") else { return };
    let output = sandbox.output(&sandbox.shell("(sleep 1000; touch /late) & echo done"));
    assert_eq!(output, "done\n");
    assert!(!running("sleep 1000"));
}

fn running(command: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|text| {
            text.split(|byte| *byte == 0).collect::<Vec<_>>().join(&b' ').starts_with(command.as_bytes())
        })
    })
}

#[test]
fn a_stop_ends_every_process_politely_first() {
    let Some(sandbox) = sandbox("stop") else { return };
    // The shell has a handler, which gets its grace; without one the step is killed at once.
    for (script, expected) in [
        ("trap 'echo bye; exit 0' TERM; echo ready; sleep 1001 & wait", "ready\nbye\n"),
        ("echo ready; sleep 1001", "ready\n"),
        ("trap 'echo no' TERM; echo ready; while true; do sleep 1001 & wait; done", "ready\nno\n"),
    ] {
        sandbox.output.lock().unwrap().clear();
        let mut process = sandbox.shell(script);
        process.grace = Duration::from_secs(if script.contains("no") { 1 } else { 100 });
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            let step = scope.spawn(|| sandbox.runner.run(&process, &sandbox.io(), &cancel));
            while !sandbox.output.lock().unwrap().starts_with(b"ready") {
                std::thread::sleep(Duration::from_millis(5));
            }
            cancel.cancel();
            assert!(step.join().unwrap().is_err(), "{script}");
        });
        assert_eq!(String::from_utf8_lossy(&sandbox.output.lock().unwrap()), expected);
        assert!(!running("sleep 1001"));
    }
}

#[test]
fn without_network_there_is_loopback_only() {
    let Some(sandbox) = sandbox("network none") else { return };
    let output = sandbox.output(&sandbox.shell("cat /proc/net/dev | grep : | cut -d: -f1 | tr -d ' '; cat /etc/hosts"));
    assert!(output.starts_with("lo\n127.0.0.1\tlocalhost buildkitsandbox\n"), "{output}");
}

#[test]
fn the_default_network_is_a_bridge_or_the_hosts_with_one_warning() {
    let Some(sandbox) = sandbox("network default") else { return };
    let mut process = sandbox.shell("cat /proc/net/route | wc -l");
    process.network = Network::Default;
    sandbox.output(&process);
    sandbox.output(&process);
    let forwards = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.trim() == "1");
    if !forwards {
        let notices = sandbox.notices.lock().unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].contains("net.ipv4.ip_forward"), "{notices:?}");
        process.refuse_host_network = true;
        assert!(sandbox.runner.run(&process, &sandbox.io(), &Cancel::new()).is_err());
    }
}

#[test]
fn output_is_passed_on_whole() {
    let Some(sandbox) = sandbox("output") else { return };
    let output = sandbox.output(&sandbox.shell("dd if=/dev/zero bs=1k count=3000 2>/dev/null; echo end"));
    assert_eq!(output.len(), 3000 * 1024 + 4);
}

#[test]
fn steps_run_side_by_side_and_cost_little() {
    let Some(sandbox) = sandbox("overhead") else { return };
    sandbox.output(&sandbox.process(&["true"]));
    let begun = Instant::now();
    let count = 100;
    for _ in 0..count {
        sandbox.output(&sandbox.process(&["true"]));
    }
    println!("one after the other: {:?} a step", begun.elapsed() / count);
    let mut process = sandbox.process(&["true"]);
    process.network = Network::Host;
    let begun = Instant::now();
    for _ in 0..count {
        sandbox.output(&process);
    }
    println!("with the host's network: {:?} a step", begun.elapsed() / count);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let exit = sandbox.runner.run(&sandbox.process(&["true"]), &sandbox.io(), &Cancel::new()).unwrap();
                    assert_eq!(exit.code, 0);
                }
            });
        }
    });
}

#[test]
fn the_host_tells_what_it_offers() {
    let Some(sandbox) = sandbox("facts") else { return };
    let facts = sandbox.runner.probe();
    println!("{facts:#?}");
    assert_eq!(facts.rung.name(), "rootful");
    assert!(facts.seccomp);
}
