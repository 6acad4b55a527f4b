//! What is written about each rule.

use super::Rule;

/// Where a rule comes from, which says when it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The reference's; always on.
    Reference,
    /// The reference's; on where `experimental` names it.
    Experimental,
    /// strake's; always on.
    Own,
    /// strake's; on in `strake check` and where `experimental` names it.
    Extra,
}

/// What is written about a rule.
pub(super) struct Facts {
    pub(super) rule: Rule,
    pub(super) name: &'static str,
    pub(super) code: &'static str,
    pub(super) origin: Origin,
    pub(super) has_fix: bool,
    pub(super) slug: &'static str,
    pub(super) description: &'static str,
    pub(super) explanation: &'static str,
}

macro_rules! rules {
    ($($rule:ident $code:literal $origin:ident $fix:literal $slug:literal $description:literal $explanation:literal;)*) => {
        pub(super) static FACTS: &[Facts] = &[$(Facts {
            rule: Rule::$rule,
            name: stringify!($rule),
            code: $code,
            origin: Origin::$origin,
            has_fix: $fix,
            slug: $slug,
            description: $description,
            explanation: $explanation,
        }),*];
        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];
        }
    };
}

rules! {
    StageNameCasing "W0501" Reference true "stage-name-casing" "stage names should be lowercase"
        "Stage names are compared without regard to letter case. Lower case keeps them apart from keywords.";
    FromAsCasing "W0502" Reference true "from-as-casing" "the 'as' keyword should match the case of the 'from' keyword"
        "Write FROM … AS …, or from … as …; mixed lines are hard to read.";
    NoEmptyContinuation "W0503" Reference true "no-empty-continuation"
        "empty continuation lines will become errors in a future release"
        "A blank line after a line that continues is dropped, and the instruction goes on after it. Remove the blank line, or make it a comment.";
    ConsistentInstructionCasing "W0504" Reference true "consistent-instruction-casing"
        "all instructions of a Dockerfile should use the same casing, upper or lower"
        "Write all keywords in upper case, or all in lower case.";
    DuplicateStageName "W0505" Reference false "duplicate-stage-name" "stage names should be unique"
        "FROM takes the stage above it, COPY --from the last one of the name, so that one name may mean two stages. Rename one of them.";
    ReservedStageName "W0506" Reference false "reserved-stage-name" "reserved words should not be used as stage names"
        "scratch means no base image, context the build context. Give the stage another name.";
    JSONArgsRecommended "W0507" Reference false "json-args-recommended"
        "JSON arguments let CMD and ENTRYPOINT receive signals"
        "In the shell form the program is a child of a shell, which does not pass signals on: docker stop waits and then kills. Write CMD [\"PROGRAM\", \"ARGUMENT\"], or set SHELL to say that a shell is wanted.";
    MaintainerDeprecated "W0508" Reference true "maintainer-deprecated" "MAINTAINER is deprecated, a label names the author"
        "Write LABEL org.opencontainers.image.authors=\"…\", which every tool can read.";
    UndefinedArgInFrom "W0509" Reference false "undefined-arg-in-from" "FROM must use declared ARGs"
        "FROM sees the ARG instructions above the first FROM and the platform arguments only. Declare the name there.";
    WorkdirRelativePath "W0510" Reference false "workdir-relative-path" "a relative WORKDIR depends on the base image"
        "Without an absolute WORKDIR before it the path begins where the base image happens to be. Write an absolute path.";
    UndefinedVar "W0511" Reference false "undefined-var" "variables should be defined before their use"
        "The variable is empty here. Declare it with ARG or ENV before this line, or mend its spelling.";
    MultipleInstructionsDisallowed "W0512" Reference false "multiple-instructions-disallowed"
        "only the last instruction of this kind counts in a stage"
        "A stage has one CMD, one ENTRYPOINT and one HEALTHCHECK: the last one. Remove the others.";
    LegacyKeyValueFormat "W0513" Reference true "legacy-key-value-format" "name and value should be joined by ="
        "ENV NAME VALUE takes the whole rest of the line as the value. Write NAME=VALUE, with quotes around blanks.";
    InvalidBaseImagePlatform "W0514" Reference false "invalid-base-image-platform"
        "the base image has another platform than the build"
        "The registry gave an image for another system or architecture than was asked for. Name an image that has the platform, or pass --platform.";
    RedundantTargetPlatform "W0515" Reference true "redundant-target-platform" "the target platform is the default of FROM"
        "FROM takes the image of the target platform anyway. Leave --platform=$TARGETPLATFORM out.";
    SecretsUsedInArgOrEnv "W0516" Reference false "secrets-used-in-arg-or-env"
        "ARG and ENV values stay readable in the image"
        "Values of ENV stand in the image's config, those of ARG in its history. Pass a secret to the RUN that needs it: RUN --mount=type=secret,id=NAME.";
    InvalidDefaultArgInFrom "W0517" Reference false "invalid-default-arg-in-from"
        "FROM should be valid with the defaults of the global ARGs"
        "Without --build-arg the name of the base image is empty or not valid. Give the ARG a default.";
    FromPlatformFlagConstDisallowed "W0518" Reference false "from-platform-flag-const-disallowed"
        "FROM --platform should not be a constant"
        "The stage is built for one platform whatever the build asks for. Leave it out; write --platform=$BUILDPLATFORM for a stage that only builds, or name the stage after the platform.";
    CopyIgnoredFile "W0519" Reference false "copy-ignored-file" "the ignore file leaves the source out"
        "COPY cannot see the file. Take it back with a !PATTERN line in the ignore file, or do not copy it.";
    InvalidDefinitionDescription "W0520" Experimental false "invalid-definition-description"
        "the comment before ARG or FROM should describe it"
        "A comment right before ARG or FROM is its description and begins with the name. If it is another comment, put an empty comment line after it.";
    ExposeProtoCasing "W0521" Reference true "expose-proto-casing" "protocols in EXPOSE should be lowercase"
        "The names of protocols are in lower case. Write EXPOSE 80/tcp.";
    ExposeInvalidFormat "W0522" Reference true "expose-invalid-format" "EXPOSE should name neither addresses nor host ports"
        "EXPOSE tells the container's ports only; the address and the host's port are dropped. They belong to docker run --publish.";
    LooksLikeJson "W0601" Own false "" "text in brackets that is not JSON is run by the shell"
        "The JSON form needs double quotes, commas between the strings and none at the end, \\\\ for a backslash, and nothing after it. Anything else is plain text.";
    HeredocNoErrexit "W0602" Own false "" "a here-doc script goes on after a failed command"
        "Only the exit status of the last command counts. Begin the script with set -e, or set SHELL [\"/bin/sh\", \"-ec\"].";
    CopyNoMatch "W0603" Own false "" "a wildcard source that matches nothing copies nothing (told by the step that copies, not by checks)"
        "Mend the pattern, or remove the source.";
    UnusedBuildArg "W0604" Own false "" "a build argument that no ARG declares has no effect"
        "Declare it with ARG where it is needed, or mend its spelling on the command line.";
    UnpinnedBaseImage "W0605" Extra false "" "a base image without a digest can change"
        "A tag is moved to a new image at any time, so that the same Dockerfile gives another result tomorrow. Write NAME:TAG@sha256:…; docker buildx imagetools inspect NAME:TAG and similar tools print the digest.";
    LatestTag "W0606" Extra false "" "the tag latest moves"
        "latest, which is also meant where no tag is given, is moved to each new version, which may not work with the rest of the file. Name a version.";
    AptListsLeft "W0607" Extra true "" "package lists left in a layer only take space"
        "apt-get update fetches tens of megabytes that the next update replaces. Remove them in the same RUN, && rm -rf /var/lib/apt/lists/*, or keep them out of the layer with RUN --mount=type=cache,target=/var/lib/apt. Stages that are only copied from are not reported.";
    PipeWithoutPipefail "W0608" Extra false "" "the exit status of a pipe is that of its last command"
        "curl URL | tar x succeeds when curl fails and tar is content with what came. Use a shell that knows pipefail, SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"], or write the first command's output to a file.";
    WindowsEscape "W0609" Own true "" "a backslash of a Windows path has another meaning"
        "At the end of a line it continues the line, unless the first line of the file says # escape=`. In JSON \\b, \\f, \\n, \\r and \\t are control characters: write each backslash of a path twice. Slashes work in both places.";
    ApkCacheLeft "W0701" Extra true "" "the package index left in a layer only takes space"
        "apk add keeps the index it fetched below /var/cache/apk. Write apk add --no-cache, which needs no apk update either, or mount a cache there. Stages that are only copied from are not reported.";
    SecretLikeValue "W0702" Extra false "" "a value that looks like a secret stays readable in the image"
        "The value has the form of an access token or key, or is so random that it is likely one. Values of ENV stand in the image's config, those of ARG in its history; both can be read by everybody who has the image. Make the secret invalid, and pass the new one with RUN --mount=type=secret,id=NAME.";
    CopyInvalidatesRun "W0703" Extra false "" "a COPY of everything makes the installation after it run at each change"
        "The cache serves a RUN only while all that was copied before it is unchanged. Copy the files that name the dependencies first, install, and copy the rest after that: COPY package.json package-lock.json ./ then RUN npm ci then COPY . ./";
    UnusedStage "W0704" Extra false "" "a stage that nothing uses is not built"
        "No FROM and no --from names the stage, and it is not the last one. Remove it. A stage with a name may be meant for --target; then leave the check out before its FROM: # check=skip=UnusedStage";
    UnusedArg "W0705" Extra true "" "an ARG that nothing uses has no effect"
        "The name occurs nowhere else in the file, and no RUN after it has the value in its environment. An ARG above the first FROM is seen by FROM lines only; a stage that needs it repeats ARG NAME.";
    WorldWritableCopy "W0706" Extra true "" "files that every user may change are a way into the container"
        "Any process in the container can replace the files. Leave the write bit of others out, --chmod=775, and give the files to the user who writes them by --chown.";
    IgnoreFileMatchesNothing "W0707" Extra false "" "patterns of an ignore file that leave nothing out are likely written for another folder"
        "No pattern matches any file of the build context, but one would match a file if it stood at the top. Patterns are relative to the context, not to the folder of the Dockerfile; **/NAME matches at any depth.";
    IgnoreFileMatchesAll "W0708" Extra false "" "an ignore file that leaves everything out leaves nothing to copy"
        "The Dockerfile copies from the build context, but the ignore file leaves out all of it. Take back what is needed with !PATTERN lines after the others.";
    FeatureNewerThanSyntax "W0711" Extra true "" "a feature that came after the version in # syntax fails in other builders"
        "strake knows all of the language whatever the tag of # syntax=docker/dockerfile:… says; other builders take exactly that version, which refuses the feature or takes it for something else. Name the version that has it, or docker/dockerfile:1, which is the newest. A build looks for it with --strict-syntax.";
    LateDirective "W0712" Extra false "" "directives count at the top of the file only"
        "The lines # syntax= and # escape= are directives only before all other comments, blank lines and instructions. Further down they are comments, which builders pass over without a word.";
    TrailingComment "W0713" Own false "" "a comment behind an instruction is part of it"
        "Only a line that begins with # is a comment. Behind an instruction the words are further files to copy, further variables, or part of a name. In RUN, CMD and ENTRYPOINT it is the shell that takes them for a comment.";
}
