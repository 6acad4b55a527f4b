//! The stable codes of what can go wrong in RUN.

use strake_parser::codes::CodeEntry;

macro_rules! codes {
    ($($name:ident $code:literal $title:literal $explanation:literal;)*) => {
        $(#[doc = concat!("`", $code, "`: ", $title, ".")]
        pub(super) const $name: &str = $code;)*
        /// Every code of running, with a page about each.
        pub(super) static TABLE: &[CodeEntry] = &[$(CodeEntry { code: $code, title: $title, explanation: $explanation }),*];
    };
}

codes! {
    STEP "E1200" "step that failed" "The step could not be carried out; the message says why.";
    PROCESS "E1201" "command that failed" "The command of a RUN ended with a code other than 0, or by a signal. Its last \
        lines stand above the message. 126 means that a file could not be executed, 127 that it was not found, 137 that \
        it was killed, most often for want of memory.";
    SECRET "E1202" "secret that was not given" "The mount is required, but the command line gives no secret of that id: \
        --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE.";
    SSH "E1203" "agent that was not forwarded" "The mount is required, but the command line forwards no agent of that id: \
        --ssh default, or --ssh ID=SOCKET. Or no agent answers at the socket that it names.";
    USER "E1204" "user that is not known" "USER names a user or group that /etc/passwd or /etc/group of the stage does \
        not have. Make it in an earlier RUN, or use a number.";
    MOUNT "E1205" "mount that cannot be made" "What the mount names is not there, or its target cannot be made.";
    OUTPUT "E1206" "output that no variable can hold" "RUN --env keeps what the command writes to standard output: UTF-8 \
        without NUL bytes, at most 64 KiB, and no secret of the build, since it stands in the image's config. Standard \
        error does not count.";
}
