//! `--parents` (dockerfile.md §13.5, "Path sources" 7).

use strake_layers::{EntryKind, ImagePath};
use strake_parser::{Span, glob};

use super::super::codes;
use super::select::{self, Match, Selection};
use super::spread::Filter;
use super::{Copy, Fault, place};
use crate::source::{LastLink, Tree};

impl Copy<'_> {
    /// Copies what a path names with the directories above it.
    pub(super) fn copy_with_parents(&mut self, text: &str, span: Span) -> Result<(), Fault> {
        let input = self.input;
        let keyword = input.op.keyword;
        let (pivot, below) = text.split_once("/./").unwrap_or(("", text));
        let pivot = select::clean(pivot, self.dest.root.is_windows)?;
        let below = select::clean(below, self.dest.root.is_windows)?;
        let filter = Filter::new((!below.is_root()).then_some(&below), &input.op.exclude)?;
        let selection = select::select(input.from, text, &pivot, keyword)?;
        if let Some(whole) = named(input.from, &selection, &below)
            && !select::is_there(input.from, &whole)?
        {
            return Err(select::not_found(input.from, text, &whole, keyword));
        }
        let mut copied = 0;
        for found in &selection.matches {
            copied += self.copy_below(found, &below, &filter, span)?;
        }
        if copied == 0 {
            if let Some(fault) = self.why_nothing(text, &selection, &below)? {
                return Err(fault);
            }
            self.warnings.push(place::no_match(input.from, text, span));
        }
        Ok(())
    }

    /// Copies what matches below something that the part before the pivot found; tells how many entries that were.
    fn copy_below(&mut self, found: &Match, below: &ImagePath, filter: &Filter, span: Span) -> Result<usize, Fault> {
        let from = self.input.from;
        if found.node.entry.is_directory() {
            return self.place_directory(from, &found.node, filter);
        }
        // The reference takes such a file whole, but has only what matches of a context (D-45).
        if from.as_context().is_some() && !below.is_root() {
            return Ok(0);
        }
        self.place(found, span)?;
        Ok(1)
    }

    /// The error of a source that copied nothing; `None` where that may be.
    fn why_nothing(&self, text: &str, selection: &Selection, below: &ImagePath) -> Result<Option<Fault>, Fault> {
        let (from, op) = (self.input.from, self.input.op);
        let Some(first) = selection.matches.first().filter(|_| !below.is_root()) else { return Ok(None) };
        if let Some(whole) = named(from, selection, below) {
            return unreached(from, &missing(op.keyword, text, from), &whole, !op.exclude.is_empty());
        }
        if !selection.has_wildcard && !first.node.entry.is_directory() {
            let at = from.below_root(&first.node.entry.path);
            let message = format!("{}: {at} is not a directory", missing(op.keyword, text, from));
            let help = "name a directory before /./, or the file behind it";
            return Ok(Some(Fault::new(codes::NOT_FOUND, message).with_help(help)));
        }
        if has_wildcard(below) || from.as_context().is_none() {
            return Ok(None);
        }
        for found in &selection.matches {
            if select::is_there(from, &whole(from, found, below))? {
                return Ok(None);
            }
        }
        Ok(Some(select::not_found(from, text, &whole(from, first, below), op.keyword)))
    }
}

fn has_wildcard(path: &ImagePath) -> bool {
    path.components().any(glob::has_wildcard)
}

fn whole(tree: &Tree, found: &Match, below: &ImagePath) -> ImagePath {
    found.node.entry.path.strip_prefix(&tree.root().path).unwrap_or_default().join_path(below)
}

/// The one path that a source without wildcards names.
fn named(tree: &Tree, selection: &Selection, below: &ImagePath) -> Option<ImagePath> {
    let found = selection.matches.first().filter(|_| !selection.has_wildcard && !has_wildcard(below))?;
    Some(whole(tree, found, below))
}

fn missing(keyword: &str, text: &str, tree: &Tree) -> String {
    format!("{keyword} source {text:?} not found in the {}", tree.name())
}

/// Says why a path that is there was not copied.
fn unreached(tree: &Tree, missing: &str, path: &ImagePath, excludes: bool) -> Result<Option<Fault>, Fault> {
    if let Some((link, target)) = link_above(tree, path)? {
        let message = format!("{missing}: {link} is a link to {target:?}, which --parents does not follow");
        let real = tree.below_root(&tree.follow(path, LastLink::Keep)?.path);
        let help = format!("name the source without the link: {real:?}");
        return Ok(Some(Fault::new(codes::NOT_FOUND, message).with_help(help)));
    }
    let message = format!("{missing}: --exclude leaves it out");
    let help = "with --parents, patterns of --exclude count from the top and hold for the source itself: change the \
                pattern, or remove the source";
    Ok(excludes.then(|| Fault::new(codes::NOT_FOUND, message).with_help(help)))
}

/// The first link above a path, and where it leads.
fn link_above(tree: &Tree, path: &ImagePath) -> Result<Option<(ImagePath, String)>, Fault> {
    let mut ways: Vec<ImagePath> = path.ancestors().collect();
    ways.reverse();
    for way in ways {
        let kept = tree.follow(&way, LastLink::Keep)?;
        if let Some(EntryKind::Symlink(target)) = tree.get(&kept.path)?.map(|node| node.entry.kind) {
            return Ok(Some((way, String::from_utf8_lossy(&target).into_owned())));
        }
    }
    Ok(None)
}
