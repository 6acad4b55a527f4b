//! The examples of `strake explain` that only execution can show: each is built, and gives its code.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "every page here has an example, and a String takes all")]

use std::fmt::Write as _;

use strake::{Explanation, explanations};
use strake_tests::{Build, Host, Layout, LayoutLayer, Outcome, Tar, needs_root};

/// Writes the files that an example names, and prepares its build.
fn build<'a>(host: &'a Host, folder: &str, text: &str) -> Build<'a> {
    let files = text.lines().find_map(|line| line.strip_prefix("# context: ")).unwrap_or_default();
    for name in files.split_whitespace() {
        let tar = Tar::new().file("app", b"program").finish();
        let content = match name {
            "passwd" => b"app:x:1000:1000::/:/bin/sh\n".to_vec(),
            "truncated.tar" => tar[..700].to_vec(),
            _ if name.ends_with(".tar") => tar,
            _ => name.as_bytes().to_vec(),
        };
        host.write(&format!("{folder}/{name}"), content);
    }
    host.write(&format!("{folder}/Dockerfile"), text);
    if let Some(rules) = text.lines().find_map(|line| line.strip_prefix("# .dockerignore: ")) {
        host.write(&format!("{folder}/.dockerignore"), rules.replace(' ', "\n"));
    }
    if text.lines().any(|line| line == "# strake check .") {
        return host.strake(&["check", folder]);
    }
    let command = text.lines().find_map(|line| line.strip_prefix("# strake build ")).unwrap_or(".");
    let flags = command.strip_suffix('.').unwrap_or_default();
    let build = host.strake(&["build", folder, "--progress", "plain"]).args(flags);
    build.arg("--build-context").arg("alpine=oci-layout://base")
}

/// Everything that a run wrote.
fn all(outcome: &Outcome) -> String {
    format!("{}{}", String::from_utf8_lossy(&outcome.stdout), outcome.stderr)
}

/// What is left of a run when times, the display of steps and the place are taken out.
fn messages(host: &Host, outcome: &Outcome) -> String {
    let place = host.path("").display().to_string();
    let said = all(outcome);
    let lines = said.lines().filter(|line| !line.starts_with('#') && !line.starts_with("warning: waiting"));
    lines.map(|line| format!("{}\n", line.replace(place.trim_end_matches('/'), "[DIR]"))).collect()
}

fn pages(wants: impl Fn(&str) -> bool) -> Vec<Explanation> {
    explanations().into_iter().filter(|page| wants(page.code) && page.example.is_some()).collect()
}

fn check(name: &str, pages: &[Explanation]) {
    assert!(!pages.is_empty());
    let host = Host::with_base();
    let mut shown = String::new();
    let mut wrong = Vec::new();
    for page in pages {
        let example = page.example.unwrap();
        let code = page.code;
        let failed = build(&host, &format!("{code}-wrong"), example.wrong).run();
        let is_error = code.starts_with('E');
        let said = all(&failed);
        if (failed.code == Some(0)) == is_error || !said.contains(&format!("[{code}")) {
            wrong.push(format!("{code} does not give its code: {said}"));
        }
        let mended = build(&host, &format!("{code}-right"), example.right).run();
        if mended.code != Some(0) || all(&mended).contains(&format!("[{code}")) {
            wrong.push(format!("{code} is not mended: {}", all(&mended)));
        }
        writeln!(shown, "=== {code}\n{}", messages(&host, &failed)).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

#[test]
fn examples_of_copying_give_their_code() {
    let codes = ["W0603", "W0707", "W0708"];
    check(
        "explained_copies",
        &pages(|code| code.starts_with("E11") || code.starts_with("W11") || codes.contains(&code)),
    );
}

#[test]
fn examples_of_resolving_and_running_give_their_code() {
    if !needs_root("examples that run commands") {
        return;
    }
    check("explained_runs", &pages(|code| code.starts_with("E12") || code == "E1023"));
}

/// A base of Windows whose layer is one of Linux.
#[test]
fn the_message_about_a_foreign_layer_is_as_reviewed() {
    let host = Host::new();
    let layer = LayoutLayer::new(Tar::new().dir("bin/").file("bin/busybox", b"x"));
    Layout::new().os("windows").layer(layer).write(&host.path("base"));
    host.write("ctx/app", "app");
    host.write("ctx/Dockerfile", "# escape=`\nFROM base\nCOPY app C:\\app\n");
    let build = host.strake(&["build", "ctx", "--progress", "plain", "--platform", "windows(10.0.20348.1)/amd64"]);
    let outcome = build.args("--build-context base=oci-layout://base -o type=cacheonly").run().expect(0);
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("explained_foreign_layer", messages(&host, &outcome));
    });
}
