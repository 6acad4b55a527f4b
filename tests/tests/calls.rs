//! `strake build --call outline` and `targets`: the reference's tables, its JSON members, and what only strake has.
//!
//! The tables in testdata/calls were recorded from BuildKit (`buildctl build --opt requestid=frontend.outline`); the list
//! of targets of args-of-a-target alone is strake's, for the reference crashes at a `check=` comment there, and so is the
//! order of arguments on one line, which is by chance in the reference.

#![cfg(target_os = "linux")]

use serde_json::{Value, json};
use strake_tests::{Host, Outcome};

fn text(outcome: &Outcome) -> String {
    String::from_utf8_lossy(&outcome.stdout).into_owned()
}

fn call(host: &Host, method: &str, flags: &str) -> Outcome {
    host.strake(&["build", "ctx", "--call", method]).args(flags).run()
}

#[track_caller]
fn json_of(host: &Host, method: &str, flags: &str) -> Value {
    let outcome = call(host, &format!("{method},format=json"), flags).expect(0);
    serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&outcome)))
}

#[test]
fn tables_are_those_of_the_reference() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/calls");
    let host = Host::new();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let recorded = std::fs::read_to_string(&path).unwrap();
        let parts: Vec<&str> = recorded.split("==== ").collect();
        let [flags, dockerfile, outline, targets] = parts.as_slice() else { panic!("{}: four parts", path.display()) };
        let flags = flags.trim().strip_prefix("flags:").unwrap();
        host.write("ctx/Dockerfile", dockerfile.strip_prefix("Dockerfile\n").unwrap());
        for (method, recorded) in [("outline", outline), ("targets", targets)] {
            let outcome = call(&host, method, flags).expect(0);
            let wanted = recorded.split_once('\n').unwrap().1;
            assert_eq!(text(&outcome), wanted, "{method} of {}", path.display());
            assert_eq!(outcome.stderr, "");
            count += 1;
        }
    }
    assert!(count >= 50, "{count} tables were compared");
}

#[test]
fn json_has_the_reference_s_members_and_caches() {
    let host = Host::new();
    host.write(
        "ctx/Dockerfile",
        "# V is the version\nARG V=1\nFROM --platform=linux/amd64 scratch AS a\nARG V\n# b does it\nFROM a AS b\nARG E\n\
         RUN --mount=type=secret,id=s,required \\\n --mount=type=cache,target=/c/ --mount=type=ssh true\n",
    );
    let range = |line: u32| json!({"start": {"line": line}, "end": {"line": line}});
    let lines = |first: u32, last: u32| json!({"ranges": (first..=last).map(range).collect::<Vec<_>>()});
    let file = host.read("ctx/Dockerfile");
    let outline = json_of(&host, "outline", "--build-arg V=2");
    let mut expected = json!({
        "name": "b",
        "description": "does it",
        "args": [{"name": "V", "value": "2", "location": lines(4, 4)}, {"name": "E", "location": lines(7, 7)}],
        "secrets": [{"name": "s", "required": true, "location": lines(8, 9)}],
        "ssh": [{"name": "default", "location": lines(8, 9)}],
        "cache": [{"ID": "/c", "location": lines(8, 9)}],
    });
    expected["sources"] = outline["sources"].clone();
    assert_eq!(outline, expected);
    assert_eq!(outline["sources"].as_array().unwrap().len(), 1);
    assert!(outline["sources"][0].as_str().unwrap().starts_with("IyBWIGlzIHRoZSB2ZXJzaW9uC"), "base64 of {file}");
    let targets = json_of(&host, "targets", "");
    assert_eq!(
        targets["targets"],
        json!([
            {"name": "a", "base": "scratch", "platform": "linux/amd64", "location": lines(3, 3)},
            {"name": "b", "description": "does it", "default": true, "base": "a", "location": lines(6, 6)},
        ])
    );
    assert_eq!(targets["sources"], outline["sources"]);
}

#[test]
fn included_files_and_conditions_are_worked_out() {
    let host = Host::new();
    host.write("ctx/parts/tool", "# T is a tool\nARG T=1\nRUN --mount=type=secret,id=t true\n");
    host.write(
        "ctx/Dockerfile",
        "# strake: features=include,if\nARG DEBUG\nFROM scratch AS main\nINCLUDE parts/tool\nIF $DEBUG\nARG D=1\nENDIF\n",
    );
    let names = |outline: &Value| -> Vec<String> {
        outline["args"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let outline = json_of(&host, "outline", "");
    assert_eq!(names(&outline), ["T"]);
    assert_eq!(outline["args"][0]["location"]["sourceIndex"], 1);
    assert_eq!(outline["args"][0]["location"]["ranges"][0]["start"]["line"], 2);
    assert_eq!(outline["sources"].as_array().unwrap().len(), 2);
    assert_eq!(names(&json_of(&host, "outline", "--build-arg DEBUG=1")), ["D", "T"]);
}

#[test]
fn nothing_is_built_and_no_right_is_asked_for() {
    let host = Host::new();
    let text = "FROM scratch\nARG A\nRUN --security=insecure --network=host --mount=type=secret,id=s,required x\n";
    host.write("ctx/Dockerfile", text);
    assert!(self::text(&call(&host, "outline", "").expect(0)).starts_with("BUILD ARG   VALUE   DESCRIPTION\nA"));
}

#[test]
fn images_that_cannot_be_asked_for_leave_out_what_hangs_on_them() {
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM 127.0.0.1:9/none AS x\nARG A=$B\nRUN --mount=type=secret,id=s true\n");
    let outcome = call(&host, "outline", "").expect(0);
    assert!(outcome.stderr.contains("warning: what the base images add is left out: "), "{}", outcome.stderr);
    assert_eq!(
        self::text(&outcome),
        "TARGET: x\n\nBUILD ARG   VALUE   DESCRIPTION\nA                   \n\nSECRET   REQUIRED\ns        \n\n"
    );
    // Stages are listed without images.
    assert_eq!(call(&host, "targets", "").expect(0).stderr, "");
}

#[test]
fn errors_of_the_file_are_shown_as_by_a_build() {
    let host = Host::new();
    host.write("ctx/Dockerfile", "FROM scratch AS x\nCOPPY a b\n");
    for method in ["outline", "targets"] {
        call(&host, method, "").expect(1).says(&["Dockerfile:2", "unknown instruction: COPPY", "did you mean COPY?"]);
    }
    host.write("ctx/Dockerfile", "FROM scratch AS x\n");
    call(&host, "outline", "--target y").expect(1).says(&["target stage \"y\" could not be found"]);
    call(&host, "outline,format=xml", "").expect(2).says(&["unknown format \"xml\": text or json"]);
}
