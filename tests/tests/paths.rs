//! Where paths lead: the mount-free view of layers against the kernel after `chroot`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use strake_layers::{Entry, EntryKind, ImagePath, Metadata, Rootfs};
use strake_tests::{BUSYBOX, needs_root};

/// What is at a path.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Directory,
    File,
    Link(String),
}

/// A tree, without its root.
type Tree = BTreeMap<String, Node>;

/// Says for each line of its input where that path leads: the file's content is its real path.
const ASK: &str = r#"
while IFS= read -r path; do
    if [ -d "/$path" ]; then (cd -P "/$path" && pwd -P)
    elif [ -f "/$path" ]; then read -r real <"/$path"; echo "$real"
    else echo nothing; fi
done"#;

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "d"])
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..5).prop_map(|names| names.join("/"))
}

/// Targets of links. `..` stands at the beginning only: behind a name that does not exist the kernel refuses it, and a
/// Dockerfile's destination, which may be yet to come, takes the name away.
fn target() -> impl Strategy<Value = String> {
    let ups = prop::sample::select(vec!["", "/", "./", "../", "../../", "../../../../", "/../"]);
    (ups, path()).prop_map(|(ups, path)| format!("{ups}{path}"))
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![Just(Node::Directory), Just(Node::File), target().prop_map(Node::Link), target().prop_map(Node::Link)]
}

/// A tree in which nothing lies below what is no directory.
fn tree() -> impl Strategy<Value = Tree> {
    prop::collection::vec((path(), node()), 1..24).prop_map(|wanted| {
        let mut tree = Tree::new();
        for (path, node) in wanted {
            let parents: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
            if parents.iter().any(|parent| tree.get(*parent).is_some_and(|node| *node != Node::Directory)) {
                continue;
            }
            for parent in parents {
                tree.insert(parent.to_owned(), Node::Directory);
            }
            tree.entry(path).or_insert(node);
        }
        tree
    })
}

/// The tree on the disk, with a shell in it.
fn write(tree: &Tree, root: &Path) {
    for (path, node) in tree {
        let at = root.join(path);
        match node {
            Node::Directory => fs::create_dir(at).unwrap(),
            Node::File => fs::write(at, format!("/{path}\n")).unwrap(),
            Node::Link(target) => symlink(target, at).unwrap(),
        }
    }
    fs::copy(BUSYBOX, root.join("busybox")).unwrap();
}

/// The tree as layers: each entry in one of them, with the directories above it.
fn layers(tree: &Tree, count: usize) -> Rootfs {
    let entry = |path: &String, node: &Node| {
        let meta = Metadata { mode: 0o755, ..Metadata::default() };
        let path = ImagePath::parse(path).unwrap();
        let kind = match node {
            Node::Directory => EntryKind::Directory { opaque: false, implicit: false },
            Node::File => return Entry::inline_file(path, meta, Vec::new()),
            Node::Link(target) => EntryKind::Symlink(target.as_bytes().into()),
        };
        Entry { path, meta, kind }
    };
    let layers = (0..count).map(|layer| {
        let mine = tree.iter().enumerate().filter(|(at, (_, node))| at % count == layer || **node == Node::Directory);
        let mut entries: Vec<Entry> = mine.map(|(_, (path, node))| entry(path, node)).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries.into()
    });
    Rootfs::new(layers.collect())
}

/// Asks the kernel, in one process for all paths.
fn ask_kernel(root: &Path, paths: &[String]) -> Vec<String> {
    let mut shell = Command::new("chroot");
    shell.arg(root).args(["/busybox", "ash", "-c", ASK]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = shell.env("PATH", std::env::var_os("PATH").unwrap_or_default()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text: String = paths.iter().map(|path| format!("{path}\n")).collect();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Asks the view.
fn ask_view(rootfs: &Rootfs, path: &str) -> String {
    match rootfs.resolve(&ImagePath::parse(path).unwrap()) {
        Ok(real) if rootfs.lookup(&real).is_some() => real.to_string(),
        // Too many links, or nothing there.
        _ => "nothing".to_owned(),
    }
}

#[test]
fn paths_lead_where_the_kernel_says_after_chroot() {
    if !needs_root("paths_lead_where_the_kernel_says_after_chroot") {
        return;
    }
    let mut runner = TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
    let input = (tree(), prop::collection::vec(path(), 20), 1..4_usize);
    let outcome = runner.run(&input, |(tree, mut paths, count)| {
        paths.extend(tree.keys().cloned());
        let root = tempfile::tempdir().unwrap();
        write(&tree, root.path());
        let rootfs = layers(&tree, count);
        let kernel = ask_kernel(root.path(), &paths);
        let view: Vec<String> = paths.iter().map(|path| ask_view(&rootfs, path)).collect();
        let asked = |answers: Vec<String>| paths.iter().cloned().zip(answers).collect::<Vec<_>>();
        prop_assert_eq!(asked(view), asked(kernel));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
