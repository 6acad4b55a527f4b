//! Build checks of ONBUILD triggers, where they fire (dockerfile.md §18).

use strake_parser::{Diagnostic, Instruction, InstructionKind, Rule, SourceText, lint};

use super::evaluate::Evaluator;
use super::graph::FiredTrigger;
use super::reach::Trigger;

impl Evaluator<'_, '_> {
    /// Carries out the triggers that fire at the begin of a stage; `own` are the instructions after them.
    pub(super) fn fire(&mut self, triggers: &[Trigger], own: &[Instruction]) {
        for (at, trigger) in triggers.iter().enumerate() {
            self.place.trigger = Some(FiredTrigger { text: trigger.text.clone(), span: trigger.span });
            let later = triggers[at + 1..].iter().map(|trigger| &trigger.instruction).chain(own);
            self.check_trigger(trigger, later);
            self.carry_out(&trigger.instruction);
        }
        self.place.trigger = None;
    }

    fn check_trigger<'i>(&mut self, trigger: &Trigger, mut later: impl Iterator<Item = &'i Instruction>) {
        let own;
        let source = match trigger.span {
            Some(_) => &self.table.dockerfile.source,
            None => {
                own = SourceText::new(trigger.text.as_bytes());
                &own
            }
        };
        let has_shell = !self.state.config.config.shell.is_empty();
        for found in lint::check_trigger(source, &trigger.instruction, has_shell, self.lints.settings()) {
            self.pass(found);
        }
        let Some(keyword) = only_last_counts(&trigger.instruction) else { return };
        let rule = Rule::MultipleInstructionsDisallowed;
        if later.any(|instruction| only_last_counts(instruction) == Some(keyword))
            && self.lints.settings().enables(rule)
        {
            let message = format!(
                "Multiple {keyword} instructions should not be used in the same stage because only the last one will be used"
            );
            let found = Diagnostic::lint(rule, message, trigger.instruction.span);
            self.pass(found.with_help("it is replaced by a later one of the stage"));
        }
    }
}

/// The keyword of an instruction of which a stage has one.
fn only_last_counts(instruction: &Instruction) -> Option<&'static str> {
    match instruction.kind {
        InstructionKind::Cmd(_) => Some("CMD"),
        InstructionKind::Entrypoint(_) => Some("ENTRYPOINT"),
        InstructionKind::Healthcheck(_) => Some("HEALTHCHECK"),
        _ => None,
    }
}
