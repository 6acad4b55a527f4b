//! A look at shell scripts: simple commands and what joins them (POSIX.1-2017, XCU chapter 2).
//!
//! It never says that a script is wrong; what it cannot follow it takes for ordinary words.

use std::borrow::Cow;

use crate::ast::{Form, Run, RunHeredocs};
use crate::span::{Span, Spanned};

/// The text that the shell of a RUN runs.
pub(super) struct Script<'a> {
    /// The text, continuations joined.
    pub(super) text: Cow<'a, str>,
    /// Where it is written.
    pub(super) span: Span,
    /// Whether it is a here-document.
    pub(super) is_heredoc: bool,
}

/// A simple command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// Its words, quotes removed; a substitution stays as it is written.
    pub(super) words: Vec<String>,
    /// What stands after it.
    pub(super) then: Joint,
}

/// What joins a command to the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Joint {
    /// `|` or `|&`.
    Pipe,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `;;`, which ends an arm of a `case`.
    Arm,
    /// `;`, a line end, `&`, a parenthesis.
    #[default]
    Other,
}

impl<'a> Script<'a> {
    /// Gives the script of a RUN; none in the JSON form, and for another interpreter.
    pub(super) fn of(run: &'a Run) -> Option<Self> {
        let Form::Shell(text) = &run.command else { return None };
        if run.heredoc_shape() == RunHeredocs::Script
            && let Some(heredoc) = run.heredocs.first()
        {
            let content = match heredoc.content() {
                Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
                Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
            };
            return (!content.starts_with("#!")).then_some(Self {
                text: content,
                span: heredoc.span,
                is_heredoc: true,
            });
        }
        Some(Self { text: Cow::Borrowed(&text.value), span: text.span, is_heredoc: false })
    }

    /// Gives its simple commands in order.
    pub(super) fn commands(&self) -> Vec<Command> {
        commands(&self.text)
    }
}

impl Command {
    /// Gives the program's name without folder and the words after it; assignments, keywords and the like before it
    /// are left out.
    pub(super) fn program(&self) -> Option<(&str, &[String])> {
        const BEFORE: &[&str] =
            &["if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "exec", "sudo", "command", "env"];
        let is_before = |word: &str| BEFORE.contains(&word) || is_assignment(word);
        let at = self.words.iter().position(|word| !is_before(word))?;
        let (name, rest) = self.words.get(at..)?.split_first()?;
        Some((name.rsplit('/').next().unwrap_or(name), rest))
    }
}

/// Says whether a shell is a Unix one: not cmd, not PowerShell.
pub(super) fn is_unix(shell: &[Spanned<String>]) -> bool {
    let Some(program) = shell.first() else { return true };
    let name = program.value.rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase();
    !["cmd", "powershell", "pwsh"].contains(&name.strip_suffix(".exe").unwrap_or(&name))
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn commands(text: &str) -> Vec<Command> {
    let mut scanner =
        Scanner { bytes: text.as_bytes(), at: 0, word: None, made: Vec::new(), current: Command::default() };
    let mut heredocs: Vec<Vec<u8>> = Vec::new();
    // In a `case`: whether the place is one of a pattern.
    let mut cases: Vec<bool> = Vec::new();
    while let Some(byte) = scanner.next() {
        let in_pattern = cases.last() == Some(&true);
        let in_test = scanner.current.words.first().is_some_and(|word| word == "[[")
            && scanner.current.words.last().is_some_and(|word| word != "]]");
        match byte {
            b' ' | b'\t' | b'\r' => {
                scanner.end_word();
                let words = &scanner.current.words;
                let is_case = words.first().is_some_and(|word| word == "case");
                if is_case && words.len() > 2 && words.last().is_some_and(|word| word == "in") {
                    scanner.end_command(Joint::Other);
                    cases.push(true);
                } else if in_pattern && words.first().is_some_and(|word| word == "esac") {
                    cases.pop();
                    scanner.current.words.clear();
                }
            }
            b'\n' => {
                scanner.end_word();
                let words = &scanner.current.words;
                if words.first().is_some_and(|word| word == "case") && words.last().is_some_and(|word| word == "in") {
                    cases.push(true);
                } else if in_pattern && words.first().is_some_and(|word| word == "esac") {
                    cases.pop();
                    scanner.current.words.clear();
                }
                scanner.end_command(Joint::Other);
                for delimiter in heredocs.drain(..) {
                    scanner.skip_heredoc(&delimiter);
                }
            }
            b'#' if scanner.word.is_none() => scanner.skip_line(),
            b'|' | b'(' if in_pattern => scanner.push(b' '),
            b')' if in_pattern => {
                scanner.end_word();
                scanner.current.words.clear();
                cases.pop();
                cases.push(false);
            }
            b';' if scanner.peek() == Some(b';') => {
                scanner.at += 1;
                scanner.end_command(Joint::Arm);
                if let Some(last) = cases.last_mut() {
                    *last = true;
                }
            }
            b'<' if scanner.peek() == Some(b'<') => {
                scanner.at += 1;
                if scanner.peek() == Some(b'<') {
                    scanner.at += 1;
                } else {
                    heredocs.extend(scanner.heredoc_delimiter());
                }
            }
            // `>|` writes, `2>&1` and `&>` do not end a command.
            b'>' => {
                scanner.end_word();
                if matches!(scanner.peek(), Some(b'|' | b'&')) {
                    scanner.at += 1;
                }
            }
            b'&' if scanner.peek() == Some(b'>') => {}
            b'|' | b'&' if in_test => scanner.push(byte),
            b'|' if scanner.peek() == Some(b'|') => {
                scanner.at += 1;
                scanner.end_command(Joint::Or);
            }
            b'&' if scanner.peek() == Some(b'&') => {
                scanner.at += 1;
                scanner.end_command(Joint::And);
            }
            b'|' => {
                if scanner.peek() == Some(b'&') {
                    scanner.at += 1;
                }
                scanner.end_command(Joint::Pipe);
            }
            b'(' | b')' if in_test => scanner.push(byte),
            b';' | b'&' | b'(' | b')' => {
                scanner.end_word();
                if in_pattern && scanner.current.words.first().is_some_and(|word| word == "esac") {
                    cases.pop();
                    scanner.current.words.clear();
                }
                scanner.end_command(Joint::Other);
            }
            _ => scanner.part_of_word(byte),
        }
    }
    scanner.end_command(Joint::Other);
    scanner.made
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    word: Option<Vec<u8>>,
    made: Vec<Command>,
    current: Command,
}

impl Scanner<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn push(&mut self, byte: u8) {
        self.word.get_or_insert_default().push(byte);
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            self.current.words.push(String::from_utf8_lossy(&word).into_owned());
        }
    }

    fn end_command(&mut self, then: Joint) {
        self.end_word();
        let mut command = std::mem::take(&mut self.current);
        command.then = then;
        if !command.words.is_empty() {
            self.made.push(command);
        } else if let Some(last) = self.made.last_mut().filter(|last| then != Joint::Other && last.then == Joint::Other)
        {
            // What stands before is a group: `(a; b) | c`.
            last.then = then;
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    fn part_of_word(&mut self, byte: u8) {
        match byte {
            b'\\' => {
                if let Some(next) = self.next().filter(|next| *next != b'\n') {
                    self.push(next);
                }
            }
            b'\'' => {
                self.word.get_or_insert_default();
                while let Some(next) = self.next().filter(|next| *next != b'\'') {
                    self.push(next);
                }
            }
            b'"' => self.double_quoted(),
            b'`' => self.substitution(byte),
            b'$' if matches!(self.peek(), Some(b'(' | b'{')) => self.substitution(byte),
            _ => self.push(byte),
        }
    }

    fn double_quoted(&mut self) {
        self.word.get_or_insert_default();
        while let Some(next) = self.next().filter(|next| *next != b'"') {
            match next {
                b'\\' => {
                    if let Some(escaped) = self.next() {
                        self.push(escaped);
                    }
                }
                b'`' => self.substitution(next),
                b'$' if matches!(self.peek(), Some(b'(' | b'{')) => self.substitution(next),
                _ => self.push(next),
            }
        }
    }

    /// Takes a substitution as it is written: up to the bracket or back quote that ends it, quotes inside respected.
    fn substitution(&mut self, first: u8) {
        self.push(first);
        let mut open: Vec<u8> = Vec::new();
        if first == b'`' {
            open.push(b'`');
        }
        while let Some(byte) = self.next() {
            self.push(byte);
            let quote = open.last().copied();
            match byte {
                b'\\' if quote != Some(b'\'') => {
                    if let Some(escaped) = self.next() {
                        self.push(escaped);
                    }
                }
                _ if quote == Some(byte) => {
                    open.pop();
                }
                _ if quote == Some(b'\'') => {}
                b'(' => open.push(b')'),
                b'{' => open.push(b'}'),
                b'\'' if quote != Some(b'"') => open.push(byte),
                b'"' => open.push(byte),
                _ => {}
            }
            if open.is_empty() {
                return;
            }
        }
    }

    fn heredoc_delimiter(&mut self) -> Option<Vec<u8>> {
        while matches!(self.peek(), Some(b'-' | b' ' | b'\t')) {
            self.at += 1;
        }
        let mut delimiter = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| !b" \t\r\n;|&<>()".contains(byte)) {
            self.at += 1;
            if !b"\"'\\".contains(&byte) {
                delimiter.push(byte);
            }
        }
        (!delimiter.is_empty()).then_some(delimiter)
    }

    fn skip_heredoc(&mut self, delimiter: &[u8]) {
        while self.at < self.bytes.len() {
            let start = self.at;
            self.skip_line();
            let is_end = self.bytes.get(start..self.at).is_some_and(|line| line.trim_ascii() == delimiter);
            self.at += 1;
            if is_end {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut out = String::new();
        for command in commands(text) {
            out += &command.words.join(" ");
            out += if command.then == Joint::Pipe { " | " } else { " ; " };
        }
        out
    }

    #[test]
    fn commands_are_told_from_quotes_and_comments() {
        assert_eq!(shown("a 'x | y' && b \"$(c | d)\" | e # f | g"), "a x | y ; b $(c | d) | e ; ");
        assert_eq!(shown("a || b; c & d |& e\nf"), "a ; b ; c ; d | e ; f ; ");
        assert_eq!(shown("a \\| b `c | d` ${x:-|}"), "a | b `c | d` ${x:-|} ; ");
        assert_eq!(shown("(a; b) | c"), "a ; b | c ; ");
        assert_eq!(shown("a >| f 2>&1 &> g"), "a f 2 1 g ; ");
        assert_eq!(shown("a \"\\\"|\" '' x"), "a \"|  x ; ");
    }

    #[test]
    fn alternatives_of_patterns_are_no_pipes() {
        assert_eq!(shown("case $a in x|y) b | c;; *) d;; esac; e"), "case $a in ; b | c ; d ; e ; ");
        assert_eq!(shown("case $a in\n x|y) b ;;\n z)\n d\n ;;\nesac\ne | f"), "case $a in ; b ; d ; e | f ; ");
        assert_eq!(shown("[[ $a =~ (x|y) ]] && b"), "[[ $a =~ (x|y) ]] ; b ; ");
    }

    #[test]
    fn bodies_of_heredocs_are_no_commands() {
        assert_eq!(shown("cat <<EOF > f\na | b\nEOF\nc"), "cat f ; c ; ");
        assert_eq!(shown("cat <<-'E' | d\n\ta | b\n\tE\nc <<< x"), "cat | d ; c x ; ");
        assert_eq!(shown("cat <<EOF\nnever ended"), "cat ; ");
    }

    #[test]
    fn programs_are_found_behind_assignments() {
        let program = |text: &str| commands(text).first().and_then(|c| c.program().map(|(name, _)| name.to_owned()));
        assert_eq!(program("A=1 B= /usr/bin/npm ci").as_deref(), Some("npm"));
        assert_eq!(program("if ! sudo apt-get update").as_deref(), Some("apt-get"));
        assert_eq!(program("A=1"), None);
    }
}
