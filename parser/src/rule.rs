//! The names of the build checks (dockerfile.md §18).

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
}

/// What is written about a rule.
struct Facts {
    rule: Rule,
    name: &'static str,
    code: &'static str,
    description: &'static str,
    slug: &'static str,
    is_experimental: bool,
}

macro_rules! rules {
    ($($rule:ident $code:literal $experimental:literal $slug:literal $description:literal;)*) => {
        static FACTS: &[Facts] = &[$(Facts {
            rule: Rule::$rule,
            name: stringify!($rule),
            code: $code,
            description: $description,
            slug: $slug,
            is_experimental: $experimental,
        }),*];
        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];
        }
    };
}

rules! {
    StageNameCasing "W0501" false "stage-name-casing" "stage names should be lowercase";
    FromAsCasing "W0502" false "from-as-casing" "the 'as' keyword should match the case of the 'from' keyword";
    NoEmptyContinuation "W0503" false "no-empty-continuation" "empty continuation lines will become errors in a future release";
    ConsistentInstructionCasing "W0504" false "consistent-instruction-casing" "all instructions of a Dockerfile should use the same casing, upper or lower";
    DuplicateStageName "W0505" false "duplicate-stage-name" "stage names should be unique";
    ReservedStageName "W0506" false "reserved-stage-name" "reserved words should not be used as stage names";
    JSONArgsRecommended "W0507" false "json-args-recommended" "JSON arguments let CMD and ENTRYPOINT receive signals";
    MaintainerDeprecated "W0508" false "maintainer-deprecated" "MAINTAINER is deprecated, a label names the author";
    UndefinedArgInFrom "W0509" false "undefined-arg-in-from" "FROM must use declared ARGs";
    WorkdirRelativePath "W0510" false "workdir-relative-path" "a relative WORKDIR depends on the base image";
    UndefinedVar "W0511" false "undefined-var" "variables should be defined before their use";
    MultipleInstructionsDisallowed "W0512" false "multiple-instructions-disallowed" "only the last instruction of this kind counts in a stage";
    LegacyKeyValueFormat "W0513" false "legacy-key-value-format" "name and value should be joined by =";
    InvalidBaseImagePlatform "W0514" false "invalid-base-image-platform" "the base image has another platform than the build";
    RedundantTargetPlatform "W0515" false "redundant-target-platform" "the target platform is the default of FROM";
    SecretsUsedInArgOrEnv "W0516" false "secrets-used-in-arg-or-env" "ARG and ENV values stay readable in the image";
    InvalidDefaultArgInFrom "W0517" false "invalid-default-arg-in-from" "FROM should be valid with the defaults of the global ARGs";
    FromPlatformFlagConstDisallowed "W0518" false "from-platform-flag-const-disallowed" "FROM --platform should not be a constant";
    CopyIgnoredFile "W0519" false "copy-ignored-file" "the ignore file leaves the source out";
    InvalidDefinitionDescription "W0520" true "invalid-definition-description" "the comment before ARG or FROM should describe it";
    ExposeProtoCasing "W0521" false "expose-proto-casing" "protocols in EXPOSE should be lowercase";
    ExposeInvalidFormat "W0522" false "expose-invalid-format" "EXPOSE should name neither addresses nor host ports";
    LooksLikeJson "W0601" false "" "text in brackets that is not JSON is run by the shell";
    HeredocNoErrexit "W0602" false "" "a here-doc script goes on after a failed command";
    CopyNoMatch "W0603" false "" "a wildcard source that matches nothing copies nothing";
    UnusedBuildArg "W0604" false "" "a build argument that no ARG declares has no effect";
    UnpinnedBaseImage "W0605" true "" "a base image without a digest can change";
    LatestTag "W0606" true "" "the tag latest moves";
    AptListsLeft "W0607" true "" "package lists left in a layer only take space";
    PipeWithoutPipefail "W0608" true "" "the exit status of a pipe is that of its last command";
    WindowsEscape "W0609" false "" "a path that ends in a backslash continues the line";
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

    /// Gives the page about it; only the rules that the reference has, too, have one.
    pub fn url(self) -> Option<String> {
        let slug = self.facts()?.slug;
        (!slug.is_empty()).then(|| format!("https://docs.docker.com/go/dockerfile/rule/{slug}/"))
    }

    /// Says whether it is off unless `experimental` names it.
    pub fn is_experimental(self) -> bool {
        self.facts().is_some_and(|facts| facts.is_experimental)
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
