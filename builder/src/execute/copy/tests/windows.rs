//! Images of Windows.

use super::*;

fn bench(files: &[&str]) -> Bench {
    let mut bench = Bench::new(files);
    bench.os = "windows";
    bench.workdir = "\\".into();
    bench
}

fn names(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .map(|line| line.rsplit_once(" d").or_else(|| line.rsplit_once(" f")).expect("a type").0.into())
        .collect()
}

#[test]
fn a_layer_has_both_tops_and_the_parents() {
    let mut bench = bench(&["app.txt"]);
    bench.run("COPY app.txt C:\\Windows\\Temp\\app\\");
    let made: Vec<String> = bench.last.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(
        made,
        [
            "/Files",
            "/Files/Windows",
            "/Files/Windows/Temp",
            "/Files/Windows/Temp/app",
            "/Files/Windows/Temp/app/app.txt",
            "/Hives"
        ]
    );
    for entry in &bench.last {
        let windows = entry.meta.windows.as_ref().expect("attributes");
        let expected = if entry.is_directory() { "16" } else { "32" };
        assert_eq!(windows.records["MSWINDOWS.fileattr"], expected.as_bytes(), "{}", entry.path);
        assert!(windows.records.contains_key("MSWINDOWS.rawsd"));
    }
}

#[test]
fn letter_case_does_not_matter_and_is_kept() {
    let mut bench = bench(&["app.txt", "x/App.txt"]);
    bench.run("COPY app.txt c:\\app\\").run("COPY app.txt C:/APP/two.txt").run("COPY x \\App");
    let tree = bench.tree();
    assert_eq!(names(&tree)[..4], ["/Files", "/Files/app", "/Files/app/app.txt", "/Files/app/two.txt"]);
    assert_eq!(tree.len(), 5, "{tree:?}");
}

#[cfg(unix)]
#[test]
fn two_names_that_windows_takes_for_one_are_refused() {
    let bench = bench(&["tree/a.txt", "tree/A.txt", "tree/nul"]);
    let error = bench.fail("COPY tree C:\\d\\");
    assert!(error.contains("a.txt") && error.contains("A.txt"), "{error}");
}

#[test]
fn parents_keep_their_own_records() {
    let mut files = directory("Files", 0o755);
    let record = BTreeMap::from([("MSWINDOWS.rawsd".to_owned(), b"own".to_vec())]);
    files.meta.windows = Some(Box::new(strake_layers::WindowsMetadata { records: record }));
    let mut bench = bench(&["app.txt"]).with_root(vec![files]);
    bench.run("COPY app.txt \\x\\");
    let top = bench.last.first().and_then(|entry| entry.meta.windows.as_ref()).expect("records");
    assert_eq!(top.records["MSWINDOWS.rawsd"], b"own");
}

#[cfg(unix)]
#[test]
fn links_tell_what_they_lead_to() {
    let mut bench = bench(&["tree/dir/f"]);
    symlink(bench.path(), "dir", "tree/to-dir");
    symlink(bench.path(), "/dir/f", "tree/absolute");
    bench.run("COPY tree C:\\");
    let link = |path: &str| {
        let entry = bench.root.lookup(&image(path)).expect("a link");
        let EntryKind::Symlink(target) = &entry.kind else { panic!("{path} is no link") };
        let windows = entry.meta.windows.as_ref().expect("records");
        (String::from_utf8_lossy(target).into_owned(), windows.records["MSWINDOWS.fileattr"].clone())
    };
    assert_eq!(link("Files/to-dir"), ("dir".into(), b"1040".to_vec()));
    assert_eq!(link("Files/absolute"), ("C:\\dir\\f".into(), b"1056".to_vec()));
}

use std::collections::BTreeMap;
