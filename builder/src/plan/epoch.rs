//! `SOURCE_DATE_EPOCH` (dockerfile.md §17.1).

use std::collections::BTreeMap;

use strake_parser::git_ref::GitRef;
use strake_parser::{CopySource, Diagnostic, Expander, InstructionKind, Span, Word, suggest};

use super::lints::Lints;
use super::options::{NamedContextKind, normalise};
use super::stages::{Bound, Table};
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
    if let Some(address) = stage_address(table, text) {
        return Some(Epoch::Remote(address));
    }
    let span = declared.filter(|_| given.is_none()).map_or(Span::default(), |item| item.name.span);
    let near = suggest(text, contexts.iter().map(|context| context.name.as_str()).chain(["context"]));
    let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    let error = Diagnostic::error(codes::EPOCH, format!("invalid SOURCE_DATE_EPOCH: {text}{hint}"), span).with_help(
        "give seconds since 1970, the word context, the name of a named context, or of a stage that is FROM scratch \
             with one ADD of an address",
    );
    lints.push(error);
    None
}

/// The address that a stage downloads or clones, when that is all it does: `FROM scratch`, ARG instructions, one ADD.
fn stage_address(table: &Table<'_>, name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    let entry = table.entries.iter().rfind(|entry| entry.key.as_deref() == Some(&*lower))?;
    if entry.base != Some(Bound::Scratch) {
        return None;
    }
    let escape = table.dockerfile.directives.escape();
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let expand = |values: &BTreeMap<String, String>, word: &Word| {
        let lookup = |name: &str| values.get(name).cloned();
        Expander::new(escape, &lookup).word(word).ok().map(|expansion| expansion.text)
    };
    let mut address = None;
    for instruction in &entry.stage.instructions {
        match &instruction.kind {
            InstructionKind::Arg(items) => {
                for item in items {
                    let name = &item.name.value;
                    let given = table.options.build_args.get(name).cloned();
                    let value = given.or_else(|| item.default.as_ref().and_then(|word| expand(&values, word)));
                    let value = value.or_else(|| table.globals.get(name).map(str::to_owned));
                    values.extend(value.map(|value| (name.clone(), value)));
                }
            }
            InstructionKind::Add(add) if address.is_none() => {
                let [CopySource::Word(word)] = add.copy.sources.as_slice() else { return None };
                let text = expand(&values, word)?;
                let is_remote =
                    text.starts_with("http://") || text.starts_with("https://") || GitRef::parse(&text).is_some();
                address = Some(text).filter(|_| is_remote);
                address.as_ref()?;
            }
            _ => return None,
        }
    }
    address
}
