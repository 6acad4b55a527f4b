//! FROM (dockerfile.md §13.1).

use super::Scope;
use crate::ast::{Reset, ResetPart, Word};
use crate::codes;
use crate::csv;
use crate::diagnostic::Diagnostic;
use crate::flags::{Flag, FlagKind};
use crate::span::{Span, Spanned};
use crate::suggest::suggest;
use crate::words::split_blanks;

/// What a FROM line says.
#[derive(Debug)]
pub(crate) struct From {
    pub(crate) base: Word,
    pub(crate) platform: Option<Word>,
    pub(crate) after: Vec<Spanned<Word>>,
    pub(crate) reset: Vec<Spanned<Reset>>,
    pub(crate) reset_flag: Option<Span>,
    pub(crate) as_keyword: Option<Spanned<String>>,
    pub(crate) name: Option<Spanned<String>>,
}

impl Scope<'_> {
    /// Reads FROM; a wrong one still begins a stage, so that the lines after it are checked.
    pub(super) fn read_from(&mut self) -> From {
        let mut flags = self.read_flags(&[("platform", FlagKind::String), ("after", FlagKind::List)]);
        let words: Vec<_> = split_blanks(self.text(), self.arguments.clone()).collect();
        let mut from = From {
            base: words.first().map_or_else(Word::default, |word| self.word(word.clone())),
            platform: flags.take_filled("platform"),
            after: flags.all("after").map(|flag| Spanned::new(flag.value.clone(), flag.span)).collect(),
            reset_flag: flags.find("reset").map(|flag| flag.span),
            reset: flags.find("reset").map(|flag| self.read_reset(flag)).unwrap_or_default(),
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
                let opens = words.first().is_some_and(|word| {
                    let text = &self.text()[word.clone()];
                    text.contains("${") && !text.contains('}')
                });
                let has_comment = words.iter().skip(1).any(|word| self.text()[word.clone()].starts_with('#'));
                let help = match (opens, has_comment) {
                    (true, _) => "braces do not keep blanks together: put the image in double quotes",
                    (_, true) => "a comment needs a line of its own",
                    _ => "write FROM IMAGE or FROM IMAGE AS NAME",
                };
                self.report(Diagnostic::error(codes::FROM_ARGUMENTS, message, self.statement).with_help(help));
            }
        }
        from
    }

    /// Reads the list of `--reset`: parts of the config, some with a key.
    fn read_reset(&mut self, flag: &Flag) -> Vec<Spanned<Reset>> {
        let list = &flag.value;
        let fields = match csv::split(&list.raw) {
            Ok(fields) => fields,
            Err(error) => {
                let made = Diagnostic::error(codes::RESET, format!("--reset cannot be read: {error}"), list.span);
                self.report(made.with_help("a field that holds a comma or a quote is put in double quotes as a whole"));
                return Vec::new();
            }
        };
        let mut items = Vec::new();
        for field in fields {
            let field = field.text;
            let (name, key) = field.split_once('=').map_or((&*field, None), |(name, key)| (name, Some(key)));
            match ResetPart::find(name) {
                Some(part) if key.is_none() || (part.has_keys() && key.is_some_and(|key| !key.is_empty())) => {
                    items.push(Spanned::new(Reset { part, key: key.map(str::to_owned) }, list.span));
                }
                Some(part) => {
                    let message = format!("--reset={field}: {} is taken back as a whole", part.name());
                    let message = if part.has_keys() { format!("--reset={field}: the key is empty") } else { message };
                    let help = format!("write --reset={}", part.name());
                    self.report(Diagnostic::error(codes::RESET, message, list.span).with_help(help));
                }
                None => {
                    let near = suggest(name, ResetPart::ALL.iter().map(|part| part.name()));
                    let hint = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
                    let names: Vec<_> = ResetPart::ALL.iter().map(|part| part.name()).collect();
                    let help = format!("--reset is a list of {}", names.join(", "));
                    let message = format!("--reset cannot take back {name:?}{hint}");
                    self.report(Diagnostic::error(codes::RESET, message, list.span).with_help(help));
                }
            }
        }
        items
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

impl ResetPart {
    /// Every part.
    const ALL: [Self; 13] = [
        Self::All,
        Self::Cmd,
        Self::Entrypoint,
        Self::Env,
        Self::Expose,
        Self::Healthcheck,
        Self::Label,
        Self::Onbuild,
        Self::Shell,
        Self::Stopsignal,
        Self::User,
        Self::Volume,
        Self::Workdir,
    ];

    /// Gives the name that `--reset` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Cmd => "cmd",
            Self::Entrypoint => "entrypoint",
            Self::Env => "env",
            Self::Expose => "expose",
            Self::Healthcheck => "healthcheck",
            Self::Label => "label",
            Self::Onbuild => "onbuild",
            Self::Shell => "shell",
            Self::Stopsignal => "stopsignal",
            Self::User => "user",
            Self::Volume => "volume",
            Self::Workdir => "workdir",
        }
    }

    fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }

    /// Says whether one key of it can be taken back alone.
    fn has_keys(self) -> bool {
        matches!(self, Self::Env | Self::Expose | Self::Label | Self::Volume)
    }
}

/// Says whether a lower-case name matches `^[a-z][a-z0-9-_.]*$` (dockerfile.md §7.1).
fn is_stage_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.'))
}
