use strake_parser::{MountSpec, Network};

use super::super::graph::CopyFrom;
use super::{case, env, history, runs};
use crate::request::Entitlement;

#[test]
fn arguments_are_seen_from_their_line_on() {
    let stage = case()
        .arg("A", "2")
        .stage("FROM busybox\nRUN one\nARG A=1 B=two C\nARG D=$A-$B\nRUN two\nENV A=env\nRUN three\n");
    let runs = runs(&stage);
    assert!(env(runs[0]).is_empty());
    assert_eq!(env(runs[1]), ["A=2", "B=two", "D=2-two"]);
    assert_eq!(env(runs[2]), ["B=two", "D=2-two", "A=env"]);
    insta::assert_snapshot!(history(&stage).join("\n"), @r"
    RUN /bin/sh -c one # buildkit
    - ARG A=2 B=two C
    - ARG D=2-two
    RUN |4 A=2 B=two C= D=2-two /bin/sh -c two # buildkit
    - ENV A=env
    RUN |4 A=env B=two C= D=2-two /bin/sh -c three # buildkit
    ");
    assert_eq!(stage.config.config.env.len(), 2);
}

#[test]
fn what_to_scan_is_no_variable() {
    let stage = case().stage("FROM busybox\nARG BUILDKIT_SBOM_SCAN_STAGE=true A=1\nRUN x\n");
    assert_eq!(env(runs(&stage)[0]), ["A=1"]);
    assert!(history(&stage)[1].contains("|2 BUILDKIT_SBOM_SCAN_STAGE=true A=1 "));
}

#[test]
fn an_empty_build_argument_is_not_the_default() {
    let stage = case().arg("A", "").stage("FROM busybox\nARG A=default\nRUN x\n");
    assert_eq!(env(runs(&stage)[0]), ["A="]);
}

#[test]
fn global_arguments_need_to_be_named_again() {
    let text = "ARG A=global\nARG B=global\nARG BASE=busybox\nFROM ${BASE}\nRUN one\nARG A\nARG B=stage\nARG FULL=v${A}.${MINOR:-0}\nRUN two\n";
    let stage = case().arg("B", "given").stage(text);
    assert!(env(runs(&stage)[0]).is_empty());
    assert_eq!(env(runs(&stage)[1]), ["A=global", "B=given", "FULL=vglobal.0"]);
    assert_eq!(history(&stage)[1], "- ARG A=global");
}

#[test]
fn arguments_pass_by_from_only() {
    let text = "ARG G=g\nFROM busybox AS base\nARG L=l\nARG G\nRUN x\nFROM base AS child\nRUN y\nFROM busybox\nCOPY --from=child / /\nRUN z\n";
    let planned = case().plan(text);
    assert_eq!(env(runs(&planned.graph.stages[1])[0]), ["L=l", "G=g"]);
    assert_eq!(history(&planned.graph.stages[1]), ["RUN |2 L=l G=g /bin/sh -c y # buildkit"]);
    assert!(env(runs(&planned.graph.stages[2])[0]).is_empty());
}

#[test]
fn platform_arguments_are_empty_or_right_once_declared() {
    let text = "FROM --platform=$BUILDPLATFORM busybox\nARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM TARGETSTAGE\nRUN x\n";
    let stage = case().platform("linux/arm/v7").stage(text);
    insta::assert_snapshot!(env(runs(&stage)[0]).join(" "), @"TARGETPLATFORM=linux/arm/v7 TARGETOS=linux TARGETARCH=arm TARGETVARIANT=v7 BUILDPLATFORM=linux/amd64 TARGETSTAGE=default");
    let named = case().target("dev").stage("FROM busybox AS Dev\nARG TARGETSTAGE TARGETVARIANT\nRUN x\n");
    assert_eq!(env(runs(&named)[0]), ["TARGETSTAGE=dev", "TARGETVARIANT="]);
    let last = case().stage("FROM busybox AS First\nFROM First AS Final\nARG TARGETSTAGE\nRUN x\n");
    assert_eq!(env(runs(&last)[0]), ["TARGETSTAGE=final"]);
}

#[test]
fn proxies_are_in_both_spellings_and_in_no_history() {
    let case = case().arg("HTTP_PROXY", "http://p").arg("no_proxy", "local");
    let stage = case.stage("FROM busybox\nARG no_proxy\nRUN x\n");
    let run = runs(&stage)[0];
    let pairs: Vec<_> = run.proxy_env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(pairs, ["HTTP_PROXY=http://p", "http_proxy=http://p", "NO_PROXY=local", "no_proxy=local"]);
    assert_eq!(env(run), ["no_proxy=local"]);
    assert!(case.warnings("FROM busybox\nRUN x\n").is_empty());
    // An empty one is none, and the spelling that comes last counts.
    let given = super::case().arg("http_proxy", "").arg("HTTP_PROXY", "a").arg("FTP_PROXY", "a").arg("ftp_proxy", "b");
    let stage = given.stage("FROM busybox\nENV ftp_proxy=own\nRUN x\n");
    let pairs: Vec<_> = runs(&stage)[0].proxy_env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(pairs, ["FTP_PROXY=b", "ftp_proxy=b"]);
}

#[test]
fn shell_and_json_forms_give_their_arguments() {
    let stage = case().stage("FROM busybox\nRUN echo $X   && true\nRUN [\"touch\", \"/y z\", \"$X\"]\nSHELL [\"/bin/ash\", \"-ec\"]\nRUN a\nRUN\n");
    let argv: Vec<_> = runs(&stage).iter().map(|run| run.argv.join("|")).collect();
    assert_eq!(argv, ["/bin/sh|-c|echo $X   && true", "touch|/y z|$X", "/bin/ash|-ec|a", "/bin/ash|-ec|"]);
    assert_eq!(history(&stage)[1], "RUN touch /y z $X # buildkit");
}

#[test]
fn heredocs_are_scripts_or_left_to_the_shell() {
    let text = "FROM busybox\nRUN <<EOF\necho one\necho two\nEOF\nRUN <<-X\n\t#!/bin/awk\n\tBEGIN\n\tX\nRUN <<A cat; echo <<B\none\nA\ntwo\nB\n";
    let stage = case().stage(text);
    let runs = runs(&stage);
    assert_eq!(runs[0].argv[2], "echo one\necho two\n");
    assert_eq!(runs[0].script, None);
    assert_eq!(runs[1].argv[2], "/dev/pipes/X");
    assert_eq!(runs[1].script, Some(("X".to_owned(), b"#!/bin/awk\nBEGIN\n".to_vec())));
    assert_eq!(runs[2].argv[2], "<<A cat; echo <<B\none\nA\ntwo\nB");
    let titles: Vec<_> = stage.steps.iter().map(|step| step.title.as_str()).collect();
    assert_eq!(titles, ["RUN <<EOF (echo one...)", "RUN <<-X (#!/bin/awk...)", "RUN <<A cat; echo <<B"]);
}

#[test]
fn mounts_have_absolute_targets_and_bound_sources() {
    let text = "ARG FROM=tools\nFROM busybox AS tools\nFROM busybox\nWORKDIR /w\nARG ID=c\nRUN --mount=target=src --mount=type=cache,target=/c,id=$ID,from=0 --mount=type=secret,id=tok --mount=type=ssh --mount=type=bind,from=$FROM,target=/t,source=/bin --mount=type=ssh,id=x x\n";
    let stage = case().stage(text);
    let mounts = &runs(&stage)[0].mounts;
    let targets: Vec<_> = mounts
        .iter()
        .map(|mount| match &mount.spec {
            MountSpec::Bind(bind) => bind.target.clone(),
            MountSpec::Cache(cache) => format!("{} {}", cache.target, cache.id),
            MountSpec::Tmpfs(tmpfs) => tmpfs.target.clone(),
            MountSpec::Secret(secret) => secret.target.clone().unwrap_or_default(),
            MountSpec::Ssh(ssh) => ssh.target.clone().unwrap_or_default(),
        })
        .collect();
    assert_eq!(
        targets,
        ["/w/src", "/c c", "/run/secrets/tok", "/run/buildkit/ssh_agent.0", "/t", "/run/buildkit/ssh_agent.1"]
    );
    assert_eq!(mounts[0].from, None);
    assert!(matches!(mounts[1].from, Some(CopyFrom::Stage(_))));
    assert!(matches!(mounts[4].from, Some(CopyFrom::Stage(_))));
}

#[test]
fn control_arguments_reach_the_step_and_are_no_unused_ones() {
    let case = case().arg("BUILDKIT_SANDBOX_HOSTNAME", "box").arg("BUILDKIT_CACHE_MOUNT_NS", "ns");
    let planned = case.plan("FROM busybox\nUSER 5\nRUN x\n");
    assert!(planned.warnings.is_empty());
    let run = runs(&planned.graph.stages[0])[0];
    assert_eq!((run.hostname.as_str(), run.cache_namespace.as_str()), ("box", "ns"));
    assert_eq!((run.cwd.as_str(), run.user.as_str()), ("/", "5"));
}

#[test]
fn rights_must_be_given() {
    let text = "FROM busybox\nRUN --network=host a\nRUN --security=insecure b\nRUN --network=none c\n";
    insta::assert_snapshot!(case().errors(text).join("\n"), @r"
    2: network.host is not allowed
    3: security.insecure is not allowed
    ");
    let mut allowed = case();
    allowed.options.entitlements = vec![Entitlement::NetworkHost, Entitlement::SecurityInsecure];
    let stage = allowed.stage(text);
    assert_eq!(runs(&stage)[0].network, Network::Host);
    assert_eq!(runs(&stage)[2].network, Network::None);
}

#[test]
fn no_cache_is_for_all_or_for_the_stages_named() {
    let mut case = case();
    case.options.no_cache_filter = vec!["b".to_owned()];
    let planned = case.plan("FROM busybox AS a\nRUN x\nFROM a AS B\nRUN y\nWORKDIR /z\n");
    let flags: Vec<_> = planned.graph.stages.iter().flat_map(|stage| &stage.steps).map(|step| step.no_cache).collect();
    assert_eq!(flags, [false, true, false]);
    assert!(planned.warnings.iter().all(|found| found.code != "W1034"));
    case.options.no_cache_filter = ["", "b", "bulid", "0"].map(str::to_owned).into();
    let planned = case.plan("FROM busybox AS build\nFROM busybox AS b\n");
    let said: Vec<_> = planned.warnings.iter().map(|found| found.message.as_str()).collect();
    let unknown = "--no-cache-filter: there is no stage";
    assert_eq!(said, [format!("{unknown} \"0\""), format!("{unknown} \"bulid\" (did you mean build?)")]);
}
