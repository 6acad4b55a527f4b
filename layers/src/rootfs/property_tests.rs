//! The merged view against a naive one that applies each layer to a map of paths.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::Rootfs;
use crate::{ContentPlace, Entry, EntryKind, EntryList, ImagePath, Metadata, canonical};

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Directory { opaque: bool },
    File,
    Symlink(String),
    Whiteout,
}

/// What a layer is asked to have: kinds by path, and which of the directories above are listed.
#[derive(Clone, Debug)]
struct Draft {
    entries: BTreeMap<String, Kind>,
    lists_parents: bool,
}

/// The naive tree: mode and kind by path.
type Tree = BTreeMap<String, (u32, Kind)>;

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "a-b"]).prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..4).prop_map(|parts| parts.join("/"))
}

fn target() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "a-b", "..", "."]);
    (any::<bool>(), prop::collection::vec(part, 1..4))
        .prop_map(|(absolute, parts)| format!("{}{}", if absolute { "/" } else { "" }, parts.join("/")))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::File),
        3 => any::<bool>().prop_map(|opaque| Kind::Directory { opaque }),
        2 => target().prop_map(Kind::Symlink),
        2 => Just(Kind::Whiteout),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    (prop::collection::btree_map(path(), kind(), 0..12), any::<bool>())
        .prop_map(|(entries, lists_parents)| Draft { entries, lists_parents })
}

fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Makes the entries of a layer and applies them to the tree.
fn build(draft: &Draft, number: u32, tree: &mut Tree) -> EntryList {
    let mut kinds = draft.entries.clone();
    for path in draft.entries.keys() {
        for parent in parents(path) {
            let is_free = !kinds.contains_key(parent) || kinds.get(parent) == Some(&Kind::Whiteout);
            let is_link = matches!(tree.get(parent), Some((_, Kind::Symlink(_))));
            if is_free && (draft.lists_parents || is_link) {
                kinds.insert(parent.to_owned(), Kind::Directory { opaque: false });
            }
        }
    }
    // Nothing lies below what is no directory.
    let leaves: Vec<String> = kinds
        .iter()
        .filter(|(_, kind)| matches!(kind, Kind::File | Kind::Symlink(_) | Kind::Whiteout))
        .map(|(path, _)| format!("{path}/"))
        .collect();
    kinds.retain(|path, _| !leaves.iter().any(|leaf| path.starts_with(leaf)));

    let mode = |at: usize| 0o100 * (number + 1) + u32::try_from(at).expect("few");
    apply(tree, &kinds, mode);
    let entries = kinds.iter().enumerate().map(|(at, (path, kind))| {
        let kind = match kind {
            Kind::Directory { opaque } => EntryKind::Directory { opaque: *opaque, implicit: false },
            Kind::File => return Entry::inline_file(image_path(path), meta(mode(at)), *b"x"),
            Kind::Symlink(target) => EntryKind::Symlink(target.as_bytes().into()),
            Kind::Whiteout => EntryKind::Whiteout,
        };
        Entry { path: image_path(path), meta: meta(mode(at)), kind }
    });
    canonical::sort(entries.collect()).expect("no duplicates").into()
}

fn apply(tree: &mut Tree, kinds: &BTreeMap<String, Kind>, mode: impl Fn(usize) -> u32) {
    let below = |path: &str| format!("{path}/");
    for (path, kind) in kinds {
        match kind {
            Kind::Whiteout => tree.retain(|other, _| other != path && !other.starts_with(&below(path))),
            Kind::Directory { opaque: true } => tree.retain(|other, _| !other.starts_with(&below(path))),
            _ => {}
        }
    }
    for (at, (path, kind)) in kinds.iter().enumerate() {
        if *kind == Kind::Whiteout {
            // A whiteout leaves the directories above it, which the layer has, if only to hold it.
            for parent in parents(path) {
                imply(tree, parent);
            }
            continue;
        }
        for parent in parents(path) {
            imply(tree, parent);
        }
        if !matches!(kind, Kind::Directory { .. }) {
            tree.retain(|other, _| !other.starts_with(&below(path)));
        }
        tree.insert(path.clone(), (mode(at), kind.clone()));
    }
}

fn imply(tree: &mut Tree, path: &str) {
    if !matches!(tree.get(path), Some((_, Kind::Directory { .. }))) {
        tree.insert(path.to_owned(), (0o755, Kind::Directory { opaque: false }));
    }
}

fn image_path(text: &str) -> ImagePath {
    ImagePath::parse(text).expect("valid")
}

fn meta(mode: u32) -> Metadata {
    Metadata { mode, ..Metadata::default() }
}

fn shown(entry: &Entry) -> (String, u32, char) {
    let kind = match entry.kind {
        EntryKind::Directory { .. } => 'd',
        EntryKind::File(_) => 'f',
        EntryKind::Symlink(_) => 'l',
        _ => '?',
    };
    (entry.path.to_string()[1..].to_owned(), entry.meta.mode, kind)
}

fn expected(path: &str, node: &(u32, Kind)) -> (String, u32, char) {
    let kind = match node.1 {
        Kind::Directory { .. } => 'd',
        Kind::File => 'f',
        Kind::Symlink(_) => 'l',
        Kind::Whiteout => '?',
    };
    (path.to_owned(), node.0, kind)
}

/// The layers as a store gives them.
fn packed(layers: &[EntryList]) -> Vec<EntryList> {
    let pack = |layer: &EntryList| EntryList::unpack(crate::encode_entries(layer), ContentPlace::Nowhere);
    layers.iter().map(|layer| pack(layer).expect("just packed")).collect()
}

/// Where a path leads, by restarting from the root whenever a link was met.
fn naive_resolve(tree: &Tree, path: &str) -> Option<String> {
    let mut path = path.to_owned();
    'restart: for _ in 0..=40 {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        let mut done: Vec<&str> = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            if *part == ".." {
                done.pop();
                continue;
            }
            done.push(part);
            if let Some((_, Kind::Symlink(target))) = tree.get(&done.join("/")) {
                done.pop();
                let start = if target.starts_with('/') { String::new() } else { done.join("/") };
                path = format!("{start}/{target}/{}", parts[at + 1..].join("/"));
                continue 'restart;
            }
        }
        return Some(done.join("/"));
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merged_view_equals_the_layers_applied_one_by_one(
        drafts in prop::collection::vec(draft(), 1..5),
        asked in prop::collection::vec(path(), 8),
        is_packed in any::<bool>(),
    ) {
        let mut tree = Tree::new();
        let layers = drafts.iter().zip(0..).map(|(draft, number)| build(draft, number, &mut tree)).collect::<Vec<_>>();
        let rootfs = Rootfs::new(if is_packed { packed(&layers) } else { layers });


        let mut all: Vec<_> = tree.iter().map(|(path, node)| expected(path, node)).collect();
        all.sort_by_key(|(path, ..)| image_path(path));
        let walked: Vec<_> = rootfs.walk(&ImagePath::root()).map(shown).collect();
        prop_assert_eq!(&walked, &all);
        let flat: Vec<_> = rootfs.flatten().iter().map(shown).collect();
        prop_assert_eq!(&flat, &all);

        for path in asked.iter().chain(tree.keys()) {
            let at = image_path(path);
            let found = rootfs.lookup(&at).map(shown);
            prop_assert_eq!(found, tree.get(path).map(|node| expected(path, node)), "lookup {}", path);
            let below = format!("{path}/");
            let children: Vec<_> = all
                .iter()
                .filter(|(other, ..)| other.strip_prefix(&below).is_some_and(|rest| !rest.contains('/')))
                .cloned()
                .collect();
            prop_assert_eq!(rootfs.read_dir(&at).into_iter().map(shown).collect::<Vec<_>>(), children);
            let subtree: Vec<_> =
                all.iter().filter(|(other, ..)| other == path || other.starts_with(&below)).cloned().collect();
            prop_assert_eq!(rootfs.walk(&at).map(shown).collect::<Vec<_>>(), subtree);
            // Files in the middle of a path and `..` behind what does not exist are told apart by neither.
            let resolved = rootfs.resolve(&at).ok().map(|path| path.to_string()[1..].to_owned());
            prop_assert_eq!(resolved, naive_resolve(&tree, path), "resolve {}", path);
        }
    }
}
