//! Variables in order of appearance, with the letter-case rule of the target.

use std::collections::BTreeSet;

use strake_parser::Span;

use super::graph::OutputId;

/// A variable whose value a step writes (`RUN --env`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Output {
    /// Its name, as it stands in the environment.
    pub(super) name: String,
    /// Its value.
    pub(super) id: OutputId,
    /// Where the flag names it.
    pub(super) span: Span,
}

/// The variables that instructions see: of the base image, then ENV and ARG in order of appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    pairs: Vec<(String, String)>,
    /// Those of `pairs` whose values steps write, and where that is asked for; their texts are empty.
    outputs: Vec<Output>,
    folds_case: bool,
    /// Where the base image is not known: the variables that have their values from the file alone.
    sure: Option<BTreeSet<String>>,
}

impl Environment {
    /// Makes an empty one; names on Windows targets compare in any letter case (windows.md §4.3).
    pub(super) fn new(folds_case: bool) -> Self {
        Self { folds_case, ..Self::default() }
    }

    /// Makes it one of a base image that is not known: any variable may have any value until the file sets it.
    pub(super) fn make_partial(&mut self) {
        self.sure = Some(BTreeSet::new());
    }

    /// Tells whether the base image is not known.
    pub(super) fn is_partial(&self) -> bool {
        self.sure.is_some()
    }

    /// Tells whether a value has nothing of a base image that is not known.
    pub(super) fn is_sure(&self, name: &str) -> bool {
        self.sure.as_ref().is_none_or(|sure| sure.contains(name))
    }

    /// Notes whether the value that the file has given to a variable is sure.
    pub(super) fn note_sure(&mut self, name: &str, is_sure: bool) {
        let Some(sure) = &mut self.sure else { return };
        match is_sure {
            true => sure.insert(name.to_owned()),
            false => sure.remove(name),
        };
    }

    /// Gives a value, where it is set and known before the build.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let at = self.position(name)?;
        self.output(name).is_none().then(|| self.pairs[at].1.as_str())
    }

    /// Gives what a step writes for a variable.
    pub(super) fn output(&self, name: &str) -> Option<&Output> {
        self.outputs.iter().find(|output| self.is_same(&output.name, name))
    }

    /// Gives the variables whose values steps write.
    pub(super) fn outputs(&self) -> Vec<(String, OutputId)> {
        self.outputs.iter().map(|output| (output.name.clone(), output.id)).collect()
    }

    /// Sets a variable to what a step will write.
    pub(super) fn set_output(&mut self, name: &str, id: OutputId, span: Span) {
        self.set(name, "");
        if let Some((name, _)) = self.pairs.last() {
            self.outputs.push(Output { name: name.clone(), id, span });
        }
    }

    /// Sets a value. A name that is set again moves to the end, as in the reference's environment of a process; on
    /// Windows its first spelling is kept.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.forget_output(name);
        let name = match self.position(name) {
            Some(at) => self.pairs.remove(at).0,
            None => name.to_owned(),
        };
        self.pairs.push((name, value.into()));
    }

    /// Takes a variable away.
    pub(super) fn unset(&mut self, name: &str) {
        self.forget_output(name);
        if let Some(at) = self.position(name) {
            self.pairs.remove(at);
        }
    }

    /// Gives the variables in order.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Gives the names in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
    }

    fn forget_output(&mut self, name: &str) {
        let folds_case = self.folds_case;
        self.outputs.retain(|output| !is_same(folds_case, &output.name, name));
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.pairs.iter().position(|(have, _)| self.is_same(have, name))
    }

    fn is_same(&self, have: &str, name: &str) -> bool {
        is_same(self.folds_case, have, name)
    }
}

fn is_same(folds_case: bool, have: &str, name: &str) -> bool {
    if folds_case { have.to_lowercase() == name.to_lowercase() } else { have == name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_set_again_moves_to_the_end() {
        let mut env = Environment::new(false);
        env.set("A", "1");
        env.set("B", "2");
        env.set("A", "3");
        assert_eq!(env.pairs(), [("B".to_owned(), "2".to_owned()), ("A".to_owned(), "3".to_owned())]);
        assert_eq!(env.get("a"), None);
    }

    #[test]
    fn what_a_step_writes_is_set_but_not_known() {
        let mut env = Environment::new(true);
        env.set("Version", "1");
        env.set_output("VERSION", OutputId(3), Span::default());
        assert_eq!((env.get("version"), env.position("version").is_some()), (None, true));
        assert_eq!(env.outputs(), [("Version".to_owned(), OutputId(3))]);
        env.set("version", "2");
        assert_eq!((env.get("version"), env.outputs().len()), (Some("2"), 0));
        env.set_output("V", OutputId(0), Span::default());
        env.unset("v");
        assert_eq!((env.position("V").is_some(), env.outputs().len()), (false, 0));
    }

    #[test]
    fn windows_names_fold_and_keep_their_first_spelling() {
        let mut env = Environment::new(true);
        env.set("Path", "x");
        env.set("PATH", "y");
        assert_eq!(env.pairs(), [("Path".to_owned(), "y".to_owned())]);
        assert_eq!(env.get("pAtH"), Some("y"));
    }
}
