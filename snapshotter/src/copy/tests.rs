use std::fs;
use std::path::{Path, PathBuf};

use strake_layers::{Entry, EntryKind, Metadata, Timestamp};

use super::*;
use crate::{StoreOptions, TargetKind};

struct Host {
    _dir: tempfile::TempDir,
    snapshotter: CopySnapshotter,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), StoreOptions::default()).unwrap();
        Self { _dir: dir, snapshotter: CopySnapshotter::new(Arc::new(store)) }
    }

    fn stack(&self, layers: &[Layer]) -> (Vec<Tree>, Arc<Rootfs>) {
        let mut rootfs = Rootfs::default();
        let mut trees = Vec::new();
        for layer in layers {
            let tree = self.snapshotter.materialise(layer, Some(&rootfs)).unwrap();
            rootfs = rootfs.with_layer(tree.entries().clone());
            trees.push(tree);
        }
        (trees, Arc::new(rootfs))
    }

    fn run(&self, targets: &[MountTarget], step: impl FnOnce(&Path)) -> Vec<String> {
        let (trees, rootfs) = self.stack(&[base()]);
        let snapshot = self.snapshotter.prepare(&Stack { trees: &trees, rootfs: &rootfs }, targets).unwrap();
        let MountKind::Directory(root) = snapshot.mount().unwrap().kind().clone_path() else { panic!() };
        step(&root);
        let layer = snapshot.commit().unwrap();
        // The tree of the layer holds its files.
        let tree = self.snapshotter.materialise(&layer, Some(&rootfs)).unwrap();
        for entry in tree.entries().iter().filter(|entry| matches!(entry.kind, EntryKind::File(_))) {
            assert!(tree.path().join(entry.path.to_string().trim_start_matches('/')).is_file(), "{}", entry.path);
        }
        layer.entries().unwrap().iter().map(short).collect()
    }
}

impl MountKind {
    fn clone_path(&self) -> Self {
        match self {
            Self::Directory(path) => Self::Directory(path.clone()),
            Self::Detached(_) => panic!("a copy has no mount"),
        }
    }
}

fn short(entry: &Entry) -> String {
    let letter = match entry.kind {
        EntryKind::Directory { .. } => 'd',
        EntryKind::File(_) => 'f',
        EntryKind::HardLink(_) => 'h',
        EntryKind::Whiteout => 'w',
        _ => '?',
    };
    format!("{letter} {}", entry.path)
}

fn path(text: &str) -> ImagePath {
    ImagePath::parse(text).unwrap()
}

fn base() -> Layer {
    let meta = |mode| Metadata { mode, mtime: Timestamp::from_seconds(1_000_000_000), ..Metadata::default() };
    Layer::from_plan(vec![
        Entry::directory(path("etc"), meta(0o755)),
        Entry::inline_file(path("etc/a"), meta(0o644), b"a".to_vec()),
        Entry::inline_file(path("etc/b"), meta(0o644), b"b".to_vec()),
        Entry::directory(path("d"), meta(0o755)),
        Entry::directory(path("d/s"), meta(0o755)),
        Entry::inline_file(path("d/s/x"), meta(0o644), b"x".to_vec()),
    ])
    .unwrap()
}

#[test]
fn nothing_done_is_an_empty_layer() {
    assert_eq!(Host::new().run(&[], |_| {}), Vec::<String>::new());
}

#[test]
fn additions_changes_and_removals_are_found() {
    let changes = Host::new().run(&[], |root| {
        fs::write(root.join("etc/a"), "A").unwrap();
        fs::remove_file(root.join("etc/b")).unwrap();
        fs::remove_dir_all(root.join("d")).unwrap();
        fs::create_dir_all(root.join("n/m")).unwrap();
        fs::write(root.join("n/m/f"), "f").unwrap();
    });
    assert_eq!(changes, ["w /d", "d /etc", "f /etc/a", "w /etc/b", "d /n", "d /n/m", "f /n/m/f"]);
}

/// Elsewhere no file tells when it was changed, whatever its time says.
#[cfg(unix)]
#[test]
fn other_bytes_under_the_old_time_are_found() {
    let changes = Host::new().run(&[], |root| {
        let file = root.join("etc/a");
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "z").unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    });
    assert_eq!(changes, ["d /etc", "f /etc/a"]);
}

#[test]
fn a_file_written_anew_with_the_same_everything_is_no_change() {
    let changes = Host::new().run(&[], |root| {
        let file = root.join("etc/a");
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "a").unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    });
    assert_eq!(changes, Vec::<String>::new());
}

#[test]
fn a_directory_in_the_place_of_a_file_and_back() {
    let changes = Host::new().run(&[], |root| {
        fs::remove_file(root.join("etc/a")).unwrap();
        fs::create_dir(root.join("etc/a")).unwrap();
        fs::remove_dir_all(root.join("d")).unwrap();
        fs::write(root.join("d"), "d").unwrap();
    });
    assert_eq!(changes, ["f /d", "d /etc", "d /etc/a"]);
}

#[test]
fn mount_points_do_not_show() {
    let targets = [
        MountTarget { path: path("proc"), kind: TargetKind::Directory },
        MountTarget { path: path("etc/hosts"), kind: TargetKind::File },
        MountTarget { path: path("mnt/x/y"), kind: TargetKind::Directory },
    ];
    let host = Host::new();
    let there = |root: &Path| ["proc", "etc/hosts", "mnt/x/y"].iter().all(|name| root.join(name).exists());
    assert_eq!(host.run(&targets, |root| assert!(there(root))), Vec::<String>::new());
    let changes = host.run(&targets, |root| fs::write(root.join("mnt/x/f"), "").unwrap());
    assert_eq!(changes, ["d /mnt", "d /mnt/x", "f /mnt/x/f"]);
}

#[test]
fn mount_points_that_cannot_be_made_are_named() {
    let host = Host::new();
    let (trees, rootfs) = host.stack(&[base()]);
    let stack = Stack { trees: &trees, rootfs: &rootfs };
    let said = [
        &[("etc/a", TargetKind::Directory)][..],
        &[("etc", TargetKind::File)],
        &[("etc/a/x", TargetKind::Directory)],
        &[("mnt/x", TargetKind::File), ("mnt/x/y", TargetKind::Directory)],
    ]
    .map(|targets| {
        let targets: Vec<_> =
            targets.iter().map(|(name, kind)| MountTarget { path: path(name), kind: *kind }).collect();
        host.snapshotter.prepare(&stack, &targets).err().unwrap().to_string()
    });
    insta::assert_snapshot!(said.join("\n"), @r"
    /etc/a cannot be a mount point: the image has a file there
    /etc cannot be a mount point: the image has a directory there
    /etc/a/x cannot be a mount point: /etc/a is a file in the image
    /mnt/x/y cannot be a mount point: another mount needs a file there
    ");
}

#[test]
fn views_of_several_layers_are_merged() {
    let host = Host::new();
    let above = Layer::from_plan(vec![
        Entry::directory(path("etc"), Metadata { mode: 0o755, ..Metadata::default() }),
        Entry::whiteout(path("etc/a")),
        Entry {
            path: path("d"),
            meta: Metadata::default(),
            kind: EntryKind::Directory { opaque: true, implicit: false },
        },
    ])
    .unwrap();
    let (trees, rootfs) = host.stack(&[base(), above]);
    let view = host.snapshotter.view(&Stack { trees: &trees, rootfs: &rootfs }, Access::ReadOnly).unwrap();
    let MountKind::Directory(root) = view.kind().clone_path() else { panic!() };
    assert!(root.join("etc/b").is_file() && !root.join("etc/a").exists() && !root.join("d/s").exists());
    let held: PathBuf = root.clone();
    drop(view);
    assert!(!held.exists());
    assert!(trees[0].path().join("etc/a").exists());
}
