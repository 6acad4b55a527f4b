//! What a test needs of its machine.

use std::path::{Path, PathBuf};

use crate::BUSYBOX;

/// Tells whether this process is root.
pub fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}

/// Tells whether steps can run here; says in one line why not.
pub fn needs_root(test: &str) -> bool {
    if !is_root() {
        println!("skipped: {test} needs root");
        return false;
    }
    if !Path::new(BUSYBOX).exists() {
        println!("skipped: {test} needs {BUSYBOX} (package busybox-static)");
        return false;
    }
    true
}

/// Finds a program; says in one line that it is missing.
pub fn needs_program(test: &str, program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        println!("skipped: {test} needs {program}");
    }
    found
}
