//! Files of package managers that stay in a layer.

use super::Findings;
use super::errexit::stops_on_error;
use super::shell::{Command, Script};
use crate::ast::{Dockerfile, Instruction, Run};
use crate::diagnostic::{Diagnostic, Edit};
use crate::rule::Rule;
use crate::source::SourceText;
use crate::span::Span;

/// What removes the lists.
const REMOVE_LISTS: &str = "rm -rf /var/lib/apt/lists/*";

pub(super) fn check(
    dockerfile: &Dockerfile,
    instruction: &Instruction,
    run: &Run,
    are_lists_shared: bool,
    findings: &mut Findings<'_>,
) {
    let Some(script) = Script::of(run) else { return };
    if !script.text.contains("apt") && !script.text.contains("apk") {
        return;
    }
    let commands = script.commands();
    check_apt(dockerfile, instruction, run, &script, &commands, are_lists_shared, findings);
    check_apk(&dockerfile.source, instruction, run, &script, &commands, findings);
}

fn check_apt(
    dockerfile: &Dockerfile,
    instruction: &Instruction,
    run: &Run,
    script: &Script<'_>,
    commands: &[Command],
    are_lists_shared: bool,
    findings: &mut Findings<'_>,
) {
    let find = |action| commands.iter().filter(move |command| runs(command, &["apt-get", "apt"], action));
    let apt = |action| find(action).next().is_some();
    let is_flag = |word: &String| word == "--update" || word == "-U";
    let installs = apt("install");
    let updates = apt("update") || find("install").any(|command| command.words.iter().any(is_flag));
    // Whatever names the folder of the lists, or removes one above it, sees to them.
    let above = |word: &String| word.trim_end_matches(['/', '*']) == "/var/lib/apt";
    let removes_above =
        |command: &Command| command.program().is_some_and(|(name, rest)| name == "rm" && rest.iter().any(above));
    let is_removed = script.text.contains("/var/lib/apt/lists")
        || commands.iter().any(removes_above)
        || apt("dist-clean")
        || apt("distclean");
    if !updates || is_mounted(run, "/var/lib/apt") || is_removed {
        return;
    }
    let message = "the package lists that apt fetched stay in the layer";
    let help = match installs {
        true => format!("end the command with && {REMOVE_LISTS}, or mount a cache there"),
        false => format!(
            "update and install in one RUN that ends with && {REMOVE_LISTS}: lists of an earlier layer are old in a later \
             build"
        ),
    };
    let mut made = Diagnostic::lint(Rule::AptListsLeft, message, script.span).with_help(help);
    if installs
        && !are_lists_shared
        && let Some(Edit { span, replacement }) = removal(dockerfile, instruction, run, script)
    {
        made = made.with_fix(span, replacement);
    }
    findings.add(instruction.check_overrides.as_deref(), made);
}

/// Says whether an instruction or a trigger may install from lists that another one has fetched.
pub(super) fn are_lists_shared(dockerfile: &Dockerfile) -> bool {
    dockerfile.stages.iter().flat_map(|stage| &stage.instructions).any(|instruction| {
        let text = dockerfile.source.slice(instruction.span);
        let fetches = text.contains("update") || text.contains(" -U");
        text.contains("apt") && text.contains("install") && !fetches
    })
}

/// Gives the edit that appends the removal, where the end of the script is the end of its last command.
fn removal(dockerfile: &Dockerfile, instruction: &Instruction, run: &Run, script: &Script<'_>) -> Option<Edit> {
    let text = script.text.trim_end();
    let is_open = text.ends_with([';', '&', '|', '\\', '`', '(', '{']);
    // A comment would swallow what is appended, and an alternative decides about more than its own command.
    if is_open || text.contains('#') || text.contains("||") || text.contains("exec ") || text.contains("exit ") {
        return None;
    }
    // Who needs sudo for apt may not remove its lists without.
    if text.contains("sudo") {
        return None;
    }
    if script.is_heredoc {
        // Else the removal, which never fails, would decide about the script.
        let is_safe = script.text.ends_with('\n') && stops_on_error(text, &[]);
        return is_safe.then(|| Edit { span: Span::at(script.span.end()), replacement: format!("{REMOVE_LISTS}\n") });
    }
    if !run.heredocs.is_empty() {
        return None;
    }
    let source = &dockerfile.source;
    let last = source.line_of(script.span.end().saturating_sub(1));
    let end = Span::at(script.span.end());
    if last == instruction.lines.first() {
        return Some(Edit { span: end, replacement: format!(" && {REMOVE_LISTS}") });
    }
    let line = source.line(last)?;
    let indent = line.get(..line.len() - line.trim_start().len())?;
    let escape = dockerfile.directives.escape().char();
    Some(Edit { span: end, replacement: format!(" {escape}\n{indent}&& {REMOVE_LISTS}") })
}

fn check_apk(
    source: &SourceText,
    instruction: &Instruction,
    run: &Run,
    script: &Script<'_>,
    commands: &[Command],
    findings: &mut Findings<'_>,
) {
    let keeps = |command: &&Command| {
        let is_free = command.words.iter().any(|word| word == "--no-cache");
        !is_free && (runs(command, &["apk"], "add") || runs(command, &["apk"], "update"))
    };
    let keeping: Vec<&Command> = commands.iter().filter(keeps).collect();
    let is_removed = script.text.contains("/var/cache/apk") || script.text.contains("/etc/apk/cache");
    let is_cached = is_mounted(run, "/var/cache/apk") || is_mounted(run, "/etc/apk/cache");
    if keeping.is_empty() || is_removed || is_cached {
        return;
    }
    let message = "the package index that apk fetched stays in the layer";
    let made = Diagnostic::lint(Rule::ApkCacheLeft, message, script.span);
    let mut made = made.with_help("write apk add --no-cache; it needs no apk update");
    let is_add = |command: &&&Command| {
        command.words.first().is_some_and(|word| word == "apk")
            && command.words.get(1).is_some_and(|word| word == "add")
    };
    // One edit for each; the next one is found when this one is made.
    let is_plain = keeping.iter().all(|command| !runs(command, &["apk"], "update"));
    if is_plain
        && keeping.iter().filter(is_add).count() == keeping.len()
        && let Some(at) = first_add(source.slice(script.span))
    {
        made = made.with_fix(Span::at(script.span.start() + at), " --no-cache");
    }
    findings.add(instruction.check_overrides.as_deref(), made);
}

/// Finds the end of the first `apk add` that has no `--no-cache` right after it.
fn first_add(text: &str) -> Option<usize> {
    const ADD: &str = "apk add";
    let is_wanted = |at: &usize| {
        let before = text.get(..*at).and_then(|text| text.chars().next_back());
        let after = text.get(at + ADD.len()..).unwrap_or_default();
        let line = text.get(..*at).and_then(|text| text.rsplit('\n').next()).unwrap_or_default();
        before.is_none_or(|c| c.is_whitespace() || matches!(c, ';' | '&' | '(' | '|'))
            && after.starts_with([' ', '\t'])
            && !after.trim_start().starts_with("--no-cache")
            && !line.contains(['#', '"', '\''])
    };
    text.match_indices(ADD).map(|(at, _)| at).find(is_wanted).map(|at| at + ADD.len())
}

/// Says whether a command is one of the programs with this as the first argument that is no flag.
fn runs(command: &Command, programs: &[&str], action: &str) -> bool {
    let Some((program, rest)) = command.program() else { return false };
    programs.contains(&program) && rest.iter().find(|word| !word.starts_with('-')).is_some_and(|word| word == action)
}

/// Says whether a mount covers a folder, so that what is written there is not in the layer.
fn is_mounted(run: &Run, folder: &str) -> bool {
    run.mounts.iter().any(|mount| {
        let target = ["target", "dst", "destination"].iter().find_map(|key| mount.option(key));
        let is_below = |path: &str, above: &str| path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
        target
            .map(|target| target.raw.trim_end_matches('/'))
            .is_some_and(|target| target == folder || is_below(target, folder) || is_below(folder, target))
    })
}
