//! Which stages the others use (dockerfile.md §10).

use std::collections::HashMap;

use crate::ast::{Dockerfile, InstructionKind, Word};

/// Which stages the others use, as far as the text says.
pub(super) struct Uses {
    /// The stage that a stage starts from.
    bases: Vec<Option<usize>>,
    is_base: Vec<bool>,
    is_copied: Vec<bool>,
    /// Whether a name holds a variable, so that it may be any stage.
    has_unknown: bool,
}

impl Uses {
    /// Looks through FROM, `--from` and the mounts.
    pub(super) fn new(dockerfile: &Dockerfile) -> Self {
        let count = dockerfile.stages.len();
        let mut uses = Self {
            bases: vec![None; count],
            is_base: vec![false; count],
            is_copied: vec![false; count],
            has_unknown: false,
        };
        // --from takes the last stage of a name, FROM the one above.
        let names: HashMap<String, usize> =
            dockerfile.stages.iter().filter_map(|stage| Some((stage.key()?, stage.index))).collect();
        let mut above: HashMap<String, usize> = HashMap::new();
        for (index, stage) in dockerfile.stages.iter().enumerate() {
            uses.has_unknown |= stage.base.raw.contains('$');
            if let Some(base) = above.get(&stage.base.raw.to_lowercase()) {
                uses.bases[index] = Some(*base);
                uses.is_base[*base] = true;
            }
            if let Some(key) = stage.key() {
                above.insert(key, index);
            }
            for instruction in &stage.instructions {
                uses.look_at(&instruction.kind, &names);
            }
        }
        uses
    }

    fn look_at(&mut self, kind: &InstructionKind, names: &HashMap<String, usize>) {
        match kind {
            InstructionKind::Copy(copy) => copy.from.iter().for_each(|word| self.copied(word, names)),
            InstructionKind::Run(run) => {
                run.mounts.iter().filter_map(|mount| mount.from()).for_each(|word| self.copied(word, names));
            }
            InstructionKind::Onbuild(onbuild) => self.look_at(&onbuild.instruction.kind, names),
            _ => {}
        }
    }

    fn copied(&mut self, word: &Word, names: &HashMap<String, usize>) {
        self.has_unknown |= word.raw.contains('$');
        let found = names.get(&word.raw.to_lowercase()).copied().or_else(|| word.raw.parse().ok());
        if let Some(is_copied) = found.and_then(|index| self.is_copied.get_mut(index)) {
            *is_copied = true;
        }
    }

    /// Gives the stage that a stage starts from.
    pub(super) fn base(&self, index: usize) -> Option<usize> {
        self.bases.get(index).copied().flatten()
    }

    /// Says whether another stage may use it.
    pub(super) fn is_used(&self, index: usize) -> bool {
        let has = |list: &[bool]| list.get(index).copied().unwrap_or(false);
        self.has_unknown || has(&self.is_base) || has(&self.is_copied)
    }

    /// Says for each stage whether its layers are likely part of an image: of the last stage, or of one that may be a
    /// target.
    pub(super) fn shipped(&self) -> Vec<bool> {
        let last = self.bases.len().saturating_sub(1);
        let mut shipped: Vec<bool> = (0..self.bases.len()).map(|index| index == last || !self.is_used(index)).collect();
        for index in (0..self.bases.len()).rev() {
            if let (Some(base), true) = (self.base(index), shipped[index]) {
                shipped[base] = true;
            }
        }
        shipped
    }
}
