//! Where platform code may stand (ARCHITECTURE.md, decision 9).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::run::root;

/// Crates of which the sources are looked at; tests, xtask, bench and fuzz are exempt.
const CRATES: &[&str] =
    &["parser", "layers", "layers/registry", "snapshotter", "builder", "frontends/lib", "frontends/cli"];

/// Folders and files below `src` in which platform code belongs; `sys` stands in each crate.
const PLACES: &[&str] = &[
    "sys",
    "sys.rs",
    "runner/linux",
    "runner/linux.rs",
    "runner/windows",
    "runner/windows.rs",
    "runner/wine",
    "runner/oci",
    "overlay",
    "overlay.rs",
    "windows",
    "windows.rs",
];

/// The crate that has the runners.
const RUNNERS: &str = "builder";

/// The crate in which `overlay` and `windows` are such places.
const SNAPSHOTTER: &str = "snapshotter";

/// What marks platform code.
const MARKS: &[&str] = &[
    "cfg(unix",
    "cfg(windows",
    "cfg(target_os",
    "cfg(target_family",
    "cfg(not(unix",
    "cfg(not(windows",
    "cfg(not(target_os",
    "cfg(any(unix",
    "cfg(any(target_os",
    "cfg_attr(unix",
    "cfg_attr(windows",
    "cfg!(unix",
    "cfg!(windows",
    "cfg!(target_os",
    "cfg!(target_family",
    "cfg!(not(",
    "cfg!(any(",
    "std::os::",
    "rustix::",
    "libc::",
    "windows_sys::",
    "rtnetlink::",
];

/// What marks image paths in the wrong type: a function of `plan` or `execute` has no business with host paths.
const PURE: &[(&str, &str)] =
    &[("builder/src/plan", "std::path::"), ("parser/src", "std::path::"), ("parser/src", "std::fs")];

/// Every breach of the rule, as a message.
pub(crate) fn problems() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for name in CRATES {
        let src = root().join(name).join("src");
        for file in rust_files(&src)? {
            let inside = file.strip_prefix(&src).unwrap_or(&file);
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            problems.extend(breaches(name, inside, &text));
        }
    }
    Ok(problems)
}

/// The breaches in one file of a crate; `inside` is its path below `src`.
fn breaches(name: &str, inside: &Path, text: &str) -> Vec<String> {
    let shown = Path::new(name).join("src").join(inside);
    let mut problems = Vec::new();
    if !is_platform_place(name, inside) && !is_test(inside) {
        problems.extend(marks(text, MARKS).map(|(line, mark)| {
            format!(
                "{}:{line}: `{mark}` is platform code: it belongs into {} (ARCHITECTURE.md, decision 9), behind a function \
                 that every platform has; all other code takes a platform as a value",
                shown.display(),
                places_of(name)
            )
        }));
    }
    for (folder, mark) in PURE.iter().filter(|(folder, _)| shown.starts_with(folder)) {
        problems.extend(marks(text, &[mark]).map(|(line, mark)| {
            format!("{}:{line}: `{mark}`: {folder} knows no host files; image paths are ImagePath", shown.display())
        }));
    }
    problems
}

/// The modules of a crate that may hold platform code, as a person would name them.
fn places_of(name: &str) -> String {
    let is_of_crate = |place: &&&str| match place.split('/').next() {
        Some("runner") => name == RUNNERS,
        Some("overlay" | "windows") => name == SNAPSHOTTER,
        _ => true,
    };
    let folders = PLACES.iter().filter(|place| !place.ends_with(".rs")).filter(is_of_crate);
    folders.map(|place| format!("{name}/src/{place}")).collect::<Vec<_>>().join(" or ")
}

fn is_platform_place(name: &str, inside: &Path) -> bool {
    PLACES.iter().any(|place| {
        let only_snapshotter = place.starts_with("overlay") || place.starts_with("windows");
        inside.starts_with(place) && (!only_snapshotter || name == SNAPSHOTTER)
    })
}

/// Tells whether a file holds tests alone: they make links, modes and sockets, which only some hosts have.
fn is_test(inside: &Path) -> bool {
    inside.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

/// Lines of code (comments left out) that hold one of the marks.
fn marks<'a>(text: &'a str, marks: &'a [&'a str]) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines().enumerate().filter_map(move |(at, line)| {
        let code = line.split("//").next().unwrap_or_default();
        let squeezed = squeeze(code);
        let found = marks.iter().find(|mark| {
            let mut from = 0;
            while let Some(at) = squeezed[from..].find(**mark) {
                // `mylibc::` is another crate.
                let before = squeezed[..from + at].chars().next_back();
                if !before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    return true;
                }
                from += at + mark.len();
            }
            false
        })?;
        Some((at + 1, *found))
    })
}

/// Leaves out blanks, but for those between two words.
fn squeeze(code: &str) -> String {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut squeezed = String::with_capacity(code.len());
    for part in code.split_whitespace() {
        if is_word(squeezed.chars().next_back()) && is_word(part.chars().next()) {
            squeezed.push(' ');
        }
        squeezed.push_str(part);
    }
    squeezed
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let listing = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in listing {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platform_code_is_found_but_comments_are_not() {
        let text = "use std::os::unix::fs::MetadataExt;\n// libc::c_int\n#[cfg( unix )]\nmylibc::x();\nlibc::x();\n";
        let found: Vec<_> = marks(text, MARKS).collect();
        assert_eq!(found, [(1, "std::os::"), (3, "cfg(unix"), (5, "libc::")]);
    }

    #[test]
    fn a_planning_module_with_platform_code_is_told_where_it_belongs() {
        let found =
            breaches("builder", Path::new("plan/evaluate.rs"), "//! Plans.\nuse std::os::unix::fs::MetadataExt;\n");
        let [problem] = found.as_slice() else { panic!("{found:?}") };
        assert!(problem.starts_with("builder/src/plan/evaluate.rs:2: `std::os::` is platform code"), "{problem}");
        assert!(problem.contains("belongs into builder/src/sys or builder/src/runner/linux"), "{problem}");
        assert!(problem.contains("ARCHITECTURE.md, decision 9"), "{problem}");
        let host_path = breaches("builder", Path::new("plan/evaluate.rs"), "use std::path::Path;\n");
        assert!(host_path.iter().any(|problem| problem.contains("image paths are ImagePath")), "{host_path:?}");
        assert!(breaches("builder", Path::new("runner/linux/sys.rs"), "use std::os::fd::OwnedFd;\n").is_empty());
        assert_eq!(
            places_of("snapshotter"),
            "snapshotter/src/sys or snapshotter/src/overlay or snapshotter/src/windows"
        );
    }

    #[test]
    fn places_are_told_apart() {
        assert!(is_test(Path::new("execute/copy/tests/errors.rs")) && is_test(Path::new("source/context/tests.rs")));
        assert!(!is_test(Path::new("plan/tests_of_time.rs")));
        assert!(is_platform_place("layers", Path::new("sys/linux.rs")));
        assert!(is_platform_place("snapshotter", Path::new("overlay/mount.rs")));
        assert!(!is_platform_place("layers", Path::new("windows/acl.rs")));
        assert!(!is_platform_place("builder", Path::new("plan/system.rs")));
    }
}
