//! COPY and ADD (dockerfile.md §13.5).

use std::collections::HashMap;

use super::Scope;
use crate::ast::{Add, Copy, CopySource, Heredoc, InstructionKind, Word};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::flags::{FlagKind, FlagSpec, Flags};
use crate::heredoc::HeredocStart;
use crate::json::JsonArray;
use crate::span::Span;

static COPY_FLAGS: &[FlagSpec] = &[
    ("from", FlagKind::String),
    ("chown", FlagKind::String),
    ("chmod", FlagKind::String),
    ("link", FlagKind::Bool),
    ("exclude", FlagKind::List),
    ("parents", FlagKind::Bool),
];

static ADD_FLAGS: &[FlagSpec] = &[
    ("chown", FlagKind::String),
    ("chmod", FlagKind::String),
    ("link", FlagKind::Bool),
    ("exclude", FlagKind::List),
    ("parents", FlagKind::Bool),
    ("keep-git-dir", FlagKind::Bool),
    ("checksum", FlagKind::String),
    ("unpack", FlagKind::Bool),
];

/// The greatest size of all bodies of an instruction in bytes, those counted again that several words name (edges.md 15).
const MAX_BODIES: usize = 16 << 20;

impl Scope<'_> {
    pub(super) fn read_copy(&mut self) -> Option<InstructionKind> {
        let mut flags = self.read_flags(COPY_FLAGS);
        self.read_transfer(&mut flags).map(|copy| InstructionKind::Copy(Box::new(copy)))
    }

    pub(super) fn read_add(&mut self) -> Option<InstructionKind> {
        let mut flags = self.read_flags(ADD_FLAGS);
        let copy = self.read_transfer(&mut flags)?;
        let checksum = flags.take_filled("checksum");
        let given = |name| flags.find(name).map(|flag| flag.is_true);
        Some(InstructionKind::Add(Box::new(Add {
            copy,
            keep_git_dir: given("keep-git-dir"),
            checksum,
            unpack: given("unpack"),
        })))
    }

    fn read_transfer(&mut self, flags: &mut Flags) -> Option<Copy> {
        let is_json = matches!(self.json, JsonArray::Strings(_));
        let mut words = self.read_paths();
        if words.len() < 2 {
            let count = if words.is_empty() { "none" } else { "only one" };
            let wanted =
                format!("at least two arguments, but {count} was provided. Destination could not be determined");
            let help = format!("write {} SOURCE DESTINATION", self.name);
            self.missing_arguments(&wanted, &help);
            return None;
        }
        let dest = words.pop()?;
        let start_of = |word: &Word| HeredocStart::parse(&word.raw).ok().flatten().filter(|_| !is_json);
        if start_of(&dest).is_some() {
            let message = format!("{} cannot accept a heredoc as a destination", self.name);
            let help = "name the file or directory after the here-document";
            self.report(Diagnostic::error(codes::HEREDOC_DESTINATION, message, dest.span).with_help(help));
            return None;
        }
        let mut has_heredoc = false;
        let heredocs = std::mem::take(&mut self.heredocs);
        // Of two here-docs with one name the reference takes the later body for both.
        let by_name: HashMap<&str, &Heredoc> =
            heredocs.iter().map(|heredoc| (heredoc.name.as_str(), heredoc)).collect();
        let mut size = 0;
        // The words' own list becomes that of the sources.
        let sources = words.into_iter().map(|word| {
            let Some(start) = start_of(&word) else { return Some(CopySource::Word(word)) };
            has_heredoc = true;
            let mut heredoc = match by_name.get(start.name.as_str()) {
                Some(heredoc) => {
                    size += heredoc.body.len();
                    if size > MAX_BODIES {
                        self.bodies_too_large(word.span);
                        return None;
                    }
                    (*heredoc).clone()
                }
                None => self.heredoc_without_body(start, &word),
            };
            heredoc.word = word;
            Some(CopySource::Heredoc(Box::new(heredoc)))
        });
        let sources = sources.collect::<Option<Vec<_>>>()?;
        self.check_unused_heredocs(&heredocs, has_heredoc);
        Some(Copy {
            sources,
            dest,
            from: flags.take_filled("from"),
            chown: flags.take_filled("chown"),
            chmod: flags.take_filled("chmod"),
            link: flags.is_true("link"),
            parents: flags.is_true("parents"),
            exclude: flags.all("exclude").map(|flag| flag.value.clone()).collect(),
        })
    }

    fn bodies_too_large(&mut self, span: Span) {
        let message = format!("the here-documents of this instruction hold more than {} MiB", MAX_BODIES >> 20);
        let help = "name each delimiter once: those of one name all hold the last text";
        self.report(Diagnostic::error(codes::EXPANSION_TOO_LARGE, message, span).with_help(help));
    }

    fn heredoc_without_body(&mut self, start: HeredocStart, word: &Word) -> Heredoc {
        let message = format!("the here-document {} is empty: a quote on the line is not closed", word.raw);
        let help = "close the quote, or write the arguments as a JSON array";
        self.report(Diagnostic::warning(codes::HEREDOC_WITHOUT_BODY, message, word.span).with_help(help));
        Heredoc {
            name: start.name,
            word: word.clone(),
            expand: start.expand,
            strip_tabs: start.strip_tabs,
            fd: start.fd,
            body: Vec::new(),
            span: Span::at(self.statement.end()),
        }
    }

    /// The arguments are split first, so that `<< EOF` names two files (dockerfile.md §6.7).
    fn check_unused_heredocs(&mut self, heredocs: &[Heredoc], has_heredoc: bool) {
        if has_heredoc {
            return;
        }
        let Some(unused) = heredocs.first() else { return };
        let message = format!(
            "{} looks for files here, not for a here-document: write <<{} without a space",
            self.name, unused.name
        );
        let help = "the lines up to the delimiter are dropped";
        let made = Diagnostic::warning(codes::HEREDOC_WITH_SPACE, message, unused.word.span).with_help(help);
        let fix: String = unused.word.raw.chars().filter(|c| !c.is_whitespace()).collect();
        self.report(made.with_fix(unused.word.span, fix));
    }

    fn read_paths(&mut self) -> Vec<Word> {
        if let Some(strings) = self.take_strings() {
            return strings.into_iter().map(|string| self.json_word(string)).collect();
        }
        self.blank_words()
    }
}
