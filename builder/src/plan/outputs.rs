//! `RUN --env`: variables whose values only a step knows (docs/language-additions.md).

use std::sync::Arc;

use strake_parser::{Diagnostic, Instruction, InstructionKind, Run, Span};

use super::codes;
use super::evaluate::Evaluator;
use super::graph::{OutputId, RunOutput};

impl Evaluator<'_, '_> {
    /// Works out an instruction, of which no word may expand a variable that a step will write: the plan is made before.
    /// Of one that expands what the base image may set, while that is not known, only what one word alone shows is told.
    pub(super) fn carry_out(&mut self, instruction: &Instruction) {
        let before = self.lints.mark();
        let env = Arc::clone(&self.state.env);
        self.instruction(instruction);
        let mut names = std::mem::take(&mut self.unknown);
        for name in std::mem::take(&mut self.assigned) {
            Arc::make_mut(&mut self.state.env).note_sure(&name, names.is_empty());
        }
        if names.is_empty() {
            return;
        }
        // What is wrong with other words may be so for want of the value, but for what is told from a word alone.
        let source = &self.table.dockerfile.source;
        let is_trigger = self.place.trigger.is_some();
        self.lints.go_back(before, |found| match found.code {
            strake_parser::codes::EXPANSION => true,
            codes::PORT | codes::MODE => !is_trigger && !source.slice(found.span).contains('$'),
            _ => false,
        });
        // A name that is not known may be any.
        if let InstructionKind::Env(pairs) = &instruction.kind
            && self.state.env.is_partial()
            && pairs.pairs.iter().any(|(name, _)| name.raw.contains('$'))
        {
            Arc::make_mut(&mut self.state.env).make_partial();
        }
        names.sort_unstable();
        names.dedup();
        for name in names {
            let Some(output) = env.output(&name) else { continue };
            let keyword = instruction.keyword.value.to_uppercase();
            let message =
                format!("{keyword} cannot use {name}: its value is known only when the RUN that writes it ends");
            let span = self.use_of(&name, instruction.span);
            let help = format!(
                "the build is planned before: use {name} in the command of a RUN, where the shell expands it, or set it \
                 with ENV"
            );
            let label = format!("{name} gets its value here");
            let found = Diagnostic::error(codes::OUTPUT_VARIABLE, message, span).with_help(help);
            self.pass(found.with_label(output.span, label));
        }
    }

    /// Gives where a variable is used in an instruction; the whole of it where that is not told from its text.
    pub(super) fn use_of(&self, name: &str, within: Span) -> Span {
        if self.place.trigger.is_some() {
            return within;
        }
        let text = self.table.dockerfile.source.slice(within);
        let found = ["${", "$"].iter().filter_map(|sign| {
            let pattern = format!("{sign}{name}");
            let ends = |at: &usize| {
                let next = text[at + pattern.len()..].chars().next();
                !text[..*at].ends_with(self.escape.char())
                    && next.is_none_or(|next| !next.is_ascii_alphanumeric() && next != '_')
            };
            let at = text.match_indices(&pattern).map(|(at, _)| at).find(ends)?;
            let end = at + pattern.len();
            let closes = sign.len() > 1 && text[end..].starts_with('}');
            Some(Span::new(within.start() + at, within.start() + end + usize::from(closes)))
        });
        found.min().unwrap_or(within)
    }

    /// Says why a name has no value here.
    pub(super) fn unset_help(&self, name: &str, span: Span) -> String {
        let declares = |instruction: &Instruction| match &instruction.kind {
            InstructionKind::Arg(items) => items.iter().any(|item| item.name.value == name),
            InstructionKind::Env(pairs) => pairs.pairs.iter().any(|(key, _)| key.raw == name),
            _ => false,
        };
        let stage = self.table.entries[self.index].stage;
        if stage.instructions.iter().any(|other| other.span.start() >= span.end() && declares(other)) {
            return format!("{name} gets its value below this line: move its ARG or ENV up");
        }
        let within = |other: &Instruction| other.span.start() <= span.start() && span.end() <= other.span.end();
        if stage.instructions.iter().any(|other| within(other) && declares(other)) {
            return format!("an instruction sees only what was set above it: set {name} there, or leave it out here");
        }
        if self.table.globals.is_declared(name) {
            return format!("what is declared above the first FROM counts in FROM only: add ARG {name} to this stage");
        }
        if self.table.dockerfile.stages.iter().flat_map(|other| &other.instructions).any(declares) {
            return format!("{name} is set in another stage only: add ARG {name} or ENV {name} to this one");
        }
        format!("nothing sets it: declare it with ARG {name} or ENV {name}=VALUE above this line")
    }

    /// Refuses `--env` of a name that ARG declares: in steps the argument would count, in the image the output.
    pub(super) fn check_output(&mut self, run: &Run) -> Option<()> {
        let Some(env) = &run.additions().env else { return Some(()) };
        if !self.state.arguments.iter().any(|(name, _)| *name == env.value) {
            return Some(());
        }
        self.argument_and_output(&env.value, env.span);
        None
    }

    /// Reports a name that is of a build argument and of an output.
    pub(super) fn argument_and_output(&mut self, name: &str, span: Span) {
        let message = format!("{name} cannot be a build argument and the output of a RUN in one stage");
        let help = "give the argument or the variable of RUN --env another name".to_owned();
        self.error_with_help(codes::OUTPUT_VARIABLE, message, span, help);
    }

    /// Gives what `--env` asks for.
    pub(super) fn output(&mut self, run: &Run) -> Option<RunOutput> {
        let env = run.additions().env.as_ref()?;
        let id = OutputId(self.sources.outputs);
        self.sources.outputs += 1;
        Some(RunOutput { id, name: env.value.clone(), span: self.at(env.span) })
    }

    /// Sets the variable for what follows.
    pub(super) fn set_output(&mut self, output: &RunOutput) {
        // The export puts the value in.
        self.state.config.set_env(&output.name, "");
        Arc::make_mut(&mut self.state.env).set_output(&output.name, output.id, output.span);
    }
}
