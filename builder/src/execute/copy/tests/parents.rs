//! `--parents`.

use super::*;

#[cfg(unix)]
#[test]
fn copy_parents_keeps_directories_and_their_modes() {
    let bench = || {
        let bench = Bench::new(&["a/b/c.txt", "a/b/d.txt", "x/y.txt"]);
        for (path, mode) in [("a", 0o700), ("a/b", 0o751), ("x", 0o775)] {
            set_mode(bench.path(), path, mode);
        }
        bench
    };
    let table: [(&str, &[&str]); 4] = [
        (
            "COPY --parents a/b/c.txt x/y.txt /t/",
            &["/t/a d700", "/t/a/b d751", "/t/a/b/c.txt f644 c.txt", "/t/x d775", "/t/x/y.txt f644 y.txt"],
        ),
        ("COPY --parents ./a/./b/c.txt /t/", &["/t/b d751", "/t/b/c.txt f644 c.txt"]),
        ("COPY --parents a/./b /t/", &["/t/b d751", "/t/b/c.txt f644 c.txt", "/t/b/d.txt f644 d.txt"]),
        ("COPY --parents ./*/y.t?t /t/", &["/t/x d775", "/t/x/y.txt f644 y.txt"]),
    ];
    for (line, expected) in table {
        let mut bench = bench();
        bench.run(line);
        assert_eq!(bench.below("/t")[1..], *expected, "{line}");
    }
}

#[test]
fn double_star_crosses_directories() {
    let mut bench = Bench::new(&[
        "package.json",
        "pkgs/one/package.json",
        "pkgs/one/src/code.c",
        "pkgs/two/deep/package.json",
        "pkgs/two/deep/x.lock",
        "pkgs/y.lock",
    ]);
    bench.run("COPY --parents package.json **/package.json /app/").run("COPY --parents pkgs/./**/*.lock /locks/");
    assert_eq!(
        bench.tree(),
        [
            "/app d755",
            "/app/package.json f644 package.json",
            "/app/pkgs d755",
            "/app/pkgs/one d755",
            "/app/pkgs/one/package.json f644 package.json",
            "/app/pkgs/two d755",
            "/app/pkgs/two/deep d755",
            "/app/pkgs/two/deep/package.json f644 package.json",
            "/locks d755",
            "/locks/two d755",
            "/locks/two/deep d755",
            "/locks/two/deep/x.lock f644 x.lock",
            "/locks/y.lock f644 y.lock",
        ]
    );
}

#[test]
fn a_wildcard_that_finds_nothing_makes_the_destination() {
    let mut bench = Bench::new(&["a.txt", "sub/b.txt"]);
    bench.run("COPY --parents **/*.none /p/").run("COPY --parents **/*.none sub/b.txt /q/");
    assert_eq!(bench.tree(), ["/p d755", "/q d755", "/q/sub d755", "/q/sub/b.txt f644 b.txt"]);
    assert!(bench.fail("COPY --parents sub/none.txt /r/").contains("sub/none.txt"));
}

#[cfg(unix)]
#[test]
fn named_links_stay_links() {
    let mut bench = Bench::new(&["d/real/f", "d/x"]);
    symlink(bench.path(), "real", "d/link");
    symlink(bench.path(), "x", "d/file-link");
    bench.run("COPY --parents d/link d/file-link /one/");
    assert_eq!(bench.tree(), ["/one d755", "/one/d d755", "/one/d/file-link l -> x", "/one/d/link l -> real"]);
}

#[test]
fn exclude_counts_from_the_root_of_the_context() {
    let files = ["src/a.txt", "src/b.md", "src/sub/c.txt", "src/sub/d.md"];
    let table: [(&str, &[&str]); 4] = [
        (
            "--exclude=*.txt src",
            &["", "/src", "/src/a.txt", "/src/b.md", "/src/sub", "/src/sub/c.txt", "/src/sub/d.md"],
        ),
        ("--exclude=**/*.txt src", &["", "/src", "/src/b.md", "/src/sub", "/src/sub/d.md"]),
        ("--exclude=src/sub src/*", &["", "/src", "/src/a.txt", "/src/b.md"]),
        ("--exclude=**/*.md src/./sub", &["", "/sub", "/sub/c.txt"]),
    ];
    for (rest, expected) in table {
        let mut bench = Bench::new(&files);
        bench.run(&format!("COPY --parents {rest} /t/"));
        let below = bench.below("/t");
        let names: Vec<&str> = below.iter().filter_map(|line| line.split(' ').next()).map(|path| &path[2..]).collect();
        assert_eq!(names, expected, "{rest}");
    }
}

#[cfg(unix)]
#[test]
fn links_below_the_top_are_copied_wherever_they_lead() {
    let mut bench = Bench::new(&["d/file"]);
    std::os::unix::fs::symlink("nope/x", bench.path().join("d/link")).expect("a link");
    std::os::unix::fs::symlink("nope", bench.path().join("top")).expect("a link");
    bench.run("COPY --parents d/link /x/").run("COPY --parents d/./link /y/");
    assert_eq!(bench.tree(), ["/x d755", "/x/d d755", "/x/d/link l -> nope/x", "/y d755", "/y/link l -> nope/x"]);
    let failed = bench.fail("COPY --parents top /x/");
    assert!(failed.contains("top is a link to \"nope\"") && !failed.contains("did you mean"), "{failed}");
}

const PACKAGES: [&str; 5] = [
    "packages/README.md",
    "packages/x/package.json",
    "packages/x/src/i",
    "packages/y/package.json",
    "packages/z/other",
];

#[test]
fn matches_before_the_pivot_may_lack_what_is_behind_it() {
    let table: [(&str, &[&str]); 4] = [
        ("packages/*/./package.json", &["/app/package.json f644 package.json"]),
        ("packages/*/./src", &["/app/src d755", "/app/src/i f644 i"]),
        ("packages/*/./*.json", &["/app/package.json f644 package.json"]),
        ("packages/[xy]/./src/*", &["/app/src d755", "/app/src/i f644 i"]),
    ];
    for (source, expected) in table {
        let mut bench = Bench::new(&PACKAGES);
        bench.run(&format!("COPY --parents {source} /app/"));
        assert_eq!(bench.below("/app")[1..], *expected, "{source}");
    }
    let failed = Bench::new(&PACKAGES).fail("COPY --parents packages/*/./nope /app/");
    assert!(failed.contains("\"packages/*/./nope\" not found"), "{failed}");
}

#[test]
fn nothing_is_behind_a_file() {
    let bench = Bench::new(&["a/d.txt"]);
    for (source, why) in [("a/d.txt/./*", ": a/d.txt is not a directory"), ("a/d.txt/./x", "not found")] {
        let failed = bench.fail(&format!("COPY --parents {source} /x/"));
        assert!(failed.contains(why), "{failed}");
    }
}

#[test]
fn an_excluded_source_is_missing() {
    let bench = Bench::new(&["a/b", "a/c"]);
    for rest in ["--exclude=a a", "--exclude=a/b a/b", "--exclude=b a/./b"] {
        let failed = bench.fail(&format!("COPY --parents {rest} /x/"));
        assert!(failed.contains("--exclude leaves it out"), "{rest}: {failed}");
    }
}

#[cfg(unix)]
#[test]
fn a_source_behind_a_link_is_missing() {
    let bench = Bench::new(&["a/b/c.txt"]);
    symlink(bench.path(), "a/b", "l");
    let failed = bench.fail("COPY --parents l/c.txt /x/");
    assert!(failed.contains("l is a link to \"a/b\"") && failed.contains("\"a/b/c.txt\""), "{failed}");
}
