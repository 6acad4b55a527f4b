//! Scripts that go on after a command that failed.

use super::Findings;
use super::shell::{Command, Joint, Script};
use crate::ast::{Form, Instruction, Run};
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::span::Spanned;

/// Longer scripts are not looked through: what follows a list may be looked for to the end of the script.
const MOST_LISTS: usize = 1_000;

pub(super) fn check(instruction: &Instruction, run: &Run, shell: &[Spanned<String>], findings: &mut Findings<'_>) {
    let Form::Shell(text) = &run.command else { return };
    let Some(script) = Script::of(run).filter(|script| script.is_heredoc) else { return };
    if is_clear(&script.text, shell) && !stops_on_error(&script.text, shell) && goes_on(&script.commands()) {
        let message = "the script goes on after a command that fails: only the last one's exit status counts";
        let made = Diagnostic::lint(Rule::HeredocNoErrexit, message, text.span);
        findings.add(instruction.check_overrides.as_deref(), made.with_help("begin the script with set -e"));
    }
}

/// Says whether it is a script of which the look at simple commands tells enough: one of a shell of POSIX, without
/// functions, arrays and arithmetic, that has not made up its mind about failures itself.
fn is_clear(script: &str, shell: &[Spanned<String>]) -> bool {
    let program = shell.first().map_or("sh", |program| program.value.rsplit('/').next().unwrap_or_default());
    let is_shell = ["ash", "bash", "dash", "ksh", "sh", "zsh"].contains(&program);
    let others = ["()", "function ", "((", "=(", "set +e", "set +o errexit", "exit $?"];
    is_shell
        && !others.iter().any(|other| script.contains(other))
        && !script.lines().any(|line| line.trim_start().starts_with("trap ") && line.contains("ERR"))
}

/// Says whether script or shell ask for an end at the first failure.
pub(super) fn stops_on_error(script: &str, shell: &[Spanned<String>]) -> bool {
    let is_option = |word: &str| word.starts_with('-') && !word.starts_with("--") && word.contains('e');
    let asks = |line: &str| {
        let mut words = line.split_whitespace();
        words.next() == Some("set") && words.any(|word| is_option(word) || word == "errexit")
    };
    let in_shell = shell.iter().skip(1).any(|word| is_option(&word.value) || word.value == "errexit");
    in_shell || script.lines().flat_map(|line| line.split([';', '&', '(', '{'])).any(asks)
}

/// Says whether there is a command whose failure nothing sees: neither what joins it to the next one, nor the end of the
/// script.
fn goes_on(commands: &[Command]) -> bool {
    let lists = lists(commands);
    lists.len() <= MOST_LISTS
        && lists.iter().enumerate().any(|(at, list)| may_fail(list) && is_followed(&lists[at + 1..]))
}

/// Splits a script where one list of commands ends and the next one begins: at `;`, `&`, and ends of lines.
fn lists(commands: &[Command]) -> Vec<&[Command]> {
    commands.split_inclusive(|command| matches!(command.then, Joint::Other | Joint::Arm)).collect()
}

/// Says whether the script may have to see to it that a list failed.
fn may_fail(list: &[Command]) -> bool {
    // These begin a compound, and decide on their own what a failure means; words that close one never fail.
    const NO_COMMAND: &[&str] =
        &["if", "elif", "while", "until", "for", "case", "select", "function", "fi", "done", "esac", "}", "!"];
    // The exit status is of no interest, or ends the script.
    const HARMLESS: &[&str] = &[
        ":", "break", "continue", "echo", "exec", "exit", "export", "false", "local", "printf", "return", "set",
        "shift", "sleep", "trap", "true", "umask", "unset",
    ];
    let is_harmless = |command: &Command| {
        command.program().is_none_or(|(name, _)| HARMLESS.contains(&name) || name == "{")
            || first_word(std::slice::from_ref(command)) == "exec"
    };
    !(NO_COMMAND.contains(&first_word(list)) || is_guarded(list) || list.iter().all(is_harmless))
}

/// Says whether a list tells what is to be done when it fails, or ends an arm of a `case`, behind which is not looked.
fn is_guarded(list: &[Command]) -> bool {
    list.iter().any(|command| matches!(command.then, Joint::Or | Joint::Arm))
}

/// Says whether anything runs after a list and hides how it ended; `rest` is what stands behind it.
fn is_followed(rest: &[&[Command]]) -> bool {
    let mut rest = rest.iter();
    while let Some(list) = rest.next() {
        match first_word(list) {
            "else" | "elif" => {
                // The other branches run in its place.
                let mut depth = 0;
                let end = rest.by_ref().find(|list| {
                    match first_word(list) {
                        "if" => depth += 1,
                        "fi" if depth == 0 => return true,
                        "fi" => depth -= 1,
                        _ => {}
                    }
                    false
                });
                if end.is_none_or(|list| is_guarded(list)) {
                    return false;
                }
            }
            "fi" | "}" | "esac" => {
                if is_guarded(list) {
                    return false;
                }
            }
            _ => return true,
        }
    }
    false
}

fn first_word(list: &[Command]) -> &str {
    list.first().and_then(|command| command.words.first()).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::InstructionKind;
    use crate::parse::{ParseOptions, parse};

    fn goes_on_in(script: &str) -> bool {
        let parsed = parse(format!("FROM a\nRUN <<EOF\n{script}\nEOF\n").as_bytes(), &ParseOptions::default());
        let kind = &parsed.dockerfile.stages[0].instructions[0].kind;
        let InstructionKind::Run(run) = kind else { panic!("{kind:?}") };
        goes_on(&Script::of(run).expect("a script").commands())
    }

    #[test]
    fn failures_that_nothing_sees_are_found() {
        for script in [
            "a\nb",
            "a; b",
            "a && b\nc",
            "a | b\nc",
            "a\necho done",
            "if a; then\n b\n c\nfi",
            "if a; then b; else c; d; fi",
            "if a; then\n b\nfi\nc",
            "if a; then\n b\nelse\n c\nfi\nd",
            "for i in 1 2; do\n a $i\ndone",
            "{\n a\n b\n}",
            "cd /x\nmake",
            "X=1 a\nb",
            "(a; b) || exit 1",
        ] {
            assert!(goes_on_in(script), "{script}");
        }
    }

    #[test]
    fn failures_that_something_sees_are_none() {
        for script in [
            "a",
            "a &&\n b &&\n c",
            "a || exit 1\nb || exit 1\nc",
            "if a; then\n b\nfi",
            "if a; then\n b\nelif c; then\n d\nelse\n if e; then\n  f\n fi\nfi",
            "if a; then\n b\nfi || exit 1\nc",
            "case $a in\n x) b ;;\n *) c ;;\nesac",
            "export A=1\nB=2\necho hello\na",
            "cat <<X >/f\none\ntwo\nX",
            "# only\n# comments\na",
            "while a; do echo x; done",
            "until a; do sleep 1; done",
            "exec >/log 2>&1\na",
        ] {
            assert!(!goes_on_in(script), "{script}");
        }
        assert!(!goes_on_in(&"if a\nthen b\nelse\n".repeat(60_000)));
    }

    #[test]
    fn what_cannot_be_followed_is_left_alone() {
        for script in
            ["die() { echo x; exit 1; }\na || die", "a=(\nb\n)\nc", "(( i++ ))\na", "set +e\na\nb", "a\nexit $?"]
        {
            assert!(!is_clear(script, &[]), "{script}");
        }
        assert!(!is_clear("trap 'exit 1' ERR\na\nb", &[]) && is_clear("a\nb", &[]));
        assert!(stops_on_error("( set -e; a; b )", &[]));
        let python = [Spanned::new("/usr/bin/python3".to_owned(), crate::span::Span::default())];
        assert!(!is_clear("import os\nprint(1)", &python));
    }
}
