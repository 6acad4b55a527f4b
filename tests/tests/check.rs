//! `strake check` from the command line: what it writes, what it mends, how it ends.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use strake_tests::{Host, Outcome, Registry, Tar};

/// A file with findings of both kinds that needs no registry.
const UNTIDY: &str = "FROM scratch AS Base\nARG NEVER\nCOPY --chmod=777 app /\nEXPOSE 127.0.0.1:80:80/TCP\nFROM --platform=$TARGETPLATFORM Base\n";

const TIDY: &str = "FROM scratch AS base\nCOPY --chmod=775 app /\nEXPOSE 80/tcp\nFROM Base\n";

fn host(dockerfile: &str) -> Host {
    let host = Host::new();
    host.write("ctx/Dockerfile", dockerfile);
    host.write("ctx/app", "");
    host
}

fn check(host: &Host, flags: &str) -> Outcome {
    host.strake(&["check", "ctx"]).args(flags).run()
}

fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

#[track_caller]
fn json(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(outcome)))
}

fn rules(report: &Value) -> Vec<&str> {
    report["warnings"].as_array().into_iter().flatten().filter_map(|one| one["ruleName"].as_str()).collect()
}

#[test]
fn findings_are_shown_with_their_place_and_remedy() {
    let outcome = check(&host(UNTIDY), "").expect(0);
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("check_findings", text(&outcome));
    });
    assert_eq!(outcome.stderr, "");
    let help = Host::new().strake(&["check", "--help"]).run().expect(0);
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("check_help", text(&help));
    });
    assert_eq!(text(&check(&host(TIDY), "").expect(0)), "Dockerfile: nothing found\n");
}

#[test]
fn warnings_fail_only_where_that_is_asked_for() {
    let failed = text(&check(&host(UNTIDY), "--error").expect(1));
    assert!(failed.ends_with("6 warnings, and warnings are errors here; --fix mends 6\n"), "{failed}");
    check(&host(TIDY), "--error").expect(0);
    check(&host(&format!("# check=error=true\n{UNTIDY}")), "").expect(1);
    // Notes never do.
    let notes = host("FROM scratch AS one\nFROM scratch\n");
    assert!(text(&check(&notes, "--error").expect(0)).contains("note[W0704 UnusedStage]"));
    check(&host("FORM scratch\n"), "").expect(1);
}

#[test]
fn rules_are_left_out_by_the_line_and_by_the_file() {
    let host = host(&format!("# check=skip=UnusedArg\n{UNTIDY}"));
    let report = json(&check(&host, "--format json --skip StageNameCasing,W0706").expect(0));
    assert_eq!(rules(&report), ["ExposeProtoCasing", "ExposeInvalidFormat", "RedundantTargetPlatform"]);
    assert!(check(&host, "--skip Nope").expect(2).stderr.contains("--skip Nope: there is no such rule"));
}

#[test]
fn mending_is_done_once_and_keeps_the_rest_of_the_file() {
    for line_end in ["\n", "\r\n"] {
        let host = host(&UNTIDY.replace('\n', line_end));
        let path = host.path("ctx/Dockerfile");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let outcome = check(&host, "--fix").expect(0);
        assert_eq!(host.read("ctx/Dockerfile"), TIDY.replace('\n', line_end));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(text(&outcome).starts_with("fixed Dockerfile:1: StageNameCasing"), "{}", text(&outcome));
        assert!(text(&outcome).ends_with("Dockerfile: nothing found\n"), "{}", text(&outcome));
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(text(&check(&host, "--fix").expect(0)), "Dockerfile: nothing found\n");
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
    }
}

#[test]
fn a_file_with_errors_is_not_mended() {
    let text = format!("{UNTIDY}COPPY a b\n");
    let host = host(&text);
    assert!(check(&host, "--fix").expect(1).stderr.contains("has errors and is left as it is"));
    assert_eq!(host.read("ctx/Dockerfile"), text);
    let stdin = host.strake(&["check", "-", "--fix"]).stdin("FROM scratch AS A\n").run().expect(2);
    assert!(stdin.stderr.contains("--fix needs a Dockerfile in a folder"), "{}", stdin.stderr);
}

#[test]
fn a_link_to_the_file_stays_a_link() {
    let host = host("");
    host.write("elsewhere/real", "FROM scratch AS A\n");
    fs::remove_file(host.path("ctx/Dockerfile")).unwrap();
    std::os::unix::fs::symlink("../elsewhere/real", host.path("ctx/Dockerfile")).unwrap();
    host.strake(&["check", "ctx", "-f", "ctx/Dockerfile", "--fix"]).run().expect(0);
    assert_eq!(host.read("elsewhere/real"), "FROM scratch AS a\n");
    assert!(fs::symlink_metadata(host.path("ctx/Dockerfile")).unwrap().is_symlink());
}

#[test]
fn json_has_the_reference_s_members() {
    let host = host(&UNTIDY.replace("FROM --platform=$TARGETPLATFORM Base\n", "FROM Base\nCMD a \\\n b\n"));
    let call = |format: &str| host.strake(&["build", "ctx", "--call", &format!("check,format={format}")]).run();
    let report = json(&call("json").expect(0));
    // None of strake's own, in the reference's members only.
    assert_eq!(rules(&report), ["StageNameCasing", "ExposeProtoCasing", "ExposeInvalidFormat", "JSONArgsRecommended"]);
    let last = &report["warnings"][3];
    let range = |line: u32| serde_json::json!({"start": {"line": line}, "end": {"line": line}});
    assert_eq!(last["location"]["ranges"], serde_json::json!([range(6), range(7)]));
    assert_eq!(last["url"], "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
    let mut members: Vec<&str> = last.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["description", "detail", "location", "ruleName", "url"]);
    assert_eq!(report["sources"][0]["filename"], "Dockerfile");
    assert!(report["sources"][0]["data"].as_str().unwrap().starts_with("RlJPTSBzY3JhdGNo"));
    let own = json(&check(&host, "--format json").expect(0));
    assert!(rules(&own).contains(&"WorldWritableCopy"));
    assert_eq!(own["warnings"][0]["fix"]["replacement"], "base");
    host.write("ctx/Dockerfile", "FROM scratch\nCOPPY\n");
    let broken = json(&call("json").expect(1));
    assert!(broken["buildError"]["message"].as_str().unwrap().contains("COPPY"), "{broken}");
    assert!(call("xml").expect(2).stderr.contains("text, json or sarif"));
}

#[test]
fn sarif_names_rule_place_and_edit_of_each_finding() {
    let host = host(&format!("# ü\n{}", UNTIDY.replace("app /", "\"ü\" app /")));
    let log = json(&check(&host, "--format sarif").expect(0));
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 6, "{log:#}");
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(matches!(result["level"].as_str(), Some("note" | "warning" | "error")));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "ctx/Dockerfile");
        for member in ["startLine", "startColumn", "endLine", "endColumn"] {
            assert!(place["region"][member].as_u64().unwrap() >= 1);
        }
    }
    let copy = results.iter().find(|one| one["ruleId"] == "WorldWritableCopy").unwrap();
    let replacement = &copy["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert_eq!(replacement["insertedContent"]["text"], "775");
    assert_eq!(
        replacement["deletedRegion"],
        serde_json::json!({"startLine": 4, "startColumn": 14, "endLine": 4, "endColumn": 17})
    );
    assert_eq!(run["columnKind"], "unicodeCodePoints");
}

#[test]
fn the_ignore_file_is_checked_in_its_context() {
    let host = host(TIDY);
    let found = |ignore: &str| {
        host.write("ctx/.dockerignore", ignore);
        let report = json(&check(&host, "--format json").expect(0));
        let names: Vec<String> = rules(&report).into_iter().map(str::to_owned).collect();
        (names, report["sources"].as_array().unwrap().len())
    };
    // For files that a build or an editor makes, and that are not there now.
    assert_eq!(found("*.log\nnode_modules\n"), (vec![], 1));
    assert_eq!(found("# nothing\n"), (vec![], 1));
    host.write("ctx/logs/old.log", "");
    assert_eq!(found("*.log\n"), (vec!["IgnoreFileMatchesNothing".to_owned()], 2));
    assert_eq!(found("*.log\nDockerfile\n"), (vec![], 1));
    assert_eq!(found("*\n!lib\n"), (vec!["IgnoreFileMatchesAll".to_owned()], 2));
    assert_eq!(found("*\n!app\n"), (vec![], 1));
    host.write("ctx/Dockerfile", "FROM scratch\nUSER 1\n");
    assert_eq!(found("*\n"), (vec![], 1));
}

#[test]
fn without_a_registry_the_other_checks_are_made() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let host = host(&format!("FROM localhost:{port}/app:1\nCMD run\nRUN echo $NOT_SET | cat\nCOPY $FROM_BASE /\n"));
    let outcome = check(&host, "--format json").expect(0);
    assert_eq!(rules(&json(&outcome)), ["UnpinnedBaseImage", "JSONArgsRecommended"]);
    let left_out = "checks that need the base images are left out";
    assert!(outcome.stderr.contains(left_out), "{}", outcome.stderr);
    // Mending checks the file several times.
    host.write("ctx/Dockerfile", format!("from localhost:{port}/app:1\nENV A 1\nEXPOSE 80\n"));
    let outcome = check(&host, "--fix").expect(0);
    assert_eq!(outcome.stderr.matches(left_out).count(), 1, "{}", outcome.stderr);
}

#[test]
fn base_images_are_asked_of_their_registry() {
    let host = host("FROM scratch\nCOPY app /\n");
    let Some(registry) = Registry::start("checks of base images", &host) else { return };
    let name = format!("{}/team/app:1", registry.name);
    let push = host.build("ctx").args("--platform linux/amd64,linux/arm64 --push --metadata-file meta.json -t");
    push.arg(&name).ok();
    let pushed: Value = serde_json::from_str(&host.read("meta.json")).unwrap();
    host.write("ctx/Dockerfile", format!("FROM {name}\nLABEL a=$NOT_SET\n"));
    let report = json(&check(&host, "--format json").expect(0));
    assert_eq!(rules(&report), ["UnpinnedBaseImage", "UndefinedVar"]);
    let digest = pushed["containerimage.digest"].as_str().unwrap();
    let help = format!("write {name}@{digest} to build from the same image each time");
    assert_eq!(report["warnings"][0]["help"], help.as_str());
    // One that does not exist is told with all the rest.
    host.write("ctx/Dockerfile", format!("FROM {}/none:1\nCMD run\n", registry.name));
    let report = json(&check(&host, "--format json").expect(1));
    assert_eq!(rules(&report), ["UnpinnedBaseImage", "JSONArgsRecommended"]);
    assert_eq!(report["errors"][0]["location"]["ranges"][0]["start"]["line"], 1);
    assert!(report["buildError"]["message"].as_str().unwrap().contains("none:1"), "{report}");
}

#[test]
fn rules_are_explained_by_name() {
    let outcome = Host::new().strake(&["explain", "CopyInvalidatesRun"]).run().expect(0);
    assert!(text(&outcome).starts_with("W0703: CopyInvalidatesRun\n\nThe cache serves"), "{}", text(&outcome));
}

#[test]
fn warnings_are_shown_beside_errors_in_source_order() {
    let host = host("FROM scratch AS Base\nMAINTAINER me\nCOPPY a b\nEXPOSE 80/TCP\n");
    let codes = ["W0501", "W0508", "E0101", "W0521"];
    for words in [&["build", "ctx"][..], &["build", "ctx", "--check"], &["check", "ctx"]] {
        let outcome = host.strake(words).run().expect(1);
        let all = text(&outcome) + &outcome.error();
        let places: Vec<Option<usize>> = codes.iter().map(|code| all.find(code)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{words:?}: {all}");
    }
    let events = host.strake(&["build", "ctx", "--progress", "json"]).run().expect(1).events();
    let shown: Vec<&str> = events.iter().filter_map(|event| event["code"].as_str()).collect();
    assert_eq!(shown, codes);
    let report = json(&check(&host, "--format json").expect(1));
    assert_eq!(rules(&report), ["StageNameCasing", "MaintainerDeprecated", "ExposeProtoCasing"]);
    assert_eq!(report["errors"][0]["code"], "E0101");
    let sarif = json(&check(&host, "--format sarif").expect(1));
    let ids: Vec<&str> =
        sarif["runs"][0]["results"].as_array().unwrap().iter().flat_map(|one| one["ruleId"].as_str()).collect();
    assert_eq!(ids, ["StageNameCasing", "MaintainerDeprecated", "E0101", "ExposeProtoCasing"]);
}

#[test]
fn warnings_are_shown_where_a_base_image_cannot_be_had() {
    let host = host("FROM 127.0.0.1:9/none AS Base\nMAINTAINER me\n");
    let outcome = host.build("ctx").run().fails();
    outcome.says(&["127.0.0.1:9/none"]);
    let shown: Vec<String> =
        outcome.events().iter().filter_map(|event| event["code"].as_str().map(str::to_owned)).collect();
    assert_eq!(shown[..2], ["W0501", "W0508"], "{}", outcome.stderr);
}

#[test]
fn errors_are_told_where_a_base_image_cannot_be_had() {
    let host = host("FROM 127.0.0.1:9/none\nEXPOSE 80/tpc\nSTOPSIGNAL SIGTRM\nEXPOSE $PORT\nUSER $NOBODY\n");
    for words in [&["build", "ctx", "--progress", "plain"][..], &["build", "ctx", "--progress", "plain", "--check"]] {
        let outcome = host.strake(words).run().expect(1);
        let error = outcome.error();
        let places: Vec<Option<usize>> = ["E1023", "E1010", "E1011"].iter().map(|code| error.find(code)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{words:?}: {error}");
        assert_eq!(error.matches("error[").count(), 3, "{words:?}: {error}");
    }
    let report = json(&check(&host, "--format json").expect(1));
    let codes: Vec<_> = report["errors"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["E1010", "E1011"], "{report}");
    assert_eq!(rules(&report), ["LatestTag"]);
}

#[test]
fn secrets_in_the_file_are_not_shown() {
    let token = "ghp_Q8sT2vWx4yZa6bCd8eFg0hIj2kLm4nOp6q";
    let file = format!(
        "FROM scratch\nENV TOKEN {token}\nARG PÄSS_KEY='hünter2hünter2'\nARG PLAIN={token}\nENV Auth=$PLAIN B=${{Auth:?\n"
    );
    let good = host(&file.replace(" B=${Auth:?", "").replace("FROM", "from"));
    let bad = host(&file);
    for (host, flags) in [
        (&good, &["check", "ctx"][..]),
        (&good, &["check", "ctx", "--format", "json"]),
        (&good, &["check", "ctx", "--format", "sarif"]),
        (&good, &["build", "ctx", "--check"]),
        (&good, &["build", "ctx", "--call", "check,format=json"]),
        (&bad, &["check", "ctx"]),
        (&bad, &["check", "ctx", "--format", "json"]),
        (&bad, &["build", "ctx"]),
        (&bad, &["build", "ctx", "--progress", "json"]),
    ] {
        let outcome = host.strake(flags).run();
        let all = text(&outcome) + &outcome.stderr;
        assert!(all.contains("Dockerfile"), "{flags:?}: {all}");
        assert!(!all.contains(&token[4..12]) && !all.contains("nter2"), "{flags:?}: {all}");
        // Base64 of "_Q8sT2vWx".
        assert!(!all.contains("Q4c1Qy") && !all.contains("UThzVDJ2") && !all.contains("OHNUMnZX"), "{flags:?}: {all}");
    }
    // What stands behind a secret keeps its column, and mending still works.
    let report = json(&check(&good, "--format json"));
    let legacy = report["warnings"].as_array().unwrap().iter().find(|one| one["ruleName"] == "LegacyKeyValueFormat");
    assert_eq!(legacy.unwrap()["region"]["end"]["column"], 49);
    assert_eq!(legacy.unwrap()["fix"], Value::Null);
    check(&good, "--fix");
    assert!(good.read("ctx/Dockerfile").contains(&format!("ENV TOKEN={token}\n")), "{}", good.read("ctx/Dockerfile"));
}

#[test]
fn an_ignore_file_of_an_archive_is_not_judged() {
    let file = "FROM scratch\nCOPY lib /\n";
    for rules in ["*.log\n", "lib/x\n", ""] {
        let tar = Tar::new().file("Dockerfile", file.as_bytes()).file(".dockerignore", rules.as_bytes());
        let tar = tar.dir("lib/").file("lib/old.log", b"").finish();
        let host = Host::new();
        let outcome = host.strake(&["check", "-"]).stdin(tar).run().expect(0);
        assert_eq!(text(&outcome), "Dockerfile: nothing found\n", "{rules:?}");
    }
    let outcome = Host::new().strake(&["check", "-"]).stdin("FROM scratch\nCOPY a /\n").run().expect(0);
    assert_eq!(text(&outcome), "Dockerfile: nothing found\n");
}

#[test]
fn features_newer_than_the_syntax_line_are_told_where_asked_for() {
    let host = Host::new();
    host.write("ctx/Dockerfile", "# syntax=docker/dockerfile:1.4\nFROM scratch\nCOPY --exclude=*.md a /\n");
    host.write("ctx/a", "");
    let told = "--exclude needs docker/dockerfile:1.19";
    let build = |flag: &str| host.strake(&["build", "ctx", "--progress", "plain"]).args(flag).ok().stderr;
    assert!(!build("").contains(told));
    assert!(build("--strict-syntax").contains(told));
    assert!(text(&check(&host, "").expect(0)).contains(told));
    check(&host, "--fix").expect(0);
    assert_eq!(host.read("ctx/Dockerfile"), "# syntax=docker/dockerfile:1.19\nFROM scratch\nCOPY --exclude=*.md a /\n");
}
