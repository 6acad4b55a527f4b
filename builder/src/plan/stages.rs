//! The stage table: what FROM and `--from` name (dockerfile.md §10).

use std::collections::HashMap;

use strake_layers::{Platform, Reference};
use strake_parser::{Diagnostic, Dockerfile, Rule, Span, Stage, Word, suggest};

use super::arguments::Globals;
use super::codes;
use super::images::ImageSource;
use super::lints::Lints;
use super::options::{NamedContext, NamedContextKind, PlanOptions};
use super::platforms;

/// Base images that a misspelt name may mean (dockerfile.md §13.1).
const COMMON_IMAGES: &[&str] = &[
    "alpine",
    "almalinux",
    "archlinux",
    "busybox",
    "debian",
    "fedora",
    "golang",
    "httpd",
    "mariadb",
    "memcached",
    "mysql",
    "nginx",
    "node",
    "openjdk",
    "php",
    "postgres",
    "python",
    "redis",
    "ruby",
    "rust",
    "scratch",
    "ubuntu",
];

/// What to do about names that no ARG above the first FROM declares; none where there are none.
fn undeclared_help(names: &[String]) -> Option<String> {
    let first = names.first()?;
    Some(format!(
        "{first} has no value here: only ARG instructions above the first FROM count in FROM; put ARG {first}=VALUE there"
    ))
}

/// Names the stages that there are.
fn stages_are(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [one] => format!("the only stage with a name is {one}"),
        all => format!("the stages are {}", all.join(", ")),
    }
}

/// What a name is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Nothing.
    Scratch,
    /// A stage, by its position in the file.
    Stage(usize),
    /// An image.
    Image(ImageSource),
    /// A named context that is files.
    Files(String),
}

/// A stage of the table.
#[derive(Debug)]
pub(super) struct StageEntry<'a> {
    /// The stage as parsed.
    pub(super) stage: &'a Stage,
    /// The name in lower case.
    pub(super) key: Option<String>,
    /// What FROM names; `None` where it could not be bound, which is an error already.
    pub(super) base: Option<Bound>,
    /// What FROM names, expanded.
    pub(super) base_name: String,
    /// The variables in FROM that have values.
    pub(super) used_in_from: Vec<String>,
    /// `--platform`.
    pub(super) platform: Option<Platform>,
    /// The named context that stands in for the whole stage.
    pub(super) replaced: Option<Bound>,
}

impl StageEntry<'_> {
    /// What messages and progress lines call it.
    pub(super) fn display(&self) -> String {
        self.key.clone().unwrap_or_else(|| format!("stage-{}", self.stage.index))
    }
}

/// The stages of the file with their FROM bound.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) dockerfile: &'a Dockerfile,
    pub(super) options: &'a PlanOptions,
    pub(super) globals: Globals,
    pub(super) entries: Vec<StageEntry<'a>>,
    /// The last stage of each name.
    named: HashMap<String, usize>,
}

impl<'a> Table<'a> {
    /// Expands and binds every FROM.
    pub(super) fn new(dockerfile: &'a Dockerfile, options: &'a PlanOptions, lints: &mut Lints) -> Self {
        let globals = Globals::new(dockerfile, options, lints);
        if let Some(platform) = &options.platform {
            platforms::warn_unknown(platform, Span::default(), lints);
        }
        let entries = Vec::with_capacity(dockerfile.stages.len());
        let mut table = Self { dockerfile, options, globals, entries, named: HashMap::new() };
        for stage in &dockerfile.stages {
            lints.enter(stage.check_overrides.as_deref());
            let base_name = table.base_name(stage, lints);
            let base = base_name.as_deref().and_then(|name| table.bind_base(stage, name, lints));
            let platform = stage.platform.as_ref().and_then(|word| table.platform(stage, word, lints));
            let key = stage.key();
            let context = key.as_deref().and_then(|key| options.context(key));
            let replaced = context.and_then(|context| table.bind_context(context, stage.from_span, lints));
            let base_name = base_name.unwrap_or_default();
            let words = std::iter::once(&stage.base).chain(&stage.platform);
            let used_in_from = words.flat_map(|word| table.globals.used(dockerfile, word)).collect();
            table.named.extend(key.iter().map(|key| (key.clone(), table.entries.len())));
            table.entries.push(StageEntry { stage, key, base, base_name, used_in_from, platform, replaced });
        }
        lints.enter(None);
        table
    }

    fn base_name(&self, stage: &Stage, lints: &mut Lints) -> Option<String> {
        if stage.base.raw.is_empty() {
            // The parser has reported a FROM without arguments.
            return None;
        }
        let expanded = match self.globals.expand(self.dockerfile, &stage.base) {
            Ok(expanded) => expanded,
            Err(error) => {
                lints.push(error);
                return None;
            }
        };
        self.warn_undeclared(&expanded.undeclared, stage.base.span, lints);
        if stage.base.raw.contains('$') {
            let by_default = self.globals.expand_defaults(self.dockerfile, &stage.base);
            let is_stage = |text: &str| self.named.contains_key(&text.to_lowercase());
            let is_name = |text: &String| !text.is_empty() && (is_stage(text) || Reference::parse(text).is_ok());
            if !by_default.is_some_and(|text| is_name(&text)) {
                let message =
                    format!("Default value for ARG {} results in empty or invalid base image name", stage.base.raw);
                let help = "give each ARG in it a default with which the image name is whole";
                lints.lint(Rule::InvalidDefaultArgInFrom, message, stage.base.span, help);
            }
        }
        if expanded.text.is_empty() {
            let message = format!("base name ({}) should not be blank", stage.base.raw);
            let help = undeclared_help(&expanded.undeclared).unwrap_or_else(|| {
                "give the ARG above the first FROM a default, or pass it with --build-arg".to_owned()
            });
            lints.push(Diagnostic::error(codes::BASE_BLANK, message, stage.base.span).with_help(help));
            return None;
        }
        Some(expanded.text)
    }

    fn warn_undeclared(&self, names: &[String], span: Span, lints: &mut Lints) {
        for name in names {
            let near = suggest(name, self.globals.names()).map(|near| format!(" (did you mean {near}?)"));
            let message = format!("FROM argument '{name}' is not declared{}", near.unwrap_or_default());
            let help = format!("put ARG {name}=VALUE above the first FROM: only these count in FROM");
            lints.lint(Rule::UndefinedArgInFrom, message, span, &help);
        }
    }

    /// Binds the name in FROM: a named context, a stage above, `scratch`, an image (dockerfile.md §10.2).
    fn bind_base(&self, stage: &Stage, name: &str, lints: &mut Lints) -> Option<Bound> {
        if let Some(context) = self.options.context(name) {
            let bound = self.bind_context(context, stage.base.span, lints)?;
            return Some(self.in_stage(bound, name, stage.index));
        }
        let lower = name.to_lowercase();
        if let Some(found) = self.named.get(&lower) {
            return Some(self.through(*found));
        }
        if name == "scratch" {
            return Some(Bound::Scratch);
        }
        match Reference::parse(name) {
            Ok(reference) => Some(Bound::Image(ImageSource::Registry(reference))),
            Err(error) => {
                let message = format!("failed to parse stage name: {error}");
                let help = Some(error.help());
                let mut error = Diagnostic::error(codes::REFERENCE, message, stage.base.span);
                let undeclared = self.globals.expand(self.dockerfile, &stage.base).map(|expanded| expanded.undeclared);
                error.help = undeclared_help(&undeclared.unwrap_or_default()).or(help);
                lints.push(error);
                None
            }
        }
    }

    /// Gives what stands for a stage: the stage, or the files or the other stage that a named context gives for it. An
    /// image stays in the place of the stage, whose `--platform` it has.
    fn through(&self, index: usize) -> Bound {
        match self.entries.get(index).and_then(|entry| entry.replaced.as_ref()) {
            None | Some(Bound::Image(_)) => Bound::Stage(index),
            Some(other) => other.clone(),
        }
    }

    /// Puts an image that a named context gives in the place of the stage of that name, if there is one above `below`.
    fn in_stage(&self, bound: Bound, name: &str, below: usize) -> Bound {
        match self.named.get(&name.to_lowercase()) {
            Some(found) if *found < below && matches!(bound, Bound::Image(_)) => Bound::Stage(*found),
            _ => bound,
        }
    }

    fn bind_context(&self, context: &NamedContext, span: Span, lints: &mut Lints) -> Option<Bound> {
        Some(match &context.kind {
            NamedContextKind::Scratch => Bound::Scratch,
            NamedContextKind::Image(source) => Bound::Image(source.clone()),
            NamedContextKind::Files(_) => Bound::Files(context.name.clone()),
            NamedContextKind::Target(target) => {
                let wanted = target.to_lowercase();
                let found = self.dockerfile.stages.iter().rposition(|stage| stage.key().as_deref() == Some(&*wanted));
                let Some(found) = found else {
                    let message =
                        format!("the build context {} names the stage {target:?}, which is not defined", context.name);
                    let names: Vec<_> = self.dockerfile.stages.iter().filter_map(Stage::key).collect();
                    let help = match names.is_empty() {
                        true => "no stage of this file has a name".to_owned(),
                        false => stages_are(&names),
                    };
                    lints.push(Diagnostic::error(codes::TARGET, message, span).with_help(help));
                    return None;
                };
                Bound::Stage(found)
            }
        })
    }

    fn platform(&self, stage: &Stage, word: &Word, lints: &mut Lints) -> Option<Platform> {
        let expanded = match self.globals.expand(self.dockerfile, word) {
            Ok(expanded) => expanded,
            Err(error) => {
                lints.push(error);
                return None;
            }
        };
        self.warn_undeclared(&expanded.undeclared, word.span, lints);
        // As in the reference: the one variable there is, and nothing around its value.
        let is_target = self.globals.used(self.dockerfile, word) == ["TARGETPLATFORM"];
        if is_target && self.globals.get("TARGETPLATFORM") == Some(expanded.text.as_str()) {
            let message = format!(
                "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
                word.raw
            );
            let mut found = Diagnostic::lint(Rule::RedundantTargetPlatform, message, stage.from_span)
                .with_help("leave --platform out");
            if let Some(flag) = flag_with_blanks(self.dockerfile, word) {
                found = found.with_fix(flag, "");
            }
            lints.lint_with(found);
        }
        if expanded.text.is_empty() {
            let near = expanded.undeclared.first().and_then(|name| suggest(name, self.globals.names()));
            let near = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
            let message = format!("empty platform value from expression {}{near}", word.raw);
            let error = Diagnostic::error(codes::PLATFORM, message, word.span)
                .with_help("only ARG instructions above the first FROM and the platform arguments have values here");
            lints.push(error);
            return None;
        }
        match Platform::parse(&expanded.text) {
            Ok(platform) => {
                if self.options.platform.as_ref() != Some(&platform) {
                    platforms::warn_unknown(&platform, word.span, lints);
                }
                Some(platform)
            }
            Err(error) => {
                let message = format!("failed to parse platform: {error}");
                let help = "write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, as in linux/arm64 or linux/arm/v7";
                lints.push(Diagnostic::error(codes::PLATFORM, message, word.span).with_help(help));
                None
            }
        }
    }

    /// Binds a name in `--from`: a named context, a number, a stage of any place, `scratch`, an image
    /// (dockerfile.md §10.3). `inner` is the stage it stands in.
    pub(super) fn bind_from(&self, word: &Word, inner: &Stage, span: Span) -> Result<(Bound, String), Diagnostic> {
        let name = self.static_name("--from", word, inner, span)?;
        let lints = &mut Lints::default();
        if let Some(context) = self.options.context(&name) {
            if let Some(bound) = self.bind_context(context, span, lints) {
                return Ok((self.in_stage(bound, &name, inner.index), name));
            }
            let problem = std::mem::take(lints).into_found().into_iter().next();
            return Err(problem.unwrap_or_else(|| Diagnostic::error(codes::TARGET, format!("no stage {name:?}"), span)));
        }
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            let index = self.numbered(&name, span)?;
            return Ok((self.through(index), name));
        }
        let lower = name.to_lowercase();
        if let Some(found) = self.named.get(&lower) {
            return Ok((self.through(*found), name));
        }
        if name == "scratch" {
            return Ok((Bound::Scratch, name));
        }
        match Reference::parse(&name) {
            Ok(reference) => Ok((Bound::Image(ImageSource::Registry(reference)), name)),
            Err(error) => {
                let message = format!("failed to parse stage name: {error}");
                Err(Diagnostic::error(codes::REFERENCE, message, span).with_help(error.help()))
            }
        }
    }

    /// Binds the `--after` of a stage: to stages, by their position in the file, each with its name and where it is
    /// written. One that a named context replaces is nothing to wait for.
    pub(super) fn after(&self, index: usize) -> Vec<Result<(usize, String, Span), Diagnostic>> {
        let Some(entry) = self.entries.get(index).filter(|entry| entry.replaced.is_none()) else { return Vec::new() };
        let bound = entry.stage.after.iter().map(|after| {
            let word = &after.value;
            let name = self.static_name("--after", word, entry.stage, word.span)?;
            let found = self.find_stage(index, &name, word.span)?;
            Ok(match self.through(found) {
                Bound::Stage(found) if !matches!(self.entries[found].replaced, Some(Bound::Image(_))) => {
                    Some((found, name, word.span))
                }
                _ => None,
            })
        });
        bound.filter_map(Result::transpose).collect()
    }

    /// Finds a stage for the stage at `index`: by its number, or by its name, best above it.
    fn find_stage(&self, index: usize, name: &str, span: Span) -> Result<usize, Diagnostic> {
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.numbered(name, span);
        }
        let lower = name.to_lowercase();
        let is_it = |entry: &StageEntry<'_>| entry.key.as_deref() == Some(&*lower);
        let above = self.entries.iter().take(index).rposition(is_it);
        above.or_else(|| self.entries.iter().rposition(is_it)).ok_or_else(|| {
            let near = suggest(&lower, self.stage_names());
            let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
            let names: Vec<_> = self.stage_names().collect();
            let help = match names.is_empty() {
                true => "no stage of this file has a name; give a number, counted from 0".to_owned(),
                false => format!("--after takes a stage of this file: {}", names.join(", ")),
            };
            let message = format!("there is no stage {name:?} to come after{hint}");
            Diagnostic::error(codes::AFTER, message, span).with_help(help)
        })
    }

    /// Finds a stage by its number.
    fn numbered(&self, number: &str, span: Span) -> Result<usize, Diagnostic> {
        let count = self.entries.len();
        number.parse().ok().filter(|index| *index < count).ok_or_else(|| {
            let help = format!("stages are numbered from 0, the last one here is {}", count.saturating_sub(1));
            Diagnostic::error(codes::INDEX, format!("invalid stage index {number}"), span).with_help(help)
        })
    }

    /// Expands a name that must be known before any stage is worked out (D-12).
    fn static_name(&self, flag: &str, word: &Word, inner: &Stage, span: Span) -> Result<String, Diagnostic> {
        let mut expanded = self.globals.expand(self.dockerfile, word)?;
        if let Some(name) = expanded.undeclared.first() {
            let message = format!(
                "variable expansion is not supported for {flag} with {name}, which no ARG above the first FROM declares"
            );
            let declares = inner.instructions.iter().any(|instruction| match &instruction.kind {
                strake_parser::InstructionKind::Arg(items) => items.iter().any(|item| item.name.value == *name),
                _ => false,
            });
            let help = if declares {
                format!(
                    "the stages are ordered before {name} of this stage has a value: declare it above the first FROM"
                )
            } else {
                format!("declare ARG {name} above the first FROM")
            };
            return Err(Diagnostic::error(codes::STATIC, message, span).with_help(help));
        }
        if expanded.text.is_empty() {
            let message = format!("{flag} ({}) should not be blank", word.raw);
            let help = "give the ARG above the first FROM a default, or pass it with --build-arg";
            return Err(Diagnostic::error(codes::BASE_BLANK, message, span).with_help(help));
        }
        Ok(std::mem::take(&mut expanded.text))
    }

    /// Finds the stage to build (dockerfile.md §10.8).
    pub(super) fn target(&self) -> Result<usize, Diagnostic> {
        let last = self.entries.len().saturating_sub(1);
        let Some(wanted) = self.options.target.as_deref().filter(|wanted| !wanted.is_empty()) else { return Ok(last) };
        let lower = wanted.to_lowercase();
        let named = self.named.get(&lower).copied();
        let numbered = || wanted.parse().ok().filter(|index| *index < self.entries.len());
        if let Some(found) = named.or_else(numbered) {
            return Ok(found);
        }
        let near = suggest(&lower, self.stage_names());
        let place = self.entries.iter().rfind(|entry| entry.key.as_deref() == near && near.is_some());
        let span = place.or(self.entries.last()).map(|entry| entry.stage.from_span).unwrap_or_default();
        let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        let message = format!("target stage {wanted:?} could not be found{hint}");
        let names: Vec<_> = self.stage_names().collect();
        let error = Diagnostic::error(codes::TARGET, message, span);
        Err(if names.is_empty() {
            error.with_help("no stage of this file has a name; give a number, counted from 0")
        } else {
            error.with_help(stages_are(&names))
        })
    }

    /// Warns of names in `--no-cache-filter` that no stage has.
    pub(super) fn warn_unknown_filters(&self, lints: &mut Lints) {
        let names: Vec<_> = self.stage_names().collect();
        let wanted = self.options.no_cache_filter.iter().map(String::as_str);
        for name in wanted.filter(|name| !name.is_empty() && !names.contains(name)) {
            let near = suggest(name, names.iter().copied());
            let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
            let message = format!("--no-cache-filter: there is no stage {name:?}{hint}");
            let help = match names.is_empty() {
                true => "no stage of this file has a name: give FROM one with AS, or build with --no-cache".to_owned(),
                false => stages_are(&names),
            };
            lints.push(Diagnostic::warning(codes::NO_CACHE_STAGE, message, Span::default()).with_help(help));
        }
    }

    /// Gives what may help when an image of that name does not exist (dockerfile.md §13.1, D-15).
    pub(super) fn image_help(&self, name: &str, inner: &Stage) -> Option<String> {
        let lower = name.to_lowercase();
        if self.entries.iter().skip(inner.index).any(|entry| entry.key.as_deref() == Some(&*lower)) {
            return Some(format!("a stage {lower} is defined, but not above this line, so {name} means an image"));
        }
        let contexts = self.options.named_contexts.iter().map(|context| context.name.as_str());
        if let Some(near) = suggest(name, contexts) {
            return Some(format!("--build-context gives {near:?}: is one of the two names spelled wrong?"));
        }
        let near = suggest(name, self.stage_names().chain(COMMON_IMAGES.iter().copied()))?;
        Some(format!("did you mean {near}?"))
    }

    fn stage_names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| entry.key.as_deref())
    }
}

/// Gives where `--platform=WORD` and the blanks after it stand, when they stand in one line as they are read.
fn flag_with_blanks(dockerfile: &Dockerfile, word: &Word) -> Option<Span> {
    const FLAG: &str = "--platform=";
    let text = dockerfile.source.text();
    let before = text.get(..word.span.start())?;
    let after = text.get(word.span.end()..)?;
    let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
    let is_plain = before.ends_with(FLAG) && dockerfile.source.slice(word.span) == word.raw && blanks > 0;
    is_plain.then(|| Span::new(word.span.start() - FLAG.len(), word.span.end() + blanks))
}
