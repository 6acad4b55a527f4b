use std::fs;
use std::path::Path;

use super::*;
use crate::source::Tree;

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, text).expect("written");
}

fn options() -> ContextOptions {
    ContextOptions {
        name: "build context".into(),
        ignore: None,
        modes: Modes::Kept,
        memo_file: None,
        now: Timestamp::from_seconds(i64::MAX / 2_000_000_000),
        notices: NoticeSink::silent(),
        cancel: Cancel::new(),
    }
}

fn open(folder: &Path, options: ContextOptions) -> Context {
    Context::new(Arc::new(HostDir::open(folder).expect("a folder")), options).expect("a context")
}

/// Every path of a context, the directories among them with a slash.
fn names(context: &Context) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![ImagePath::root()];
    while let Some(path) = waiting.pop() {
        for child in context.children(&path).expect("readable").iter() {
            let slash = if child.entry.is_directory() { "/" } else { "" };
            found.push(format!("{}{slash}", String::from_utf8_lossy(child.entry.path.as_bytes())));
            if child.entry.is_directory() {
                waiting.push(child.entry.path.clone());
            }
        }
    }
    found.sort();
    found
}

fn ignored(rules: &str, files: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for file in files {
        write(folder.path(), file, "x");
    }
    let ignore = Some(IgnoreFile::parse(".dockerignore", rules.as_bytes()).expect("rules"));
    names(&open(folder.path(), ContextOptions { ignore, ..options() }))
}

#[test]
fn ignore_rules_hold_during_the_descent() {
    let table: [(&str, &[&str], &[&str]); 7] = [
        (
            "*\n!src\n!package.json\nsrc/**/*.tmp\n",
            &["src/a/b.tmp", "src/main", "package.json", "x/y"],
            &["package.json", "src/", "src/a/", "src/main"],
        ),
        ("a/**\n", &["a/b/y", "a/x", "ab/x"], &["a/", "ab/", "ab/x"]),
        ("**/cache\n", &["cache/x", "s/cache/y", "s/cache.d"], &["s/", "s/cache.d"]),
        (
            "vendor\n!vendor/lib/keep.c\n!vendor/doc\n",
            &["vendor/a", "vendor/doc/x/y", "vendor/lib/drop.c", "vendor/lib/keep.c"],
            &["vendor/", "vendor/doc/", "vendor/doc/x/", "vendor/doc/x/y", "vendor/lib/", "vendor/lib/keep.c"],
        ),
        ("build\n!build/none.txt\n", &["build/out/a", "kept"], &["kept"]),
        ("one/*\n**/*.o\nthree\n", &["one/a", "two/x.o", "three/d"], &["one/", "two/"]),
        ("/top\n./sub/../two\n", &["top", "two", "sub/top"], &["sub/", "sub/top"]),
    ];
    for (rules, files, expected) in table {
        assert_eq!(ignored(rules, files), expected, "{rules:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_excluded_directory_is_never_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "kept", "x");
    write(folder.path(), "left-out/x", "x");
    let ignore = Some(IgnoreFile::parse(".dockerignore", b"left-out\n").expect("rules"));
    let context = open(folder.path(), ContextOptions { ignore, ..options() });
    context.load(&ImagePath::root()).expect("read");
    let read = context.directories.read().expect("not poisoned");
    assert_eq!(read.len(), 1);
    assert_eq!(context.ignoring_rule(&ImagePath::parse("left-out/x").expect("a path")).map(|rule| rule.1), Some(1));
}

#[cfg(unix)]
#[test]
fn only_what_is_asked_for_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["a/b/c", "d/e/f", "g"] {
        write(folder.path(), file, "x");
    }
    let context = open(folder.path(), options());
    assert!(context.get(&ImagePath::parse("a/b/c").expect("a path")).expect("read").is_some());
    assert!(context.get(&ImagePath::parse("g/x").expect("a path")).expect("read").is_none());
    let read = context.directories.read().expect("not poisoned");
    assert!(!read.contains_key(&ImagePath::parse("d").expect("a path")));
}

#[cfg(unix)]
#[test]
fn special_files_neither_block_nor_vanish_silently() {
    use std::sync::Mutex;

    use strake_layers::Notice;

    let folder = tempfile::tempdir().expect("a folder");
    let fifo = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status().expect("mkfifo runs");
    assert!(fifo.success());
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).expect("bound");
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let notices = NoticeSink::new(move |notice| {
        if let Notice::Warning(text) = notice {
            sink.lock().expect("not poisoned").push(text);
        }
    });
    let context = open(folder.path(), ContextOptions { notices, ..options() });
    let children = context.children(&ImagePath::root()).expect("readable");
    let kinds: Vec<_> = children.iter().map(|child| &child.entry.kind).collect();
    assert!(matches!(kinds.as_slice(), [EntryKind::Fifo, EntryKind::File(content)] if content.size == 0), "{kinds:?}");
    assert!(told.lock().expect("not poisoned")[0].contains("socket"));
    assert!(read_small(&context.root, &ImagePath::parse("pipe").expect("a path"), 10).is_err());
}

/// All files with their hashes.
fn hashes(context: &Context) -> Vec<(String, String)> {
    let mut entries: Vec<Entry> =
        context.children(&ImagePath::root()).expect("readable").iter().map(|child| child.entry.clone()).collect();
    context.fill_hashes(&mut entries).expect("readable");
    let hash = |entry: &Entry| match &entry.kind {
        EntryKind::File(content) => content.hash.expect("filled").hex(),
        _ => String::new(),
    };
    entries.iter().map(|entry| (entry.path.to_string(), hash(entry))).collect()
}

#[cfg(unix)]
fn with_memo(folder: &Path, memo: &Path) -> Context {
    let memo = memo.to_owned();
    let file = MemoFile(Arc::new(move |_: &[u8; 32]| memo.clone()));
    open(folder, ContextOptions { memo_file: Some(file), ..options() })
}

#[cfg(unix)]
#[test]
fn content_is_seen_whatever_its_times_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let memo = tempfile::tempdir().expect("a folder");
    let memo = memo.path().join("memo.stat");
    write(folder.path(), "same", "old");
    let before = fs::metadata(folder.path().join("same")).expect("there");
    let context = with_memo(folder.path(), &memo);
    let first = hashes(&context);
    context.save();
    assert!(memo.exists());
    assert_eq!(hashes(&with_memo(folder.path(), &memo)), first);
    // Another file of the same size and time is renamed over it.
    write(folder.path(), ".other", "new");
    let times = fs::FileTimes::new().set_modified(before.modified().expect("known"));
    let other = fs::File::options().write(true).open(folder.path().join(".other")).expect("opened");
    other.set_times(times).expect("set");
    fs::rename(folder.path().join(".other"), folder.path().join("same")).expect("renamed");
    let second = hashes(&with_memo(folder.path(), &memo));
    assert_ne!(second, first);
    // And written in place, with its time set back.
    fs::write(folder.path().join("same"), "old").expect("written");
    let file = fs::File::options().write(true).open(folder.path().join("same")).expect("opened");
    file.set_times(times).expect("set");
    assert_eq!(hashes(&with_memo(folder.path(), &memo)), first);
}

#[test]
fn a_file_that_changed_since_the_scan_is_looked_at_again() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "f", "short");
    let context = open(folder.path(), options());
    context.load(&ImagePath::root()).expect("read");
    write(folder.path(), "f", "something longer");
    let found = hashes(&context);
    assert_eq!(found[0].1, strake_layers::ContentHash::of(b"something longer").hex());
}

#[test]
fn suggestions_come_from_the_nearest_directory() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "conf/app.toml", "x");
    let tree = Tree::context(Arc::new(open(folder.path(), options())));
    assert_eq!(tree.names_near(&ImagePath::parse("conf/x/y").expect("a path")), ["conf/app.toml"]);
}
