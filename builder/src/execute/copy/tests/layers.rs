//! What is in the layer: what changed, with the directories above it.

use super::*;

#[test]
fn a_layer_holds_what_changed_and_the_directories_above() {
    let mut bench = Bench::new(&["a.txt", "dir/bin/f", "dir/share/g"]).with_root(vec![
        directory("etc", 0o711),
        directory("usr", 0o755),
        directory("usr/local", 0o755),
        directory("usr/local/bin", 0o755),
    ]);
    bench.run("COPY a.txt /etc/a.txt");
    assert_eq!(bench.last(), ["/etc d711", "/etc/a.txt f644 a.txt"]);
    bench.run("COPY a.txt /new/p/a.txt");
    assert_eq!(bench.last(), ["/new d755", "/new/p d755", "/new/p/a.txt f644 a.txt"]);
    bench.run("COPY dir /usr/local");
    let names: Vec<String> = bench.last().iter().map(|line| line.split(' ').next().expect("a path").into()).collect();
    assert_eq!(
        names,
        ["/usr", "/usr/local", "/usr/local/bin", "/usr/local/bin/f", "/usr/local/share", "/usr/local/share/g"]
    );
}

#[cfg(unix)]
#[test]
fn the_same_copy_again_is_an_empty_layer() {
    let mut bench = Bench::new(&["a.txt", "dir/f", "dir/sub/g"]);
    bench.run("COPY a.txt /d/a.txt").run("COPY dir /e");
    bench.run("COPY a.txt /d/a.txt");
    assert!(bench.last().is_empty(), "{:?}", bench.last());
    bench.run("COPY dir /e");
    assert!(bench.last().is_empty(), "{:?}", bench.last());
    // Equal bytes of another time are a change.
    write(bench.path(), "dir/sub/g", "h\n");
    bench.run("COPY dir /e");
    let changed = bench.last().iter().any(|line| line.ends_with("/e/sub/g f644 h"));
    assert!(changed, "{:?}", bench.last());
    assert!(!bench.last().iter().any(|line| line.starts_with("/e/f ")), "{:?}", bench.last());
}

#[test]
fn link_layers_hold_their_parents_whatever_is_below() {
    let mut bench = Bench::new(&["a.txt", "dir/sub/f"]).with_root(vec![owned(directory("etc", 0o700), 9, 9)]);
    bench.run("COPY --link a.txt /etc/conf.d/a.txt");
    assert_eq!(bench.last(), ["/etc d755", "/etc/conf.d d755", "/etc/conf.d/a.txt f644 a.txt"]);
    bench.run("COPY --link --chown=5:6 dir /etc/conf.d/");
    assert_eq!(
        bench.last(),
        ["/etc d755 5:6", "/etc/conf.d d755 5:6", "/etc/conf.d/sub d755 5:6", "/etc/conf.d/sub/f f644 5:6 f"]
    );
}

#[test]
fn a_tree_over_the_root_changes_directories_below_it() {
    let mut bench = Bench::new(&["rootfs/tmp/t", "rootfs/opt/o"]).with_root(base());
    bench.run("COPY rootfs /");
    assert_eq!(bench.below("/tmp"), ["/tmp d755", "/tmp/t f644 t"]);
    assert_eq!(bench.below("/opt/real"), ["/opt/real d755", "/opt/real/file f644 real"]);
}

#[test]
fn entries_are_ready_for_a_layer() {
    let mut bench = Bench::new(&["dir/a", "dir/a-b", "dir/a.c/d"]);
    bench.run("COPY dir /t");
    let layer = strake_layers::Layer::from_plan(bench.last.clone()).expect("hashes are filled");
    let mut again = Bench::new(&[]);
    again.folder = std::mem::replace(&mut bench.folder, tempfile::tempdir().expect("a folder"));
    again.run("COPY dir /t");
    assert_eq!(strake_layers::Layer::from_plan(again.last.clone()).expect("hashes").id(), layer.id());
}

#[test]
fn a_name_that_deletes_is_no_file() {
    let mut bench = Bench::new(&["tree/.wh.gone", "tree/new"]).with_root(vec![
        directory("t", 0o755),
        file("t/gone", 0o644, "g"),
        file("t/kept", 0o644, "k"),
    ]);
    bench.run("COPY tree /t");
    assert_eq!(bench.last(), ["/t d755", "/t/gone gone", "/t/new f644 new"]);
    assert_eq!(bench.tree(), ["/t d755", "/t/kept f644 k", "/t/new f644 new"]);
    assert_eq!(bench.warnings.len(), 1);
}

#[test]
fn what_a_directory_hid_in_its_image_hides_nothing_here() {
    let hiding = |implicit| Entry {
        kind: EntryKind::Directory { opaque: true, implicit },
        ..owned(directory("d", if implicit { 0o755 } else { 0o711 }), 7, 7)
    };
    for implicit in [false, true] {
        let source = Rootfs::new(vec![vec![hiding(implicit), file("d/new", 0o644, "new")].into()]);
        let tree = Tree::rootfs(Arc::new(source), false, "stage a");
        for line in ["COPY / /", "COPY --link / /"] {
            let root = vec![directory("d", 0o755), file("d/old", 0o644, "old")];
            let mut bench = Bench::new(&[]).with_root(root);
            bench.run_from(line, &tree);
            assert_eq!(bench.last()[1..], ["/d/new f644 new"], "{line}");
            assert!(bench.last()[0].starts_with("/d d7"), "{line}: {:?}", bench.last());
            assert_eq!(bench.below("/d").len(), 3, "{line}: {:?}", bench.below("/d"));
            assert!(bench.last.iter().all(|entry| !matches!(entry.kind, EntryKind::Directory { implicit: true, .. })));
        }
    }
}
