//! What fails, and what it says.

use super::*;

/// Every one of some words is in a text.
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

#[test]
fn a_missing_source_is_named_with_its_likely_cause() {
    let bench = Bench::new(&["a.txt", "conf/app.toml"]);
    says(&bench.fail("COPY a.txt conf/nope.txt /d/"), &["conf/nope.txt", "build context", "not found"]);
    says(&bench.fail("COPY conf/app.tml /d/"), &["did you mean", "conf/app.toml"]);
    says(&bench.fail("COPY none/x /d/"), &["none/x"]);
    says(&bench.fail("COPY A.TXT /d/"), &["did you mean \"a.txt\"?"]);
    says(&bench.fail("COPY ../a.tx /d/"), &["does not lead out of the build context; did you mean \"a.txt\"?"]);
    says(&bench.fail("COPY ./../shared/lib /d/"), &["does not lead out of the build context", "COPY --from=NAME"]);
}

#[test]
fn a_source_that_the_ignore_file_leaves_out_is_told() {
    let bench = Bench::new(&["secret.key", "other"]);
    write(bench.path(), ".dockerignore", "# keys\n*.key\n");
    says(&bench.fail("COPY secret.key /"), &["secret.key", ".dockerignore", "line 2", "*.key"]);
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_named() {
    let bench = Bench::new(&["a.txt"]);
    symlink(bench.path(), "/etc/hostname", "name");
    says(&bench.fail("COPY name /"), &["\"name\"", "/etc/hostname"]);
    symlink(bench.path(), "loop", "loop");
    says(&bench.fail("COPY loop /"), &["loop", "symbolic links"]);
}

#[test]
fn malformed_sets_are_shown() {
    let bench = Bench::new(&["a.txt"]);
    says(&bench.fail("COPY a.txt x[1 /d/"), &["x[1"]);
    says(&bench.fail("COPY --exclude=x[1 a.txt /d/"), &["x[1"]);
}

#[test]
fn files_and_directories_do_not_replace_each_other() {
    let mut bench = Bench::new(&["a.txt", "b.txt", "dir/a.txt/x", "rootfs/lib/mod"]).with_root(base());
    says(&bench.fail("COPY dir /etc/passwd"), &["/etc/passwd"]);
    bench.run("COPY dir /d").run("COPY b.txt /f");
    says(&bench.fail("COPY a.txt /d/"), &["/d/a.txt", "directory"]);
    says(&bench.fail("COPY b.txt /f/"), &["/f"]);
    says(&bench.fail("COPY b.txt /f/x"), &["/f"]);
    says(&bench.fail("COPY rootfs /"), &["/lib", "usr/lib"]);
}

#[test]
fn an_empty_root_has_nothing() {
    let bench = Bench::new(&[]);
    let tree = Tree::rootfs(Arc::new(Rootfs::new(Vec::new())), false, "empty root `scratch`");
    let Err(error) = bench.attempt("COPY /x /y", &tree) else { panic!("there is no /x") };
    says(&error, &["/x", "scratch"]);
}
