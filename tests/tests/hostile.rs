//! Inputs that mean harm, and machines that are in the way: a clear error, nothing outside, and right again afterwards.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, Mode};
use rustix::mount::{MountFlags, UnmountFlags};
use strake_tests::{Host, Layout, LayoutLayer, Tar, needs_program, needs_root};

fn fifo(path: &Path) {
    let _ignored = fs::remove_file(path);
    rustix::fs::mknodat(CWD, path, rustix::fs::FileType::Fifo, Mode::from(0o644), 0).unwrap();
}

/// Bytes that cannot be compressed.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // Xorshift (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A file system in memory, mounted for a while.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn new(path: std::path::PathBuf, size: &str) -> Self {
        fs::create_dir_all(&path).unwrap();
        let options = std::ffi::CString::new(format!("size={size}")).unwrap();
        rustix::mount::mount("tmpfs", &path, "tmpfs", MountFlags::empty(), options.as_c_str()).unwrap();
        Self(path)
    }

    fn read_only(&self) {
        rustix::mount::mount_remount(&self.0, MountFlags::RDONLY, "").unwrap();
    }

    /// Fills it up to a rest of bytes.
    fn fill(&self, rest: u64) {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        let free = stat.f_bavail * stat.f_frsize;
        fs::write(self.0.join("filler"), vec![1_u8; usize::try_from(free - rest).unwrap()]).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ignored = rustix::mount::unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[test]
fn pipe_instead_of_a_file_is_an_error_or_itself_and_never_a_hang() {
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY pipe /\n");
    fifo(&host.path("ctx/pipe"));
    let (_, image) = host.build("ctx").image();
    assert_eq!(image.names(0), ["pipe"]);
    fifo(&host.path("secret"));
    host.build("ctx").args("--secret id=s,src=secret").run().expect(2).says(&["secret", "not a regular file"]);
    fifo(&host.path("ctx/.dockerignore"));
    host.build("ctx").run().fails().says(&["ctx/.dockerignore", "not a regular file"]);
    fifo(&host.path("ctx/Dockerfile"));
    host.build("ctx").run().fails().says(&["ctx/Dockerfile", "not a regular file"]);
}

#[test]
fn dockerfile_that_never_ends_is_refused() {
    let host = Host::new();
    fs::create_dir(host.path("ctx")).unwrap();
    symlink("/dev/zero", host.path("ctx/Dockerfile")).unwrap();
    host.build("ctx").run().fails().says(&["Dockerfile"]);
    host.write("big", vec![b'#'; 17 << 20]);
    host.build("ctx").args("-f big").run().fails().says(&["big", "16777216"]);
}

#[test]
fn links_do_not_lead_out_of_the_context() {
    let host = Host::new();
    let secret = "what lies outside";
    host.write("outside/file", secret);
    let outside = host.path("outside");
    fs::create_dir(host.path("ctx")).unwrap();
    symlink(outside.join("file"), host.path("ctx/absolute")).unwrap();
    symlink("../outside/file", host.path("ctx/relative")).unwrap();
    symlink("../outside", host.path("ctx/folder")).unwrap();
    symlink(&outside, host.path("ctx/deep")).unwrap();
    for source in ["absolute", "relative", "folder", "folder/file", "deep/file", "../outside/file", "folder/*", "."] {
        let folder = host.path("layout");
        let _ignored = fs::remove_dir_all(&folder);
        host.write("Dockerfile", format!("FROM scratch\nCOPY {source} /x/\n"));
        let build = host.build("ctx").args("-f Dockerfile -o type=oci,dest=layout,tar=false,compression=uncompressed");
        let outcome = build.run();
        assert!(matches!(outcome.code, Some(0 | 1)), "{source}: {}", outcome.stderr);
        if outcome.code == Some(0) {
            assert_eq!(host.holding("layout", secret.as_bytes()), Vec::<std::path::PathBuf>::new(), "{source}");
        }
    }
}

#[test]
fn archives_write_nothing_outside_of_the_image_or_the_output() {
    let host = Host::new();
    fs::create_dir(host.path("outside")).unwrap();
    let outside = host.path("outside").display().to_string();
    let far = format!("{}{}/evil", "../".repeat(12), outside.trim_start_matches('/'));
    let archives = [
        ("dots", Tar::new().file("../outside/evil", b"evil").file("good", b"")),
        ("far", Tar::new().file(&far, b"evil")),
        ("absolute", Tar::new().file(&format!("{outside}/evil"), b"evil")),
        ("through a link", Tar::new().symlink("l", &outside).file("l/evil", b"evil")),
        ("through a relative link", Tar::new().symlink("l", "../outside").file("l/evil", b"evil")),
        ("hard link", Tar::new().hard_link("h", "../outside/evil").file("h", b"evil")),
        ("hard link through a link", Tar::new().symlink("l", &outside).hard_link("h", "l/evil")),
        ("folder by a link", Tar::new().symlink("l", &outside).dir("l/evil")),
        ("special names", Tar::new().file("a/./b/../../../evil", b"evil").file("//evil2", b"")),
    ];
    for (name, archive) in archives {
        host.write("ctx/a.tar", archive.finish());
        let outcome = host.dockerfile("ctx", "FROM scratch\nADD a.tar /sub/\n").args("-o out/out").run();
        assert!(matches!(outcome.code, Some(0 | 1)), "{name}: {}", outcome.stderr);
        assert_eq!(host.left_in("outside"), Vec::<std::path::PathBuf>::new(), "{name}");
        assert!(!host.path("evil").exists() && !host.path("out/evil").exists(), "{name}");
        let _ignored = fs::remove_dir_all(host.path("out"));
    }
}

#[test]
fn link_in_an_output_folder_is_not_followed() {
    let host = Host::new();
    host.write("outside/keep", "kept");
    fs::create_dir(host.path("out")).unwrap();
    symlink("../outside", host.path("out/dir")).unwrap();
    host.write("ctx/keep", "overwritten");
    host.dockerfile("ctx", "FROM scratch\nCOPY keep /dir/keep\n").args("-o out").run();
    assert_eq!(host.read("outside/keep"), "kept");
}

#[test]
fn archive_that_promises_more_than_it_has_is_refused() {
    let host = Host::new();
    for (name, bytes) in [
        ("8 GiB", Tar::new().file("a", b"a").liar("b", (8 << 30) - 1, b"few").unfinished()),
        ("cut in a header", Tar::new().file("a", b"a").unfinished()[..700].to_vec()),
        ("cut in a file", Tar::new().liar("a", 5000, &[0; 600]).unfinished()),
    ] {
        host.write("ctx/a.tar", bytes);
        let outcome = host.dockerfile("ctx", "FROM scratch\nADD a.tar /\n").args("-o out").run().expect(1);
        outcome.says(&["a.tar", "Dockerfile:2"]);
        assert!(!host.path("out").exists(), "{name}");
    }
}

#[test]
fn forged_base_image_is_refused_and_harms_nothing() {
    if !needs_root("unpacking a forged image") {
        return;
    }
    let host = Host::new();
    fs::create_dir(host.path("outside")).unwrap();
    let outside = host.path("outside").display().to_string();
    let far = format!("{}{}/evil", "../".repeat(14), outside.trim_start_matches('/'));
    let good = || LayoutLayer::new(Tar::new().file("a", b"a"));
    let zeros = format!("sha256:{}", "0".repeat(64));
    for (name, layer, words) in [
        ("dots", LayoutLayer::new(Tar::new().file(&far, b"evil")), ".."),
        ("dots in a link", LayoutLayer::new(Tar::new().hard_link("h", &far)), "h"),
        ("whiteout of dots", LayoutLayer::new(Tar::new().file("a/.wh...", b"")), ".wh..."),
        ("wrong diff ID", LayoutLayer { diff_id: Some(zeros.clone()), ..good() }, &zeros[..20]),
        ("wrong digest", LayoutLayer { digest: Some(zeros.clone()), ..good() }, &zeros[..20]),
        ("wrong size", LayoutLayer { size: Some(7), ..good() }, "7"),
        ("unknown type", LayoutLayer { media_type: "application/x-evil", ..good() }, "application/x-evil"),
        ("not a tar", LayoutLayer { bytes: vec![0xff; 2000], ..LayoutLayer::default() }, "tar"),
        ("cut off", LayoutLayer { bytes: Tar::new().liar("a", 9999, b"").unfinished(), ..LayoutLayer::default() }, "a"),
    ] {
        let _ignored = fs::remove_dir_all(host.path("forged"));
        Layout::busybox().layer(layer).write(&host.path("forged"));
        for text in ["FROM forged\nRUN true\n", "FROM forged\nCOPY Dockerfile /sub/\n"] {
            let build = host.dockerfile("ctx", text).args("--build-context forged=oci-layout://forged -o out");
            let outcome = build.run().fails();
            assert!(outcome.error().contains(words), "{name}, {text}: {}", outcome.error());
            assert!(!host.path("out").exists(), "{name}");
            assert_eq!(host.left_in("outside"), Vec::<std::path::PathBuf>::new(), "{name}");
        }
    }
    // What was refused left nothing that spoils an honest image of the same digests.
    let _ignored = fs::remove_dir_all(host.path("forged"));
    Layout::busybox().layer(good()).write(&host.path("forged"));
    host.dockerfile("ctx", "FROM forged\nRUN true\n").args("--build-context forged=oci-layout://forged").ok();
}

#[test]
fn links_of_a_base_image_lead_nowhere_outside() {
    if !needs_root("a step on a forged image") {
        return;
    }
    let host = Host::new();
    fs::create_dir(host.path("outside")).unwrap();
    let outside = host.path("outside").display().to_string();
    let tar =
        Tar::new().symlink("w", &outside).symlink("dev", &outside).symlink("etc", &outside).symlink("c", &outside);
    let tar = tar.symlink("run", &outside).file("w/unpacked", b"evil");
    Layout::busybox().layer(LayoutLayer::new(tar)).write(&host.path("forged"));
    host.write("ctx/a", "a");
    let text = "FROM forged\nWORKDIR /w/x\nCOPY a /w/\nCOPY a a\nRUN --mount=type=cache,target=/c/d echo 1 >/w/ran\n";
    host.dockerfile("ctx", text).args("--build-context forged=oci-layout://forged -o out").run();
    assert_eq!(host.left_in("outside"), Vec::<std::path::PathBuf>::new());
}

#[test]
fn full_store_is_told_by_name_and_works_again_once_there_is_room() {
    if !needs_root("a full disk") {
        return;
    }
    let host = Host::with_base();
    let disk = Tmpfs::new(host.path("store"), "64m");
    host.dockerfile("small", "FROM base\nRUN true\n").ok();
    let noise = noise(8 << 20);
    Layout::busybox().layer(LayoutLayer::new(Tar::new().file("noise", &noise))).write(&host.path("big"));
    host.write("copy/noise", &noise);
    let big = |text: &str| host.dockerfile("copy", text).args("--build-context big=oci-layout://big");
    let texts = ["FROM big\nRUN echo 1 >/x\n", "FROM base\nCOPY noise /\nRUN echo 2 >/x\n"];
    for text in texts {
        disk.fill(2 << 20);
        let outcome = big(text).args("-o out").run().expect(3);
        outcome.says(&["store", "o space left on device"]);
        assert!(!host.path("out").exists());
        disk.make_room();
        assert_eq!(host.left_in("store/uppers"), Vec::<std::path::PathBuf>::new());
        big(text).ok();
    }
    // The step's own writing is the step's own failure, and its space is given back.
    let fills = "FROM base\nRUN dd if=/dev/zero of=/big bs=1M count=100\n";
    host.dockerfile("fills", fills).run().expect(1).says(&["No space left on device"]);
    host.dockerfile("after", "FROM base\nRUN dd if=/dev/zero of=/big bs=1M count=20 2>/dev/null\n").ok();
}

#[test]
fn full_disk_of_an_output_leaves_the_earlier_one() {
    if !needs_root("a full disk") {
        return;
    }
    let host = Host::new();
    let disk = Tmpfs::new(host.path("full"), "4m");
    host.write("full/o.tar", "earlier");
    host.write("ctx/big", noise(6 << 20));
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY big /\n");
    for output in ["type=oci,dest=full/o.tar", "type=tar,dest=full/o.tar", "type=docker,dest=full/o.tar", "full/out"] {
        let outcome = host.build("ctx").arg("-o").arg(output).run().expect(3);
        outcome.says(&["full", "o space left on device"]);
        assert_eq!(host.read("full/o.tar"), "earlier");
        assert_eq!(host.left_in("full").len(), 1, "{output}: {:?}", host.left_in("full"));
    }
    drop(disk);
}

#[test]
fn read_only_store_is_told_by_name() {
    if !needs_root("a read-only disk") {
        return;
    }
    let host = Host::with_base();
    let disk = Tmpfs::new(host.path("store"), "64m");
    host.dockerfile("ctx", "FROM base\nRUN true\n").ok();
    disk.read_only();
    let outcome = host.build("ctx").run().expect(3);
    outcome.says(&[&host.path("store").display().to_string(), "ead-only file system"]);
}

/// A place that others than root may use, too.
fn open_to_all() -> Host {
    let host = Host::with_base();
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(host.path("tmp"), fs::Permissions::from_mode(0o777)).unwrap();
    host.write("ctx/a", "a");
    host
}

#[test]
fn copying_needs_no_root() {
    if !needs_root("becoming nobody") {
        return;
    }
    let host = open_to_all();
    let text = "FROM base\nWORKDIR /w\nCOPY --chown=7:8 a .\nADD a /b/\n";
    let nobody = |command: &mut Command| {
        command.uid(65534).gid(65534);
    };
    let build = host.dockerfile("ctx", text).with(nobody);
    let (_, image) = build.image();
    assert_eq!(image.file("w/a"), "a");
    let (_, as_root) = host.build("ctx").env("STRAKE_ROOT", host.path("store-of-root")).image();
    assert_eq!(image.diff_ids(), as_root.diff_ids());
}

#[test]
fn step_of_an_ordinary_user_leaves_nothing_of_its_surroundings() {
    let test = "a step of nobody";
    if !needs_root(test) {
        return;
    }
    let host = open_to_all();
    let text = "FROM base\nRUN --mount=type=cache,target=/var/c --mount=type=tmpfs,target=/mnt/t echo 1 >/made\n";
    host.write("ctx/Dockerfile", text);
    let nobody = |command: &mut Command| {
        command.uid(65534).gid(65534);
    };
    if host.build("ctx").with(nobody).run().code == Some(3) {
        println!("skipped: {test} needs user namespaces that anybody may make");
        return;
    }
    let (_, image) = host.build("ctx").with(nobody).image();
    assert_eq!(image.names(1), ["made"]);
}

#[test]
fn few_descriptors_are_enough_for_many_files() {
    let host = Host::new();
    for number in 0..300 {
        host.write(&format!("ctx/{}/{number}", number % 17), "content");
    }
    host.write("ctx/Dockerfile", "FROM scratch AS one\nCOPY . /a/\nFROM scratch\nCOPY --from=one /a /b/\n");
    let strake = host.build("ctx").args("-o out").command();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$@\"", "sh"]).arg(strake.get_program()).args(strake.get_args());
    command.current_dir(host.path("")).envs(strake.get_envs().filter_map(|(name, value)| Some((name, value?))));
    host.strake(&[]).with(|own| *own = command).ok();
    assert_eq!(host.read("out/b/16/16"), "content");
}

#[test]
fn reader_of_standard_output_may_go_away() {
    let host = Host::new();
    host.write("ctx/big", noise(2 << 20));
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY big /\n");
    for (output, codes) in [("-", [1, 3]), ("out", [0, 0])] {
        let strake = host.build("ctx").arg("-o").arg(output).command();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        let mut command = strake;
        command.stdin(std::process::Stdio::null()).stdout(writer).stderr(std::process::Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code().is_some_and(|code| codes.contains(&code)), "{:?}: {stderr}", output.status);
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn step_without_any_right_says_what_is_missing() {
    let test = "a machine without rights";
    if !needs_root(test) || needs_program(test, "unshare").is_none() || needs_program(test, "setpriv").is_none() {
        return;
    }
    let host = open_to_all();
    // A user namespace in which no further one can be made, and no capability.
    let bare = |text: &str| {
        host.write("ctx/Dockerfile", text);
        let script = "echo 0 >/proc/sys/user/max_user_namespaces || exit 99; \
                      exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs \"$@\"";
        let strake = host.build("ctx").args("-o out").command();
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c", script, "sh"]);
        command.arg(strake.get_program()).args(strake.get_args()).current_dir(host.path(""));
        command.envs(strake.get_envs().filter_map(|(name, value)| Some((name, value?))));
        host.strake(&[]).with(|own| *own = command).run()
    };
    bare("FROM scratch\nCOPY a /\n").expect(0);
    let outcome = bare("FROM base\nRUN true\n").expect(3);
    outcome.says(&["Dockerfile:2", "user namespace"]);
}
