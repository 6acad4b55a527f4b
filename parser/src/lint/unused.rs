//! Stages and arguments that nothing uses.

use std::collections::HashMap;

use super::Findings;
use super::uses::Uses;
use crate::ast::{ArgDeclaration, Dockerfile, Instruction, InstructionKind};
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::source::SourceText;
use crate::span::Span;
use crate::suggest::suggest;

/// With so many variables nobody looks for the one that is meant.
const MOST_VARIABLES: usize = 1_000;

pub(super) fn check(dockerfile: &Dockerfile, uses: &Uses, findings: &mut Findings<'_>) {
    check_stages(dockerfile, uses, findings);
    let counts = count_names(dockerfile);
    for instruction in &dockerfile.global_args {
        check_args(&dockerfile.source, instruction, &counts, findings);
    }
    let runs_below = runs_below(dockerfile, uses);
    for (stage, runs_below) in dockerfile.stages.iter().zip(runs_below) {
        let last_run = stage.instructions.iter().rposition(|instruction| holds_run(&instruction.kind));
        for (at, instruction) in stage.instructions.iter().enumerate() {
            // A program that RUN starts sees the arguments in its environment and may ask for any of them.
            if !runs_below && last_run.is_none_or(|run| run < at) {
                check_args(&dockerfile.source, instruction, &counts, findings);
            }
        }
    }
}

fn check_stages(dockerfile: &Dockerfile, uses: &Uses, findings: &mut Findings<'_>) {
    let Some((_, all_but_last)) = dockerfile.stages.split_last() else { return };
    for stage in all_but_last.iter().filter(|stage| !uses.is_used(stage.index)) {
        let made = match &stage.name {
            // They are there for --target.
            Some(name) if is_target(&name.value) => continue,
            Some(name) => {
                let message = format!("stage {} is used by no other stage", name.value);
                let help = "remove it, unless it is built by --target";
                Diagnostic::lint(Rule::UnusedStage, message, name.span).with_help(help).as_note()
            }
            None => {
                let message = "this stage has no name and is used by no other stage";
                Diagnostic::lint(Rule::UnusedStage, message, stage.from_span).with_help("remove it, or give it a name")
            }
        };
        findings.add(stage.check_overrides.as_deref(), made);
    }
}

/// Says whether one of the words of a name is one that stages built by `--target` have.
fn is_target(name: &str) -> bool {
    const WORDS: &[&str] =
        &["bench", "check", "ci", "debug", "dev", "development", "docs", "e2e", "lint", "test", "tests", "unittest"];
    name.split(['-', '_', '.']).any(|word| WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

fn holds_run(kind: &InstructionKind) -> bool {
    match kind {
        InstructionKind::Run(_) => true,
        InstructionKind::Onbuild(onbuild) => holds_run(&onbuild.instruction.kind),
        _ => false,
    }
}

/// Says for each stage whether a stage that starts from it has a RUN; such a one inherits the arguments.
fn runs_below(dockerfile: &Dockerfile, uses: &Uses) -> Vec<bool> {
    let mut below = vec![false; dockerfile.stages.len()];
    for (index, stage) in dockerfile.stages.iter().enumerate().rev() {
        let has_run = stage.instructions.iter().any(|instruction| holds_run(&instruction.kind));
        if let (Some(base), true) = (uses.base(index), has_run || below[index]) {
            below[base] = true;
        }
    }
    below
}

/// Counts the words of the file, comments included, that are names of arguments.
fn count_names(dockerfile: &Dockerfile) -> HashMap<&str, usize> {
    let inside = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    let mut counts = HashMap::new();
    for instruction in dockerfile.global_args.iter().chain(inside) {
        if let InstructionKind::Arg(items) = &instruction.kind {
            counts.extend(items.iter().map(|item| (item.name.value.as_str(), 0)));
        }
    }
    if counts.is_empty() {
        return counts;
    }
    let text = dockerfile.source.text();
    for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
        if let Some(count) = counts.get_mut(word) {
            *count += 1;
        }
    }
    counts
}

fn check_args(
    source: &SourceText,
    instruction: &Instruction,
    counts: &HashMap<&str, usize>,
    findings: &mut Findings<'_>,
) {
    let InstructionKind::Arg(items) = &instruction.kind else { return };
    // What follows the sign was meant as a comment, which another check tells.
    for item in items.iter().take_while(|item| !item.name.value.starts_with('#')) {
        // Its own place is one.
        if counts.get(item.name.value.as_str()) != Some(&1) || is_known_to_builders(&item.name.value) {
            continue;
        }
        let message = format!("ARG {} is used nowhere", item.name.value);
        let mut made = Diagnostic::lint(Rule::UnusedArg, message, item.name.span).with_help("remove it");
        if let Some(lines) = own_lines(source, instruction, items)
            && !is_misspelt(source, &item.name.value)
        {
            made = made.with_fix(lines, "");
        }
        findings.add(instruction.check_overrides.as_deref(), made);
    }
}

/// Builders read these themselves (dockerfile.md §9.5 to §9.7).
fn is_known_to_builders(name: &str) -> bool {
    const PARTS: &[&str] = &["PLATFORM", "OS", "ARCH", "VARIANT", "OSVERSION", "STAGE"];
    let of_platform = name.strip_prefix("TARGET").or_else(|| name.strip_prefix("BUILD"));
    of_platform.is_some_and(|part| PARTS.contains(&part))
        || name.starts_with("BUILDKIT_")
        || name == "SOURCE_DATE_EPOCH"
        || name.to_lowercase().ends_with("_proxy")
}

/// Says whether a variable of the file may be meant to be this argument.
fn is_misspelt(source: &SourceText, name: &str) -> bool {
    let is_part = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let used = source.text().split('$').skip(1).map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.get(..rest.chars().take_while(is_part).count()).unwrap_or_default()
    });
    let used: Vec<&str> = used.take(MOST_VARIABLES).collect();
    used.len() == MOST_VARIABLES || suggest(name, used).is_some()
}

/// Gives the lines of an ARG that declares one name, when no comment describes it.
fn own_lines(source: &SourceText, instruction: &Instruction, items: &[ArgDeclaration]) -> Option<Span> {
    if items.len() != 1 || !instruction.docs.is_empty() {
        return None;
    }
    let first = source.line_span(instruction.lines.first())?;
    Some(first.join(source.line_span(instruction.lines.last())?))
}
