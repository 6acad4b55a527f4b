//! ARG, ENV, LABEL, USER, WORKDIR, STOPSIGNAL, MAINTAINER, EXPOSE and VOLUME.

use std::ops::Range;

use super::{Scope, trim};
use crate::ast::{ArgDeclaration, InstructionKind, KeyValues, Word};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::words::{split_at_equals, split_blanks, split_once_blank, split_quoted};

impl Scope<'_> {
    pub(super) fn read_arg(&mut self) -> Option<InstructionKind> {
        self.drop_flags(self.name);
        // Most ARG declare one.
        let mut declared = Vec::with_capacity(1);
        for word in split_quoted(self.text(), self.arguments.clone(), self.escape) {
            let (name, default) = self.split_at_equals(&word);
            if name.is_empty() {
                self.blank_name(&word);
                return None;
            }
            declared
                .push(ArgDeclaration { name: self.spanned(name), default: default.map(|default| self.word(default)) });
        }
        if declared.is_empty() {
            self.missing_arguments("at least one argument", "write ARG NAME or ARG NAME=DEFAULT");
            return None;
        }
        Some(InstructionKind::Arg(declared))
    }

    /// Reads the pairs of ENV or LABEL (dockerfile.md §5.2).
    pub(super) fn read_pairs(&mut self) -> Option<KeyValues> {
        self.read_flags(&[]);
        let words: Vec<_> = split_quoted(self.text(), self.arguments.clone(), self.escape).collect();
        let Some(first) = words.first() else {
            let help = format!("write {} NAME=VALUE", self.name);
            self.missing_arguments("at least one argument", &help);
            return None;
        };
        if !self.text()[first.clone()].contains('=') {
            return self.read_legacy_pair();
        }
        let mut pairs = Vec::with_capacity(words.len());
        let mut before = first.clone();
        for word in words {
            let (name, Some(value)) = self.split_at_equals(&word) else {
                self.pair_without_equals(&before, &word);
                return None;
            };
            before = word.clone();
            if name.is_empty() {
                self.blank_name(&word);
                return None;
            }
            pairs.push((self.word(name), self.word(value)));
        }
        Some(KeyValues { pairs, is_legacy: false })
    }

    fn read_legacy_pair(&mut self) -> Option<KeyValues> {
        let (name, value) = split_once_blank(self.text(), self.arguments.clone());
        let Some(value) = value else {
            let message = format!("{} must have two arguments", self.name);
            let text = &self.text()[name];
            let help = format!("write {} {text}=VALUE; {text}= sets it to the empty text", self.name);
            self.report(Diagnostic::error(codes::PAIR_WITHOUT_VALUE, message, self.statement).with_help(help));
            return None;
        };
        Some(KeyValues { pairs: vec![(self.word(name), self.word(value))], is_legacy: true })
    }

    fn pair_without_equals(&mut self, before: &Range<usize>, word: &Range<usize>) {
        let text = &self.text()[word.clone()];
        // `NAME=${X:?two words}` is split at its blanks, too.
        let opened = self.text()[before.clone()]
            .rfind("${")
            .filter(|at| !self.text()[before.start + at..before.end].contains('}'));
        let closed = opened.and_then(|_| self.text()[before.end..self.arguments.end].find('}'));
        let joined = closed.map(|at| &self.text()[before.start..before.end + at + 1]);
        let message = format!("Syntax error - can't find = in {text:?}. Must be of the form: name=value");
        let help = if text.starts_with('#') {
            "a comment needs a line of its own".to_owned()
        } else if let Some(joined) = joined {
            format!("braces do not keep blanks together: put the value of {joined} in double quotes")
        } else {
            "put a value that holds blanks in double quotes, as in NAME=\"two words\"".to_owned()
        };
        let span = self.line.span(word.start, word.end);
        self.report(Diagnostic::error(codes::PAIR_WITHOUT_EQUALS, message, span).with_help(help));
    }

    fn blank_name(&mut self, word: &Range<usize>) {
        let message = format!("{} names can not be blank", self.name);
        let span = self.line.span(word.start, word.end);
        let help = format!("write {} NAME=VALUE, without a blank before the =", self.name);
        self.report(Diagnostic::error(codes::BLANK_NAME, message, span).with_help(help));
    }

    fn split_at_equals(&self, word: &Range<usize>) -> (Range<usize>, Option<Range<usize>>) {
        match split_at_equals(&self.text()[word.clone()]) {
            Some((name, value)) => (word.start..word.start + name.len(), Some(word.end - value.len()..word.end)),
            None => (word.clone(), None),
        }
    }

    /// Reads the rest of the line as one argument.
    pub(super) fn read_single(&mut self) -> Option<Word> {
        self.read_flags(&[]);
        self.read_rest()
    }

    pub(super) fn read_stopsignal(&mut self) -> Option<InstructionKind> {
        self.drop_flags(self.name);
        self.read_rest().map(InstructionKind::Stopsignal)
    }

    pub(super) fn read_maintainer(&mut self) -> Option<InstructionKind> {
        self.read_flags(&[]);
        self.read_rest()?;
        Some(InstructionKind::Maintainer(self.spanned(self.arguments.clone())))
    }

    fn read_rest(&mut self) -> Option<Word> {
        if self.arguments.is_empty() {
            let help = match self.name {
                "USER" => "write USER NAME or USER UID:GID",
                "WORKDIR" => "write WORKDIR /PATH",
                "STOPSIGNAL" => "write STOPSIGNAL SIGTERM, or another signal",
                _ => "write MAINTAINER NAME, or better LABEL org.opencontainers.image.authors=\"NAME\"",
            };
            self.missing_arguments("exactly one argument", help);
            return None;
        }
        Some(self.word(self.arguments.clone()))
    }

    pub(super) fn read_expose(&mut self) -> Option<InstructionKind> {
        self.read_flags(&[]);
        let words = self.blank_words();
        if words.is_empty() {
            self.missing_arguments("at least one argument", "write EXPOSE PORT or EXPOSE PORT/udp");
            return None;
        }
        Some(InstructionKind::Expose(words))
    }

    pub(super) fn read_volume(&mut self) -> Option<InstructionKind> {
        self.read_flags(&[]);
        let words = self.read_list();
        if words.is_empty() {
            self.missing_arguments("at least one argument", "write VOLUME /PATH");
            return None;
        }
        if let Some(blank) = words.iter().find(|word| word.raw.is_empty()) {
            let message = "VOLUME specified can not be an empty string";
            self.report(Diagnostic::error(codes::VOLUME_EMPTY, message, blank.span).with_help("name a path"));
            return None;
        }
        Some(InstructionKind::Volume(words))
    }

    /// Reads a JSON array, or words at blanks; blanks around the strings of VOLUME are no part of a path.
    fn read_list(&mut self) -> Vec<Word> {
        if let Some(strings) = self.take_strings() {
            let trimmed = strings.into_iter().map(|(value, range)| self.json_word((value.trim().into(), range)));
            return trimmed.collect();
        }
        let words = split_blanks(self.text(), self.arguments.clone());
        words.map(|word| self.word(trim(self.text(), word))).collect()
    }
}
