//! Pipes whose first commands may fail unseen.

use super::Findings;
use super::shell::{Command, Joint, Script, is_unix};
use crate::ast::{Instruction, Run};
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::span::Spanned;

/// Programs that do not fail in a way that matters, or that are meant to be ended by the pipe: what they read is at hand,
/// and an answer of theirs that is empty is one, too.
const SAFE: &[&str] = &[
    ":", "awk", "basename", "cat", "cut", "date", "df", "dirname", "dpkg", "du", "echo", "egrep", "env", "fgrep",
    "file", "find", "grep", "head", "id", "ldd", "ls", "nproc", "printenv", "printf", "ps", "pwd", "readlink", "rev",
    "sed", "seq", "set", "sort", "stat", "strings", "tac", "tail", "tr", "true", "tsort", "uname", "uniq", "wc",
    "which", "yes",
];

pub(super) fn check(instruction: &Instruction, run: &Run, shell: &[Spanned<String>], findings: &mut Findings<'_>) {
    let overrides = instruction.check_overrides.as_deref();
    if !findings.wants(overrides, Rule::PipeWithoutPipefail) {
        return;
    }
    let Some(script) = Script::of(run) else { return };
    let is_told = script.text.contains("pipefail") || shell.iter().any(|part| part.value.contains("pipefail"));
    if is_told || !is_unix(shell) || !script.text.contains('|') {
        return;
    }
    let may_fail = |command: &Command| match command.program() {
        Some((program, _)) => !SAFE.contains(&program) && !program.starts_with('-'),
        None => false,
    };
    let commands = script.commands();
    let Some(first) = commands.iter().find(|command| command.then == Joint::Pipe && may_fail(command)) else { return };
    let program = first.program().map_or("the command", |(program, _)| program);
    let message = format!("a failure of {program} before the pipe is not seen");
    let help = "use a shell that sees it: SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"], or set -o pipefail";
    let made = Diagnostic::lint(Rule::PipeWithoutPipefail, message, script.span);
    findings.add(overrides, made.with_help(help));
}
