//! Sources, wildcards and destinations.

use super::*;

#[test]
fn copy_file_and_destination_forms() {
    let mut bench = Bench::new(&["a.txt", "b.txt"]);
    bench.run("COPY a.txt /renamed").run("COPY a.txt /made/dir/").run("COPY b.txt /made/dir");
    bench.run("COPY a.txt /made/new/name.txt").run("COPY b.txt /");
    assert_eq!(
        bench.tree(),
        [
            "/b.txt f644 b.txt",
            "/made d755",
            "/made/dir d755",
            "/made/dir/a.txt f644 a.txt",
            "/made/dir/b.txt f644 b.txt",
            "/made/new d755",
            "/made/new/name.txt f644 a.txt",
            "/renamed f644 a.txt",
        ]
    );
}

#[test]
fn sources_never_leave_the_context() {
    let mut bench = Bench::new(&["a.txt", "dir/c.txt"]);
    bench.run("COPY /a.txt /1").run("COPY ../a.txt /2").run("COPY ../../../dir/../a.txt /3");
    bench.run("COPY //dir//c.txt /4").run("COPY dir/./../dir /5");
    assert_eq!(
        bench.tree(),
        ["/1 f644 a.txt", "/2 f644 a.txt", "/3 f644 a.txt", "/4 f644 c.txt", "/5 d755", "/5/c.txt f644 c.txt"]
    );
}

#[test]
fn a_directory_means_its_contents() {
    let mut bench = Bench::new(&["src/.hidden", "src/f", "src/sub/g"]);
    std::fs::create_dir(bench.path().join("src/empty")).expect("made");
    for (line, top) in [("COPY src /one", "/one"), ("COPY src/ /two/", "/two"), ("COPY src/. /a/b", "/a/b")] {
        bench.run(line);
        let inside: Vec<String> =
            ["", "/.hidden", "/empty", "/f", "/sub", "/sub/g"].map(|name| format!("{top}{name}")).to_vec();
        let found = bench.below(top);
        let names: Vec<&str> = found.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names, inside);
    }
}

#[test]
fn relative_destinations_start_at_workdir() {
    let mut bench = Bench::new(&["a.txt"]);
    bench.run("WORKDIR /srv/app").run("COPY a.txt ./").run("COPY a.txt sub/").run("COPY a.txt renamed");
    bench.run("COPY a.txt ../up.txt").run("COPY a.txt .");
    assert_eq!(
        bench.tree(),
        [
            "/srv d755",
            "/srv/app d755",
            "/srv/app/a.txt f644 a.txt",
            "/srv/app/renamed f644 a.txt",
            "/srv/app/sub d755",
            "/srv/app/sub/a.txt f644 a.txt",
            "/srv/up.txt f644 a.txt",
        ]
    );
}

#[test]
fn wildcards_choose_by_name() {
    let files =
        [".hidden", "a.txt", "b.txt", "f1.c", "f10.c", "f2.c", "f3.c", "sub/c.txt", "sub/deeper/in.d", "sub/in.d"];
    let table: [(&str, &[&str]); 7] = [
        ("*.txt", &["a.txt", "b.txt"]),
        ("f?.c", &["f1.c", "f2.c", "f3.c"]),
        ("f[0-2].c", &["f1.c", "f2.c"]),
        ("f[^1].c", &["f2.c", "f3.c"]),
        ("*/in.d", &["in.d"]),
        ("*den", &[".hidden"]),
        (".h*", &[".hidden"]),
    ];
    for (pattern, names) in table {
        let mut bench = Bench::new(&files);
        bench.run(&format!("COPY {pattern} /d/"));
        let expected: Vec<String> = names.iter().map(|name| format!("/d/{name} f644 {name}")).collect();
        assert_eq!(bench.below("/d")[1..], expected, "{pattern}");
    }
}

#[test]
fn a_wildcard_that_matches_nothing_copies_nothing() {
    let mut bench = Bench::new(&["a.txt"]);
    bench.run("COPY *.zip /nowhere/");
    assert!(bench.tree().is_empty());
    assert_eq!(bench.warnings.len(), 1);
    bench.run("COPY *.gz a.tx? /mixed/");
    assert_eq!(bench.tree(), ["/mixed d755", "/mixed/a.txt f644 a.txt"]);
}

#[test]
fn directories_that_a_wildcard_finds_are_poured_out() {
    let mut bench = Bench::new(&["other/x", "pkg-a/f", "pkg-a/only-a", "pkg-b/sub/g", "pkg-c"]);
    write(bench.path(), "pkg-b/f", "from b\n");
    bench.run("COPY pkg-* /all/");
    assert_eq!(
        bench.tree(),
        [
            "/all d755",
            "/all/f f644 from b",
            "/all/only-a f644 only-a",
            "/all/pkg-c f644 pkg-c",
            "/all/sub d755",
            "/all/sub/g f644 g",
        ]
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_where_they_are_named_and_kept_inside_trees() {
    let mut bench = Bench::new(&["dir/in", "dir/sub/x", "file", "etc/passwd"]);
    for (target, path) in [
        ("file", "to-file"),
        ("dir", "to-dir"),
        ("to-file", "twice"),
        ("../../../../etc/passwd", "up"),
        ("/etc", "through"),
        ("../file", "dir/l-file"),
        ("no/such", "dir/l-dangling"),
    ] {
        symlink(bench.path(), target, path);
    }
    bench
        .run("COPY to-file twice up /d/")
        .run("COPY to-dir/in /f/")
        .run("COPY through/passwd /e/")
        .run("COPY to-dir /g");
    assert_eq!(
        bench.tree(),
        [
            "/d d755",
            "/d/to-file f644 file",
            "/d/twice f644 file",
            "/d/up f644 passwd",
            "/e d755",
            "/e/passwd f644 passwd",
            "/f d755",
            "/f/in f644 in",
            "/g d755",
            "/g/in f644 in",
            "/g/l-dangling l -> no/such",
            "/g/l-file l -> ../file",
            "/g/sub d755",
            "/g/sub/x f644 x",
        ]
    );
    bench.run("COPY to-* /w/");
    assert!(bench.below("/w").contains(&"/w/to-file f644 file".to_owned()), "{:?}", bench.below("/w"));
    assert!(bench.below("/w").contains(&"/w/in f644 in".to_owned()));
}

#[test]
fn destinations_go_through_links_of_the_image() {
    let mut bench = Bench::new(&["a.txt", "b.txt", "dir/tool", "tree/awk"]).with_root(base());
    bench.run("COPY a.txt /lib/mod/a.txt").run("COPY a.txt /var/run/").run("COPY b.txt /abs/");
    bench.run("COPY b.txt /opt/up/deeper/b.txt").run("COPY dir /bin").run("COPY a.txt /dangling");
    let tree = bench.tree();
    for expected in [
        "/usr/lib/mod/a.txt f644 a.txt",
        "/run/a.txt f644 a.txt",
        "/opt/real/b.txt f644 b.txt",
        "/opt/real/deeper/b.txt f644 b.txt",
        "/usr/bin/tool f644 tool",
        "/no/such/file f644 a.txt",
        "/lib l -> usr/lib",
        "/bin l -> usr/bin",
        "/dangling l -> /no/such/file",
    ] {
        assert!(tree.contains(&expected.to_owned()), "{expected} in {tree:#?}");
    }
    // A file goes through a link that is the destination itself; a file of a tree replaces the link.
    bench.run("COPY a.txt /bin/vi").run("COPY tree /bin");
    assert_eq!(bench.below("/usr/bin/busybox"), ["/usr/bin/busybox f644 a.txt"]);
    assert_eq!(bench.below("/usr/bin/vi"), ["/usr/bin/vi l -> busybox"]);
    assert_eq!(bench.below("/usr/bin/awk"), ["/usr/bin/awk f644 awk"]);
}

#[test]
fn link_does_not_follow_links_of_the_destination() {
    let mut bench = Bench::new(&["a.txt"]).with_root(base());
    bench.run("COPY --link a.txt /abs/a.txt");
    assert_eq!(bench.last(), ["/abs d755", "/abs/a.txt f644 a.txt"]);
}

#[test]
fn several_sources_to_one_name_leave_the_last() {
    let mut bench = Bench::new(&["a.txt", "b.txt"]);
    bench.run("COPY a.txt b.txt /out");
    assert_eq!(bench.tree(), ["/out f644 b.txt"]);
    assert!(bench.warnings[0].message.contains("each over the one before"), "{:?}", bench.warnings);
}

#[test]
fn exclude_counts_from_each_source() {
    let files = ["src/build/out", "src/f", "src/keep.tmp", "src/sub/y.tmp", "src/sub/z.log", "src/x.tmp", "src/z.log"];
    let names = |line: &str, top: &str| {
        let mut bench = Bench::new(&files);
        bench.run(line);
        let below = bench.below(top);
        below
            .iter()
            .filter_map(|line| line.split(' ').next())
            .map(|path| path[top.len()..].to_owned())
            .collect::<Vec<_>>()
    };
    let found = names("COPY --exclude=*.tmp --exclude=**/*.log --exclude=build src /a", "/a");
    assert_eq!(found, ["", "/f", "/sub", "/sub/y.tmp"]);
    let found = names("COPY --exclude=*.tmp --exclude=!keep.tmp src /b", "/b");
    assert_eq!(found, ["", "/build", "/build/out", "/f", "/keep.tmp", "/sub", "/sub/y.tmp", "/sub/z.log", "/z.log"]);
    let found = names("COPY --exclude=sub/* src /c", "/c");
    assert_eq!(found, ["", "/build", "/build/out", "/f", "/keep.tmp", "/sub", "/x.tmp", "/z.log"]);
    assert_eq!(names("COPY --exclude=/f --exclude=src/f src/sub/y.tmp src/f /d/", "/d"), ["", "/f", "/y.tmp"]);
    assert_eq!(names("COPY --exclude=*.tmp src/x.tmp src/sub /e/", "/e"), ["", "/x.tmp", "/z.log"]);
}

#[test]
fn here_documents_become_files() {
    let mut bench = Bench::new(&["a.txt"]);
    bench.run("COPY <<one.conf <<two.conf /etc/app/").run("COPY <<EOF /etc/renamed").run("COPY <<Q a.txt /mixed/");
    assert_eq!(
        bench.tree(),
        [
            "/etc d755",
            "/etc/app d755",
            "/etc/app/one.conf f644 inline",
            "/etc/app/two.conf f644 inline",
            "/etc/renamed f644 inline",
            "/mixed d755",
            "/mixed/Q f644 inline",
            "/mixed/a.txt f644 a.txt",
        ]
    );
}
