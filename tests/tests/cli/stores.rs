//! What is said of stores that cannot be opened.

use std::fmt::Write as _;
use std::fs;

use strake_tests::{Host, needs_root};

use super::{again, assert_text, said};

/// What a build says when its store was changed; with `made` there is one to change.
fn show(name: &str, shown: &mut String, made: bool, change: impl FnOnce(&Host)) {
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    if made {
        again(&host).ok();
    }
    change(&host);
    let said = said(&again(&host).run()).replace(&host.path("").display().to_string(), "[DIR]/");
    writeln!(shown, "=== {name}\n{said}").unwrap();
}

#[test]
fn folders_that_are_no_store_say_why() {
    let mut text = String::new();
    show("other things", &mut text, false, |host| drop(host.write("store/thesis.txt", "")));
    show("a file", &mut text, false, |host| drop(host.write("store", "")));
    show("below a file", &mut text, false, |host| {
        host.write("file", "");
        std::os::unix::fs::symlink("file/store", host.path("store")).unwrap();
    });
    show("a link to nothing", &mut text, false, |host| {
        std::os::unix::fs::symlink("gone", host.path("store")).unwrap();
    });
    show("another version", &mut text, false, |host| drop(host.write("store/version", "strake store 99\n")));
    show("the version of something else", &mut text, false, |host| drop(host.write("store/version", "1.4.2\n")));
    show("an empty version", &mut text, false, |host| drop(host.write("store/version", "")));
    show("a version that is no text", &mut text, false, |host| drop(host.write("store/version", [0xff, 0xfe])));
    show("a version that is a folder", &mut text, false, |host| {
        fs::create_dir_all(host.path("store/version")).unwrap();
    });
    assert_text("folders_that_are_no_store", &Host::new(), &text);
}

#[test]
fn stores_that_are_damaged_are_named() {
    let mut text = String::new();
    let remove_index = |host: &Host| {
        for path in host.left_in("store") {
            if path.file_name().unwrap().to_string_lossy().starts_with("index.") {
                fs::remove_file(&path).unwrap();
            }
        }
    };
    show("a damaged index", &mut text, true, |host| {
        remove_index(host);
        host.write("store/index.sqlite", "no database".repeat(1000));
    });
    show("an index that is a folder", &mut text, true, |host| {
        remove_index(host);
        fs::create_dir(host.path("store/index.sqlite")).unwrap();
    });
    show("a lock that is a folder", &mut text, true, |host| {
        fs::remove_file(host.path("store/lock")).unwrap();
        fs::create_dir(host.path("store/lock")).unwrap();
    });
    assert_text("damaged_stores", &Host::new(), &text);
}

#[test]
fn stores_of_other_users_are_named() {
    if !needs_root("stores of other users") {
        return;
    }
    let mut text = String::new();
    show("another user", &mut text, true, |host| {
        std::os::unix::fs::chown(host.path("store/version"), Some(4321), None).unwrap();
    });
    assert_text("stores_of_other_users", &Host::new(), &text);
}
