//! The stable codes of the diagnostics, with a page about each.
//!
//! `E…` are errors, `W…` warnings; 00 input, 01 lines and flags, 02 instructions, 03 mounts, 04 expansion,
//! 05 and 06 build checks (those are in [`crate::Rule`]). A number is never given a second meaning. Codes from
//! `E1000` on belong to the builder.

/// A code and what is to be said about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeEntry {
    /// The code.
    pub code: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// What it means and what to do.
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident $code:literal $title:literal $explanation:literal;)*) => {
        $(#[doc = concat!("`", $code, "`: ", $title, ".")]
        pub const $name: &str = $code;)*
        /// Every code of this crate that is not a build check.
        pub static TABLE: &[CodeEntry] = &[$(CodeEntry { code: $code, title: $title, explanation: $explanation }),*];
    };
}

codes! {
    EMPTY "E0001" "empty Dockerfile"
        "The file has no byte. A Dockerfile begins with FROM; perhaps the wrong file is named by -f, or it was not saved.";
    NO_INSTRUCTIONS "E0002" "no instructions"
        "The file holds comments and blank lines only. A build needs at least one FROM.";
    NO_STAGES "E0003" "no stages"
        "The file holds ARG instructions only. They set values for FROM; without a FROM there is nothing to build.";
    BEFORE_FROM "E0004" "instruction before the first FROM"
        "Every instruction but ARG belongs to a stage, and FROM begins a stage. Move the instruction below the FROM it belongs to.";
    ENCODING "E0005" "not UTF-8 but UTF-16"
        "The file begins with the byte-order mark of UTF-16, which some Windows editors write. Save it as UTF-8.";
    LINE_TOO_LONG "E0006" "line too long"
        "A physical line is longer than the limit (1 MiB unless set otherwise). Break it with the escape character at its end, or keep the data in a file that COPY brings in.";
    FILE_TOO_LARGE "E0007" "file too large"
        "The Dockerfile is larger than the limit (16 MiB unless set otherwise). Data belong into files of the build context.";
    NOT_UTF8 "W0008" "bytes that are not UTF-8"
        "Text outside comments holds bytes that are not UTF-8. They become U+FFFD in the image's config, as with other builders; the bodies of here-documents that are written to files keep theirs.";
    DIRECTIVE_TWICE "E0010" "parser directive given twice"
        "Each of the directives syntax, escape and check may stand once at the top of the file.";
    ESCAPE_TOKEN "E0011" "unknown escape character"
        "The escape directive takes a backslash or a backtick and nothing else.";
    EXTERNAL_FRONTEND "E0012" "external frontend"
        "The syntax directive names an image that would read the file in place of the builder. strake runs no such program. Files for docker/dockerfile of any version are read by strake itself.";
    CHECK_OPTION "E0013" "unreadable check directive"
        "The check directive is a list of options joined by semicolons: skip=RULE,RULE or skip=all; experimental=RULE,RULE or all; error=true or false.";
    DIRECTIVE_WITHOUT_EFFECT "W0014" "directive without effect"
        "A line that begins with #! is an ordinary comment to the language and ends the area of directives, so that an escape directive after it does nothing.";
    UNKNOWN_RULE "W0015" "unknown build check"
        "The check directive names a build check that does not exist, so that it skips nothing.";
    NEWER_SYNTAX "W0016" "newer version of the language"
        "The syntax directive asks for a version of docker/dockerfile newer than the one strake covers. What strake knows works; a feature of the newer version is reported as an unknown flag or instruction.";
    CHECK_COMMENT "W0017" "unreadable check comment"
        "A comment of the form # check=… right before an instruction sets checks for that instruction only. This one cannot be read and is ignored.";
    FEATURE "E0018" "unknown feature"
        "The line # strake: features=NAME,NAME opts in to additions to the language that only strake has. The names are include, if, reset, run-limits and env-from.";
    LATE_FEATURES "W0019" "features line without effect"
        "The line # strake: features=… counts once, right after the parser directives at the top of the file. Anywhere else it is a comment like any other.";
    UNKNOWN_INSTRUCTION "E0101" "unknown instruction"
        "The first word of the line is no keyword. It may be misspelt, or the line before should have ended with the escape character to continue.";
    UNKNOWN_FLAG "E0102" "unknown flag"
        "Words that begin with -- after the keyword are flags of the instruction. To pass such a word as an argument, put -- before it.";
    DUPLICATE_FLAG "E0103" "flag given twice"
        "Only flags that make a list (mount, device, exclude) may be repeated.";
    MISSING_FLAG_VALUE "E0104" "flag without a value"
        "The flag takes a value after an equals sign, without a blank: --chown=app.";
    FLAG_NOT_BOOLEAN "E0105" "flag that is neither true nor false"
        "The flag is a switch: write it alone, or with =true or =false.";
    FLAGS_IGNORED "W0106" "flags without effect"
        "The instruction takes no flags; other builders drop them in silence and so does strake, with this warning.";
    MISSING_ARGUMENTS "E0107" "missing arguments"
        "The instruction needs more than it was given.";
    JSON_NOT_STRINGS "E0108" "JSON array of other things than strings"
        "The JSON form is an array of strings. Numbers, true, false, null and nested arrays need quotes around them.";
    HEREDOC_UNTERMINATED "E0109" "unterminated here-document"
        "The text up to the end of the file belongs to the here-document, because no line consists of its delimiter alone. Blanks before or after the delimiter count; with <<- leading tabs do not.";
    HEREDOC_DELIMITER "E0110" "unreadable here-document delimiter"
        "The delimiter has a quote that is not closed.";
    HEREDOC_DESTINATION "E0111" "here-document as a destination"
        "The last argument of COPY and ADD is the destination, which cannot be a here-document.";
    HEREDOC_WITH_SPACE "W0112" "space in a here-document mark"
        "COPY and ADD split their arguments at blanks first, so that << EOF names two files, << and EOF. Write <<EOF.";
    HEREDOC_WITHOUT_BODY "W0113" "here-document without a body"
        "A quote on the line is not closed, which turns here-documents off for the line; the file will be empty.";
    FROM_ARGUMENTS "E0201" "wrong number of arguments of FROM"
        "FROM takes an image, or an image, the word AS and a name.";
    STAGE_NAME "E0202" "invalid stage name"
        "A stage name begins with a letter and goes on with letters, digits, '-', '_' and '.'.";
    PAIR_WITHOUT_EQUALS "E0203" "word without ="
        "The first word has the form name=value, so that every word must. A value that holds blanks needs quotes.";
    PAIR_WITHOUT_VALUE "E0204" "name without a value"
        "ENV and LABEL need a value for each name; write NAME= for the empty text.";
    BLANK_NAME "E0205" "blank name"
        "There is nothing before the equals sign.";
    VOLUME_EMPTY "E0206" "empty volume"
        "A volume is a path, which cannot be empty.";
    ONBUILD_CHAIN "E0207" "ONBUILD of ONBUILD"
        "A trigger runs in the next build and is gone then; it cannot leave another trigger.";
    ONBUILD_TRIGGER "E0208" "instruction that cannot be a trigger"
        "FROM, MAINTAINER and ONBUILD cannot be triggers.";
    TRIGGER_NOT_SINGLE "E0209" "trigger that is not one instruction"
        "The base image has an ONBUILD entry that holds no instruction or more than one.";
    NETWORK "E0210" "unknown network mode"
        "RUN --network is default, none or host.";
    SECURITY "E0211" "unknown security mode"
        "RUN --security is sandbox or insecure.";
    DEVICE "E0212" "unreadable device"
        "RUN --device takes a device name and perhaps ,required.";
    SHELL_NOT_JSON "E0213" "SHELL without JSON form"
        "SHELL takes a JSON array only: double quotes, commas, and each backslash doubled.";
    HEALTHCHECK_TYPE "E0214" "unknown type of health check"
        "HEALTHCHECK is followed by CMD and a command, or by NONE. Flags stand before that word.";
    HEALTHCHECK_COMMAND "E0215" "health check without a command"
        "HEALTHCHECK CMD needs a command.";
    HEALTHCHECK_NONE "E0216" "HEALTHCHECK NONE with arguments"
        "HEALTHCHECK NONE removes the health check of the base image and takes no arguments.";
    DURATION "E0217" "unreadable duration"
        "A duration is numbers with units: 30s, 1m30s, 500ms. A number alone is none.";
    DURATION_TOO_SHORT "E0218" "duration too short"
        "The shortest duration of a health check is one millisecond; 0 stands for the default.";
    RETRIES "E0219" "unreadable number of retries"
        "The number of retries is a whole number that is not negative.";
    RETRY "E0220" "unreadable number of further attempts"
        "RUN --retry takes how often a step that failed is run again: a whole number from 0 to 100.";
    MEMORY "E0221" "unreadable memory limit"
        "RUN --memory takes a size: a number and a unit, as in 512m or 2g. The least is 1 MiB.";
    RESET "E0222" "unreadable list of FROM --reset"
        "FROM --reset takes a list of what the stage does not inherit: all, cmd, entrypoint, env, expose, healthcheck, label, onbuild, shell, stopsignal, user, volume, workdir. env, expose, label and volume may name one key: env=NAME.";
    OUTPUT_NAME "E0223" "unreadable name of RUN --env"
        "RUN --env takes the name of the variable that gets what the command writes to standard output: letters, digits and _, not beginning with a digit.";
    MOUNT_FIELD "E0301" "mount field without a value"
        "A mount is a list of key=value pairs joined by commas. Only ro, rw, readonly, readwrite and required may stand alone.";
    MOUNT_CSV "E0302" "unreadable list of mount fields"
        "The fields of a mount are separated by commas; a field that holds a comma is put in double quotes as a whole.";
    MOUNT_KEY "E0303" "unknown mount key"
        "The key is none that mounts have.";
    MOUNT_TYPE "E0304" "unknown mount type"
        "A mount is of type bind, cache, tmpfs, secret or ssh.";
    MOUNT_KEY_OF_TYPE "E0305" "key that the mount type does not have"
        "The key exists, but not for this type of mount.";
    MOUNT_VALUE "E0306" "unreadable mount value"
        "The value does not have the form that its key wants: true or false, a number, a size like 64m, an octal mode.";
    MOUNT_TARGET "E0307" "missing or impossible mount target"
        "The mount needs a target below the root directory.";
    MOUNT_SECRET "E0308" "secret without a name"
        "A secret mount needs id, source or target, and not both of id and source.";
    INCLUDE_PATH "E0701" "path that INCLUDE cannot take"
        "INCLUDE takes one path as it is written, without quotes and variables, relative to the folder of the file it stands in. It stays inside the build context.";
    INCLUDE_READ "E0702" "file that cannot be included"
        "The file is not in the build context, or cannot be read. Symbolic links are followed inside the context only. The ignore file does not apply to included files.";
    INCLUDE_CYCLE "E0703" "files that include each other"
        "A file cannot include itself, also not through others. Files nest up to 16 deep, and a Dockerfile includes up to 256 files, of 16 MiB together with its own text.";
    CONDITION "E0704" "unreadable condition"
        "A condition is WORD, which is true when it is not empty, or two words with == or != between them. ELSE stands alone or before IF and a condition, ENDIF alone.";
    BLOCK "E0705" "block that is not in order"
        "Each IF has one ENDIF in the same file, with any number of ELSE IF and then at most one ELSE between them.";
    BLOCK_STAGE "E0706" "block that cuts stages"
        "A block stands inside one stage, or above the first FROM with ARG lines, or holds whole stages. One that holds stages begins each of its branches with FROM, and a FROM or nothing follows its ENDIF.";
    CONDITION_NAME "E0707" "name that a condition cannot use"
        "Conditions are worked out before the build, so they know arguments only: those declared by ARG above, and the platform's (TARGETOS, TARGETARCH and the like). A name that ENV sets may have another value in the stage than the argument, so it cannot be used.";
    NO_PLAIN_EQUAL "E0708" "addition without a plain equal"
        "strake dockerfile lower writes a Dockerfile for any builder. It cannot say what this addition says: FROM --reset of anything but cmd, workdir, and entrypoint together with cmd; RUN --env.";
    LIMIT_LEFT_OUT "W0709" "limit that is left out"
        "strake dockerfile lower leaves out RUN --timeout, --retry and --memory: other builders do not know them, and they do not change what a step makes.";
    ORDER_LEFT_OUT "W0710" "order of stages that is left out"
        "strake dockerfile lower leaves out FROM --after: most other builders do not know it, and it does not change what a stage makes.";
    EXPANSION "E0401" "word that cannot be expanded"
        "Quotes, escapes or variables of the word are not in order.";
    EXPANSION_REQUIRED "E0402" "required variable"
        "The word demands with ${NAME:?text} that a variable is set. Declare it with ARG or ENV before, or pass --build-arg.";
    EXPANSION_TOO_LARGE "E0403" "expansion too large"
        "A word may grow to 1 MiB and the words of an instruction to 16 MiB together. Variables that hold each other twice grow quickly.";
    ODD_REPLACEMENT "W0404" "replacement with a backslash or a dollar sign"
        "In ${name/pattern/text} a backslash in the text stays as it is, and in ${name//pattern/text} $1 stands for a group of the pattern, of which there is none. Likely neither is meant.";
}

/// Finds the entry of a code; none for a build check and for a code of another part.
pub fn find(code: &str) -> Option<&'static CodeEntry> {
    TABLE.iter().find(|entry| entry.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_explained() {
        let mut codes: Vec<_> = TABLE.iter().map(|entry| entry.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
        assert!(TABLE.iter().all(|entry| entry.explanation.len() > 20));
        assert_eq!(find("e0101").map(|entry| entry.title), Some("unknown instruction"));
    }
}
