//! The names of the build checks (dockerfile.md §18).

mod table;

use table::{FACTS, Facts, Origin};

/// A build check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Rule {
    /// Upper case in a stage name.
    StageNameCasing,
    /// FROM and AS differ in letter case.
    FromAsCasing,
    /// A blank line inside a continuation.
    NoEmptyContinuation,
    /// A keyword that is not in the letter case of most.
    ConsistentInstructionCasing,
    /// One stage name given twice.
    DuplicateStageName,
    /// `context` or `scratch` as a stage name.
    ReservedStageName,
    /// CMD or ENTRYPOINT in shell form.
    JSONArgsRecommended,
    /// MAINTAINER is used.
    MaintainerDeprecated,
    /// FROM uses an argument that is not declared.
    UndefinedArgInFrom,
    /// A relative WORKDIR without an absolute one before it.
    WorkdirRelativePath,
    /// A variable that is not defined.
    UndefinedVar,
    /// A second CMD, ENTRYPOINT or HEALTHCHECK.
    MultipleInstructionsDisallowed,
    /// `ENV name value`.
    LegacyKeyValueFormat,
    /// The base image has another platform than expected.
    InvalidBaseImagePlatform,
    /// `--platform=$TARGETPLATFORM`.
    RedundantTargetPlatform,
    /// A name of ARG or ENV that sounds like a secret.
    SecretsUsedInArgOrEnv,
    /// The defaults of the global ARGs give no valid base.
    InvalidDefaultArgInFrom,
    /// A constant `--platform`.
    FromPlatformFlagConstDisallowed,
    /// A source that the ignore file leaves out.
    CopyIgnoredFile,
    /// A comment that does not describe what follows.
    InvalidDefinitionDescription,
    /// Upper case in a protocol.
    ExposeProtoCasing,
    /// An address or a host port in EXPOSE.
    ExposeInvalidFormat,
    /// Brackets that are not JSON.
    LooksLikeJson,
    /// A here-doc script that goes on after a failure.
    HeredocNoErrexit,
    /// A wildcard that matches nothing.
    CopyNoMatch,
    /// A build argument that nothing declares.
    UnusedBuildArg,
    /// A base image without a digest.
    UnpinnedBaseImage,
    /// A base image with the tag `latest`, or none.
    LatestTag,
    /// `apt-get update` that leaves its lists in the layer.
    AptListsLeft,
    /// A pipe whose first command may fail unseen.
    PipeWithoutPipefail,
    /// A line that the default escape character continues by mistake.
    WindowsEscape,
    /// `apk add` that leaves the package index in the layer.
    ApkCacheLeft,
    /// A value of ARG or ENV that looks like a secret.
    SecretLikeValue,
    /// A COPY of everything before a RUN that needs a few files only.
    CopyInvalidatesRun,
    /// A stage that nothing uses.
    UnusedStage,
    /// An ARG that nothing uses.
    UnusedArg,
    /// Files that every user may change.
    WorldWritableCopy,
    /// An ignore file that leaves nothing out.
    IgnoreFileMatchesNothing,
    /// An ignore file that leaves everything out.
    IgnoreFileMatchesAll,
    /// A feature that came after the version of the language that the file asks for.
    FeatureNewerThanSyntax,
    /// A directive that does not stand at the top.
    LateDirective,
    /// Text behind an instruction that was meant as a comment.
    TrailingComment,
}

impl Rule {
    /// Finds the rule of a name, in exact spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        FACTS.iter().find(|facts| facts.name == name).map(|facts| facts.rule)
    }

    /// Finds the rule of a code, in any letter case.
    pub fn from_code(code: &str) -> Option<Self> {
        FACTS.iter().find(|facts| facts.code.eq_ignore_ascii_case(code)).map(|facts| facts.rule)
    }

    /// Gives the name.
    pub fn name(self) -> &'static str {
        self.facts().map_or("", |facts| facts.name)
    }

    /// Gives the stable code of its diagnostics.
    pub fn code(self) -> &'static str {
        self.facts().map_or("", |facts| facts.code)
    }

    /// Says in one sentence what it wants.
    pub fn description(self) -> &'static str {
        self.facts().map_or("", |facts| facts.description)
    }

    /// Says at length what is wrong with what it finds, and what to do.
    pub fn explanation(self) -> &'static str {
        self.facts().map_or("", |facts| facts.explanation)
    }

    /// Says whether some of its findings carry an edit that mends them.
    pub fn has_fix(self) -> bool {
        self.facts().is_some_and(|facts| facts.has_fix)
    }

    /// Gives the page about it; only the rules that the reference has, too, have one.
    pub fn url(self) -> Option<String> {
        let slug = self.facts()?.slug;
        (!slug.is_empty()).then(|| format!("https://docs.docker.com/go/dockerfile/rule/{slug}/"))
    }

    /// Says whether it is strake's own; the others are of the reference and have its names.
    pub fn is_own(self) -> bool {
        self.facts().is_some_and(|facts| matches!(facts.origin, Origin::Own | Origin::Extra))
    }

    /// Says whether it is strake's own and off in a build unless `experimental` names it.
    pub fn is_extra(self) -> bool {
        self.facts().is_some_and(|facts| facts.origin == Origin::Extra)
    }

    /// Says whether it is off in a build unless `experimental` names it.
    pub fn is_experimental(self) -> bool {
        self.facts().is_some_and(|facts| matches!(facts.origin, Origin::Experimental | Origin::Extra))
    }

    fn facts(self) -> Option<&'static Facts> {
        FACTS.iter().find(|facts| facts.rule == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_facts_of_its_own() {
        let mut codes: Vec<_> = Rule::ALL.iter().map(|rule| rule.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert_eq!(Rule::from_name(rule.name()), Some(*rule));
            assert_eq!(Rule::from_code(rule.code()), Some(*rule));
        }
    }
}
