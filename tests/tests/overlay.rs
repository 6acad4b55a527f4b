//! The overlay snapshotter on a real kernel. Needs root and overlay mounts; says so in one line where they are missing.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests, too")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustix::fs::{CWD, XattrFlags};
use rustix::mount::{MoveMountFlags, UnmountFlags};
use strake_layers::{
    BlobStore, Cancel, ContentHash, Entry, EntryKind, ImagePath, Layer, LayerOptions, Metadata, Notice, NoticeSink,
    Rootfs, Timestamp,
};
use strake_snapshotter::{
    Access, CopySnapshotter, Error, Mount, MountKind, MountTarget, OverlaySnapshotter, Snapshotter, Stack, Store,
    StoreOptions, TargetKind, Tree,
};

/// A store in a folder of its own, and what steps over it need.
struct Host {
    dir: tempfile::TempDir,
    store: Arc<Store>,
    overlay: OverlaySnapshotter,
    notices: Arc<Mutex<Vec<String>>>,
}

impl Host {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let notices: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&notices);
        let notify = NoticeSink::new(move |notice| {
            if let Notice::Warning(text) = notice {
                sink.lock().unwrap().push(text);
            }
        });
        let options = StoreOptions { notices: notify, ..StoreOptions::default() };
        let store = Arc::new(Store::open(&dir.path().join("store"), options).unwrap());
        match OverlaySnapshotter::new(Arc::clone(&store)) {
            Ok(overlay) if rustix::process::geteuid().is_root() => Some(Self { dir, store, overlay, notices }),
            Ok(_) => skip("root is needed"),
            Err(error) => skip(&error.to_string()),
        }
    }

    fn stack(&self, layers: &[Layer]) -> (Vec<Tree>, Arc<Rootfs>) {
        stack(&self.overlay, layers)
    }

    /// Runs a script in the root of a step and takes its layer. What the step saw at its end must be what everybody
    /// else sees of the layers, however they are looked at.
    fn run(&self, layers: &[Layer], script: &str) -> Layer {
        self.run_with(layers, &[], script)
    }

    fn run_with(&self, layers: &[Layer], targets: &[MountTarget], script: &str) -> Layer {
        let (trees, rootfs) = self.stack(layers);
        let snapshot = self.overlay.prepare(&Stack { trees: &trees, rootfs: &rootfs }, targets).unwrap();
        let mount = snapshot.mount().unwrap();
        let attached = Attached::new(self.dir.path(), &mount);
        sh(&attached.0, script);
        let expected = listing(&attached.0, targets);
        drop((attached, mount));
        let layer = snapshot.commit().unwrap();
        let mut all = layers.to_vec();
        all.push(layer.clone());
        self.check(&all, &expected);
        layer
    }

    fn check(&self, layers: &[Layer], expected: &str) {
        assert_eq!(expected, self.seen(&self.overlay, layers), "by the tree");
        assert_eq!(expected, self.seen(&CopySnapshotter::new(Arc::clone(&self.store)), layers), "in a copy");
        assert_eq!(expected, merged(layers), "by the entries");
        // Once more from archives, in a store that has nothing else.
        let other = Self::new().unwrap();
        let blobs: Vec<Layer> = layers.iter().map(|layer| other.import(layer)).collect();
        assert_eq!(whole_seconds(expected), other.seen(&other.overlay, &blobs), "from archives");
    }

    fn seen(&self, snapshotter: &dyn Snapshotter, layers: &[Layer]) -> String {
        let (trees, rootfs) = stack(snapshotter, layers);
        let view = snapshotter.view(&Stack { trees: &trees, rootfs: &rootfs }, Access::ReadOnly).unwrap();
        match view.kind() {
            MountKind::Directory(path) => listing(path, &[]),
            MountKind::Detached(_) => listing(&Attached::new(self.dir.path(), &view).0, &[]),
        }
    }

    fn import(&self, layer: &Layer) -> Layer {
        let blobs: &BlobStore = self.store.blobs();
        let entries = layer.entries().unwrap();
        let written = strake_layers::write_layer(entries, LayerOptions::default(), blobs, &Cancel::new()).unwrap();
        Layer::from_blob(written.descriptor, written.diff_id)
    }
}

fn skip(reason: &str) -> Option<Host> {
    println!("skipped: {reason}");
    None
}

fn stack(snapshotter: &dyn Snapshotter, layers: &[Layer]) -> (Vec<Tree>, Arc<Rootfs>) {
    let mut rootfs = Rootfs::default();
    let mut trees = Vec::new();
    for layer in layers {
        let tree = snapshotter.materialise(layer, Some(&rootfs)).unwrap();
        rootfs = rootfs.with_layer(tree.entries().clone());
        trees.push(tree);
    }
    (trees, Arc::new(rootfs))
}

/// A mount put in place for a while.
struct Attached(std::path::PathBuf);

impl Attached {
    fn new(below: &Path, mount: &Mount) -> Self {
        let place = tempfile::tempdir_in(below).unwrap().keep();
        let MountKind::Detached(file) = mount.kind() else { panic!("not a mount") };
        rustix::mount::move_mount(file, c"", CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).unwrap();
        Self(place)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        rustix::mount::unmount(&self.0, UnmountFlags::DETACH).unwrap();
    }
}

fn sh(directory: &Path, script: &str) {
    let status = Command::new("sh").args(["-e", "-c", script]).current_dir(directory).status().unwrap();
    assert!(status.success(), "{script}");
}

fn path(text: &str) -> ImagePath {
    ImagePath::parse(text).unwrap()
}

fn meta(mode: u32) -> Metadata {
    Metadata { mode, mtime: Timestamp { seconds: 1_000_000_000, nanos: 7 }, ..Metadata::default() }
}

fn dir(name: &str) -> Entry {
    Entry::directory(path(name), meta(0o755))
}

fn file(name: &str, content: &str) -> Entry {
    Entry::inline_file(path(name), meta(0o644), content.as_bytes().to_vec())
}

fn entry(name: &str, kind: EntryKind) -> Entry {
    Entry { path: path(name), meta: meta(0o644), kind }
}

fn layer(entries: Vec<Entry>) -> Layer {
    Layer::from_plan(entries).unwrap()
}

fn base() -> Layer {
    layer(vec![
        dir("etc"),
        file("etc/a", "a"),
        file("etc/b", "b"),
        entry("etc/hard", EntryKind::HardLink(path("etc/b"))),
        entry("etc/link", EntryKind::Symlink((*b"a").into())),
        dir("d"),
        dir("d/s"),
        file("d/s/x", "x"),
        file("d/y", "y"),
        dir("full"),
        file("full/1", "1"),
    ])
}

/// A line for everything below a directory, but sockets and times of directories.
fn listing(root: &Path, targets: &[MountTarget]) -> String {
    let hidden: BTreeSet<ImagePath> = targets.iter().map(|target| target.path.clone()).collect();
    let mut lines = Vec::new();
    let mut pending = vec![ImagePath::root()];
    while let Some(folder) = pending.pop() {
        let full = root.join(folder.to_string().trim_start_matches('/'));
        for item in fs::read_dir(&full).unwrap() {
            let item = item.unwrap();
            let name = folder.join(item.file_name().as_encoded_bytes()).unwrap();
            let meta = item.metadata().unwrap();
            if meta.file_type().is_socket() || hidden.contains(&name) {
                continue;
            }
            if meta.is_dir() {
                pending.push(name.clone());
            }
            lines.push((name.clone(), line(&item.path(), &name, &meta)));
        }
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}

fn line(full: &Path, name: &ImagePath, meta: &fs::Metadata) -> String {
    let kind = meta.file_type();
    let what = if kind.is_dir() {
        "d".to_owned()
    } else if kind.is_symlink() {
        format!("l {}", fs::read_link(full).unwrap().display())
    } else if kind.is_file() {
        format!("f {}", ContentHash::of(&fs::read(full).unwrap()))
    } else if kind.is_fifo() {
        "p".to_owned()
    } else {
        let sort = if kind.is_block_device() { "b" } else { "c" };
        format!("{sort} {}:{}", rustix::fs::major(meta.rdev()), rustix::fs::minor(meta.rdev()))
    };
    let mut capability = [0; 64];
    let length = rustix::fs::lgetxattr(full, c"security.capability", &mut capability).unwrap_or(0);
    let time = if kind.is_dir() { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) };
    format!(
        "{name} {:o} {}:{} {time:?} {:?} {what}\n",
        meta.mode() & 0o7777,
        meta.uid(),
        meta.gid(),
        &capability[..length]
    )
}

/// The same lines from the entries alone.
fn merged(layers: &[Layer]) -> String {
    let rootfs = Rootfs::new(layers.iter().map(|layer| layer.entries().unwrap().clone()).collect());
    let mut out = String::new();
    for entry in rootfs.walk(&ImagePath::root()).filter(|entry| !entry.path.is_root()) {
        let mut meta = entry.meta.clone();
        let what = match &entry.kind {
            EntryKind::Directory { .. } => "d".to_owned(),
            EntryKind::Symlink(target) => {
                meta.mode = 0o777;
                format!("l {}", String::from_utf8_lossy(target))
            }
            EntryKind::Fifo => "p".to_owned(),
            EntryKind::CharDevice(number) => format!("c {}:{}", number.major, number.minor),
            EntryKind::BlockDevice(number) => format!("b {}:{}", number.major, number.minor),
            _ => format!("f {}", rootfs.file_content(&entry.path).unwrap().hash.unwrap()),
        };
        let capability = meta.xattrs.get(&b"security.capability"[..]).cloned().unwrap_or_default();
        let time = if entry.is_directory() { (0, 0) } else { (meta.mtime.seconds, i64::from(meta.mtime.nanos)) };
        writeln!(out, "{} {:o} {}:{} {time:?} {capability:?} {what}", entry.path, meta.mode, meta.uid, meta.gid)
            .unwrap();
    }
    out
}

/// A listing as it is after a way through an archive, which tells times in whole seconds.
fn whole_seconds(listing: &str) -> String {
    let one = |line: &str| match (line.find(", "), line.find(')')) {
        (Some(comma), Some(end)) => format!("{}, 0{}\n", &line[..comma], &line[end..]),
        _ => format!("{line}\n"),
    };
    listing.lines().map(one).collect()
}

/// The entries of a layer in short: `d etc`, `f etc/a`, `w etc/b`, `h x=y`, `o d` for an opaque directory.
fn short(layer: &Layer) -> Vec<String> {
    let one = |entry: &Entry| {
        let name = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        match &entry.kind {
            EntryKind::Directory { opaque: true, .. } => format!("o {name}"),
            EntryKind::Directory { .. } => format!("d {name}"),
            EntryKind::File(_) => format!("f {name}"),
            EntryKind::Symlink(_) => format!("l {name}"),
            EntryKind::HardLink(target) => format!("h {name}={}", String::from_utf8_lossy(target.as_bytes())),
            EntryKind::CharDevice(_) => format!("c {name}"),
            EntryKind::BlockDevice(_) => format!("b {name}"),
            EntryKind::Fifo => format!("p {name}"),
            EntryKind::Whiteout => format!("w {name}"),
        }
    };
    layer.entries().unwrap().iter().map(one).collect()
}

fn check(script: &str, expected: &[&str]) {
    let Some(host) = Host::new() else { return };
    let layer = host.run(&[base()], script);
    assert_eq!(short(&layer), expected, "{script}");
}

#[test]
fn nothing_done_is_an_empty_layer() {
    check("true", &[]);
    check("cat etc/a etc/b >/dev/null; ls -lR >/dev/null", &[]);
}

#[test]
fn new_files_come_with_their_parents() {
    check("echo n > etc/new; mkdir -p p/q; touch p/q/r", &["d etc", "f etc/new", "d p", "d p/q", "f p/q/r"]);
}

#[test]
fn removals_are_whiteouts() {
    check("rm etc/a etc/link; rm -r d", &["w d", "d etc", "w etc/a", "w etc/link"]);
    check("echo t > etc/t; rm etc/t", &[]);
    // Two whiteouts share an inode: they are no hard links.
    check("rm etc/a etc/b etc/hard", &["d etc", "w etc/a", "w etc/b", "w etc/hard"]);
}

#[test]
fn a_directory_made_anew_spells_out_what_is_gone() {
    check("rm -r d; mkdir d", &["d d", "w d/s", "w d/y"]);
    check("rm -r d; mkdir -p d/s; echo z > d/s/z", &["d d", "d d/s", "w d/s/x", "f d/s/z", "w d/y"]);
    check("rm -r d; mkdir d; echo y > d/y", &["d d", "w d/s", "f d/y"]);
}

#[test]
fn kinds_replace_each_other() {
    check("rm -r full; echo f > full", &["f full"]);
    check("rm etc/a; mkdir etc/a; echo n > etc/a/n", &["d etc", "d etc/a", "f etc/a/n"]);
    check("rm -r d; ln -s etc d", &["l d"]);
    check("rm etc/link; mkdir etc/link", &["d etc", "d etc/link"]);
}

#[test]
fn a_renamed_directory_is_a_copy_and_a_whiteout() {
    check("mv d moved", &["w d", "d moved", "d moved/s", "f moved/s/x", "f moved/y"]);
}

#[test]
fn a_touched_directory_alone_is_no_change() {
    check("touch etc", &[]);
    check("touch d/s/t; rm d/s/t", &[]);
    check("chmod 700 d", &["d d"]);
    check("chmod 700 d/s", &["d d", "d d/s"]);
}

#[test]
fn attributes_alone_make_an_entry() {
    check("chmod 600 etc/a; chown 5:6 etc/b", &["d etc", "f etc/a", "f etc/b"]);
    check("chown -h 5:6 etc/link", &["d etc", "l etc/link"]);
    check("touch -d @5 etc/a", &["d etc", "f etc/a"]);
    check("chmod 4755 etc/a", &["d etc", "f etc/a"]);
}

#[test]
fn a_file_opened_for_writing_and_left_alone_is_no_change() {
    check("exec 3<>etc/a; exec 3>&-", &[]);
    // Equal times to the nanosecond do not hide other bytes.
    check(
        "touch -r etc/a /dev/shm/strake.$$; echo -n z > etc/a; touch -r /dev/shm/strake.$$ etc/a; rm /dev/shm/strake.$$",
        &["d etc", "f etc/a"],
    );
}

#[test]
fn names_of_one_new_file_are_hard_links() {
    check("echo n > n; ln n m; ln n etc/o", &["d etc", "f etc/o", "h m=etc/o", "h n=etc/o"]);
}

#[test]
fn a_new_name_of_a_lower_file_is_a_file_and_so_is_the_old_one() {
    check("ln etc/a z", &["d etc", "f etc/a", "f z"]);
    check("ln etc/a y; ln etc/a z", &["d etc", "f etc/a", "f y", "h z=y"]);
}

#[test]
fn special_files_are_kept_and_sockets_are_not() {
    let Some(host) = Host::new() else { return };
    let script = "mkfifo -m 620 pipe; mknod -m 640 chr c 1 7; mknod blk b 7 200; chown 1000:33 blk
        mkdir s; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"s/sock\")'";
    let layer = host.run(&[base()], script);
    assert_eq!(short(&layer), ["b blk", "c chr", "p pipe", "d s"]);
    assert!(host.notices.lock().unwrap().iter().any(|text| text.contains("/s/sock")));
}

#[test]
fn capabilities_are_kept_and_other_attributes_are_not() {
    let Some(host) = Host::new() else { return };
    // Version 2, cap_net_raw permitted and effective.
    let script = "cp etc/a ping; setfattr -n security.capability \
        -v 0x0100000200200000000000000000000000000000 ping && setfattr -n user.k -v v etc/b || echo none > none";
    let layer = host.run(&[base()], script);
    if short(&layer).contains(&"f none".to_owned()) {
        println!("skipped: setfattr is missing");
        return;
    }
    assert_eq!(short(&layer), ["f ping"]);
    let ping = layer.entries().unwrap().iter().find(|entry| entry.path == path("ping")).unwrap();
    assert_eq!(ping.meta.xattrs.keys().map(|key| &**key).collect::<Vec<_>>(), [b"security.capability"]);
}

#[test]
fn a_huge_directory_made_anew_is_opaque() {
    let Some(host) = Host::new() else { return };
    let mut entries = vec![dir("big")];
    entries.extend((0..1200).map(|n| file(&format!("big/{n}"), "x")));
    let layer = host.run(&[self::layer(entries)], "rm -r big; mkdir big; echo n > big/5");
    assert_eq!(short(&layer), ["o big", "f big/5"]);
    // Below one that is spelled out, overlay itself has marked only the upper one.
    let mut entries = vec![dir("d"), file("d/x", "x"), dir("d/big")];
    entries.extend((0..1200).map(|n| file(&format!("d/big/{n}"), "x")));
    let layer = host.run(&[self::layer(entries)], "rm -r d; mkdir -p d/big; echo n > d/big/5");
    assert_eq!(short(&layer), ["d d", "o d/big", "f d/big/5", "w d/x"]);
}

#[test]
fn mount_points_do_not_show() {
    let Some(host) = Host::new() else { return };
    let target = |name: &str, kind| MountTarget { path: path(name), kind };
    let targets = [
        target("proc", TargetKind::Directory),
        target("etc/resolv.conf", TargetKind::File),
        target("mnt/cache/x", TargetKind::Directory),
    ];
    let layer =
        host.run_with(&[base()], &targets, "test -d proc; test -f etc/resolv.conf; rmdir mnt/cache/x mnt/cache mnt");
    assert_eq!(short(&layer), Vec::<String>::new());
    let layer = host.run_with(&[base()], &targets, "rmdir mnt/cache/x; echo y > mnt/cache/y");
    assert_eq!(short(&layer), ["d mnt", "d mnt/cache", "f mnt/cache/y"]);
    let (trees, rootfs) = host.stack(&[base()]);
    let wrong = [target("etc/a/x", TargetKind::Directory)];
    let error = host.overlay.prepare(&Stack { trees: &trees, rootfs: &rootfs }, &wrong).unwrap_err();
    assert!(matches!(error, Error::MountTarget { .. }) && error.to_string().contains("/etc/a"), "{error}");
}

#[test]
fn a_step_over_nothing_works() {
    let Some(host) = Host::new() else { return };
    let layer = host.run(&[], "echo x > x");
    assert_eq!(short(&layer), ["f x"]);
}

#[test]
fn the_root_keeps_mode_and_owner() {
    let Some(host) = Host::new() else { return };
    let mut root = dir("");
    root.meta.mode = 0o711;
    root.meta.uid = 7;
    let below = layer(vec![root, file("x", "x")]);
    let layer = host.run(std::slice::from_ref(&below), "test $(stat -c %a:%u .) = 711:7; echo y > y");
    assert_eq!(short(&layer), ["f y"]);
    let layer = host.run(&[below], "chmod 755 .");
    assert_eq!(short(&layer), ["d "]);
}

#[test]
fn directories_that_an_archive_did_not_list_keep_the_lower_attributes() {
    let Some(host) = Host::new() else { return };
    let mut tmp = dir("tmp");
    tmp.meta.mode = 0o1777;
    let below = layer(vec![tmp, dir("usr"), dir("usr/lib"), entry("lib", EntryKind::Symlink((*b"usr/lib").into()))]);
    let implicit = |name: &str| entry(name, EntryKind::Directory { opaque: false, implicit: true });
    let above = layer(vec![implicit("tmp"), file("tmp/f", "f"), implicit("lib"), file("lib/so", "so")]);
    let script = "test $(stat -c %a tmp) = 1777; test -L lib; test -f usr/lib/so; echo y > tmp/y";
    let layer = host.run(&[below, above], script);
    assert_eq!(short(&layer), ["d tmp", "f tmp/y"]);
}

#[test]
fn hundreds_of_layers_are_stacked() {
    let Some(host) = Host::new() else { return };
    for count in [120, 501] {
        let mut layers: Vec<Layer> = (0..count)
            .map(|n| layer(vec![dir("d"), file(&format!("d/{n}"), &n.to_string()), file("same", &n.to_string())]))
            .collect();
        layers.insert(60, layer(vec![dir("d"), Entry::whiteout(path("d/7"))]));
        let (trees, rootfs) = host.stack(&layers);
        let snapshot = host.overlay.prepare(&Stack { trees: &trees, rootfs: &rootfs }, &[]).unwrap();
        let mount = snapshot.mount().unwrap();
        let attached = Attached::new(host.dir.path(), &mount);
        assert_eq!(fs::read_to_string(attached.0.join("same")).unwrap(), (count - 1).to_string());
        assert_eq!(listing(&attached.0, &[]), merged(&layers));
        assert!(!attached.0.join("d/7").exists());
        sh(&attached.0, "rm d/0; echo n > n");
        drop((attached, mount));
        assert_eq!(short(&snapshot.commit().unwrap()), ["d d", "w d/0", "f n"]);
    }
}

#[test]
fn a_forged_redirect_is_refused() {
    let Some(host) = Host::new() else { return };
    let (trees, rootfs) = host.stack(&[base()]);
    let snapshot = host.overlay.prepare(&Stack { trees: &trees, rootfs: &rootfs }, &[]).unwrap();
    let upper = fs::read_dir(host.dir.path().join("store/uppers")).unwrap();
    let upper = upper.map(|item| item.unwrap().path()).find(|path| path.join("fs").is_dir()).unwrap();
    fs::create_dir(upper.join("fs/alias")).unwrap();
    rustix::fs::setxattr(upper.join("fs/alias"), c"trusted.overlay.redirect", b"/etc", XattrFlags::empty()).unwrap();
    let error = snapshot.commit().unwrap_err();
    assert!(matches!(error, Error::ForgedUpper { .. }) && error.to_string().contains("/alias"), "{error}");
}

#[test]
fn a_step_cannot_write_marks_through_the_mount() {
    check("mkdir m; setfattr -n trusted.overlay.opaque -v y m || true", &["d m"]);
}

#[test]
fn views_are_read_only_or_thrown_away() {
    let Some(host) = Host::new() else { return };
    let (trees, rootfs) = host.stack(&[base()]);
    let stack = Stack { trees: &trees, rootfs: &rootfs };
    let view = host.overlay.view(&stack, Access::ReadOnly).unwrap();
    let attached = Attached::new(host.dir.path(), &view);
    assert!(fs::write(attached.0.join("etc/a"), "z").is_err());
    drop((attached, view));
    let view = host.overlay.view(&stack, Access::Private).unwrap();
    let attached = Attached::new(host.dir.path(), &view);
    fs::write(attached.0.join("etc/a"), "z").unwrap();
    drop((attached, view));
    assert_eq!(fs::read_to_string(trees[0].path().join("etc/a")).unwrap(), "a");
}

#[test]
fn what_a_killed_process_left_is_cleared_away() {
    let Some(host) = Host::new() else { return };
    if std::env::args().any(|argument| argument == "--strake-child") {
        return;
    }
    // A store of its own, used by a child that is killed while its step's mount is in place.
    let root = host.dir.path().join("other");
    let place = host.dir.path().join("place");
    fs::create_dir(&place).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_waits_to_be_killed", "--nocapture"])
        .env("STRAKE_TEST_STORE", &root)
        .env("STRAKE_TEST_PLACE", &place)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !place.join("ready").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the child ended");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(place.join("ready").exists(), "the mount outlives the process");
    drop(Store::open(&root, StoreOptions::default()).unwrap());
    assert!(!place.join("ready").exists(), "the mount is gone");
    assert_eq!(fs::read_dir(root.join("uppers")).unwrap().count(), 0);
}

/// Not a test of its own: what [`what_a_killed_process_left_is_cleared_away`] starts.
#[test]
fn child_that_waits_to_be_killed() {
    let (Some(root), Some(place)) = (std::env::var_os("STRAKE_TEST_STORE"), std::env::var_os("STRAKE_TEST_PLACE"))
    else {
        return;
    };
    let store = Arc::new(Store::open(Path::new(&root), StoreOptions::default()).unwrap());
    let overlay = OverlaySnapshotter::new(store).unwrap();
    let (trees, rootfs) = stack(&overlay, &[base()]);
    let snapshot = overlay.prepare(&Stack { trees: &trees, rootfs: &rootfs }, &[]).unwrap();
    let mount = snapshot.mount().unwrap();
    let MountKind::Detached(file) = mount.kind() else { panic!("not a mount") };
    rustix::mount::move_mount(file, c"", CWD, Path::new(&place), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).unwrap();
    fs::write(Path::new(&place).join("ready"), "").unwrap();
    loop {
        std::thread::park();
    }
}
