//! `SOURCE_DATE_EPOCH` (dockerfile.md §17.1).

use strake_parser::{Diagnostic, InstructionKind, Span, suggest};

use super::lints::Lints;
use super::options::{NamedContextKind, normalise};
use super::stages::Table;
use super::{Epoch, codes};

/// Reads the build argument, else the default of the global ARG of that name.
pub(super) fn read(table: &Table<'_>, lints: &mut Lints) -> Option<Epoch> {
    let declared = table.dockerfile.global_args.iter().find_map(|instruction| match &instruction.kind {
        InstructionKind::Arg(items) => items.iter().find(|item| item.name.value == "SOURCE_DATE_EPOCH"),
        _ => None,
    });
    let given = table.options.build_args.get("SOURCE_DATE_EPOCH").map(String::as_str);
    let text = given.or_else(|| table.globals.get("SOURCE_DATE_EPOCH")).filter(|text| !text.is_empty())?;
    if let Ok(seconds) = text.parse() {
        return Some(Epoch::Seconds(seconds));
    }
    if text == "context" {
        return Some(Epoch::Context);
    }
    let wanted = normalise(text);
    let contexts = &table.options.named_contexts;
    if let Some(context) = contexts.iter().rfind(|context| context.name == wanted)
        && matches!(context.kind, NamedContextKind::Files(_))
    {
        return Some(Epoch::NamedContext(wanted));
    }
    let span = declared.filter(|_| given.is_none()).map_or(Span::default(), |item| item.name.span);
    let near = suggest(text, contexts.iter().map(|context| context.name.as_str()).chain(["context"]));
    let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    let error = Diagnostic::error(codes::EPOCH, format!("invalid SOURCE_DATE_EPOCH: {text}{hint}"), span)
        .with_help("give seconds since 1970, the word context, or the name of a named context");
    lints.push(error);
    None
}
