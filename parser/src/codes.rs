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
    MOUNT_FIELD "E0301" "mount field without a value" "x";
    EXPANSION "E0401" "word that cannot be expanded" "x";
}
