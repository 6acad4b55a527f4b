//! Whom copied files belong to (dockerfile.md §13.5, `--chown`).

use strake_layers::{ErrorKind, Owner, Rootfs, resolve_owner};
use strake_parser::{Diagnostic, Span};

use super::super::codes;
use super::{CopyInput, Fault};

/// Finds the owner that `--chown` tells.
pub(super) fn resolve(text: &str, input: &CopyInput<'_>, warnings: &mut Vec<Diagnostic>) -> Result<(u32, u32), Fault> {
    let owner = look_up(text, input.base, "--chown")?;
    if let (true, Some(unknown)) = (input.op.link, owner.unknown.first()) {
        // The reference fails, too: a layer of its own knows no names.
        return Err(Fault::new(codes::OWNER, format!("--chown={text}: unknown {} {:?}", unknown.what, unknown.name))
            .with_help("write numbers: they need no files in the image"));
    }
    warn(&owner, text, "--chown", input.op.owner_span, warnings);
    Ok((owner.uid, owner.gid))
}

/// Finds the owner of directories that are made under a USER; `None`: root's, as it is without one.
pub(super) fn of_user(
    text: &str,
    base: &Rootfs,
    span: Span,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Option<(u32, u32)>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let owner = look_up(text, base, "USER")?;
    warn(&owner, text, "USER", span, warnings);
    Ok(Some((owner.uid, owner.gid)))
}

fn look_up(text: &str, base: &Rootfs, what: &str) -> Result<Owner, Fault> {
    resolve_owner(text, base).map_err(|error| match error.kind() {
        ErrorKind::User => Fault::new(codes::OWNER, format!("{what} {text}: {error}"))
            .with_help("write numbers: they need no files in the image"),
        _ => error.into(),
    })
}

fn warn(owner: &Owner, text: &str, what: &str, span: Span, warnings: &mut Vec<Diagnostic>) {
    for unknown in &owner.unknown {
        let instead = if unknown.what == "user" { "user 0".to_owned() } else { format!("group {}", owner.gid) };
        let message =
            format!("{what} {text}: the image has no {} {:?}; {instead} is taken", unknown.what, unknown.name);
        let mut found = Diagnostic::warning(codes::UNKNOWN_OWNER, message, span);
        found.help = unknown.similar.as_ref().map(|similar| format!("did you mean {similar:?}?"));
        warnings.push(found);
    }
}
