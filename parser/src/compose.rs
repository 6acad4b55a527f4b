//! From a file with INCLUDE and IF to the plain tree that is planned (docs/decisions/0004-language-additions.md).

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{Condition, Dockerfile, Instruction, InstructionKind, Stage, Word};
use crate::clean::clean_path;
use crate::codes;
use crate::diagnostic::{Diagnostic, keep};
use crate::features::{Feature, Language};
use crate::instruction::block_word;
use crate::keyword::Keyword;
use crate::parse::{self, Item, ParseOptions, Parsed};
use crate::source::SourceText;
use crate::span::Span;

mod blocks;
mod scope;

use blocks::Blocks;
use scope::Scope;

/// How deep files nest.
const MAX_DEPTH: usize = 16;

/// How many files a Dockerfile includes.
const MAX_FILES: usize = 256;

/// What composing needs from outside.
pub struct Compose<'a> {
    /// The path of the Dockerfile below the root of the build context; empty when it lies elsewhere.
    pub path: &'a str,
    /// The build arguments that were given.
    pub build_args: &'a BTreeMap<String, String>,
    /// The arguments of the platforms: `TARGETOS` and the like.
    pub platform_args: &'a BTreeMap<String, String>,
    /// Gives the bytes of a file of the build context by its clean path below the root; an error says why not.
    pub load: &'a mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
}

impl std::fmt::Debug for Compose<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compose").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Makes the plain tree of a file: INCLUDE lines become what they name, and of IF blocks the branch that is taken stays.
///
/// The result holds the problems of the parsed file, of the included ones, and of composing. The texts of included files
/// follow the first one's in its source, so that each span still points at what is meant. A file without such lines comes
/// back as it is.
#[expect(clippy::needless_pass_by_value, reason = "the loader is handed over with the rest")]
pub fn compose(parsed: &Parsed, options: &ParseOptions, how: Compose<'_>) -> Parsed {
    if !parse::needs_composing(&parsed.dockerfile) {
        return parsed.clone();
    }
    let dockerfile = parsed.dockerfile.clone();
    let language = dockerfile.directives.language();
    let items = parse::items(&dockerfile);
    let Dockerfile { source, directives, comments, .. } = dockerfile;
    let mut composer = Composer {
        options,
        language,
        load: how.load,
        source,
        comments,
        scope: Scope::new(how.build_args, how.platform_args, language.escape),
        blocks: Blocks::default(),
        placed: Dockerfile::default(),
        diagnostics: parsed.diagnostics.clone(),
        seen: BTreeSet::new(),
        count: 0,
    };
    composer.walk(items, &mut vec![Included { path: clean(how.path), at: Span::default() }]);
    let Composer { source, comments, placed, mut diagnostics, .. } = composer;
    let Dockerfile { global_args, orphans, stages, .. } = placed;
    let dockerfile = Dockerfile { source, directives, comments, global_args, orphans, stages };
    parse::check_whole(&dockerfile, &mut diagnostics);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start());
    Parsed { dockerfile, diagnostics }
}

/// A file on the way to the line at hand.
#[derive(Debug)]
struct Included {
    path: String,
    /// The INCLUDE that names it.
    at: Span,
}

struct Composer<'a> {
    options: &'a ParseOptions,
    language: Language,
    load: &'a mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    source: SourceText,
    comments: Vec<Span>,
    scope: Scope<'a>,
    blocks: Blocks,
    /// The stages so far.
    placed: Dockerfile,
    diagnostics: Vec<Diagnostic>,
    seen: BTreeSet<String>,
    count: usize,
}

impl Composer<'_> {
    fn report(&mut self, diagnostic: impl Into<Option<Diagnostic>>) {
        if let Some(diagnostic) = diagnostic.into() {
            keep(diagnostic, &mut self.diagnostics);
        }
    }

    /// Takes in the lines of one file.
    fn walk(&mut self, items: Vec<Item>, chain: &mut Vec<Included>) {
        let floor = self.blocks.depth();
        for item in items {
            match item {
                Item::From(stage) => self.stage(*stage),
                Item::Other(instruction) => self.instruction(instruction, floor, chain),
            }
        }
        for problem in self.blocks.close_down_to(floor) {
            self.report(problem);
        }
    }

    fn stage(&mut self, mut stage: Stage) {
        let cut = self.blocks.stage(stage.from_span);
        self.report(cut);
        if self.blocks.is_active() {
            self.scope.enter(&stage);
            stage.index = self.placed.stages.len();
            stage.instructions.clear();
            stage.span = stage.from_span;
            self.placed.stages.push(stage);
        }
    }

    fn instruction(&mut self, instruction: Box<Instruction>, floor: usize, chain: &mut Vec<Included>) {
        let span = instruction.span;
        let scope = &self.scope;
        let mut problem = None;
        let mut is_true = |condition: &Condition| {
            scope.evaluate(condition).unwrap_or_else(|found| {
                problem = Some(found);
                false
            })
        };
        let done = match &instruction.kind {
            InstructionKind::If(condition) => {
                self.blocks.open(span, || is_true(condition));
                Ok(())
            }
            InstructionKind::Else(Some(condition)) => self.blocks.switch(floor, span, true, || is_true(condition)),
            InstructionKind::Else(None) => self.blocks.switch(floor, span, false, || true),
            InstructionKind::Endif => self.blocks.close(floor, span),
            InstructionKind::Include(word) => {
                if self.blocks.is_active() {
                    let word = word.clone();
                    self.include(&word, span, chain);
                }
                return;
            }
            // The error about the line is enough: it begins or ends a block all the same.
            InstructionKind::Unknown(_) if self.mends_block(&instruction.keyword.value, span, floor) => Ok(()),
            _ => {
                let cut = self.blocks.line(span);
                self.report(cut);
                if self.blocks.is_active() {
                    self.scope.note(&instruction);
                    parse::place(&mut self.placed, &self.source, *instruction);
                }
                return;
            }
        };
        self.report(problem);
        self.report(done.err());
    }

    /// Takes a line of a block that cannot be read, also one in the words of another language, for what it was meant to
    /// be; `false` for any other line.
    fn mends_block(&mut self, keyword: &str, span: Span, floor: usize) -> bool {
        if !self.language.features.contains(Feature::If) {
            return false;
        }
        let written = Keyword::find(keyword);
        match written.map_or_else(|| block_word(keyword), |keyword| Some(keyword.name())) {
            Some("IF") => self.blocks.open(span, || false),
            Some("ENDIF") => drop(self.blocks.close(floor, span)),
            Some("ELSE" | "ELSE IF") => drop(self.blocks.switch(floor, span, true, || false)),
            _ => return false,
        }
        true
    }

    /// Reads a file and takes in its lines.
    fn include(&mut self, word: &Word, span: Span, chain: &mut Vec<Included>) {
        match self.read(word, chain) {
            Ok((path, bytes)) => {
                let lines = self.source.append(&path, &bytes, span);
                let part = parse::parse_part(&self.source, lines, self.language, self.options);
                self.comments.extend(part.comments);
                // What is wrong in a file is told once, however often it is included.
                let is_new = self.seen.insert(path.clone());
                for found in part.diagnostics.into_iter().filter(|_| is_new) {
                    self.report(found);
                }
                chain.push(Included { path, at: span });
                self.walk(part.items, chain);
                chain.pop();
            }
            Err(problem) => self.report(problem),
        }
    }

    fn read(&mut self, word: &Word, chain: &[Included]) -> Result<(String, Vec<u8>), Diagnostic> {
        let fail = |code, message: String| Diagnostic::error(code, message, word.span);
        let folder = chain.last().and_then(|file| file.path.rsplit_once('/')).map_or("", |(folder, _)| folder);
        let path = match word.raw.strip_prefix('/') {
            Some(rest) => rest.to_owned(),
            None => format!("{folder}/{}", word.raw),
        };
        let path = clean(&path);
        if path.is_empty() || path == ".." || path.starts_with("../") {
            let message = format!("INCLUDE {} names nothing inside the build context", word.raw);
            let help = "put the file into the build context; the path is relative to this file's folder, and / is the \
                        root of the context";
            return Err(fail(codes::INCLUDE_PATH, message).with_help(help));
        }
        if let Some(at) = chain.iter().position(|file| file.path == path) {
            let message = format!("a file includes itself: {} -> {path}", way(&chain[at..]));
            let mut made = fail(codes::INCLUDE_CYCLE, message);
            for file in &chain[at + 1..] {
                made = made.with_label(file.at, format!("{} is included here", file.path));
            }
            return Err(made.with_help("move what both files need into a third one"));
        }
        if chain.len() > MAX_DEPTH {
            let message = format!("included files nest deeper than {MAX_DEPTH}: {}", way(chain));
            return Err(fail(codes::INCLUDE_CYCLE, message).with_help("include the files from one place"));
        }
        self.count += 1;
        if self.count > MAX_FILES {
            let message = format!("more than {MAX_FILES} files are included");
            return Err(fail(codes::INCLUDE_CYCLE, message).with_help("join small files that always go together"));
        }
        let bytes = (self.load)(&path).map_err(|why| {
            let help = "paths are relative to the folder of the file that INCLUDE stands in; what they and links name \
                        must be inside the build context";
            fail(codes::INCLUDE_READ, format!("{path} cannot be included: {why}")).with_help(help)
        })?;
        if self.source.text().len() + bytes.len() > self.options.largest_file() {
            let message =
                format!("with {path} the Dockerfile has more than {}", parse::in_mib(self.options.largest_file()));
            return Err(fail(codes::FILE_TOO_LARGE, message).with_help("move data into files of the build context"));
        }
        if let Some(encoding) = parse::foreign_encoding(&bytes) {
            let message = format!("{path} is encoded as {encoding}");
            return Err(fail(codes::ENCODING, message).with_help("save it as UTF-8"));
        }
        Ok((path, bytes))
    }
}

/// Names the files of a chain in their order.
fn way(chain: &[Included]) -> String {
    let name = |file: &Included| if file.path.is_empty() { "the Dockerfile".to_owned() } else { file.path.clone() };
    chain.iter().map(name).collect::<Vec<_>>().join(" -> ")
}

/// Gives a path below a root without `.`, `..` and doubled slashes; what leads out of the root keeps its `..`.
fn clean(path: &str) -> String {
    let path = clean_path(path.trim_start_matches('/'));
    if path == "." { String::new() } else { path }
}
