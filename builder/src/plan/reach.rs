//! What the target needs: edges between stages, ONBUILD triggers, order and cycles (dockerfile.md §10).

use std::collections::BTreeSet;

use strake_layers::Platform;
use strake_parser::{Diagnostic, Instruction, InstructionKind, Onbuild, Span, parse_onbuild};

use super::codes;
use super::graph::FiredTrigger;
use super::images::{ImageKey, ImageRequest, ImageSource, KnownImages};
use super::lints::Lints;
use super::reset;
use super::stages::{Bound, Table};

/// An ONBUILD trigger that fires in a stage.
#[derive(Clone, Debug)]
pub(super) struct Trigger {
    /// Its text.
    pub(super) text: String,
    /// What it says.
    pub(super) instruction: Instruction,
    /// Where it stands, when it is of a stage of this file.
    pub(super) span: Option<Span>,
}

/// A place where a stage reads from something else than the build context.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub(super) bound: Bound,
    name: String,
    pub(super) span: Span,
    pub(super) kind: UseKind,
}

/// What makes a [`Use`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum UseKind {
    Base,
    /// `FROM --after`: nothing is read.
    After,
    Copy,
    Mount {
        target: String,
    },
}

/// What the target needs.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Whether a stage is needed, by its position in the file.
    pub(super) needed: Vec<bool>,
    /// The triggers that fire in a stage.
    pub(super) triggers: Vec<Vec<Trigger>>,
    /// Images that are needed and not known.
    pub(super) missing: Vec<ImageRequest>,
    /// Names of arguments that triggers declare.
    pub(super) triggered_arguments: BTreeSet<String>,
}

/// Walks from the target along all edges.
pub(super) fn reach(table: &Table<'_>, target: usize, images: &KnownImages, lints: &mut Lints) -> Reach {
    let count = table.entries.len();
    let mut reach = Reach { needed: vec![false; count], triggers: vec![Vec::new(); count], ..Reach::default() };
    let uses: Vec<Vec<Use>> = (0..count).map(|index| uses_of_stage(table, index, lints)).collect();
    let in_cycle = find_cycles(table, &uses, lints);
    let mut pending: Vec<usize> = if table.options.all_stages { (0..count).rev().collect() } else { vec![target] };
    while let Some(index) = pending.pop() {
        if std::mem::replace(&mut reach.needed[index], true) {
            continue;
        }
        let mut all = uses[index].clone();
        for trigger in fired(table, index, images, lints) {
            all.extend(trigger_uses(table, index, &trigger, lints));
            if let InstructionKind::Arg(items) = &trigger.instruction.kind {
                reach.triggered_arguments.extend(items.iter().map(|item| item.name.value.clone()));
            }
            reach.triggers[index].push(trigger);
        }
        for found in all {
            match &found.bound {
                Bound::Stage(other) if *other < index => pending.push(*other),
                Bound::Stage(other) => {
                    if !in_cycle.contains(&(index, *other)) {
                        lints.push(forward(table, index, &found));
                    }
                }
                Bound::Image(source) => request(table, index, source, &found, images, &mut reach.missing),
                Bound::Scratch | Bound::Files(_) => {}
            }
        }
    }
    // Depth first is not file order; people read requests and messages in file order.
    reach.missing.sort_by_key(|request| request.span);
    reach
}

/// Gives the platform of a stage: the base stage's, else `--platform`, else the target's; `scratch` has the target's
/// whatever the flag says (dockerfile.md §10.10).
pub(super) fn stage_platform<'a>(table: &'a Table<'_>, index: usize) -> &'a Platform {
    let mut at = index;
    loop {
        let Some(entry) = table.entries.get(at) else { return table.options.target_platform() };
        match (entry.replaced.as_ref().or(entry.base.as_ref()), &entry.platform) {
            (Some(Bound::Stage(base)), _) if *base < at => at = *base,
            (Some(Bound::Scratch), _) | (_, None) => return table.options.target_platform(),
            (_, Some(platform)) => return platform,
        }
    }
}

/// Gives the key of the image that a stage starts from.
pub(super) fn base_key(table: &Table<'_>, index: usize, source: &ImageSource) -> ImageKey {
    ImageKey { source: source.clone(), platform: stage_platform(table, index).clone() }
}

/// Gives the key of an image that is only read from: it has the target's platform (dockerfile.md §10.10).
pub(super) fn from_key(table: &Table<'_>, source: &ImageSource) -> ImageKey {
    ImageKey { source: source.clone(), platform: table.options.target_platform().clone() }
}

fn request(
    table: &Table<'_>,
    index: usize,
    source: &ImageSource,
    found: &Use,
    images: &KnownImages,
    missing: &mut Vec<ImageRequest>,
) {
    let key = match found.kind {
        UseKind::Base => base_key(table, index, source),
        UseKind::After | UseKind::Copy | UseKind::Mount { .. } => from_key(table, source),
    };
    if images.contains_key(&key) || missing.iter().any(|request| request.key == key) {
        return;
    }
    let help = match table.options.context(&found.name) {
        Some(context) => Some(format!("--build-context {} says where it comes from", context.name)),
        None => table.image_help(&found.name, table.entries[index].stage),
    };
    missing.push(ImageRequest { key, name: found.name.clone(), span: found.span, help });
}

/// Gives the triggers that fire in a stage: of its base image, or of its base stage (dockerfile.md §13.17).
fn fired(table: &Table<'_>, index: usize, images: &KnownImages, lints: &mut Lints) -> Vec<Trigger> {
    let entry = &table.entries[index];
    if entry.replaced.is_some() || reset::silences_triggers(&entry.stage.reset) {
        return Vec::new();
    }
    match &entry.base {
        Some(Bound::Stage(base)) if *base < index => {
            let instructions = table.entries[*base].stage.instructions.iter();
            let own = instructions.filter_map(|instruction| match &instruction.kind {
                InstructionKind::Onbuild(onbuild) => {
                    if let Some(problem) = broken_trigger(table, index, onbuild) {
                        lints.push(problem);
                        return None;
                    }
                    let inner = (*onbuild.instruction).clone();
                    Some(Trigger { text: onbuild.trigger.clone(), span: Some(inner.span), instruction: inner })
                }
                _ => None,
            });
            own.collect()
        }
        Some(Bound::Image(source)) => {
            let Some(image) = images.get(&base_key(table, index, source)) else { return Vec::new() };
            let texts = &image.config.config.on_build;
            texts.iter().filter_map(|text| read_trigger(table, index, text, lints)).collect()
        }
        _ => Vec::new(),
    }
}

/// Gives what is wrong with a trigger of this file; where it stands that is a warning only.
fn broken_trigger(table: &Table<'_>, index: usize, onbuild: &Onbuild) -> Option<Diagnostic> {
    let parsed = parse_onbuild(&onbuild.trigger, table.dockerfile.directives.escape());
    let problem = parsed.diagnostics.into_iter().find(Diagnostic::is_error)?;
    let mut made = Diagnostic::error(problem.code, problem.message, table.entries[index].stage.from_span)
        .with_label(onbuild.instruction.span, FiredTrigger::LABEL);
    made.help = problem.help;
    Some(made)
}

fn read_trigger(table: &Table<'_>, index: usize, text: &str, lints: &mut Lints) -> Option<Trigger> {
    let mut parsed = parse_onbuild(text, table.dockerfile.directives.escape());
    let entry = &table.entries[index];
    let span = entry.stage.from_span;
    let fail = |problem: &str| {
        let message = format!("ONBUILD trigger {text:?} of {} cannot be used: {problem}", entry.base_name);
        let help = "the trigger is in the config of the image: use another version of it, or build it anew without it";
        Diagnostic::error(codes::TRIGGER, message, span).with_help(help)
    };
    if let Some(problem) = parsed.diagnostics.iter().find(|found| found.is_error()) {
        lints.push(fail(&problem.message));
        return None;
    }
    if parsed.dockerfile.orphans.is_empty() {
        parsed.dockerfile.orphans.append(&mut parsed.dockerfile.global_args);
    }
    let Some(instruction) = parsed.dockerfile.orphans.into_iter().next() else {
        lints.push(fail("it holds no instruction"));
        return None;
    };
    match &instruction.kind {
        InstructionKind::Onbuild(_) | InstructionKind::Maintainer(_) | InstructionKind::Unknown(_) => {
            lints.push(fail(&format!("{} isn't allowed as an ONBUILD trigger", instruction.keyword.value)));
            None
        }
        _ => Some(Trigger { text: text.to_owned(), instruction, span: None }),
    }
}

/// Gives the edges that the lines of a stage make, its FROM first.
pub(super) fn uses_of_stage(table: &Table<'_>, index: usize, lints: &mut Lints) -> Vec<Use> {
    let entry = &table.entries[index];
    if let Some(bound) = &entry.replaced {
        let name = entry.display();
        return vec![Use { bound: bound.clone(), name, span: entry.stage.from_span, kind: UseKind::Base }];
    }
    let mut uses = Vec::new();
    if let Some(bound) = &entry.base {
        let (name, span) = (entry.base_name.clone(), entry.stage.base.span);
        uses.push(Use { bound: bound.clone(), name, span, kind: UseKind::Base });
    }
    for after in table.after(index) {
        match after {
            Ok((found, name, span)) => {
                uses.push(Use { bound: Bound::Stage(found), name, span, kind: UseKind::After });
            }
            Err(problem) => lints.push(problem),
        }
    }
    for instruction in &entry.stage.instructions {
        uses.extend(uses_of(table, index, instruction, None, lints));
    }
    uses
}

/// Gives the edges that a trigger makes in the stage where it fires.
pub(super) fn trigger_uses(table: &Table<'_>, index: usize, trigger: &Trigger, lints: &mut Lints) -> Vec<Use> {
    uses_of(table, index, &trigger.instruction, Some(table.entries[index].stage.from_span), lints)
}

fn uses_of(
    table: &Table<'_>,
    index: usize,
    instruction: &Instruction,
    place: Option<Span>,
    lints: &mut Lints,
) -> Vec<Use> {
    let stage = table.entries[index].stage;
    let mut uses = Vec::new();
    let mut bind = |word: &strake_parser::Word, span: Span, kind: UseKind| {
        let span = place.unwrap_or(span);
        match table.bind_from(word, stage, span) {
            Ok((bound, name)) => uses.push(Use { bound, name, span, kind }),
            Err(problem) => lints.push(problem),
        }
    };
    match &instruction.kind {
        InstructionKind::Copy(copy) => {
            if let Some(word) = &copy.from {
                bind(word, word.span, UseKind::Copy);
            }
        }
        InstructionKind::Run(run) => {
            for mount in &run.mounts {
                let Some(word) = mount.from() else { continue };
                let target = ["target", "dst", "destination"].iter().find_map(|key| mount.option(key));
                let target = target.map(|word| word.raw.clone()).unwrap_or_default();
                bind(word, word.span, UseKind::Mount { target: target.into() });
            }
        }
        _ => {}
    }
    uses
}

/// Makes the error of a stage that is used before it is defined (dockerfile.md §10.5).
fn forward(table: &Table<'_>, index: usize, found: &Use) -> Diagnostic {
    let current = table.entries[index].display();
    let message = match &found.kind {
        UseKind::Mount { target } => format!(
            "cannot mount from stage {:?} to {target:?}, stage needs to be defined before current command",
            found.name
        ),
        UseKind::After => {
            format!("cannot come after stage {:?}, it needs to be defined before current stage {current:?}", found.name)
        }
        UseKind::Copy | UseKind::Base => {
            format!("cannot copy from stage {:?}, it needs to be defined before current stage {current:?}", found.name)
        }
    };
    let mut error = Diagnostic::error(codes::FORWARD, message, found.span).with_help("move that stage above this one");
    if let Bound::Stage(other) = found.bound
        && let Some(entry) = table.entries.get(other)
    {
        error = error.with_label(entry.stage.from_span, "the stage is defined here");
    }
    error
}

/// Finds cycles among all stages and gives the edges that belong to one (dockerfile.md §10.6).
fn find_cycles(table: &Table<'_>, uses: &[Vec<Use>], lints: &mut Lints) -> BTreeSet<(usize, usize)> {
    let mut edges = BTreeSet::new();
    let mut done = vec![false; uses.len()];
    for start in 0..uses.len() {
        // The way from `start` to the current stage: the stage, and the next of its uses to look at.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((stage, next)) = way.last_mut() {
            let stage = *stage;
            if done[stage] {
                way.pop();
                continue;
            }
            let Some(found) = uses[stage].get(*next) else {
                done[stage] = true;
                way.pop();
                continue;
            };
            *next += 1;
            let Bound::Stage(other) = found.bound else { continue };
            let Some(from) = way.iter().position(|(on_way, _)| *on_way == other) else {
                way.push((other, 0));
                continue;
            };
            let cycle: Vec<&Use> = way[from..].iter().filter_map(|(at, next)| uses[*at].get(next - 1)).collect();
            let stages: Vec<usize> = way[from..].iter().map(|(at, _)| *at).collect();
            edges.extend(stages.iter().zip(stages.iter().cycle().skip(1)).map(|(a, b)| (*a, *b)));
            let name = table.entries[other].display();
            let message = format!("circular dependency detected on stage: {name}");
            let mut error = Diagnostic::error(codes::CYCLE, message, found.span);
            error = error.with_help(match stages.len() {
                1 if found.kind == UseKind::After => "a stage cannot wait for itself: name another one",
                1 => "a stage cannot read its own result: name another stage, or an image",
                _ => "move what both need into a stage of its own, above them",
            });
            for (step, at) in cycle.iter().zip(&stages) {
                let label = format!("stage {} needs {}", table.entries[*at].display(), step.name);
                error = error.with_label(step.span, label);
            }
            lints.push(error);
        }
    }
    edges
}
