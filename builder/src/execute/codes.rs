//! The stable codes of the diagnostics of COPY, ADD and WORKDIR.

use strake_parser::codes::CodeEntry;

macro_rules! codes {
    ($($name:ident $code:literal $title:literal $explanation:literal;)*) => {
        $(#[doc = concat!("`", $code, "`: ", $title, ".")]
        pub(super) const $name: &str = $code;)*
        /// Every code of copying, with a page about each.
        pub(super) static TABLE: &[CodeEntry] = &[$(CodeEntry { code: $code, title: $title, explanation: $explanation }),*];
    };
}

codes! {
    NOT_FOUND "E1101" "source that is not there" "The path does not exist in what COPY or ADD reads from: the build \
        context, as the ignore file leaves it, or the stage or image of --from. Paths start at its root, and links \
        that point out of it are looked up inside.";
    PATTERN "E1102" "pattern that cannot be read" "A wildcard has a set that is not closed, or ends in a backslash. \
        Write [[] for a bracket that is meant as it is.";
    OVER_DIRECTORY "E1103" "file over a directory" "A file cannot take the place of a directory. End the destination \
        with a slash to copy into it, or remove the directory in an earlier RUN.";
    OVER_FILE "E1104" "directory over a file or link" "A directory cannot take the place of a file, nor of a symbolic \
        link, even of one to a directory. Name the directory that the link points to as destination.";
    DESTINATION "E1105" "destination that cannot be made" "A path above the destination is a file.";
    OWNER "E1106" "owner that is not known" "--chown takes numbers anywhere; names need /etc/passwd and /etc/group in \
        the stage.";
    ARCHIVE "E1107" "archive that cannot be unpacked" "An archive may not write or link to anything outside of the \
        destination, and must be whole. ADD --unpack=false copies it as a file.";
    DOWNLOAD "E1108" "download that failed" "The address did not give the file, or the repository not the commit; or what came \
        has another checksum than --checksum says.";
    WORKDIR "E1110" "working directory that cannot be made" "The path, or one above it, is a file.";
    WINDOWS_NAME "E1111" "name that Windows does not take" "Windows refuses some names and signs, and takes upper and \
        lower case for the same.";
    SLASH "W1101" "several sources to one file" "Without a slash at its end the destination is a file, and each source \
        replaces the one before.";
    UNKNOWN_OWNER "W1102" "unknown user or group" "An unknown user counts as 0 and an unknown group as the user's, as \
        docker build does.";
    MODE_IGNORED "W1103" "mode that does not apply" "--chmod changes neither the entries of an archive nor files of a \
        Windows image.";
    WHITEOUT "W1105" "name that deletes" "Image layers use names that begin with .wh. to delete files: such a file \
        cannot be in an image.";
    FOREIGN_LAYER "W1106" "base layer that Windows will not import" "A layer of the base image breaks a rule that \
        Windows has for layers: everything lies in Files, Hives or UtilityVM/Files, links stay in one of them, and no \
        two names differ only in upper and lower case. Builders that know no Windows make such layers. COPY --from \
        reads them; an image based on them starts nowhere.";
}
