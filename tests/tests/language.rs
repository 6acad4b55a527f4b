//! The additions to the language, from the file to the image.

#![cfg(target_os = "linux")]

use strake_tests::{Host, needs_root};

fn with(features: &str, text: &str) -> String {
    format!("# strake: features={features}\n{text}")
}

#[test]
fn included_files_and_conditions_make_one_build() {
    let host = Host::new();
    host.write("ctx/a", "a");
    host.write("ctx/b", "b");
    host.write("ctx/parts/copy.docker", "ARG WHICH=a\nIF $WHICH == a\nCOPY a /\nELSE\nCOPY b /\nENDIF\n");
    host.write("ctx/.dockerignore", "parts\n");
    let text = with("include,if", "FROM scratch\nINCLUDE parts/copy.docker\n");
    let (_, image) = host.dockerfile("ctx", &text).image();
    assert_eq!(image.names(0), ["a"]);
    let (_, image) = host.build("ctx").args("--build-arg WHICH=b").image();
    assert_eq!(image.names(0), ["b"]);
    // A Dockerfile that lies elsewhere includes from the root of the context.
    host.write("elsewhere/Dockerfile", &text);
    let (_, image) = host.build("ctx").args("-f elsewhere/Dockerfile").image();
    assert_eq!(image.names(0), ["a"]);
}

#[test]
fn conditions_are_worked_out_for_each_platform() {
    let host = Host::new();
    host.write("ctx/amd64", "");
    host.write("ctx/arm64", "");
    let text = with("if", "FROM scratch\nIF $TARGETARCH == arm64\nCOPY arm64 /\nELSE\nCOPY amd64 /\nENDIF\n");
    for arch in ["amd64", "arm64"] {
        let (_, image) = host.dockerfile("ctx", &text).args(&format!("--platform linux/{arch}")).image();
        assert_eq!(image.names(0), [arch]);
    }
    host.build("ctx").args("--platform linux/amd64,linux/arm64 -o type=oci,dest=both.tar").ok();
}

#[test]
fn errors_name_the_included_file_and_the_way_to_it() {
    let host = Host::new();
    host.write("ctx/one.docker", "\nINCLUDE two.docker\n");
    host.write("ctx/two.docker", "# a note\nCOPY --chwn=1 a b\n");
    let outcome = host.dockerfile("ctx", &with("include", "FROM scratch\nINCLUDE one.docker\n")).run().fails();
    outcome.says(&[
        "two.docker:2:6",
        "did you mean chown?",
        "included from one.docker:2",
        "included from Dockerfile:3",
    ]);
    host.write("ctx/one.docker", "\nINCLUDE too.docker\n");
    host.build("ctx").run().fails().says(&["one.docker:2", "no such file (did you mean two.docker?)"]);
    host.write("ctx/one.docker", "\nINCLUDE two.docker\n");
    // What is found while steps run has its place, too.
    host.write("ctx/two.docker", "# a note\nCOPY gone /\n");
    let outcome = host.build("ctx").run().fails();
    outcome.says(&["two.docker:2", "included from Dockerfile:3"]);
    let step =
        outcome.events().into_iter().find(|event| event["name"].as_str().is_some_and(|name| name.contains("gone")));
    assert_eq!(step.expect("the step was announced")["line"], 2);
    // So has a part of a step.
    host.write("ctx/two.docker", "# a note\nCOPY --from=scratch gone /\n");
    host.build("ctx").run().fails().says(&["two.docker:2:21", "included from Dockerfile:3"]);
}

#[test]
fn included_files_stay_inside_the_context() {
    let host = Host::new();
    host.write("secret", "RUN x\n");
    std::fs::create_dir_all(host.path("ctx")).unwrap();
    std::os::unix::fs::symlink("../secret", host.path("ctx/link")).unwrap();
    let build = |path: &str| host.dockerfile("ctx", &with("include", &format!("FROM scratch\nINCLUDE {path}\n"))).run();
    build("../secret").fails().says(&["names nothing inside the build context"]);
    let why = "link cannot be included: link is a symbolic link to ../secret, which leads out of the build context";
    build("link").fails().says(&[why]);
    std::os::unix::fs::symlink("gone", host.path("ctx/stale")).unwrap();
    build("stale").fails().says(&["stale is a symbolic link to gone, which is not in the build context"]);
    std::fs::create_dir(host.path("ctx/parts")).unwrap();
    host.write("ctx/parts/real", "LABEL a=b\n");
    std::os::unix::fs::symlink("../parts/real", host.path("ctx/parts/inside")).unwrap();
    build("parts/inside").expect(0);
    build("Dockerfile").fails().says(&["a file includes itself: Dockerfile -> Dockerfile"]);
    std::fs::create_dir(host.path("ctx/dir")).unwrap();
    build("dir").fails();
}

#[test]
fn additions_need_the_line_that_opts_in() {
    let host = Host::new();
    let outcome = host.dockerfile("ctx", "FROM scratch\nINCLUDE x\n").run().fails();
    outcome.says(&["unknown instruction: INCLUDE", "# strake: features=include"]);
    host.strake(&["explain", "E0702"]).ok();
}

#[test]
fn inherited_config_is_taken_back() {
    let host = Host::new();
    let text = with(
        "reset",
        "FROM scratch AS base\nENV A=1 B=2\nVOLUME /data /more\nEXPOSE 80 53/udp\nLABEL x=y z=w\nUSER 7\n\
         ENTRYPOINT [\"/e\"]\nCMD [\"c\"]\nWORKDIR /w\nHEALTHCHECK CMD x\nSTOPSIGNAL 9\nSHELL [\"/s\"]\n\
         FROM --reset=env=A,volume=/data,expose=80,label=x base AS some\n\
         FROM --reset=all base AS every\nCOPY a /\n\
         FROM --reset=env=NONE base AS none\n",
    );
    host.write("ctx/a", "");
    let (_, image) = host.dockerfile("ctx", &text).args("--target some").image();
    let config = &image.config["config"];
    assert_eq!(config["Env"][1], "B=2");
    assert_eq!(config["Volumes"], serde_json::json!({ "/more": {} }));
    assert_eq!(config["ExposedPorts"], serde_json::json!({ "53/udp": {} }));
    assert_eq!(config["Labels"], serde_json::json!({ "z": "w" }));
    let (_, image) = host.build("ctx").args("--target every").image();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(image.config["config"], serde_json::json!({ "Env": [path], "WorkingDir": "/" }));
    let (outcome, _) = host.build("ctx").args("--target none").image();
    assert!(outcome.stderr.contains("takes back nothing"), "{}", outcome.stderr);
}

#[test]
fn step_that_takes_too_long_is_stopped() {
    if !needs_root("a step") {
        return;
    }
    let host = Host::with_base();
    let text = with("run-limits", "FROM base\nRUN --timeout=300ms echo begun; trap '' TERM; sleep 1000\n");
    let outcome = host.dockerfile("ctx", &text).run().expect(1);
    outcome.says(&["stopped after --timeout=300ms", "begun", "raise the limit"]);
    assert_eq!(outcome.step("sleep 1000"), "failed");
    // One that ends well when it is told to stop was stopped all the same.
    let text = with("run-limits", "FROM base\nRUN --timeout=300ms trap 'exit 0' TERM; while :; do sleep 0.05; done\n");
    host.dockerfile("ctx", &text).run().expect(1).says(&["stopped after --timeout=300ms"]);
    let text = with("run-limits", "FROM base\nRUN --timeout=1h echo 1 >/made\n");
    let (_, image) = host.dockerfile("ctx", &text).image();
    assert_eq!(image.file("made"), "1\n");
    // A limit changes nothing of what is made: the result is in the cache.
    let (outcome, _) = host.dockerfile("ctx", "FROM base\nRUN echo 1 >/made\n").image();
    assert_eq!(outcome.step("RUN echo 1"), "cached");
}

#[test]
fn failed_step_is_run_again_on_a_clean_root() {
    if !needs_root("a step") {
        return;
    }
    let host = Host::with_base();
    // The cache mount alone remembers earlier attempts.
    let run = "RUN --retry=2 --mount=type=cache,target=/c test ! -e /left; touch /left; echo x >>/c/n; \
               test $(wc -l </c/n) = 3 && cp /c/n /made\n";
    let (outcome, image) = host.dockerfile("ctx", &with("run-limits", &format!("FROM base\n{run}"))).image();
    assert_eq!(image.file("made"), "x\nx\nx\n");
    assert!(outcome.stderr.contains("attempt 1 of 3 failed: exit code: 1"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("attempt 2 of 3 failed"), "{}", outcome.stderr);
    let text = with("run-limits", "FROM base\nRUN --retry=1 echo tried; exit 7\n");
    let outcome = host.dockerfile("ctx", &text).run().expect(1);
    outcome.says(&["exit code: 7"]);
    assert_eq!(outcome.log().matches("tried").count(), 2);
}

#[test]
fn memory_limit_holds_or_is_an_error() {
    if !needs_root("a step") {
        return;
    }
    let host = Host::with_base();
    let build = |script: &str| {
        let text = with("run-limits", &format!("FROM base\nRUN --memory=32m {script}\n"));
        host.dockerfile("ctx", &text).run()
    };
    let outcome = build("echo fits >/made");
    if outcome.code == Some(3) {
        outcome.says(&["RUN --memory=33554432 cannot be enforced"]);
        return;
    }
    outcome.expect(0);
    // The exit code of the shell does not tell of the kill in the last two.
    let greedy = "head -c 200m /dev/zero | tail -c 200m";
    for script in
        [format!("{greedy} >/dev/null"), format!("{greedy} | wc -c"), format!("({greedy} >/dev/null) || true")]
    {
        build(&script).expect(1).says(&["more memory than its --memory allows"]);
    }
}

#[test]
fn lowered_file_builds_the_same_without_additions() {
    let host = Host::new();
    host.write("ctx/a", "a");
    host.write("ctx/parts/copy", "COPY a /\n");
    let text = with(
        "include,if,reset",
        "FROM scratch AS b\nCMD [\"x\"]\nENTRYPOINT [\"y\"]\nFROM --reset=cmd,entrypoint b\nARG DO\nIF $DO\nINCLUDE parts/copy\nENDIF\n",
    );
    let args = "--build-arg DO=1";
    let (_, image) = host.dockerfile("ctx", &text).args(args).image();
    let outcome = host.strake(&["dockerfile", "lower", "ctx/Dockerfile"]).args(args).ok();
    let plain = String::from_utf8(outcome.stdout).unwrap();
    assert!(!plain.contains("INCLUDE") && !plain.contains("--reset") && !plain.contains("strake"), "{plain}");
    let (_, same) = host.dockerfile("ctx", &plain).args(args).image();
    assert_eq!(same.diff_ids(), image.diff_ids());
    assert_eq!(same.config["config"]["Entrypoint"], image.config["config"]["Entrypoint"]);
    assert_eq!(same.config["config"]["Cmd"], image.config["config"]["Cmd"]);
    host.write("ctx/Dockerfile", with("reset", "FROM --reset=volume scratch\n"));
    let outcome = host.strake(&["dockerfile", "lower", "ctx/Dockerfile"]).run().fails();
    outcome.says(&["--reset=volume has no equal in a plain Dockerfile"]);
}

#[test]
fn the_graph_is_that_of_the_file_as_it_is_built() {
    let host = Host::new();
    host.write("ctx/parts/tool", "FROM tool AS tool\nRUN make\n");
    let file =
        "ARG DEBUG\nIF $DEBUG\nINCLUDE parts/tool\nENDIF\nFROM scratch\nIF $DEBUG\nCOPY --from=tool / /\nENDIF\n";
    host.write("ctx/Dockerfile", with("include,if", file));
    let graph = |flags: &str| {
        let outcome = host.strake(&["dockerfile", "graph", "--file", "ctx/Dockerfile"]).args(flags).run().expect(0);
        String::from_utf8(outcome.stdout).unwrap()
    };
    assert_eq!(graph(""), "stage-0 (line 6): the target\n  <- scratch (from, line 6)\n\nno image is needed\n");
    let full = graph("--build-arg DEBUG=1");
    assert!(full.starts_with("tool (parts/tool:1): needed\n  <- image tool:latest (from, parts/tool:1)\n"), "{full}");
    assert!(full.contains("  parts/tool:2  RUN make\n"), "{full}");
    let json: serde_json::Value = serde_json::from_str(&graph("--build-arg DEBUG=1 --format json")).unwrap();
    assert_eq!(json["stages"][0]["edges"][0]["file"], "parts/tool");
    assert_eq!(json["stages"][1]["line"], 6);
    assert_eq!(json["stages"][1]["file"], serde_json::Value::Null);
}

#[test]
fn output_of_a_step_is_a_variable_from_there_on() {
    if !needs_root("a step") {
        return;
    }
    let host = Host::with_base();
    let text = with(
        "env-from,run-limits",
        "FROM base AS a\nRUN --env=V --retry=1 --timeout=1m --mount=type=cache,target=/c \\\n\
           echo noise >&2; echo half; test -e /c/x || { touch /c/x; exit 1; }; printf 'two words\\n\\n' ; touch /made\n\
         RUN --env=W [\"/bin/sh\", \"-c\", \"printf %s \\\"$V\\\"\"]\n\
         FROM a AS b\nENV W=over\nRUN printf '%s|%s' \"$V\" \"$W\" >/seen\n\
         FROM base AS c\nCOPY --from=b /seen /\nRUN test -z \"$V\"\n",
    );
    // The first attempt, which failed, counts for nothing.
    let (outcome, image) = host.dockerfile("ctx", &text).args("--target b").image();
    assert_eq!(image.file("seen"), "half\ntwo words|over");
    let env = image.config["config"]["Env"].as_array().expect("there is one").clone();
    assert!(env.contains(&"V=half\ntwo words".into()) && env.contains(&"W=over".into()), "{env:?}");
    assert!(outcome.log().contains("two words") && outcome.log().contains("noise"), "{}", outcome.log());
    // Another process finds the value with the step's result.
    let (outcome, again) = host.build("ctx").args("--target b").image();
    assert_eq!(outcome.step("RUN printf"), "cached");
    assert_eq!(again.config, image.config);
    let (_, image) = host.build("ctx").args("--target a").image();
    assert!(image.config["config"]["Env"].as_array().expect("there is one").contains(&"W=half\ntwo words".into()));
    let (_, image) = host.build("ctx").args("--target c").image();
    assert!(!image.config["config"]["Env"].to_string().contains("two words"));
}

#[test]
fn output_counts_in_later_keys_by_its_value() {
    if !needs_root("a step") {
        return;
    }
    let host = Host::with_base();
    host.write("ctx/v", "1\n");
    let text = with(
        "env-from",
        "FROM base AS a\nRUN --env=V --mount=type=bind,target=/ctx head -n1 /ctx/v\nFROM a\nRUN echo $V >/seen\n",
    );
    let (_, image) = host.dockerfile("ctx", &text).image();
    assert_eq!(image.file("seen"), "1\n");
    // The step runs anew and writes the same.
    host.write("ctx/v", "1\nmore\n");
    let (outcome, _) = host.build("ctx").image();
    assert_eq!((outcome.step("RUN --env=V"), outcome.step("RUN echo")), ("done".into(), "cached".into()));
    let (outcome, _) = host.build("ctx").args("--no-cache-filter a").image();
    assert_eq!((outcome.step("RUN --env=V"), outcome.step("RUN echo")), ("done".into(), "cached".into()));
    host.write("ctx/v", "2\n");
    let (outcome, image) = host.build("ctx").image();
    assert_eq!(outcome.step("RUN echo"), "done");
    assert_eq!(image.file("seen"), "2\n");
    // The same command without the flag has another record: its own has no value to give.
    let text = "FROM base\nRUN --mount=type=bind,target=/ctx head -n1 /ctx/v\n";
    host.dockerfile("ctx", text).image();
    let (_, image) = host.dockerfile("ctx", &with("env-from", &text.replace("RUN", "RUN --env=V"))).image();
    assert!(image.config["config"]["Env"].to_string().contains("V=2"));
}

#[test]
fn output_that_no_variable_holds_is_an_error() {
    if !needs_root("a step") {
        return;
    }
    let host = Host::with_base();
    host.write("token", "hunter2hunter2");
    for (script, wanted) in [
        ("printf 'a\\0b'", "a NUL byte"),
        ("printf 'ab\\377'", "not UTF-8, from byte 2 on"),
        ("head -c 65537 /dev/zero | tr '\\0' a", "wrote 65537 bytes to standard output"),
        ("cat /run/secrets/token", "a secret of the build"),
    ] {
        let run = format!("FROM base\nRUN --mount=type=secret,id=token --env=V {script}\n");
        let build = host.dockerfile("ctx", &with("env-from", &run)).args("--secret id=token,src=token");
        build.run().fails().says(&["E1206", "RUN --env=V: the command wrote", wanted, "Dockerfile:3"]);
    }
    let text = with(
        "env-from",
        "FROM base\nRUN --env=V <<EOF\nhead -c 65536 /dev/zero | tr '\\0' a\nEOF\nRUN test ${#V} = 65536\n",
    );
    host.dockerfile("ctx", &text).image();
}

#[test]
fn stage_begins_when_the_one_it_comes_after_is_complete() {
    if !needs_root("a step") {
        return;
    }
    let host = Host::with_base();
    // The cache mount shows the order.
    let mount = "--mount=type=cache,id=order,target=/c";
    let text = format!(
        "FROM base AS slow\nRUN {mount} sleep 1; echo slow >>/c/order\n\
         FROM --after=slow base\nRUN {mount} echo fast >>/c/order; cp /c/order /order\n"
    );
    let (_, image) = host.dockerfile("ctx", &text).image();
    assert_eq!(image.file("order"), "slow\nfast\n");
    // It is in no key.
    let (outcome, _) = host.dockerfile("ctx", &text.replace("--after=slow ", "")).image();
    assert_eq!(outcome.step("cp /c/order"), "cached");
}
