//! INCLUDE, IF, ELSE and ENDIF (docs/language-additions.md).

use std::ops::Range;

use super::Scope;
use crate::ast::{Condition, InstructionKind};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::words::split_quoted;

impl Scope<'_> {
    /// Reads INCLUDE: one path, taken as it is written.
    pub(super) fn read_include(&mut self) -> Option<InstructionKind> {
        self.read_flags(&[]);
        let help = "write INCLUDE PATH; the path is relative to this file's folder, and holds no variables";
        let words: Vec<_> = split_quoted(self.text(), self.arguments.clone(), self.escape).collect();
        let [word] = words.as_slice() else {
            self.missing_arguments("exactly one argument", help);
            return None;
        };
        let word = self.word(word.clone());
        if let Some(sign) = word.raw.chars().find(|sign| matches!(sign, '$' | '"' | '\'' | '\\')) {
            let message = format!("the path of INCLUDE is taken as it is written and cannot hold {sign}");
            let help = match sign {
                '$' => "name one file; IF can choose among several INCLUDE lines",
                _ => "write the path without quotes and backslashes; it cannot hold blanks",
            };
            self.report(Diagnostic::error(codes::INCLUDE_PATH, message, word.span).with_help(help));
            return None;
        }
        Some(InstructionKind::Include(word))
    }

    pub(super) fn read_if(&mut self) -> Option<InstructionKind> {
        self.read_flags(&[]);
        self.read_condition(self.arguments.clone()).map(|condition| InstructionKind::If(Box::new(condition)))
    }

    /// Reads ELSE, alone or before IF and a condition.
    pub(super) fn read_else(&mut self) -> Option<InstructionKind> {
        self.read_flags(&[]);
        if self.arguments.is_empty() {
            return Some(InstructionKind::Else(None));
        }
        let words: Vec<_> = split_quoted(self.text(), self.arguments.clone(), self.escape).collect();
        let is_if = |word: &Range<usize>| self.text()[word.clone()].eq_ignore_ascii_case("if");
        match words.first().filter(|word| is_if(word)) {
            Some(word) => {
                let rest = super::trim(self.text(), word.end..self.arguments.end);
                self.read_condition(rest).map(|condition| InstructionKind::Else(Some(Box::new(condition))))
            }
            None => {
                let help = "write ELSE alone, or ELSE IF CONDITION";
                let message = "ELSE is followed by nothing or by IF and a condition";
                self.report(Diagnostic::error(codes::CONDITION, message, self.statement).with_help(help));
                None
            }
        }
    }

    pub(super) fn read_endif(&mut self) -> Option<InstructionKind> {
        self.read_flags(&[]);
        if !self.arguments.is_empty() {
            let message = "ENDIF takes no arguments";
            self.report(Diagnostic::error(codes::CONDITION, message, self.statement).with_help("write ENDIF alone"));
            return None;
        }
        Some(InstructionKind::Endif)
    }

    fn read_condition(&mut self, range: Range<usize>) -> Option<Condition> {
        let words: Vec<_> = split_quoted(self.text(), range, self.escape).collect();
        if let [word] = words.as_slice()
            && let Some(help) = help_for_word(&self.text()[word.clone()])
        {
            let message = format!("the condition {} holds always", &self.text()[word.clone()]);
            self.report(Diagnostic::error(codes::CONDITION, message, self.statement).with_help(help));
            return None;
        }
        let condition = match words.as_slice() {
            [word] if !matches!(&self.text()[word.clone()], "==" | "!=") => {
                Some(Condition::IsSet(self.word(word.clone())))
            }
            [left, sign, right] => {
                let (left, right) = (self.word(left.clone()), self.word(right.clone()));
                match &self.text()[sign.clone()] {
                    "==" => Some(Condition::Equal(left, right)),
                    "!=" => Some(Condition::NotEqual(left, right)),
                    _ => None,
                }
            }
            _ => None,
        };
        if condition.is_none() {
            let message = "a condition is WORD, WORD == WORD or WORD != WORD";
            let is_assignment = matches!(words.as_slice(), [_, sign, _] if &self.text()[sign.clone()] == "=");
            let help = if is_assignment {
                "write == to compare"
            } else {
                "put a word that is empty or holds blanks in double quotes, as in IF \"$MODE\" == \"two words\"; \
                        blocks in blocks stand for and, ELSE IF for or"
            };
            self.report(Diagnostic::error(codes::CONDITION, message, self.statement).with_help(help));
        }
        condition
    }
}

/// Says what to write for a word that is never empty, whatever its variables hold.
fn help_for_word(word: &str) -> Option<&'static str> {
    let quoted = |quote: char| word.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let is_quoted = ['"', '\''].into_iter().any(|quote| quoted(quote).is_some_and(|inner| !inner.contains(quote)));
    let is_open = ['"', '\''].into_iter().any(|quote| word.matches(quote).count() % 2 == 1);
    if is_quoted || is_open || matches!(word, "==" | "!=") {
        return None;
    }
    if word.contains("==") || word.contains("!=") {
        Some("put blanks around == and !=, as in IF $MODE == debug")
    } else {
        word.starts_with('!').then_some("write IF $NAME == \"\" to ask whether a variable is empty")
    }
}
