//! Variables in order of appearance, with the letter-case rule of the target.

/// The variables that instructions see: of the base image, then ENV and ARG in order of appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    pairs: Vec<(String, String)>,
    folds_case: bool,
}

impl Environment {
    /// Makes an empty one; names on Windows targets compare in any letter case (windows.md §4.3).
    pub(super) fn new(folds_case: bool) -> Self {
        Self { pairs: Vec::new(), folds_case }
    }

    /// Gives a value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.position(name).map(|at| self.pairs[at].1.as_str())
    }

    /// Sets a value. A name that is set again moves to the end, as in the reference's environment of a process; on
    /// Windows its first spelling is kept.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        let name = match self.position(name) {
            Some(at) => self.pairs.remove(at).0,
            None => name.to_owned(),
        };
        self.pairs.push((name, value.into()));
    }

    /// Takes a variable away.
    pub(super) fn unset(&mut self, name: &str) {
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

    fn position(&self, name: &str) -> Option<usize> {
        self.pairs.iter().position(|(have, _)| {
            if self.folds_case { have.to_lowercase() == name.to_lowercase() } else { have == name }
        })
    }
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
    fn windows_names_fold_and_keep_their_first_spelling() {
        let mut env = Environment::new(true);
        env.set("Path", "x");
        env.set("PATH", "y");
        assert_eq!(env.pairs(), [("Path".to_owned(), "y".to_owned())]);
        assert_eq!(env.get("pAtH"), Some("y"));
    }
}
