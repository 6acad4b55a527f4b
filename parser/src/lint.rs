//! The build checks that need no more than the tree, and pure helpers for the others (dockerfile.md §18).

use std::collections::HashMap;

use crate::ast::{Dockerfile, Instruction, InstructionKind};
use crate::check::CheckSettings;
use crate::diagnostic::{Diagnostic, keep};
use crate::ignore::IgnoreRules;
use crate::rule::Rule;
use crate::source::SourceText;
use crate::span::Spanned;
pub use secrets::secret_values;
use uses::Uses;

mod commands;
mod comments;
mod errexit;
mod installs;
mod late;
mod leftovers;
mod modes;
mod newer;
mod pipes;
mod secrets;
mod shell;
mod stages;
mod style;
mod unused;
mod uses;

/// Collects the warnings that are wanted.
struct Findings<'a> {
    settings: &'a CheckSettings,
    found: Vec<Diagnostic>,
}

impl Findings<'_> {
    /// Adds a warning unless its rule is off, for the file or for the instruction.
    fn add(&mut self, overrides: Option<&CheckSettings>, diagnostic: Diagnostic) {
        if diagnostic.rule.is_some_and(|rule| self.wants(overrides, rule)) {
            keep(diagnostic, &mut self.found);
        }
    }

    /// Says whether findings of a rule are wanted, in an instruction with these settings.
    fn wants(&self, overrides: Option<&CheckSettings>, rule: Rule) -> bool {
        match overrides {
            Some(overrides) => self.settings.merged(overrides).enables(rule),
            None => self.settings.enables(rule),
        }
    }
}

/// Runs the checks of an ONBUILD trigger, where it fires. Its spans point into `source`: the text that it stands in, the
/// file or its own. `has_shell` says whether a SHELL instruction is in force.
pub fn check_trigger(
    source: &SourceText,
    trigger: &Instruction,
    has_shell: bool,
    settings: &CheckSettings,
) -> Vec<Diagnostic> {
    let mut findings = Findings { settings, found: Vec::new() };
    commands::check_alone(source, trigger, has_shell, &mut findings);
    findings.found
}

/// Runs the checks of the tree, in file order.
///
/// Those of the instructions inside a stage are made for the stages of which `is_reachable` says yes by index; the
/// reference, too, checks what it builds only.
pub fn check(
    dockerfile: &Dockerfile,
    settings: &CheckSettings,
    is_reachable: &dyn Fn(usize) -> bool,
) -> Vec<Diagnostic> {
    let mut findings = Findings { settings, found: Vec::new() };
    style::check(dockerfile, &mut findings);
    stages::check(dockerfile, &mut findings);
    let shells = inherited_shells(dockerfile);
    for (stage, shell) in dockerfile.stages.iter().zip(shells).filter(|(stage, _)| is_reachable(stage.index)) {
        commands::check(&dockerfile.source, stage, shell, &mut findings);
    }
    let inside = dockerfile.stages.iter().flat_map(|stage| &stage.instructions).chain(&dockerfile.global_args);
    let stages = dockerfile.stages.iter().map(|stage| &stage.check_overrides);
    let mut overrides = inside.map(|instruction| &instruction.check_overrides).chain(stages).flatten();
    if settings.takes_in_more() || overrides.any(|settings| settings.takes_in_more()) {
        check_extras(dockerfile, is_reachable, &mut findings);
    }
    let mut found = findings.found;
    // An edit of what is not UTF-8 could not be written back.
    for one in &mut found {
        one.fix = one.fix.take().filter(|fix| !dockerfile.source.has_invalid(fix.span));
    }
    found.sort_by_key(|diagnostic| diagnostic.span.start());
    found
}

/// Makes the checks that are strake's own and off in builds.
fn check_extras(dockerfile: &Dockerfile, is_reachable: &dyn Fn(usize) -> bool, findings: &mut Findings<'_>) {
    let uses = Uses::new(dockerfile);
    unused::check(dockerfile, &uses, findings);
    newer::check(dockerfile, findings);
    late::check(dockerfile, findings);
    dockerfile.global_args.iter().for_each(|instruction| secrets::check(instruction, findings));
    let mut inside = dockerfile.stages.iter().flat_map(|stage| &stage.instructions);
    let has_users = inside.any(|instruction| matches!(instruction.kind, InstructionKind::User(_)));
    let are_lists_shared = leftovers::are_lists_shared(dockerfile);
    let reached = dockerfile.stages.iter().zip(uses.shipped()).filter(|(stage, _)| is_reachable(stage.index));
    for (stage, is_shipped) in reached {
        installs::check(stage, findings);
        for instruction in &stage.instructions {
            match &instruction.kind {
                // The layers of a stage that is only copied from go nowhere.
                InstructionKind::Run(run) if is_shipped => {
                    leftovers::check(dockerfile, instruction, run, are_lists_shared, findings);
                }
                InstructionKind::Copy(copy) => modes::check(&dockerfile.source, has_users, instruction, copy, findings),
                InstructionKind::Add(add) => {
                    modes::check(&dockerfile.source, has_users, instruction, &add.copy, findings);
                }
                InstructionKind::Arg(_) | InstructionKind::Env(_) => secrets::check(instruction, findings),
                _ => {}
            }
        }
    }
}

/// Says whether a name of ARG or ENV sounds like a secret: one of its words, split at `_`, does, and none says that it
/// is not one.
pub fn sounds_secret(name: &str) -> bool {
    const SECRET: &[&str] =
        &["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
    const HARMLESS: &[&str] = &["public", "file", "version"];
    let has = |list: &[&str]| name.split('_').any(|word| list.iter().any(|known| known.eq_ignore_ascii_case(word)));
    has(SECRET) && !has(HARMLESS)
}

/// Says whether CopyIgnoredFile fires for a source: the rules leave it out and take nothing back. The root counts only
/// when a pattern leaves out all of it.
pub fn is_ignored_source(rules: &IgnoreRules, path: &str) -> bool {
    if rules.has_exceptions() {
        return false;
    }
    let cleaned = crate::clean::clean_path(path);
    let path = cleaned.trim_start_matches('/');
    if path.is_empty() || path == "." {
        return rules.rules().iter().any(crate::ignore::IgnoreRule::matches_whole_root);
    }
    rules.decide(path).ignored
}

/// Gives the shell that each stage begins with, where a stage below it sets one.
fn inherited_shells(dockerfile: &Dockerfile) -> Vec<Option<&[Spanned<String>]>> {
    let mut by_name: HashMap<String, Option<&[Spanned<String>]>> = HashMap::new();
    let mut first = Vec::with_capacity(dockerfile.stages.len());
    for stage in &dockerfile.stages {
        let inherited = by_name.get(&stage.base.raw.to_lowercase()).copied().flatten();
        first.push(inherited);
        if let Some(key) = stage.key() {
            let own = stage.instructions.iter().rev().find_map(shell_of);
            by_name.insert(key, own.or(inherited));
        }
    }
    first
}

fn shell_of(instruction: &Instruction) -> Option<&[Spanned<String>]> {
    match &instruction.kind {
        InstructionKind::Shell(shell) => Some(shell),
        _ => None,
    }
}

#[cfg(test)]
mod extra_tests;
#[cfg(test)]
mod tests;
