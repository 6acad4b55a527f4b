//! The tree of a Dockerfile: stages, instructions, words.
//!
//! Nothing in the tree is expanded: a [`Word`] keeps its quotes, escapes and variables until a planner asks for its
//! value (dockerfile.md §8, §28).

use std::borrow::Cow;
use std::time::Duration;

use smol_str::SmolStr;

use crate::check::CheckSettings;
use crate::features::{Feature, FeatureSet, Language};
use crate::mount::Mount;
use crate::source::SourceText;
use crate::span::{LineRange, Span, Spanned};

/// A parsed Dockerfile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// The text that the spans point into.
    pub source: SourceText,
    /// The parser directives at the top.
    pub directives: Directives,
    /// Every comment line, directives included, in order.
    pub comments: Vec<Span>,
    /// The ARG instructions before the first FROM.
    pub global_args: Vec<Instruction>,
    /// Other instructions before the first FROM; each has an error.
    pub orphans: Vec<Instruction>,
    /// The stages in order.
    pub stages: Vec<Stage>,
}

/// The parser directives of a Dockerfile (dockerfile.md §2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// The value of `# syntax=`, whole.
    pub syntax: Option<Spanned<String>>,
    /// The value of `# escape=`, when it is given and valid.
    pub escape: Option<Spanned<Escape>>,
    /// The value of `# check=`, whole.
    pub check: Option<Spanned<String>>,
    /// What `# check=` says; the default settings without one.
    pub check_settings: CheckSettings,
    /// What `# strake: features=A,B` opts in to.
    pub features: Vec<Spanned<Feature>>,
    /// Where that line is.
    pub features_line: Option<Span>,
}

impl Dockerfile {
    /// Gives the physical lines of the instruction that a place belongs to, or else of the place itself.
    ///
    /// The reference names the first of them in its messages (dockerfile.md §20.1).
    pub fn lines_of(&self, place: Span) -> LineRange {
        let is_in_order = self.source.included().is_empty();
        let found = if is_in_order { self.find_lines(place.start()) } else { self.search_lines(place.start()) };
        found.unwrap_or_else(|| {
            let first = self.source.line_of(place.start());
            let last = self.source.line_of(place.end().saturating_sub(1).max(place.start()));
            LineRange::new(first, last)
        })
    }

    /// Finds the instruction at `at` by halving: a file with a finding in each line is not read once for each.
    fn find_lines(&self, at: usize) -> Option<LineRange> {
        let within = |list: &[Instruction]| {
            let before = list.partition_point(|instruction| instruction.span.start() <= at).checked_sub(1)?;
            (at < list[before].span.end()).then_some(list[before].lines)
        };
        let before = self.stages.partition_point(|stage| stage.from_span.start() <= at).checked_sub(1);
        match before.map(|index| &self.stages[index]) {
            None => within(&self.global_args).or_else(|| within(&self.orphans)),
            Some(stage) if at < stage.from_span.end() => Some(stage.lines),
            Some(stage) => within(&stage.instructions),
        }
    }

    /// Finds the instruction at `at` where the texts of included files stand behind the others, out of order.
    fn search_lines(&self, at: usize) -> Option<LineRange> {
        let froms = self.stages.iter().map(|stage| (stage.from_span, stage.lines));
        let inside = self.stages.iter().flat_map(|stage| &stage.instructions);
        let others = self.global_args.iter().chain(&self.orphans).chain(inside);
        let mut all = froms.chain(others.map(|instruction| (instruction.span, instruction.lines)));
        all.find(|(span, _)| (span.start()..span.end()).contains(&at)).map(|(_, lines)| lines)
    }
}

impl Directives {
    /// Gives the escape character of the file.
    pub fn escape(&self) -> Escape {
        self.escape.map_or(Escape::Backslash, |escape| escape.value)
    }

    /// Gives how the lines of the file are read.
    pub(crate) fn language(&self) -> Language {
        let features: FeatureSet = self.features.iter().map(|feature| feature.value).collect();
        Language { escape: self.escape(), features }
    }
}

/// The escape character of a Dockerfile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Escape {
    /// `\`, the default.
    #[default]
    Backslash,
    /// `` ` ``, usual for Windows.
    Backtick,
}

impl Escape {
    /// Gives the character, which is ASCII.
    pub fn byte(self) -> u8 {
        match self {
            Self::Backslash => b'\\',
            Self::Backtick => b'`',
        }
    }

    /// Gives the character.
    pub fn char(self) -> char {
        char::from(self.byte())
    }
}

/// One stage: a FROM and the instructions up to the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The position among the stages, from 0.
    pub index: usize,
    /// The keyword `FROM` as written.
    pub keyword: Spanned<Cow<'static, str>>,
    /// The image, stage or named context, not expanded.
    pub base: Word,
    /// The value of `--platform`, not expanded.
    pub platform: Option<Word>,
    /// The stages that `--after` names, not expanded, each with where its flag is written.
    pub after: Vec<Spanned<Word>>,
    /// The items of `--reset`, in order.
    pub reset: Vec<Spanned<Reset>>,
    /// Where `--reset` is written.
    pub reset_flag: Option<Span>,
    /// The keyword `AS` as written.
    pub as_keyword: Option<Spanned<String>>,
    /// The name as written; compare names with [`Stage::key`].
    pub name: Option<Spanned<String>>,
    /// The comment lines right before the FROM.
    pub docs: Vec<Spanned<String>>,
    /// What `# check=skip=…` right before the FROM says.
    pub check_overrides: Option<Box<CheckSettings>>,
    /// The text of [`Stage::original`] where continuations were joined.
    pub joined: Option<Box<str>>,
    /// Where the FROM line is.
    pub from_span: Span,
    /// The physical lines of the FROM.
    pub lines: LineRange,
    /// Whether a line of only blanks stands inside a continuation of the FROM.
    pub has_empty_continuation: bool,
    /// The instructions after the FROM, in order.
    pub instructions: Vec<Instruction>,
    /// From the FROM to the end of the last instruction.
    pub span: Span,
}

impl Stage {
    /// Gives the name in lower case, in which stage names are compared (dockerfile.md §7.1).
    pub fn key(&self) -> Option<String> {
        self.name.as_ref().map(|name| name.value.to_lowercase())
    }

    /// Gives the logical text of the FROM line, as [`Instruction::original`] does.
    pub fn original<'a>(&'a self, source: &'a SourceText) -> &'a str {
        self.joined.as_deref().unwrap_or_else(|| source.rest_of_line(self.from_span.start()))
    }
}

impl Instruction {
    /// Gives the logical text: continuations joined, comments within left out, here-doc bodies left out. `source` is
    /// the text of the tree that the instruction is of.
    pub fn original<'a>(&'a self, source: &'a SourceText) -> &'a str {
        self.joined.as_deref().unwrap_or_else(|| source.rest_of_line(self.span.start()))
    }
}

/// One instruction other than FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The keyword as written.
    pub keyword: Spanned<Cow<'static, str>>,
    /// What the instruction says.
    pub kind: InstructionKind,
    /// From the keyword to the end of the logical line and its here-docs.
    pub span: Span,
    /// The physical lines.
    pub lines: LineRange,
    /// The comment lines right before the instruction.
    pub docs: Vec<Spanned<String>>,
    /// What `# check=skip=…` right before the instruction says.
    pub check_overrides: Option<Box<CheckSettings>>,
    /// The text of [`Instruction::original`] where continuations were joined.
    pub joined: Option<Box<str>>,
    /// Whether a line of only blanks stands inside a continuation.
    pub has_empty_continuation: bool,
}

/// What an instruction says; one variant for each keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstructionKind {
    /// `ARG name[=default] …`.
    Arg(Vec<ArgDeclaration>),
    /// `ENV name=value …`.
    Env(KeyValues),
    /// `RUN …`.
    Run(Box<Run>),
    /// `COPY …`.
    Copy(Box<Copy>),
    /// `ADD …`.
    Add(Box<Add>),
    /// `WORKDIR path`.
    Workdir(Word),
    /// `USER user[:group]`.
    User(Word),
    /// `LABEL name=value …`.
    Label(KeyValues),
    /// `EXPOSE port …`, as written.
    Expose(Vec<Word>),
    /// `VOLUME path …`.
    Volume(Vec<Word>),
    /// `CMD …`.
    Cmd(Form),
    /// `ENTRYPOINT …`.
    Entrypoint(Form),
    /// `SHELL [ … ]`, never empty.
    Shell(Vec<Spanned<String>>),
    /// `HEALTHCHECK …`.
    Healthcheck(Healthcheck),
    /// `STOPSIGNAL signal`.
    Stopsignal(Word),
    /// `MAINTAINER text`.
    Maintainer(Spanned<String>),
    /// `ONBUILD instruction`.
    Onbuild(Onbuild),
    /// `INCLUDE path`, an addition (docs/language-additions.md).
    Include(Word),
    /// `IF condition`, an addition.
    If(Box<Condition>),
    /// `ELSE` or `ELSE IF condition`, an addition.
    Else(Option<Box<Condition>>),
    /// `ENDIF`, an addition.
    Endif,
    /// A line whose keyword or arguments cannot be read; there is an error about it. A line with a wrong flag only
    /// keeps its own kind.
    Unknown(Spanned<String>),
}

/// A condition of IF; its words are expanded late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `WORD`: it is not empty.
    IsSet(Word),
    /// `WORD == WORD`.
    Equal(Word, Word),
    /// `WORD != WORD`.
    NotEqual(Word, Word),
}

/// A piece of text that is expanded late.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Word {
    /// The text with quotes, escapes and variables, continuations joined.
    pub raw: SmolStr,
    /// Where it is written.
    pub span: Span,
}

/// One item of ARG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgDeclaration {
    /// The name; never expanded.
    pub name: Spanned<String>,
    /// The default, not expanded.
    pub default: Option<Word>,
}

/// The pairs of ENV or LABEL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValues {
    /// Name and value, in order, neither expanded.
    pub pairs: Vec<(Word, Word)>,
    /// Whether the old form `name value` is used.
    pub is_legacy: bool,
}

/// A command: an argument list, or a text for the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON form; the strings are decoded and never expanded.
    Exec(Vec<Spanned<String>>),
    /// Shell form; the builder leaves the text to the shell.
    Shell(Spanned<String>),
}

/// RUN (dockerfile.md §13.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The command; in the shell form the text of the line with its here-doc words.
    pub command: Form,
    /// The here-docs of the line, in order.
    pub heredocs: Vec<Heredoc>,
    /// The values of `--mount`, in order.
    pub mounts: Vec<Mount>,
    /// The value of `--network`.
    pub network: Option<Spanned<Network>>,
    /// The value of `--security`.
    pub security: Option<Spanned<Security>>,
    /// The values of `--device`, in order.
    pub devices: Vec<Device>,
    /// What the flags say that a file opts in to; none without one, as nearly every RUN is. See [`Run::additions`].
    pub(crate) additions: Option<Box<RunAdditions>>,
}

/// What the flags of RUN say that a file opts in to (docs/language-additions.md).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunAdditions {
    /// The value of `--timeout`, more than zero.
    pub timeout: Option<Spanned<Duration>>,
    /// The value of `--retry`: how often a step that failed is run again.
    pub retry: Option<Spanned<u32>>,
    /// The value of `--memory` in bytes.
    pub memory: Option<Spanned<u64>>,
    /// Where these three flags are written.
    pub limits: Vec<Span>,
    /// The value of `--env`: the variable that gets what the command writes.
    pub env: Option<Spanned<String>>,
}

/// An item of `FROM --reset`: what of the inherited config is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The part of the config.
    pub part: ResetPart,
    /// The only key of it that is meant.
    pub key: Option<String>,
}

/// A part of an image's config that `FROM --reset` takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResetPart {
    /// All of them.
    All,
    /// CMD.
    Cmd,
    /// ENTRYPOINT.
    Entrypoint,
    /// ENV.
    Env,
    /// EXPOSE.
    Expose,
    /// HEALTHCHECK.
    Healthcheck,
    /// LABEL.
    Label,
    /// ONBUILD: the triggers do not fire.
    Onbuild,
    /// SHELL.
    Shell,
    /// STOPSIGNAL.
    Stopsignal,
    /// USER.
    User,
    /// VOLUME.
    Volume,
    /// WORKDIR.
    Workdir,
}

/// The shape of a RUN's here-docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunHeredocs {
    /// There is none.
    None,
    /// The whole command is one here-doc word: the body is the script.
    Script,
    /// Here-docs stand among other text: the shell reads them.
    Mixed,
}

/// The network of a RUN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// The sandbox network.
    #[default]
    Default,
    /// Only loopback.
    None,
    /// The host's network.
    Host,
}

/// The privileges of a RUN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// The default set.
    #[default]
    Sandbox,
    /// All of them.
    Insecure,
}

/// A value of `RUN --device` (CDI device).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The device's name.
    pub name: String,
    /// Whether the step fails without it.
    pub is_required: bool,
    /// Where the flag is written.
    pub span: Span,
}

/// COPY, and what ADD shares with it (dockerfile.md §13.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// The sources in order.
    pub sources: Vec<CopySource>,
    /// The destination.
    pub dest: Word,
    /// The value of `--from`; expanded from global ARGs only.
    pub from: Option<Word>,
    /// The value of `--chown`.
    pub chown: Option<Word>,
    /// The value of `--chmod`.
    pub chmod: Option<Word>,
    /// Whether `--link` is given and true.
    pub link: bool,
    /// Whether `--parents` is given and true.
    pub parents: bool,
    /// The values of `--exclude`, in order.
    pub exclude: Vec<Word>,
}

/// A source of COPY or ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopySource {
    /// A path, URL or git reference, not expanded.
    Word(Word),
    /// A file whose content stands in the Dockerfile.
    Heredoc(Box<Heredoc>),
}

/// ADD (dockerfile.md §13.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Add {
    /// What ADD shares with COPY; `from` is never given.
    pub copy: Copy,
    /// The value of `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
    /// The value of `--checksum`.
    pub checksum: Option<Word>,
    /// The value of `--unpack`.
    pub unpack: Option<bool>,
}

/// A here-document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter without quotes; in COPY and ADD the name of the file.
    pub name: SmolStr,
    /// The word that starts it, as written (`<<-"EOF"`).
    pub word: Word,
    /// Whether variables in the body are expanded (no quoting in the delimiter).
    pub expand: bool,
    /// Whether leading tabs are dropped (`<<-`).
    pub strip_tabs: bool,
    /// The number before `<<`, 0 without one.
    pub fd: u32,
    /// The lines up to the delimiter, as written.
    pub body: Vec<u8>,
    /// Where the body is.
    pub span: Span,
}

impl Heredoc {
    /// Gives the body, without leading tabs when `<<-` asks for that (dockerfile.md §6.6).
    pub fn content(&self) -> Cow<'_, [u8]> {
        if !self.strip_tabs {
            return Cow::Borrowed(&self.body);
        }
        let lines = self.body.split_inclusive(|byte| *byte == b'\n');
        let mut out = Vec::with_capacity(self.body.len());
        for line in lines {
            let tabs = line.iter().take_while(|byte| **byte == b'\t').count();
            out.extend_from_slice(&line[tabs..]);
        }
        Cow::Owned(out)
    }
}

/// HEALTHCHECK (dockerfile.md §13.14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Healthcheck {
    /// `HEALTHCHECK NONE`.
    None,
    /// `HEALTHCHECK … CMD …`.
    Command(Box<HealthcheckCommand>),
}

/// A health check that runs a command; a duration of zero means unset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthcheckCommand {
    /// The command.
    pub command: Form,
    /// The value of `--interval`.
    pub interval: Duration,
    /// The value of `--timeout`.
    pub timeout: Duration,
    /// The value of `--start-period`.
    pub start_period: Duration,
    /// The value of `--start-interval`.
    pub start_interval: Duration,
    /// The value of `--retries`.
    pub retries: u32,
}

/// ONBUILD (dockerfile.md §13.17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Onbuild {
    /// The text for the image config: continuations joined, here-doc bodies and delimiters appended.
    pub trigger: String,
    /// The instruction that the text holds.
    pub instruction: Box<Instruction>,
}

#[cfg(test)]
mod tests {
    use crate::{ParseOptions, parse};

    #[test]
    fn halving_finds_what_a_search_finds() {
        let text = "# c\nARG A=1\nRUN orphan\nARG B\n\nFROM a AS x\n# c\nRUN a \\\n  b\nCOPY <<E /\nbody\nE\n\n\
                    FROM x\nFROM b\nCMD c\n";
        let tree = parse(text.as_bytes(), &ParseOptions::default()).dockerfile;
        let places = 0..=text.len();
        let found: Vec<_> = places.clone().map(|at| tree.find_lines(at)).collect();
        let searched: Vec<_> = places.map(|at| tree.search_lines(at)).collect();
        assert_eq!(found, searched);
        let mut lines: Vec<_> = found.into_iter().flatten().map(crate::LineRange::first).collect();
        lines.dedup();
        assert_eq!(lines, [2, 3, 4, 6, 8, 10, 14, 15, 16]);
    }
}
