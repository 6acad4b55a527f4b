//! Works out stages in file order (dockerfile.md §29, step 8).

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use strake_layers::{ImageConfig, Platform};
use strake_parser::{
    Diagnostic, Escape, ExpandError, Expander, Expansion, Instruction, InstructionKind, LineRange, Parsed, Rule, Span,
    Word, suggest,
};

use crate::resolve::ResolvedImage;

use super::arguments;
use super::environment::Environment;
use super::graph::{Base, BuildGraph, CopyFrom, FiredTrigger, ImageId, Op, PlannedImage, PlannedStage, StageId, Step};
use super::images::{ImageKey, KnownImages};
use super::lints::Lints;
use super::options::PlanOptions;
use super::outline::{StageArguments, outline};
use super::reach::{Reach, base_key, from_key, reach, stage_platform};
use super::stages::{Bound, Table};
use super::{Plan, Planned, codes, epoch, reset};

/// Plans a build; see [`super::plan`].
pub(super) fn plan(parsed: &Parsed, options: &PlanOptions, images: &KnownImages) -> Result<Plan, Vec<Diagnostic>> {
    let dockerfile = &parsed.dockerfile;
    let mut lints = Lints::new(dockerfile, &parsed.diagnostics, options);
    if dockerfile.stages.is_empty() {
        lints.no_stages();
        return Err(lints.into_found());
    }
    let table = Table::new(dockerfile, options, &mut lints);
    let epoch = epoch::read(&table, &mut lints);
    let target = match table.target() {
        Ok(target) => target,
        Err(error) => {
            lints.push(error);
            return Err(lints.into_found());
        }
    };
    let mut found = reach(&table, target, images, &mut lints);
    lints.check_tree(dockerfile, &found.needed, options);
    let is_hopeless = lints.has_errors();
    let is_blind = options.without_images && !found.missing.is_empty();
    if !found.missing.is_empty() && !is_hopeless && !is_blind {
        return Ok(Plan::NeedImages(std::mem::take(&mut found.missing)));
    }
    let graph = Builder::new(&table, &found, images).build(target, &mut lints);
    // Triggers of an image that is not known may declare arguments.
    if found.missing.is_empty() {
        arguments::warn_unused(dockerfile, options, &table.globals, &found.triggered_arguments, &mut lints);
    }
    table.warn_unknown_filters(&mut lints);
    lints.judge();
    match graph {
        Some(graph) if !lints.has_errors() => {
            let outline = outline(&table, target, &graph);
            Ok(Plan::Ready(Box::new(Planned { graph, outline, warnings: lints.into_found(), epoch })))
        }
        _ => Err(lints.into_found()),
    }
}

/// What a stage has come to.
#[derive(Clone, Debug)]
pub(super) struct StageState {
    /// The image config so far.
    pub(super) config: ImageConfig,
    /// What instructions see.
    pub(super) env: Arc<Environment>,
    /// The arguments in scope, in order of declaration, for the history of RUN.
    pub(super) arguments: Vec<(String, Option<String>)>,
    /// The platform.
    pub(super) platform: Platform,
    /// Whether a WORKDIR of this file was seen.
    pub(super) has_workdir: bool,
    /// Whether an ENV or ARG has an error, so that nobody knows which names have a value.
    pub(super) has_lost_names: bool,
}

impl StageState {
    fn new(mut config: ImageConfig, platform: Platform) -> Self {
        let directory = &mut config.config.working_dir;
        if !directory.is_empty() {
            // An image may hold any spelling; what cannot be read is left for whom it may concern.
            *directory = super::paths::directory(platform.is_windows(), "", directory).unwrap_or(directory.clone());
        }
        let mut env = Environment::new(config.is_windows());
        for line in &config.config.env {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            env.set(name, value);
        }
        Self { config, env: Arc::new(env), arguments: Vec::new(), platform, has_workdir: false, has_lost_names: false }
    }

    /// Makes the state that a stage starts with whose base image is not known.
    fn on_unknown(platform: Platform) -> Self {
        let mut made = Self::new(ImageConfig::scratch(&platform), platform);
        Arc::make_mut(&mut made.env).make_partial();
        made
    }
}

/// So many variables of a here-document are underlined; further ones are told of the whole.
const MOST_LOOKED_FOR: usize = 20;

/// Makes the graph of the needed stages.
struct Builder<'a> {
    table: &'a Table<'a>,
    reach: &'a Reach,
    known: &'a KnownImages,
    stages: Vec<PlannedStage>,
    /// The place of a stage of the file in the graph, and its state for stages based on it.
    states: Vec<Option<(StageId, StageState)>>,
    sources: Sources<'a>,
}

/// Names of the file and their places in the graph.
pub(super) struct Sources<'a> {
    table: &'a Table<'a>,
    known: &'a KnownImages,
    images: Vec<PlannedImage>,
    /// How many values steps write.
    pub(super) outputs: usize,
    image_ids: HashMap<ImageKey, ImageId>,
    stage_ids: Vec<Option<StageId>>,
}

impl<'a> Builder<'a> {
    fn new(table: &'a Table<'a>, reach: &'a Reach, known: &'a KnownImages) -> Self {
        let count = table.entries.len();
        let sources = Sources {
            table,
            known,
            images: Vec::new(),
            outputs: 0,
            image_ids: HashMap::new(),
            stage_ids: vec![None; count],
        };
        Self { table, reach, known, stages: Vec::new(), states: vec![None; count], sources }
    }

    fn build(mut self, target: usize, lints: &mut Lints) -> Option<BuildGraph> {
        for index in (0..self.table.entries.len()).filter(|index| self.reach.needed[*index]) {
            self.stage(index, lints);
        }
        let target = self.states[target].as_ref()?.0;
        if self.reach.missing.is_empty() {
            super::windows::warn(&self.stages, target, lints);
        }
        let labels = &self.table.options.labels;
        if let Some(stage) = self.stages.get_mut(target.0) {
            stage.config.config.labels.extend(labels.iter().cloned());
            // What was asked for is what the image says, also where FROM --platform=$BUILDPLATFORM begins the stage. The
            // layers of another system have another form.
            let asked = self.table.options.platform.as_ref().filter(|asked| asked.os == stage.config.os);
            if let Some(asked) = asked {
                stage.config.set_platform(asked);
            }
        }
        let platform = self.table.options.target_platform().clone();
        Some(BuildGraph { stages: self.stages, images: self.sources.images, target, platform })
    }

    fn stage(&mut self, index: usize, lints: &mut Lints) {
        let entry = &self.table.entries[index];
        lints.enter(entry.stage.check_overrides.as_deref());
        let Some((base, mut state)) = self.start(index, lints) else { return };
        if entry.replaced.is_none() {
            reset::apply(&mut state, &entry.stage.reset, lints);
        }
        let inherited_history = state.config.history.len();
        let mut evaluator = Evaluator {
            table: self.table,
            sources: &mut self.sources,
            lints,
            index,
            state,
            steps: Vec::new(),
            taken: StageArguments::default(),
            has_cmd: false,
            place: Place { span: entry.stage.from_span, lines: entry.stage.lines, trigger: None },
            assigned: Vec::new(),
            unknown: Vec::new(),
            escape: self.table.dockerfile.directives.escape(),
        };
        let instructions = if entry.replaced.is_some() { &[][..] } else { &entry.stage.instructions };
        evaluator.fire(&self.reach.triggers[index], instructions);
        for instruction in instructions {
            let (span, lines) = (instruction.span, instruction.lines);
            evaluator.place = Place { span, lines, trigger: None };
            evaluator.lints.enter(instruction.check_overrides.as_deref());
            evaluator.carry_out(instruction);
        }
        let Evaluator { state, steps, mut taken, .. } = evaluator;
        if entry.replaced.is_none() {
            taken.in_from.clone_from(&entry.used_in_from);
        }
        lints.enter(None);
        let id = StageId(self.stages.len());
        let stage_ids = &self.sources.stage_ids;
        let after = self.table.after(index).into_iter().filter_map(|found| stage_ids[found.ok()?.0]).collect();
        self.stages.push(PlannedStage {
            name: entry.key.clone(),
            display: entry.display(),
            platform: state.platform.clone(),
            base,
            after,
            steps,
            arguments: taken,
            config: state.config.clone(),
            outputs: state.env.outputs(),
            inherited_history,
            lines: entry.stage.lines,
            span: entry.stage.from_span,
        });
        self.sources.stage_ids[index] = Some(id);
        self.states[index] = Some((id, state));
    }

    /// Gives what a stage starts from and the state it starts with (dockerfile.md §13.1).
    fn start(&mut self, index: usize, lints: &mut Lints) -> Option<(Base, StageState)> {
        let entry = &self.table.entries[index];
        let platform = stage_platform(self.table, index).clone();
        let is_asked = entry.platform.is_some() || self.table.options.platform.is_some();
        Some(match entry.replaced.as_ref().or(entry.base.as_ref())? {
            Bound::Scratch => (Base::Scratch, StageState::new(ImageConfig::scratch(&platform), platform)),
            Bound::Files(name) => {
                let config = ImageConfig::scratch(&platform);
                (Base::Context(name.clone()), StageState::new(config, platform))
            }
            Bound::Stage(base) => {
                let (id, mut state) = self.states.get(*base)?.clone()?;
                state.config.config.on_build.clear();
                (Base::Stage(id), state)
            }
            Bound::Image(source) => {
                let key = base_key(self.table, index, source);
                let Some(image) = self.known.get(&key) else {
                    // The graph is good for nothing, and the rest of the file is looked through all the same.
                    return Some((Base::Scratch, StageState::on_unknown(platform)));
                };
                let id = self.sources.image(&key)?;
                (
                    Base::Image(id),
                    start_from_image(image, &entry.base_name, platform, is_asked, entry.stage.base.span, lints),
                )
            }
        })
    }
}

/// Makes the state that a stage based on an image starts with.
fn start_from_image(
    image: &ResolvedImage,
    name: &str,
    wanted: Platform,
    is_asked: bool,
    span: Span,
    lints: &mut Lints,
) -> StageState {
    let mut config = image.config.clone();
    let found = config.platform();
    let mut platform = wanted;
    if found.os.is_empty() || found.architecture.is_empty() {
        config.set_platform(&platform);
    } else if (&found.os, &found.architecture) != (&platform.os, &platform.architecture) {
        let message = format!(
            "Base image {name} was pulled with platform {:?}, expected {:?} for current build",
            found.to_string(),
            platform.to_string()
        );
        let help = "pass --platform, or name an image that has the platform of the build";
        lints.lint(Rule::InvalidBaseImagePlatform, message, span, help);
        if !is_asked {
            platform = found;
        }
    }
    config.set_platform(&platform);
    platform.os_version.clone_from(&config.os_version);
    platform.os_features.clone_from(&config.os_features);
    config.created = None;
    config.config.on_build.clear();
    if !config.is_windows() && config.env("PATH").is_none() {
        config.set_env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    }
    StageState::new(config, platform)
}

impl Sources<'_> {
    fn image(&mut self, key: &ImageKey) -> Option<ImageId> {
        if let Some(id) = self.image_ids.get(key) {
            return Some(*id);
        }
        let resolved = Arc::clone(self.known.get(key)?);
        let id = ImageId(self.images.len());
        self.images.push(PlannedImage { resolved });
        self.image_ids.insert(key.clone(), id);
        Some(id)
    }

    fn of(&mut self, bound: &Bound) -> Option<CopyFrom> {
        Some(match bound {
            Bound::Scratch => CopyFrom::Scratch,
            Bound::Files(name) => CopyFrom::NamedContext(name.clone()),
            Bound::Stage(index) => CopyFrom::Stage((*self.stage_ids.get(*index)?)?),
            Bound::Image(source) => {
                let key = from_key(self.table, source);
                CopyFrom::Image(self.image(&key)?)
            }
        })
    }
}

/// Where the instruction at hand stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The whole instruction; the FROM for triggers.
    pub(super) span: Span,
    /// Its lines.
    pub(super) lines: LineRange,
    /// The trigger.
    pub(super) trigger: Option<FiredTrigger>,
}

/// Works out one stage, instruction by instruction.
pub(super) struct Evaluator<'e, 'a> {
    pub(super) table: &'a Table<'a>,
    pub(super) sources: &'e mut Sources<'a>,
    pub(super) lints: &'e mut Lints,
    pub(super) index: usize,
    pub(super) state: StageState,
    pub(super) steps: Vec<Step>,
    /// The arguments that it takes.
    pub(super) taken: StageArguments,
    /// Whether this stage has seen a CMD.
    pub(super) has_cmd: bool,
    pub(super) place: Place,
    /// The variables that the instruction sets.
    pub(super) assigned: Vec<String>,
    /// The variables that the instruction's words ask for though their values are not known: a step will write them, or
    /// the base image may set them.
    pub(super) unknown: Vec<String>,
    pub(super) escape: Escape,
}

impl Evaluator<'_, '_> {
    pub(super) fn instruction(&mut self, instruction: &Instruction) {
        // An error is reported where it is found; the instruction then has no effect.
        let done: Option<()> = match &instruction.kind {
            InstructionKind::Arg(items) => self.arg(instruction, items),
            InstructionKind::Env(pairs) => self.env(pairs),
            InstructionKind::Label(pairs) => self.label(pairs),
            InstructionKind::Run(run) => self.run(instruction, run),
            InstructionKind::Copy(copy) => self.copy(instruction, "COPY", copy, None),
            InstructionKind::Add(add) => self.copy(instruction, "ADD", &add.copy, Some(add)),
            InstructionKind::Workdir(word) => self.workdir(instruction, word),
            InstructionKind::User(word) => self.user(word),
            InstructionKind::Expose(words) => self.expose(words),
            InstructionKind::Volume(words) => self.volume(words),
            InstructionKind::Cmd(form) => self.cmd(form),
            InstructionKind::Entrypoint(form) => self.entrypoint(form),
            InstructionKind::Shell(words) => self.shell(words),
            InstructionKind::Healthcheck(check) => self.healthcheck(check),
            InstructionKind::Stopsignal(word) => self.stopsignal(word),
            InstructionKind::Maintainer(text) => self.maintainer(&text.value),
            InstructionKind::Onbuild(onbuild) => {
                self.state.config.config.on_build.push(onbuild.trigger.clone());
                Some(())
            }
            InstructionKind::Include(_)
            | InstructionKind::If(_)
            | InstructionKind::Else(_)
            | InstructionKind::Endif => self.not_composed(&instruction.keyword.value),
            InstructionKind::Unknown(_) => None,
        };
        let keyword = &instruction.keyword.value;
        self.state.has_lost_names |=
            done.is_none() && ["ENV", "ARG"].iter().any(|name| name.eq_ignore_ascii_case(keyword));
    }

    /// Refuses a tree that [`strake_parser::compose`] has not made plain.
    fn not_composed(&mut self, keyword: &str) -> Option<()> {
        let message = format!("{keyword} was not worked out before planning");
        let help = "call compose on the parsed file first".to_owned();
        self.error_with_help(codes::NOT_COMPOSED, message, self.place.span, help);
        None
    }

    /// Tells whether the stage is for Windows.
    pub(super) fn is_windows(&self) -> bool {
        self.state.platform.is_windows()
    }

    /// Gives where to point for something at `span`: in a trigger, to the FROM.
    pub(super) fn at(&self, span: Span) -> Span {
        if self.place.trigger.is_some() { self.place.span } else { span }
    }

    /// Reports an error with what to do.
    pub(super) fn error_with_help(&mut self, code: &'static str, message: String, span: Span, help: String) {
        self.pass(Diagnostic::error(code, message, span).with_help(help));
    }

    /// Reports what is doubtful, with what to do.
    pub(super) fn warn(&mut self, code: &'static str, message: String, span: Span, help: String) {
        let span = self.at(span);
        let message = self.in_trigger(message);
        self.lints.push(Diagnostic::warning(code, message, span).with_help(help));
    }

    /// Reports the warning of a build check.
    pub(super) fn lint(&mut self, rule: Rule, message: String, span: Span, help: &str) {
        let span = self.at(span);
        let message = self.in_trigger(message);
        self.lints.lint(rule, message, span, help);
    }

    /// Reports the warning of a build check with the edit that mends it.
    pub(super) fn lint_with_fix(&mut self, rule: Rule, message: String, span: Span, help: &str, fix: String) {
        if self.place.trigger.is_some() {
            return self.lint(rule, message, span, help);
        }
        self.lints.lint_with(Diagnostic::lint(rule, message, span).with_help(help).with_fix(span, fix));
    }

    /// Reports a path that cannot be in an image.
    pub(super) fn path_error(&mut self, problem: String, span: Span) {
        let help = match self.escape {
            Escape::Backslash if self.is_windows() => {
                "a backslash is the escape character here: begin the file with # escape=`, or write paths with slashes"
            }
            _ => "name another path on the drive C:",
        };
        self.error_with_help(codes::PATH, problem, span, help.to_owned());
    }

    /// Passes on a problem; one in a trigger is shown at the FROM that fires it and, if that is in this file, where the
    /// trigger stands.
    pub(super) fn pass(&mut self, mut found: Diagnostic) {
        if let Some(trigger) = &self.place.trigger {
            let inner = std::mem::replace(&mut found.span, self.place.span);
            found.labels.clear();
            found.fix = None;
            match trigger.span {
                Some(_) => found = found.with_label(inner, FiredTrigger::LABEL),
                None => found.message = self.in_trigger(found.message),
            }
        }
        self.lints.push(found);
    }

    fn in_trigger(&self, message: String) -> String {
        match &self.place.trigger {
            Some(trigger) => format!("{message} (in the ONBUILD trigger {:?} of the base)", trigger.text),
            None => message,
        }
    }

    /// Calls `use_it` with an expander over the environment as it is before the instruction.
    pub(super) fn expanding<T>(&mut self, use_it: impl FnOnce(&mut Self, &Expander<'_>) -> T) -> T {
        let env = Arc::clone(&self.state.env);
        let has_lost_names = self.state.has_lost_names;
        let unknown = RefCell::new(Vec::new());
        let lookup = |name: &str| {
            if env.output(name).is_some() || env.is_partial() && (has_lost_names || !env.is_sure(name)) {
                unknown.borrow_mut().push(name.to_owned());
                return Some(String::new());
            }
            env.get(name).map(str::to_owned)
        };
        let expander = Expander::new(self.escape, &lookup);
        let done = use_it(self, &expander);
        self.unknown.append(&mut unknown.borrow_mut());
        done
    }

    /// Expands a word; an error is reported.
    pub(super) fn word(&mut self, expander: &Expander<'_>, word: &Word) -> Option<String> {
        let expanded = expander.word(word);
        self.expanded(expanded, word.span)
    }

    /// Looks through an expansion.
    pub(super) fn expanded(&mut self, result: Result<Expansion, ExpandError>, span: Span) -> Option<String> {
        match result {
            Ok(expansion) => {
                for warning in expansion.warnings {
                    self.pass(warning);
                }
                self.warn_unset(&expansion.names.unset, span);
                Some(expansion.text)
            }
            Err(error) => {
                self.pass(error.into());
                None
            }
        }
    }

    /// Warns of names that are not set and that no ARG of the stage declares (dockerfile.md §18, UndefinedVar).
    pub(super) fn warn_unset(&mut self, names: &[String], span: Span) {
        for name in names {
            self.warn_unset_name(name, span, "");
        }
    }

    /// As [`Self::warn_unset`], of names in the text of a here-document.
    pub(super) fn warn_unset_in(&mut self, names: &[String], heredoc: &strake_parser::Heredoc) {
        let keep = format!("; to keep the text as it is, write <<\"{}\"", heredoc.name);
        for (at, name) in names.iter().enumerate() {
            // Each is looked for in the whole text.
            let span = if at < MOST_LOOKED_FOR { self.use_of(name, heredoc.span) } else { heredoc.span };
            self.warn_unset_name(name, span, &keep);
        }
    }

    fn warn_unset_name(&mut self, name: &str, span: Span, more_help: &str) {
        if self.state.has_lost_names || self.state.arguments.iter().any(|(declared, _)| declared == name) {
            return;
        }
        let known = || self.state.env.names().chain(self.state.arguments.iter().map(|(name, _)| name.as_str()));
        let other_case = known().find(|known| known.eq_ignore_ascii_case(name));
        let near = other_case.or_else(|| suggest(name, known())).map(|near| format!(" (did you mean ${near}?)"));
        let message = format!("Usage of undefined variable '${name}'{}", near.unwrap_or_default());
        let help = self.unset_help(name, span) + more_help;
        self.lint(Rule::UndefinedVar, message, span, &help);
    }

    /// Changes the environment.
    pub(super) fn set_variable(&mut self, name: &str, value: &str) {
        Arc::make_mut(&mut self.state.env).set(name, value);
        self.assigned.push(name.to_owned());
    }

    /// Adds a history entry and gives its index (dockerfile.md §15.3).
    pub(super) fn commit(&mut self, created_by: String, has_layer: bool) -> usize {
        let history = &mut self.state.config.history;
        history.push(strake_layers::History {
            created_by,
            comment: "buildkit.dockerfile.v0".to_owned(),
            empty_layer: !has_layer,
            ..strake_layers::History::default()
        });
        history.len() - 1
    }

    /// Adds a step with its history entry.
    pub(super) fn push_step(&mut self, op: Op, title: String, created_by: String) {
        let history = self.commit(created_by, true);
        let options = self.table.options;
        let entry = &self.table.entries[self.index];
        let is_filtered = entry.key.as_ref().is_some_and(|key| options.no_cache_filter.contains(key));
        // WORKDIR is not forced, as in the reference (dockerfile.md §21.1).
        let no_cache = (options.no_cache || is_filtered) && !matches!(op, Op::Workdir(_));
        let title = if self.place.trigger.is_some() { format!("ONBUILD {title}") } else { title };
        let Place { span, lines, trigger } = self.place.clone();
        self.steps.push(Step { op, title, span, lines, trigger, history, no_cache });
    }

    /// Binds a `--from`; an error of it was reported when the graph's edges were made.
    pub(super) fn bind(&mut self, word: &Word) -> Option<CopyFrom> {
        let span = self.at(word.span);
        let (bound, _) = self.table.bind_from(word, self.table.entries[self.index].stage, span).ok()?;
        self.sources.of(&bound)
    }

    /// Gives the command line of a shell form.
    pub(super) fn with_shell(&self, text: String) -> Vec<String> {
        let mut argv = self.state.config.config.shell.clone();
        if argv.is_empty() {
            let default: &[&str] = if self.is_windows() { &["cmd", "/S", "/C"] } else { &["/bin/sh", "-c"] };
            argv.extend(default.iter().map(|word| (*word).to_owned()));
        }
        argv.push(text);
        argv
    }
}
