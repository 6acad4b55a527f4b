//! What a target can be given: arguments, secrets, agents, caches (dockerfile.md §19).

use std::collections::{BTreeMap, BTreeSet};

use strake_parser::{LineRange, MountSpec, Span, Spanned};

use super::graph::{Base, BuildGraph, CopyFrom, Op, PlannedStage, StageId};
use super::stages::Table;

/// An argument as an ARG declares it.
#[derive(Clone, Debug)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) description: Option<String>,
    /// The instruction; the FROM for ONBUILD triggers.
    pub(crate) span: Span,
    pub(crate) lines: LineRange,
    /// The arguments that its default is made of.
    pub(super) uses: Vec<String>,
}

/// What a stage says about the arguments it takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageArguments {
    /// Variables of its FROM.
    pub(super) in_from: Vec<String>,
    /// Those that an ARG takes over from above the first FROM.
    pub(super) inherited: Vec<String>,
    /// Those that it declares itself.
    pub(super) declared: Vec<Argument>,
}

/// A secret, an agent or a cache that a mount names.
#[derive(Clone, Debug)]
pub(crate) struct Mounted {
    pub(crate) id: String,
    pub(crate) is_required: bool,
    pub(crate) span: Span,
    pub(crate) lines: LineRange,
}

/// What a target and all it needs can be given, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlined {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) secrets: Vec<Mounted>,
    pub(crate) agents: Vec<Mounted>,
    pub(crate) caches: Vec<Mounted>,
}

/// Gives the text of the first comment line that begins with a name and a blank, as the reference reads it.
pub(crate) fn description(docs: &[Spanned<String>], name: &str) -> Option<String> {
    let text = |doc: &Spanned<String>| doc.value.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
    docs.iter().find_map(text)
}

/// Collects what the stages of a graph, which are those that the target needs, can be given.
pub(super) fn outline(table: &Table<'_>, target: usize, graph: &BuildGraph) -> Outlined {
    let entry = table.entries.get(target);
    let name = entry.and_then(|entry| entry.key.clone());
    let docs = entry.map(|entry| entry.stage.docs.as_slice()).unwrap_or_default();
    let description = name.as_deref().and_then(|name| description(docs, name));
    let mut outlined = Outlined { name, description, ..Outlined::default() };
    let mut arguments = Arguments::new(table, graph);
    let mut seen = vec![false; graph.stages.len()];
    let mut pending = vec![graph.target.0];
    // Of a name that is declared in several places, that of the target counts, then its base's, then that of what it
    // reads from.
    while let Some(at) = pending.pop() {
        let Some(stage) = graph.stages.get(at) else { continue };
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        arguments.add(at, stage);
        outlined.add_mounts(stage);
        let mut sources: Vec<usize> = sources(stage).map(|id| id.0).collect();
        sources.reverse();
        pending.append(&mut sources);
        if let Base::Stage(base) = stage.base {
            pending.push(base.0);
        }
    }
    outlined.arguments = arguments.found;
    outlined.arguments.sort_by_key(|argument| argument.span.start());
    for mounts in [&mut outlined.secrets, &mut outlined.agents, &mut outlined.caches] {
        mounts.sort_by_key(|mount| mount.span.start());
    }
    outlined
}

/// Gives the stages that the steps of a stage read from.
fn sources(stage: &PlannedStage) -> impl Iterator<Item = StageId> {
    let froms = stage.steps.iter().flat_map(|step| -> Box<dyn Iterator<Item = &CopyFrom>> {
        match &step.op {
            Op::Copy(copy) => Box::new(std::iter::once(&copy.from)),
            Op::Run(run) => Box::new(run.mounts.iter().filter_map(|mount| mount.from.as_ref())),
            Op::Workdir(_) => Box::new(std::iter::empty()),
        }
    });
    froms.filter_map(|from| if let CopyFrom::Stage(id) = from { Some(*id) } else { None })
}

impl Outlined {
    fn add_mounts(&mut self, stage: &PlannedStage) {
        for step in &stage.steps {
            let Op::Run(run) = &step.op else { continue };
            for mount in &run.mounts {
                let (list, id, is_required) = match &mount.spec {
                    MountSpec::Secret(secret) => (&mut self.secrets, &secret.id, secret.is_required),
                    MountSpec::Ssh(agent) => (&mut self.agents, &agent.id, agent.is_required),
                    MountSpec::Cache(cache) => (&mut self.caches, &cache.id, false),
                    MountSpec::Bind(_) | MountSpec::Tmpfs(_) => continue,
                };
                if !list.iter().any(|have| have.id == *id) {
                    list.push(Mounted { id: id.clone(), is_required, span: step.span, lines: step.lines });
                }
            }
        }
    }
}

/// Finds the arguments, each name once.
struct Arguments<'a> {
    table: &'a Table<'a>,
    graph: &'a BuildGraph,
    names: BTreeSet<String>,
    /// Stages whose FROM was looked at from a stage that is based on them.
    looked_through: Vec<bool>,
    found: Vec<Argument>,
}

impl<'a> Arguments<'a> {
    fn new(table: &'a Table<'a>, graph: &'a BuildGraph) -> Self {
        let looked_through = vec![false; graph.stages.len()];
        Self { table, graph, names: BTreeSet::new(), looked_through, found: Vec::new() }
    }

    fn add(&mut self, at: usize, stage: &PlannedStage) {
        // The last declaration of a stage counts.
        let own: BTreeMap<&str, &Argument> =
            stage.arguments.declared.iter().map(|argument| (argument.name.as_str(), argument)).collect();
        for argument in &stage.arguments.declared {
            self.take(&argument.name, &own);
        }
        for name in &stage.arguments.inherited {
            self.take(name, &own);
        }
        let mut next = Some(at);
        while let Some(at) = next.filter(|at| !std::mem::replace(&mut self.looked_through[*at], true)) {
            let graph = self.graph;
            let Some(stage) = graph.stages.get(at) else { return };
            for name in &stage.arguments.in_from {
                self.take(name, &own);
            }
            next = if let Base::Stage(base) = stage.base { Some(base.0) } else { None };
        }
    }

    /// Takes in an argument and those that its default is made of. Names that no ARG declares are the platform's.
    fn take(&mut self, name: &str, own: &BTreeMap<&str, &Argument>) {
        let mut pending = vec![name.to_owned()];
        while let Some(name) = pending.pop() {
            let found = own.get(name.as_str()).copied().or_else(|| self.table.globals.argument(&name));
            let Some(found) = found.filter(|_| !self.names.contains(&name)) else { continue };
            pending.extend(found.uses.iter().cloned());
            self.found.push(found.clone());
            self.names.insert(name);
        }
    }
}
