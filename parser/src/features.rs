//! Additions to the language that only strake has, off unless a file opts in (docs/language-additions.md).

use crate::ast::Escape;
use crate::flags::{FlagKind, FlagSpec};
use crate::keyword::Keyword;

/// An addition to the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// `INCLUDE path`.
    Include,
    /// `IF`, `ELSE` and `ENDIF`.
    If,
    /// `FROM --reset`.
    Reset,
    /// `RUN --timeout`, `--retry` and `--memory`.
    RunLimits,
    /// `RUN --env`.
    EnvFrom,
}

impl Feature {
    /// Every addition.
    pub const ALL: [Self; 5] = [Self::Include, Self::If, Self::Reset, Self::RunLimits, Self::EnvFrom];

    /// Gives the name that `# strake: features=` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Include => "include",
            Self::If => "if",
            Self::Reset => "reset",
            Self::RunLimits => "run-limits",
            Self::EnvFrom => "env-from",
        }
    }

    /// Finds an addition by its name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }

    /// Gives what to do to have it.
    pub(crate) fn remedy(self) -> String {
        format!(
            "only strake knows this: to use it, put the line # strake: features={} right after the parser directives",
            self.name()
        )
    }
}

/// A set of additions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FeatureSet(u8);

impl FeatureSet {
    pub(crate) fn contains(self, feature: Feature) -> bool {
        self.0 >> feature as u8 & 1 == 1
    }
}

impl FromIterator<Feature> for FeatureSet {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        Self(features.into_iter().fold(0, |bits, feature| bits | 1 << feature as u8))
    }
}

/// How the lines of a file are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Language {
    pub(crate) escape: Escape,
    pub(crate) features: FeatureSet,
}

impl Language {
    /// The language that every builder knows.
    pub(crate) fn plain(escape: Escape) -> Self {
        Self { escape, ..Self::default() }
    }
}

/// The flags that additions bring.
static FLAGS: &[(Keyword, FlagSpec, Feature)] = &[
    (Keyword::From, ("reset", FlagKind::String), Feature::Reset),
    (Keyword::Run, ("timeout", FlagKind::String), Feature::RunLimits),
    (Keyword::Run, ("retry", FlagKind::String), Feature::RunLimits),
    (Keyword::Run, ("memory", FlagKind::String), Feature::RunLimits),
    (Keyword::Run, ("env", FlagKind::String), Feature::EnvFrom),
];

/// Gives the flags that additions bring to an instruction, each with its addition.
pub(crate) fn flags_of(keyword: Keyword) -> impl Iterator<Item = (FlagSpec, Feature)> + Clone {
    FLAGS.iter().filter(move |(of, ..)| *of == keyword).map(|(_, flag, feature)| (*flag, *feature))
}

/// Gives the addition that a keyword belongs to.
pub(crate) fn of_keyword(keyword: Keyword) -> Option<Feature> {
    match keyword {
        Keyword::Include => Some(Feature::Include),
        Keyword::If | Keyword::Else | Keyword::Endif => Some(Feature::If),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        for feature in Feature::ALL {
            assert_eq!(Feature::find(feature.name()), Some(feature));
            let set: FeatureSet = [feature].into_iter().collect();
            assert_eq!(Feature::ALL.into_iter().filter(|other| set.contains(*other)).collect::<Vec<_>>(), [feature]);
        }
        assert_eq!(Feature::find("If"), None);
    }
}
