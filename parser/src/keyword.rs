//! The keywords of the language.

use std::borrow::Cow;

use crate::features::{self, FeatureSet};

/// A keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Else,
    Endif,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    If,
    Include,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

/// Every keyword with its name, in their order.
static KEYWORDS: [(&str, Keyword); 22] = [
    ("ADD", Keyword::Add),
    ("ARG", Keyword::Arg),
    ("CMD", Keyword::Cmd),
    ("COPY", Keyword::Copy),
    ("ELSE", Keyword::Else),
    ("ENDIF", Keyword::Endif),
    ("ENTRYPOINT", Keyword::Entrypoint),
    ("ENV", Keyword::Env),
    ("EXPOSE", Keyword::Expose),
    ("FROM", Keyword::From),
    ("HEALTHCHECK", Keyword::Healthcheck),
    ("IF", Keyword::If),
    ("INCLUDE", Keyword::Include),
    ("LABEL", Keyword::Label),
    ("MAINTAINER", Keyword::Maintainer),
    ("ONBUILD", Keyword::Onbuild),
    ("RUN", Keyword::Run),
    ("SHELL", Keyword::Shell),
    ("STOPSIGNAL", Keyword::Stopsignal),
    ("USER", Keyword::User),
    ("VOLUME", Keyword::Volume),
    ("WORKDIR", Keyword::Workdir),
];

impl Keyword {
    /// Finds a keyword in any letter case, also one that the file did not opt in to.
    pub(crate) fn find(word: &str) -> Option<Self> {
        let first = word.as_bytes().first()?.to_ascii_uppercase();
        let is_near = |name: &str| name.len() == word.len() && name.as_bytes()[0] == first;
        let mut near = KEYWORDS.iter().filter(|(name, _)| is_near(name));
        near.find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, keyword)| *keyword)
    }

    /// Says whether the keyword is one in a file with these additions.
    pub(crate) fn is_known(self, features: FeatureSet) -> bool {
        features::of_keyword(self).is_none_or(|feature| features.contains(feature))
    }

    /// Gives the names of all that there are with these additions.
    pub(crate) fn names(features: FeatureSet) -> impl Iterator<Item = &'static str> {
        KEYWORDS.iter().filter(move |(_, keyword)| keyword.is_known(features)).map(|(name, _)| *name)
    }

    /// Gives the word that a keyword is written as; the usual spelling costs no memory.
    pub(crate) fn spelling(keyword: Option<Self>, word: &str) -> Cow<'static, str> {
        match keyword.map(Self::name).filter(|name| *name == word) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(word.to_owned()),
        }
    }

    /// Gives the name in upper case.
    pub(crate) fn name(self) -> &'static str {
        KEYWORDS.get(self as usize).map_or("", |(name, _)| name)
    }

    /// Says whether a line of it may start here-docs.
    pub(crate) fn takes_heredocs(self) -> bool {
        matches!(self, Self::Run | Self::Copy | Self::Add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_keywords() {
        for (name, keyword) in KEYWORDS {
            assert_eq!(keyword.name(), name);
        }
    }
}
