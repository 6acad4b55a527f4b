//! FROM (dockerfile.md §13.1).

use super::Scope;
use crate::ast::Word;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::flags::FlagKind;
use crate::span::Spanned;
use crate::words::split_blanks;

/// What a FROM line says.
#[derive(Debug)]
pub(crate) struct From {
    pub(crate) base: Word,
    pub(crate) platform: Option<Word>,
    pub(crate) as_keyword: Option<Spanned<String>>,
    pub(crate) name: Option<Spanned<String>>,
}

impl Scope<'_> {
    /// Reads FROM; a wrong one still begins a stage, so that the lines after it are checked.
    pub(super) fn read_from(&mut self) -> From {
        let flags = self.read_flags(&[("platform", FlagKind::String)]);
        let words: Vec<_> = split_blanks(self.text(), self.arguments.clone()).collect();
        let mut from = From {
            base: words.first().map_or_else(Word::default, |word| self.word(word.clone())),
            platform: flags.word("platform"),
            as_keyword: None,
            name: None,
        };
        match words.as_slice() {
            [_] => {}
            [_, as_word, name] if self.text()[as_word.clone()].eq_ignore_ascii_case("as") => {
                let name = self.spanned(name.clone());
                from.as_keyword = Some(self.spanned(as_word.clone()));
                self.check_name(&name);
                from.name = Some(name);
            }
            _ => {
                let message = "FROM requires either one or three arguments";
                let help = "write FROM IMAGE or FROM IMAGE AS NAME";
                self.report(Diagnostic::error(codes::FROM_ARGUMENTS, message, self.statement).with_help(help));
            }
        }
        from
    }

    fn check_name(&mut self, name: &Spanned<String>) {
        if is_stage_name(&name.value.to_lowercase()) {
            return;
        }
        let message = format!(
            "invalid name for build stage: {:?}, name can't start with a number or contain symbols",
            name.value
        );
        let help = match name.value.contains('$') {
            true => "stage names take no variables: write the name itself",
            false => "a name is a letter, then letters, digits, '-', '_' and '.'",
        };
        self.report(Diagnostic::error(codes::STAGE_NAME, message, name.span).with_help(help));
    }
}

/// Says whether a lower-case name matches `^[a-z][a-z0-9-_.]*$` (dockerfile.md §7.1).
fn is_stage_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.'))
}
