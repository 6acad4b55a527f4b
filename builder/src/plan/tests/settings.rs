use super::{PATH, case, config, history, workdirs};

fn of(text: &str) -> String {
    config(&case().stage(text)).replace(PATH, "PATH=…")
}

#[test]
fn env_sets_pairs_from_what_was_before_the_line() {
    let text = "FROM scratch\nENV A=1 B=\"two words\" C='$A' D=$A\nENV LEG old \"style\" value\nENV D=$A E=\n";
    insta::assert_snapshot!(of(text), @r#"{"Env":["PATH=…","A=1","B=two words","C=$A","D=1","LEG=old style value","E="],"WorkingDir":"/"}"#);
    let stage = case().stage("FROM scratch\nENV A=1 B=\"two words\"\n");
    assert_eq!(history(&stage), ["- ENV A=1 B=two words"]);
    assert_eq!(stage.config.history[0].comment, "buildkit.dockerfile.v0");
}

#[test]
fn env_of_the_image_is_replaced_in_place() {
    let text = "FROM rich\nENV NEW=1\nENV B=changed A=\n";
    assert_eq!(case().stage(text).config.config.env[1..], ["A=", "B=changed", "NEW=1"]);
}

#[test]
fn everything_is_inherited_from_an_image_but_its_time() {
    let stage = case().stage("FROM rich\nLABEL added=1\n");
    insta::assert_snapshot!(config(&stage).replace(PATH, "PATH=…"), @r#"{"User":"app","ExposedPorts":{"80/tcp":{}},"Env":["PATH=…","A=1","B=two words"],"Entrypoint":["/bin/sh","-c"],"Cmd":["echo hi"],"Volumes":{"/data":{}},"WorkingDir":"/srv","Labels":{"added":"1","x":"y"},"StopSignal":"SIGTERM","Healthcheck":{"Test":["CMD-SHELL","true"],"Retries":3},"Shell":["/bin/sh","-ec"]}"#);
    let busybox = case().stage("FROM busybox\n");
    assert_eq!((busybox.config.created.as_ref(), busybox.inherited_history), (None, 1));
    assert_eq!(busybox.config.unknown_members().collect::<Vec<_>>(), ["moby.x"]);
}

#[test]
fn path_is_added_to_an_image_that_has_none() {
    let stage = case().image("bare", r#"{"architecture":"amd64","os":"linux"}"#).stage("FROM bare\n");
    assert_eq!(stage.config.config.env, [PATH]);
}

#[test]
fn label_expands_names_and_values() {
    let text =
        "FROM scratch\nARG V=1.2\nENV P=org\nLABEL ${P}.version=\"v$V\" $P.raw='$V' none=\"[$UNSET]\" price=\\$5\n";
    let stage = case().stage(text);
    insta::assert_snapshot!(serde_json::to_string(&stage.config.config.labels).expect("json"), @r#"{"none":"[]","org.raw":"$V","org.version":"v1.2","price":"$5"}"#);
    assert_eq!(history(&stage)[2], "- LABEL org.version=v1.2 org.raw=$V none=[] price=$5");
}

#[test]
fn labels_of_the_request_come_last() {
    let mut case = case();
    case.options.labels = vec![("x".to_owned(), "flag".to_owned()), ("raw".to_owned(), "$HOME".to_owned())];
    let stage = case.stage("FROM rich\nLABEL x=file\n");
    assert_eq!(stage.config.config.labels["x"], "flag");
    assert_eq!(stage.config.config.labels["raw"], "$HOME");
    assert_eq!(history(&stage), ["- LABEL x=file"]);
}

#[test]
fn expose_sorts_splits_and_expands() {
    let text = "FROM scratch\nARG PORT=8080\nENV LIST=\"70 71/udp\" PROTO=udp\nEXPOSE $PORT $LIST\nEXPOSE ${MISSING:-5000-5001}/${PROTO}\nEXPOSE 90/UDP 80\n";
    let stage = case().stage(text);
    insta::assert_snapshot!(format!("{:?}", stage.config.config.exposed_ports), @r#"{"5000/udp", "5001/udp", "70/tcp", "71/udp", "80/tcp", "8080/tcp", "90/udp"}"#);
    assert_eq!(history(&stage)[4], "- EXPOSE [80/tcp 90/udp]");
    let warnings = case().warnings("FROM scratch\nEXPOSE 80/TCP\nEXPOSE 127.0.0.1:80:81\n");
    insta::assert_snapshot!(warnings.join("\n"), @r"
    ExposeProtoCasing: 2: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase
    ExposeInvalidFormat: 3: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:81'
    ");
}

#[test]
fn every_setting_is_a_line_of_history_without_a_layer() {
    let text = "FROM scratch\nARG V=1\nENV A=$V B=\"two words\"\nLABEL l=\"$A\" m='$A'\nEXPOSE 90/udp 80\nVOLUME /v /w\nUSER $V:2\nSTOPSIGNAL SIGINT\nSHELL [\"/bin/ash\", \"-c\"]\nHEALTHCHECK --interval=5s --retries=2 CMD echo ok\nMAINTAINER me\nCMD echo $A\nENTRYPOINT [\"x y\", \"-\\\"q\\\"\"]\nONBUILD RUN true\n";
    let stage = case().stage(text);
    insta::assert_snapshot!(history(&stage).join("\n"), @r#"
    - ARG V=1
    - ENV A=1 B=two words
    - LABEL l=1 m=$A
    - EXPOSE [80/tcp 90/udp]
    - VOLUME [/v /w]
    - USER 1:2
    - STOPSIGNAL SIGINT
    - SHELL [/bin/ash -c]
    - HEALTHCHECK {Test:[CMD-SHELL echo ok] Interval:5s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2}
    - MAINTAINER me
    - CMD ["/bin/ash" "-c" "echo $A"]
    - ENTRYPOINT ["x y" "-\"q\""]
    "#);
    assert_eq!(stage.config.author.as_deref(), Some("me"));
    assert_eq!(stage.config.config.on_build, ["RUN true"]);
    assert!(stage.config.config.args_escaped);
    assert!(stage.steps.is_empty());
}

#[test]
fn entrypoint_clears_the_cmd_of_the_base_only() {
    let cmd = |text: &str| case().stage(text).config.config.cmd;
    assert!(cmd("FROM rich\nENTRYPOINT [\"/run\"]\n").is_empty());
    assert_eq!(cmd("FROM rich\nCMD [\"--serve\"]\nENTRYPOINT [\"/run\"]\n"), ["--serve"]);
    assert!(cmd("FROM scratch AS a\nCMD [\"x\"]\nFROM a\nENTRYPOINT [\"y\"]\n").is_empty());
    assert!(cmd("FROM rich\nENTRYPOINT []\n").is_empty());
    assert!(case().stage("FROM rich\nCMD []\n").config.config.args_escaped);
}

#[test]
fn shell_counts_for_the_lines_after_it() {
    let text = "FROM scratch\nCMD echo before\nSHELL [\"/bin/zsh\", \"-c\"]\nENTRYPOINT echo after\nHEALTHCHECK CMD check me\nSHELL [\"/bin/dash\"]\n";
    insta::assert_snapshot!(of(text), @r#"{"Env":["PATH=…"],"Entrypoint":["/bin/zsh","-c","echo after"],"Cmd":["/bin/sh","-c","echo before"],"WorkingDir":"/","ArgsEscaped":true,"Healthcheck":{"Test":["CMD-SHELL","check me"]},"Shell":["/bin/dash"]}"#);
}

#[test]
fn healthcheck_replaces_the_whole() {
    let text = "FROM rich\nHEALTHCHECK --start-period=1h --timeout=2.5s --start-interval=250ms CMD [\"/c\", \"$X\"]\n";
    let stage = case().stage(text);
    insta::assert_snapshot!(serde_json::to_string(&stage.config.config.healthcheck).expect("json"), @r#"{"Test":["CMD","/c","$X"],"Timeout":2500000000,"StartPeriod":3600000000000,"StartInterval":250000000}"#);
    assert_eq!(
        history(&stage),
        ["- HEALTHCHECK {Test:[CMD /c $X] Interval:0s Timeout:2.5s StartPeriod:1h0m0s StartInterval:250ms Retries:0}"]
    );
    let none = case().stage("FROM rich\nHEALTHCHECK NONE\n");
    insta::assert_snapshot!(serde_json::to_string(&none.config.config.healthcheck).expect("json"), @r#"{"Test":["NONE"]}"#);
}

#[test]
fn stopsignal_is_kept_as_written() {
    let stage = case().stage("FROM scratch\nARG S=INT\nSTOPSIGNAL 9\nSTOPSIGNAL ${S}\n");
    assert_eq!(stage.config.config.stop_signal, "INT");
}

#[test]
fn workdir_joins_and_makes_a_layer_but_for_the_root() {
    let stage = case().stage("FROM scratch\nENV D=x\nWORKDIR /a/b\nWORKDIR ../$D/.\nUSER 7\nWORKDIR y\nWORKDIR /\n");
    let made: Vec<_> = workdirs(&stage).iter().map(|op| (op.path.as_str(), op.user.as_str())).collect();
    assert_eq!(made, [("/a/b", ""), ("/a/x", ""), ("/a/x/y", "7")]);
    let texts = history(&stage);
    assert_eq!(texts[1..], ["WORKDIR /a/b", "WORKDIR /a/x", "- USER 7", "WORKDIR /a/x/y", "- WORKDIR /"]);
    assert_eq!(stage.steps[2].history, 4);
    assert_eq!(stage.config.config.working_dir, "/");
    let warnings = case().warnings("FROM rich\nWORKDIR rel\nWORKDIR more\n");
    assert_eq!(
        warnings,
        ["WorkdirRelativePath: 2: Relative workdir \"rel\" can have unexpected results if the base image changes"]
    );
}

#[test]
fn volume_takes_lists_and_json() {
    let stage = case().stage("FROM scratch\nENV V=/v\nVOLUME $V /w\nVOLUME [\"/with space\"]\n");
    assert_eq!(stage.config.config.volumes.iter().collect::<Vec<_>>(), ["/v", "/w", "/with space"]);
    assert_eq!(history(&stage)[1..], ["- VOLUME [/v /w]", "- VOLUME [/with space]"]);
}
