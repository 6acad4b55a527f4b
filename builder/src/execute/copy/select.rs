//! Which files of a tree a source names (dockerfile.md §13.5, "Path sources").

use strake_layers::ImagePath;
use strake_parser::glob;

use super::super::{codes, run_codes};
use super::Fault;
use crate::plan::graph::CopyOp;
use crate::source::{LastLink, SourceNode, Tree};

/// What a source names.
#[derive(Debug)]
pub(super) struct Selection {
    /// In order.
    pub matches: Vec<Match>,
    /// Whether the source has wildcards.
    pub has_wildcard: bool,
}

/// Something that a source names.
#[derive(Debug)]
pub(super) struct Match {
    /// The name it has in a directory: a link's own, not the one of what it points to.
    pub name: ImagePath,
    /// What it is, links followed.
    pub node: SourceNode,
}

/// Cleans a source as it is written: `..` stays at the root, a slash at the end says nothing.
pub(super) fn clean(text: &str, is_windows: bool) -> Result<ImagePath, Fault> {
    let text = if is_windows { super::windows::source(text) } else { text.to_owned() };
    ImagePath::clean(&text).map_err(|error| Fault::new(codes::NOT_FOUND, format!("source {text:?}: {error}")))
}

/// Finds what a source names.
pub(super) fn select(tree: &Tree, text: &str, path: &ImagePath, keyword: &str) -> Result<Selection, Fault> {
    let patterns: Vec<&[u8]> = path.components().skip_while(|name| !glob::has_wildcard(name)).collect();
    for pattern in &patterns {
        // A name that nothing has: only the pattern itself is judged.
        glob::matches(pattern, b"").map_err(|_| malformed(text, keyword))?;
    }
    let start = start(tree, text, path, keyword)?;
    if patterns.is_empty() {
        return Ok(Selection { matches: vec![Match { name: last_name(path), node: start }], has_wildcard: false });
    }
    let mut found = Vec::new();
    search(tree, &start, &patterns, &mut found)?;
    let mut matches = Vec::new();
    for node in found {
        let name = last_name(&node.entry.path);
        let below = node.entry.path.strip_prefix(&tree.root().path).unwrap_or_default();
        let node =
            find(tree, &below)?.ok_or_else(|| not_found(tree, &tree.below_root(&node.entry.path), &below, keyword))?;
        matches.push(Match { name, node });
    }
    Ok(Selection { matches, has_wildcard: true })
}

/// What a source names up to its first wildcard. A wildcard may match nothing, but not in a directory that is not there.
fn start(tree: &Tree, text: &str, path: &ImagePath, keyword: &str) -> Result<SourceNode, Fault> {
    let names: Vec<&[u8]> = path.components().take_while(|name| !glob::has_wildcard(name)).collect();
    let path = ImagePath::parse(names.join(&b'/')).unwrap_or_default();
    find(tree, &path)?.ok_or_else(|| not_found(tree, text, &path, keyword))
}

/// Fails where a source is missing, as the copy would, without looking at what it names.
pub(super) fn look(tree: &Tree, text: &str, op: &CopyOp) -> Result<(), Fault> {
    let is_windows = op.platform.os == "windows";
    let mut path = clean(text, is_windows)?;
    if op.parents && path.components().any(glob::has_wildcard) {
        // Behind the pivot patterns match whole paths, and may match nothing.
        path = clean(text.split_once("/./").map_or("", |(pivot, _)| pivot), is_windows)?;
    } else if op.parents && is_there(tree, &path)? {
        return Ok(());
    }
    start(tree, text, &path, op.keyword).map(|_| ())
}

/// Tells whether `--parents` finds a path. Below the top a link is copied as it is, wherever it leads.
pub(super) fn is_there(tree: &Tree, path: &ImagePath) -> Result<bool, Fault> {
    let is_below = path.components().count() > 1;
    let followed = tree.follow(path, if is_below { LastLink::Keep } else { LastLink::Follow })?;
    Ok(tree.get(&followed.path)?.is_some())
}

/// What is at a path counted from the tree's root, links followed.
pub(super) fn find(tree: &Tree, path: &ImagePath) -> Result<Option<SourceNode>, Fault> {
    let followed = tree.follow(path, LastLink::Follow)?;
    Ok(tree.get(&followed.path)?)
}

/// Matches names level by level: a wildcard never crosses a slash. What matched is not looked into.
fn search(tree: &Tree, above: &SourceNode, patterns: &[&[u8]], found: &mut Vec<SourceNode>) -> Result<(), Fault> {
    let Some((pattern, rest)) = patterns.split_first() else { return Ok(()) };
    if !above.entry.is_directory() {
        return Ok(());
    }
    for child in tree.children(&above.entry.path)?.iter() {
        let name = child.entry.path.file_name().unwrap_or_default();
        if !glob::matches(pattern, name).unwrap_or(false) {
            continue;
        }
        if rest.is_empty() {
            found.push(child.clone());
        } else {
            search(tree, child, rest, found)?;
        }
    }
    Ok(())
}

fn last_name(path: &ImagePath) -> ImagePath {
    path.file_name().and_then(|name| ImagePath::parse(name).ok()).unwrap_or_default()
}

fn malformed(text: &str, keyword: &str) -> Fault {
    Fault::new(
        codes::PATTERN,
        format!("{keyword} source {text:?} is not a valid pattern: a set is not closed or a backslash stands last"),
    )
    .with_help(if text.starts_with(['[', '"']) {
        "if a JSON array is meant: it needs double quotes, commas between strings and none at the end, and nothing after \
         it; a bracket that is meant as it is is written [[]"
    } else {
        "write [[] for a bracket that is meant as it is"
    })
}

/// Says that a source is not there, and why that may be.
pub(super) fn not_found(tree: &Tree, text: &str, path: &ImagePath, keyword: &str) -> Fault {
    let place = tree.name();
    let mut message = format!("{keyword} source {text:?} not found in the {place}");
    if let Ok(Some(link)) = dangling_link(tree, path) {
        message = format!("{message}: {link}");
    }
    let code = if keyword.starts_with("RUN") { run_codes::MOUNT } else { codes::NOT_FOUND };
    let fault = Fault::new(code, message);
    if let Some(context) = tree.as_context()
        && let Some((file, line, rule)) = context.ignoring_rule(path)
    {
        let exists = if context.exists_on_host(path) { "it is there, but" } else { "it is not there, and" };
        return fault.with_help(format!("{exists} line {line} of {file} ({rule}) leaves it out"));
    }
    if text.starts_with(['-', '—', '–']) && text.contains('=') {
        let flag = text.trim_start_matches(['-', '—', '–']);
        return fault.with_help(format!("if a flag is meant, it begins with two hyphens: --{flag}"));
    }
    let names = tree.names_near(&tree.root().path.join_path(path));
    let near = near(tree, path, &names);
    let leads_out = text.split('/').find(|name| !matches!(*name, "" | ".")) == Some("..");
    fault.with_help(match near {
        Some(near) if leads_out => format!("`..` does not lead out of the {place}; did you mean {near:?}?"),
        Some(near) => format!("did you mean {near:?}?"),
        None if leads_out && tree.as_context().is_some() => {
            let from = if keyword.starts_with("RUN") { "from=NAME" } else { "COPY --from=NAME" };
            format!(
                "`..` does not lead out of the {place}: put the file into it, or give its folder with --build-context \
                 NAME=FOLDER and read it with {from}"
            )
        }
        None if names.is_empty() => format!("the {place} has no files there"),
        None => format!("sources count from the top of the {place}"),
    })
}

/// The path that may have been meant: of those there are, one whose folder or name is near to what was asked for.
fn near(tree: &Tree, path: &ImagePath, names: &[String]) -> Option<String> {
    let wanted = String::from_utf8_lossy(path.as_bytes()).into_owned();
    let depth = names.first()?.split('/').count();
    let parts: Vec<&str> = wanted.split('/').collect();
    let (here, below) = parts.split_at_checked(depth)?;
    let here = here.join("/");
    let lower = here.to_lowercase();
    // A link that leads nowhere is among them itself.
    let known = || names.iter().map(String::as_str).filter(|name| *name != here);
    let near = known().find(|name| name.to_lowercase() == lower).or_else(|| strake_parser::suggest(&here, known()))?;
    let whole = [&[near][..], below].concat().join("/");
    let is_there = ImagePath::parse(whole.as_str())
        .is_ok_and(|path| tree.get(&tree.root().path.join_path(&path)).is_ok_and(|found| found.is_some()));
    Some(if is_there { whole } else { near.to_owned() })
}

/// The link on a path that leads to nothing.
fn dangling_link(tree: &Tree, path: &ImagePath) -> Result<Option<String>, crate::Error> {
    let root = &tree.root().path;
    let mut ways: Vec<ImagePath> = path.ancestors().collect();
    ways.reverse();
    ways.push(path.clone());
    for way in ways {
        let kept = tree.follow(&way, LastLink::Keep)?;
        let Some(node) = tree.get(&kept.path)? else { return Ok(None) };
        if let strake_layers::EntryKind::Symlink(target) = &node.entry.kind {
            let end = tree.follow(&way, LastLink::Follow)?;
            if tree.get(&end.path)?.is_none() {
                let at = node.entry.path.strip_prefix(root).unwrap_or_default();
                return Ok(Some(format!(
                    "{at} is a link to {:?}, which does not exist inside",
                    String::from_utf8_lossy(target)
                )));
            }
        }
    }
    Ok(None)
}
