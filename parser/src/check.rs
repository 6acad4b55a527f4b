//! The settings of the build checks: `# check=skip=…;experimental=…;error=…` (dockerfile.md §2.9).

use crate::boolean::parse_bool;
use crate::rule::Rule;

/// Which build checks run, and whether a warning fails the build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckSettings {
    /// The rules left out.
    pub skip: RuleSet,
    /// The experimental rules taken in.
    pub experimental: RuleSet,
    /// Whether a warning of a rule fails the build.
    pub error: bool,
    /// Whether the rules that are strake's own and off in builds are taken in, as `strake check` does.
    pub extras: bool,
    /// Names that are no rule; the reference passes over them, too.
    pub unknown: Vec<String>,
}

/// A set of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleSet {
    /// The word `all`.
    All,
    /// The rules named.
    Named(Vec<Rule>),
}

impl Default for RuleSet {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

impl RuleSet {
    /// Says whether the rule is in the set.
    pub fn contains(&self, rule: Rule) -> bool {
        match self {
            Self::All => true,
            Self::Named(rules) => rules.contains(&rule),
        }
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::All, _) => {}
            (this, Self::All) => *this = Self::All,
            (Self::Named(rules), Self::Named(more)) => rules.extend(more),
        }
    }
}

/// A check setting that cannot be read; the text is ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckSettingsError {
    /// What is wrong.
    pub message: String,
    /// The option that is wrong.
    pub option: String,
}

impl std::fmt::Display for CheckSettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CheckSettingsError {}

impl CheckSettings {
    /// Reads the value of the `check` directive, or of the build argument `BUILDKIT_DOCKERFILE_CHECK`.
    pub fn parse(value: &str) -> Result<Self, CheckSettingsError> {
        let mut settings = Self::default();
        if value.trim().is_empty() {
            return Ok(settings);
        }
        // The reference reads at most three options; what follows belongs to the third.
        for option in options_of(value).splitn(3, ';') {
            let bad = |message| CheckSettingsError { message, option: option.trim().to_owned() };
            let invalid = || bad(format!("invalid check option {:?}", option.trim()));
            let (key, value) = option.split_once('=').ok_or_else(invalid)?;
            let (key, value) = (key.trim(), value.trim());
            match key {
                "skip" => settings.skip = parse_rules(value, &mut settings.unknown),
                "experimental" => settings.experimental = parse_rules(value, &mut settings.unknown),
                "error" => {
                    settings.error = parse_bool(value).ok_or_else(|| {
                        bad(format!("failed to parse check option error: {value:?} is neither true nor false"))
                    })?;
                }
                _ => return Err(bad(format!("invalid check option {key:?}"))),
            }
        }
        Ok(settings)
    }

    /// Says whether diagnostics of the rule are wanted.
    pub fn enables(&self, rule: Rule) -> bool {
        if rule.is_extra() && self.extras {
            return !self.skip.contains(rule);
        }
        if rule.is_experimental() {
            return self.experimental.contains(rule);
        }
        !self.skip.contains(rule)
    }

    /// Says whether rules are taken in that are off unless something asks for them.
    pub(crate) fn takes_in_more(&self) -> bool {
        self.extras || self.experimental != RuleSet::default()
    }

    /// Leaves out one more rule.
    pub fn skip(&mut self, rule: Rule) {
        self.skip.merge(&RuleSet::Named(vec![rule]));
    }

    /// Takes in one more rule that is off unless something asks for it.
    pub fn take_in(&mut self, rule: Rule) {
        self.experimental.merge(&RuleSet::Named(vec![rule]));
    }

    /// Gives these settings with those of one instruction added.
    #[must_use]
    pub fn merged(&self, overrides: &Self) -> Self {
        let mut merged = self.clone();
        merged.skip.merge(&overrides.skip);
        merged.experimental.merge(&overrides.experimental);
        merged.error |= overrides.error;
        merged.extras |= overrides.extras;
        merged
    }
}

/// Leaves out the text behind the options, which begins at blanks that no separator stands beside.
fn options_of(value: &str) -> &str {
    let is_separator = |c: char| matches!(c, ',' | ';' | '=');
    let value = value.trim();
    let ends = value.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    let mut texts = ends.filter(|at| {
        let (before, after) = (value[..*at].trim_end(), value[*at..].trim_start());
        !before.ends_with(is_separator) && !after.starts_with(is_separator)
    });
    texts.next().map_or(value, |at| &value[..at])
}

fn parse_rules(value: &str, unknown: &mut Vec<String>) -> RuleSet {
    if value == "all" {
        return RuleSet::All;
    }
    let mut rules = Vec::new();
    for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match Rule::from_name(name) {
            Some(rule) => rules.push(rule),
            None => unknown.push(name.to_owned()),
        }
    }
    RuleSet::Named(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_with_blanks_around_separators() {
        let read = CheckSettings::parse("skip=JSONArgsRecommended , StageNameCasing; error = true").unwrap();
        assert!(!read.enables(Rule::JSONArgsRecommended));
        assert!(!read.enables(Rule::StageNameCasing));
        assert!(read.enables(Rule::UndefinedVar));
        assert!(read.error);
    }

    #[test]
    fn text_behind_the_options_is_left_out() {
        let read = CheckSettings::parse("skip=StageNameCasing,UndefinedVar // as long as it lasts; a=b").unwrap();
        assert!(!read.enables(Rule::StageNameCasing) && !read.enables(Rule::UndefinedVar));
        assert!(read.enables(Rule::JSONArgsRecommended) && read.unknown.is_empty());
        assert!(CheckSettings::parse("skip=all ; error=true  for good").unwrap().error);
        assert_eq!(CheckSettings::parse("skip=all why").unwrap().skip, RuleSet::All);
    }

    #[test]
    fn experimental_rules_are_off_until_named() {
        assert!(!CheckSettings::default().enables(Rule::LatestTag));
        let read = CheckSettings::parse("experimental=LatestTag").unwrap();
        assert!(read.enables(Rule::LatestTag));
        assert!(!read.enables(Rule::AptListsLeft));
        let all = CheckSettings::parse("experimental=all;skip=all").unwrap();
        assert!(all.enables(Rule::AptListsLeft));
        assert!(!all.enables(Rule::UndefinedVar));
    }

    #[test]
    fn extras_are_on_where_asked_for_and_can_be_skipped() {
        let checks = CheckSettings { extras: true, ..CheckSettings::default() };
        assert!(checks.enables(Rule::LatestTag) && checks.enables(Rule::UndefinedVar));
        assert!(!checks.enables(Rule::InvalidDefinitionDescription));
        let file = CheckSettings::parse("skip=LatestTag;error=true").unwrap();
        let both = checks.merged(&file);
        assert!(!both.enables(Rule::LatestTag) && both.enables(Rule::AptListsLeft) && both.error);
    }

    #[test]
    fn bad_options_are_named() {
        let error = CheckSettings::parse("skpi=all").unwrap_err();
        assert_eq!(error.message, "invalid check option \"skpi\"");
        assert!(CheckSettings::parse("error=maybe").is_err());
        assert!(CheckSettings::parse("all").is_err());
        assert_eq!(CheckSettings::parse("skip=Nope").unwrap().unknown, ["Nope"]);
    }
}
