//! Checks of FROM lines.

use std::collections::{HashMap, HashSet};

use super::Findings;
use crate::ast::{Dockerfile, InstructionKind, Stage, Word};
use crate::check::CheckSettings;
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::span::Span;

pub(super) fn check(dockerfile: &Dockerfile, findings: &mut Findings<'_>) {
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut bases: HashSet<&str> = HashSet::new();
    for stage in &dockerfile.stages {
        if let (Some(key), Some(name)) = (stage.key(), &stage.name) {
            if matches!(key.as_str(), "context" | "scratch") {
                let message = format!("Stage name should not use the same name as reserved stage {key:?}");
                let made = Diagnostic::lint(Rule::ReservedStageName, message, name.span);
                let help =
                    format!("give the stage another name: FROM {key} and COPY --from={key} mean it from here on");
                findings.add(stage.check_overrides.as_deref(), made.with_help(help));
            }
            if let Some(first) = seen.get(&key) {
                let message = format!("Duplicate stage name {key:?}, stage names should be unique");
                let made = Diagnostic::lint(Rule::DuplicateStageName, message, name.span);
                let help = "name one of them differently: the name means the nearest stage above that has it";
                let made = made.with_label(*first, "given here first").with_help(help);
                findings.add(stage.check_overrides.as_deref(), made);
            }
            seen.insert(key, name.span);
        }
        check_platform(stage, findings);
        // Of an image that several stages start from, the first tells.
        if !is_stage(&seen, stage) && bases.insert(&stage.base.raw) {
            check_pinning(stage, findings);
        }
        for instruction in &stage.instructions {
            for word in sources(&instruction.kind) {
                // A bare name may be that of a context which the build is given.
                let is_image = word.raw.contains(['/', ':']);
                if is_image && bases.insert(&word.raw) {
                    check_latest("image", word, instruction.check_overrides.as_deref(), findings);
                }
            }
        }
    }
}

/// Gives what `--from` and mounts of an instruction name.
fn sources(kind: &InstructionKind) -> Vec<&Word> {
    match kind {
        InstructionKind::Copy(copy) => copy.from.iter().collect(),
        InstructionKind::Run(run) => run.mounts.iter().filter_map(|mount| mount.from()).collect(),
        _ => Vec::new(),
    }
}

fn is_stage(seen: &HashMap<String, Span>, stage: &Stage) -> bool {
    // Its own name counts only when an earlier stage has it, too.
    let base = stage.base.raw.to_lowercase();
    let own = stage.key().is_some_and(|key| key == base);
    seen.contains_key(&base) && !own
}

fn check_platform(stage: &Stage, findings: &mut Findings<'_>) {
    let Some(platform) = &stage.platform else { return };
    if platform.raw.contains('$') {
        return;
    }
    let Some((os, arch)) = split_platform(&platform.raw) else { return };
    let name = stage.key().unwrap_or_default();
    if name.contains(&os) || name.contains(&arch) {
        return;
    }
    let message = format!("FROM --platform flag should not use constant value {:?}", platform.raw);
    let made = Diagnostic::lint(Rule::FromPlatformFlagConstDisallowed, message, platform.span);
    let help = format!(
        "leave it out for an image of the target's platform, write --platform=$BUILDPLATFORM where the stage only builds, or \
         name the stage after the platform, as in AS build-{arch}"
    );
    findings.add(stage.check_overrides.as_deref(), made.with_help(help));
}

/// Gives system and architecture, normalised as far as names of stages may hold them (dockerfile.md §7.3).
fn split_platform(text: &str) -> Option<(String, String)> {
    let lower = text.to_lowercase();
    let parts: Vec<&str> = lower.split('/').collect();
    let normal = |arch: &str| match arch {
        "x86_64" | "x86-64" => "amd64".to_owned(),
        "aarch64" => "arm64".to_owned(),
        "armhf" | "armel" => "arm".to_owned(),
        "i386" => "386".to_owned(),
        arch => arch.to_owned(),
    };
    match parts.as_slice() {
        [arch] if !arch.is_empty() => Some(("linux".to_owned(), normal(arch))),
        [os, arch] | [os, arch, _] if !os.is_empty() && !arch.is_empty() => {
            let os = os.split('(').next().unwrap_or_default();
            Some((os.to_owned(), normal(arch)))
        }
        _ => None,
    }
}

fn check_pinning(stage: &Stage, findings: &mut Findings<'_>) {
    let base = stage.base.raw.as_str();
    let overrides = stage.check_overrides.as_deref();
    if base.is_empty()
        || base == "scratch"
        || base.contains('@')
        || check_latest("base image", &stage.base, overrides, findings)
        || base.contains('$')
    {
        return;
    }
    let message = format!("base image {base} has no digest");
    let made = Diagnostic::lint(Rule::UnpinnedBaseImage, message, stage.base.span).as_note();
    let help = format!("write {base}@sha256:… to build from the same image each time");
    findings.add(overrides, made.with_help(help));
}

/// Says whether a text may name an image: what cannot has an error of its own.
fn may_be_image(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/:".contains(&byte);
    text.contains('$') || (text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.bytes().all(is_part))
}

/// Tells an image that is what the tag `latest` means; says whether it did.
fn check_latest(what: &str, image: &Word, overrides: Option<&CheckSettings>, findings: &mut Findings<'_>) -> bool {
    let text = image.raw.as_str();
    // Of a name with variables only what is written out is known.
    let name = text.rsplit('/').next().unwrap_or_default();
    let is_latest = match name.rsplit_once(':') {
        Some((name, tag)) => tag == "latest" && (!name.contains("${") || name.ends_with('}')),
        None => !text.contains('$') && !text.contains('@'),
    };
    if !is_latest || !may_be_image(text) || !findings.wants(overrides, Rule::LatestTag) {
        return false;
    }
    let message = format!("{what} {text} is what the tag latest means at the time");
    findings.add(overrides, Diagnostic::lint(Rule::LatestTag, message, image.span).with_help("name a version"));
    true
}
