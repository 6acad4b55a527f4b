//! The stable codes of planning's diagnostics.

use strake_parser::codes::CodeEntry;

macro_rules! codes {
    ($($name:ident $code:literal $title:literal $explanation:literal;)*) => {
        $(#[doc = concat!("`", $code, "`: ", $title, ".")]
        pub(super) const $name: &str = $code;)*
        /// Every code of planning, with a page about each.
        pub static TABLE: &[CodeEntry] = &[$(CodeEntry { code: $code, title: $title, explanation: $explanation }),*];
    };
}

codes! {
    TARGET "E1001" "unknown target stage" "--target names a stage by the name after AS, in any letter case, or by its \
        number, counted from 0.";
    CYCLE "E1002" "stages that depend on each other" "A stage may start from, copy from and mount only what is built \
        without it. Move the common part into a stage of its own, above both.";
    FORWARD "E1003" "stage used before it is defined" "COPY --from and RUN --mount=from= can use the stages above the \
        one they stand in. Move the stage up.";
    INDEX "E1004" "no stage of that number" "Stages are counted from 0 in the order of their FROM lines.";
    BASE_BLANK "E1005" "base image without a name" "The variables in FROM gave no text. Only ARG instructions above \
        the first FROM have values there; give the ARG a default, or pass --build-arg.";
    REFERENCE "E1006" "image name that cannot be read" "An image name is [REGISTRY/]NAME[:TAG][@DIGEST]; the name is \
        written in lower case.";
    PLATFORM "E1007" "platform that cannot be read" "A platform is OS/ARCH[/VARIANT]: linux/amd64, linux/arm/v7, \
        windows(10.0.20348)/amd64.";
    STATIC "E1008" "variable that is not known before the build" "--from is needed to order the stages before any of \
        them is worked out, so it can use ARG instructions above the first FROM, not those of a stage.";
    ENTITLEMENT "E1009" "right that was not given" "Some flags of RUN loosen the sandbox. They work when the command \
        line allows them: --allow network.host, --allow security.insecure, --allow device.";
    PORT "E1010" "port that cannot be read" "EXPOSE takes PORT[-PORT][/PROTOCOL]; the protocol is tcp, udp or sctp.";
    SIGNAL "E1011" "unknown signal" "STOPSIGNAL takes a signal's number or its name, with or without SIG.";
    PATH "E1012" "path that cannot be in an image" "An image of Windows has the drive C: only, no network paths, and \
        none of the names and signs that Windows refuses.";
    EPOCH "E1013" "SOURCE_DATE_EPOCH that cannot be read" "It is a number of seconds since 1970, the word context, or \
        the name of a named context.";
    CHECK "E1014" "check settings that cannot be read" "BUILDKIT_DOCKERFILE_CHECK reads like the check directive: \
        skip=RULE,RULE;experimental=RULE;error=true.";
    CHECKSUM "E1015" "checksum that cannot be checked" "ADD --checksum is for exactly one source, which is downloaded \
        (sha256: and 64 digits) or cloned (the beginning of the commit's id).";
    SOURCE "E1016" "source that the instruction does not take" "ADD takes addresses and git repositories; COPY takes \
        paths.";
    BLANK_NAME "W1017" "name that is empty" "The variables in the name of an ENV or LABEL gave no text. The image is built as \
        written, as by the reference; runtimes that check the environment do not start it.";
    TRIGGER "E1018" "ONBUILD trigger that cannot be read" "The base image brings an instruction with it that is not \
        valid. It stands in the image's config; only its author can mend it.";
    MODE "E1019" "mode that cannot be read" "--chmod takes an octal number from 0 to 07777, or a text like u+rwX,go=r.";
    MOUNT "E1020" "mount that is not possible" "A mount needs a target below the root.";
    HEREDOC "E1022" "here-document that Windows cannot read" "cmd and PowerShell know no here-documents. Make the \
        whole command one here-document, or COPY a script.";
    IMAGE "E1023" "image that could not be resolved" "No registry, and not the store, gave the image for the platform.";
    LINT "E1024" "build check that failed" "The Dockerfile asks for warnings to fail the build (check=error=true).";
    DEVICE "E1025" "device that cannot be given" "RUN --device=NAME,required needs a device of the Container Device \
        Interface; strake reads no such specifications. Without required the step runs without the device.";
    VOLUME "E1026" "volume without a path" "The variables in VOLUME gave no text.";
    NO_WINDOWS "W1027" "image of Windows without Windows" "FROM scratch brings none of the files and no registry, so \
        that no container of Windows starts from the image. It carries files: COPY --from reads them. For an image \
        that runs, start from one of Microsoft's base images.";
    NO_VERSION "W1028" "image of Windows without a version" "Hosts with Windows choose an image by its os.version and \
        may refuse one that has none. A base image brings it; without one it comes from the platform: --platform \
        'windows(10.0.20348.2849)/amd64'.";
    NOT_COMPOSED "E1029" "addition that was not worked out" "INCLUDE and IF are worked out before a build is planned. \
        This is a bug of the program that strake is used by: it must call compose first.";
    OUTPUT_VARIABLE "E1030" "variable from the output of a step" "The value of a variable that RUN --env sets is known \
        only when the step has run, and the build is planned before. Commands of RUN see the variable, and it stands in \
        the image's config; words of the Dockerfile cannot use it, and no ARG of the stage can have its name. A later ENV \
        of the name sets it anew.";
    AFTER "E1032" "stage to come after that is not there" "FROM --after=STAGE names a stage of the same file, by its name \
        or its number, that must be complete before this one begins. It stands above.";
    NOTHING_TO_RESET "W1031" "reset of what is not there" "FROM --reset names a key that the base does not set, so that \
        it takes back nothing. It may be misspelt, or the base image has changed.";
    UNKNOWN_PLATFORM "W1033" "platform that no image has" "A platform is the name of a system and that of a processor \
        architecture, as in linux/arm64. This one is not among those that images are made for. The image would say that it \
        is for it, and no machine would start it.";
    NO_CACHE_STAGE "W1034" "stage to build anew that is not there" "--no-cache-filter takes the names of stages, in any \
        letter case. One that no stage has is passed over, as by the reference, and what it was meant for comes from the \
        cache.";
}
