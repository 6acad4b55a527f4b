//! Modes, owners, times, attributes, hard links.

use super::*;

#[cfg(unix)]
#[test]
fn modes_are_kept_special_bits_included() {
    let mut bench = Bench::new(&["tree/private", "tree/setuid", "tree/none", "tree/dir/f", "tree/sg/f"]);
    for (path, mode) in
        [("tree/private", 0o600), ("tree/setuid", 0o4755), ("tree/none", 0), ("tree/dir", 0o700), ("tree/sg", 0o2775)]
    {
        set_mode(bench.path(), path, mode);
    }
    bench.run("COPY tree /t").run("COPY tree/setuid /single");
    let modes: Vec<String> = bench.root.flatten().iter().map(|e| format!("{} {:o}", e.path, e.meta.mode)).collect();
    assert_eq!(
        modes,
        [
            "/single 4755",
            "/t 755",
            "/t/dir 700",
            "/t/dir/f 644",
            "/t/none 0",
            "/t/private 600",
            "/t/setuid 4755",
            "/t/sg 2775",
            "/t/sg/f 644",
        ]
    );
}

#[cfg(unix)]
#[test]
fn chmod_octal_and_symbolic() {
    let mut bench = Bench::new(&["tree/f", "tree/sub/g"]);
    set_mode(bench.path(), "tree/f", 0o640);
    symlink(bench.path(), "f", "tree/l");
    bench.run("COPY --chmod=1777 tree /a").run("COPY --chmod=a+x tree /b").run("COPY --chmod=02755 tree/f /p/q/f");
    assert_eq!(
        bench.tree(),
        [
            "/a d777",
            "/a/f f1777 f",
            "/a/l l -> f",
            "/a/sub d1777",
            "/a/sub/g f1777 g",
            "/b d755",
            "/b/f f751 f",
            "/b/l l -> f",
            "/b/sub d755",
            "/b/sub/g f755 g",
            "/p d755",
            "/p/q d755",
            "/p/q/f f2755 f",
        ]
    );
}

#[test]
fn chown_forms() {
    let mut bench = Bench::new(&["a.txt"]).with_root(base());
    for (owner, name) in [
        ("5", "n"),
        ("5:6", "n-n"),
        ("app", "name"),
        ("www:extra", "name-name"),
        (":extra", "group"),
        ("app:9", "name-n"),
        ("nosuch", "unknown"),
        ("app:nosuch", "unknown-group"),
    ] {
        bench.run(&format!("COPY --chown={owner} a.txt /o/{name}"));
    }
    assert_eq!(
        bench.below("/o"),
        [
            "/o d755 5:5",
            "/o/group f644 0:2000 a.txt",
            "/o/n f644 5:5 a.txt",
            "/o/n-n f644 5:6 a.txt",
            "/o/name f644 1000:1000 a.txt",
            "/o/name-n f644 1000:9 a.txt",
            "/o/name-name f644 33:2000 a.txt",
            "/o/unknown f644 a.txt",
            "/o/unknown-group f644 1000:1000 a.txt",
        ]
    );
    assert_eq!(bench.warnings.len(), 2);
    assert!(Bench::new(&["a.txt"]).fail("COPY --chown=app a.txt /").contains("app"));
    assert!(bench.fail("COPY --link --chown=nosuch a.txt /").contains("nosuch"));
}

#[test]
fn made_parents_take_owner_and_octal_mode() {
    let mut bench = Bench::new(&["a.txt", "dir/in"]);
    bench.run("COPY --chown=55:66 a.txt /owned/p/f").run("COPY --chown=7 --chmod=0750 dir /both/p");
    assert_eq!(
        bench.tree(),
        [
            "/both d750 7:7",
            "/both/p d750 7:7",
            "/both/p/in f750 7:7 in",
            "/owned d755 55:66",
            "/owned/p d755 55:66",
            "/owned/p/f f644 55:66 a.txt",
        ]
    );
}

#[test]
fn directories_below_a_set_group_one_take_group_and_bit() {
    let mut bench = Bench::new(&["a.txt"]).with_root(vec![owned(directory("g", 0o2775), 1, 50)]);
    bench.run("COPY a.txt /g/new/a.txt");
    assert_eq!(bench.below("/g/new"), ["/g/new d2755 0:50", "/g/new/a.txt f644 a.txt"]);
}

#[test]
fn stages_keep_owners_and_lose_user_attributes() {
    let mut capable = file("x/sub/cap", 0o755, "c");
    capable.meta.xattrs.insert(b"security.capability".as_slice().into(), b"cap".as_slice().into());
    capable.meta.xattrs.insert(b"user.note".as_slice().into(), b"n".as_slice().into());
    let entries = vec![
        owned(directory("x", 0o1777), 33, 33),
        owned(directory("x/sub", 0o710), 1000, 2000),
        capable,
        owned(file("x/sub/f", 0o4750, "f"), 33, 2000),
        owned(link("x/sub/l", "f"), 1, 1),
    ];
    let stage = Bench::new(&[]).with_root(entries);
    let tree = Tree::rootfs(Arc::new(stage.root.clone()), false, "stage \"made\"");
    let mut bench = Bench::new(&[]);
    bench.run_from("COPY /x /p/x", &tree).run_from("COPY --chown=5 /x/sub/cap /q/", &tree);
    assert_eq!(
        bench.tree(),
        [
            "/p d755",
            "/p/x d755",
            "/p/x/sub d710 1000:2000",
            "/p/x/sub/cap f755 c",
            "/p/x/sub/f f4750 33:2000 f",
            "/p/x/sub/l l1:1 -> f".replace("l1:1", "l 1:1").as_str(),
            "/q d755 5:5",
            "/q/cap f755 5:5 c",
        ]
    );
    for path in ["p/x/sub/cap", "q/cap"] {
        let entry = bench.root.lookup(&image(path)).expect("copied");
        let names: Vec<&[u8]> = entry.meta.xattrs.keys().map(|name| &**name).collect();
        assert_eq!(names, [b"security.capability"]);
    }
}

#[test]
fn a_directory_that_is_there_keeps_owner_and_mode_and_takes_the_time() {
    let mut from = directory("from", 0o777);
    from.meta.mtime = Timestamp::from_seconds(99);
    let mut sub = owned(directory("from/sub", 0o700), 33, 33);
    sub.meta.mtime = Timestamp::from_seconds(77);
    let stage = Bench::new(&[]).with_root(vec![from, sub, file("from/f", 0o640, "f")]);
    let tree = Tree::rootfs(Arc::new(stage.root.clone()), false, "stage \"made\"");
    let mut bench = Bench::new(&[]).with_root(vec![owned(directory("old", 0o750), 1, 1), directory("old/sub", 0o755)]);
    bench.run_from("COPY /from/ /old/", &tree);
    assert_eq!(bench.tree(), ["/old d750 1:1", "/old/f f640 f", "/old/sub d700 33:33"]);
    let time = |path: &str| bench.root.lookup(&image(path)).expect("there").meta.mtime.seconds;
    assert_eq!((time("old"), time("old/sub")), (99, 77));
}

#[cfg(unix)]
#[test]
fn names_of_one_file_stay_so_inside_one_directory() {
    let mut bench = Bench::new(&["tree/one", "tree/other"]);
    std::fs::create_dir(bench.path().join("tree/sub")).expect("made");
    for to in ["tree/two", "tree/sub/three"] {
        std::fs::hard_link(bench.path().join("tree/one"), bench.path().join(to)).expect("linked");
    }
    bench.run("COPY tree /t").run("COPY tree/one tree/two /named/");
    assert_eq!(
        bench.tree(),
        [
            "/named d755",
            "/named/one f644 one",
            "/named/two f644 one",
            "/t d755",
            "/t/one f644 one",
            "/t/other f644 other",
            "/t/sub d755",
            "/t/sub/three h644 = /t/one",
            "/t/two h644 = /t/one",
        ]
    );
    // From a stage, too; and a name that is written over leaves the others.
    let tree = Tree::rootfs(Arc::new(bench.root.clone()), false, "stage \"made\"");
    let mut next = Bench::new(&["one"]);
    next.run_from("COPY t /u", &tree);
    write(next.path(), "one", "new\n");
    next.run("COPY one /u/one");
    assert_eq!(
        next.below("/u"),
        [
            "/u d755",
            "/u/one f644 new",
            "/u/other f644 other",
            "/u/sub d755",
            "/u/sub/three f644 one",
            "/u/two h644 = /u/sub/three",
        ]
    );
}

#[test]
fn made_directories_have_the_time_of_the_newest_file_or_the_epoch() {
    let mut old = file("src/old", 0o644, "o");
    old.meta.mtime = Timestamp::from_seconds(500);
    let mut source = directory("src", 0o755);
    source.meta.mtime = Timestamp::from_seconds(9000);
    let stage = Bench::new(&[]).with_root(vec![source, old, directory("empty", 0o755)]);
    let tree = Tree::rootfs(Arc::new(stage.root.clone()), false, "stage \"made\"");
    let time = |bench: &Bench, path: &str| bench.root.lookup(&image(path)).expect("there").meta.mtime.seconds;
    let mut bench = Bench::new(&[]);
    bench.run_from("COPY src /a/b", &tree).run_from("COPY empty /c", &tree).run_from("COPY <<doc src/old /d/", &tree);
    assert_eq!(["a", "a/b", "d", "d/doc"].map(|path| time(&bench, path)), [500; 4]);
    assert_eq!(time(&bench, "c"), 315_532_800);
    bench.epoch = Some(Timestamp::from_seconds(7));
    bench.run_from("COPY src /e", &tree);
    assert_eq!(time(&bench, "e"), 7);
}
