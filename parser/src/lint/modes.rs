//! Modes of copied files.

use super::Findings;
use crate::ast::{Copy, Instruction};
use crate::chmod::ModeChange;
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::source::SourceText;

/// The write bit of others, and the bit that keeps them from removing what is not theirs (inode(7)).
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// `has_users` says that the file runs as others than who owns the files, who may have been given the right on purpose.
pub(super) fn check(
    source: &SourceText,
    has_users: bool,
    instruction: &Instruction,
    copy: &Copy,
    findings: &mut Findings<'_>,
) {
    let Some(word) = copy.chmod.as_ref().filter(|word| !word.raw.contains('$')) else { return };
    let Ok(mode) = ModeChange::parse(&word.raw) else { return };
    let bits = mode.apply(0, false);
    if bits & OTHERS_WRITE == 0 || bits & STICKY != 0 {
        return;
    }
    let message = format!("with mode {} every user can change the files", word.raw);
    let mut made = Diagnostic::lint(Rule::WorldWritableCopy, message, word.span);
    if mode.octal().is_some() && source.slice(word.span) == word.raw {
        let less = format!("{:0width$o}", bits & !OTHERS_WRITE, width = word.raw.len());
        if !has_users {
            made = made.with_fix(word.span, less.clone());
        }
        made = made.with_help(format!("write --chmod={less}, and give the files to who writes them by --chown"));
    } else {
        made = made.with_help("leave the write bit of others out, and give the files to who writes them by --chown");
    }
    findings.add(instruction.check_overrides.as_deref(), made);
}
