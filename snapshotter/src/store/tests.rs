use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use strake_layers::{Descriptor, DiffId, Digest, Entry, ImagePath, Layer, LayerId, Metadata};

use super::*;
use crate::{CopySnapshotter, Snapshotter};

fn open(root: &Path) -> Store {
    Store::open(root, StoreOptions::default()).unwrap()
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store"));
    (dir, store)
}

fn record(key: u8, group: &str) -> Record {
    Record { kind: "step".into(), key: [key; 32], group: group.into(), bytes: vec![key], cost: Duration::from_secs(1) }
}

fn descriptor(digest: &Digest) -> Descriptor {
    let text = format!(r#"{{"mediaType":"application/octet-stream","digest":"{digest}","size":1}}"#);
    serde_json::from_str(&text).unwrap()
}

fn layer(name: &str) -> Layer {
    let path = ImagePath::parse(name).unwrap();
    Layer::from_plan(vec![Entry::inline_file(path, Metadata { mode: 0o644, ..Metadata::default() }, vec![b'x'; 5000])])
        .unwrap()
}

#[test]
fn records_are_kept_replaced_and_found_by_group() {
    let (dir, store) = store();
    store.put_record(&record(1, "a")).unwrap();
    store.put_record(&record(2, "a")).unwrap();
    store.put_record(&Record { bytes: b"new".to_vec(), ..record(1, "a") }).unwrap();
    drop(store);
    let store = open(&dir.path().join("store"));
    assert_eq!(store.get_record("step", &[1; 32]).unwrap().unwrap(), b"new");
    assert_eq!(store.get_record("other", &[1; 32]).unwrap(), None);
    assert_eq!(store.recent_records("step", "a", 9).unwrap().len(), 2);
    assert_eq!(store.recent_records("step", "a", 1).unwrap().len(), 1);
    assert_eq!(store.recent_records("step", "b", 9).unwrap(), []);
    store.remove_record("step", &[1; 32]).unwrap();
    assert_eq!(store.get_record("step", &[1; 32]).unwrap(), None);
}

#[test]
fn several_handles_write_at_once() {
    let (dir, store) = store();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let root = dir.path().join("store");
            std::thread::spawn(move || {
                let store = open(&root);
                (0..25).for_each(|n| store.put_record(&record(thread * 25 + n, "a")).unwrap());
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(store.recent_records("step", "a", 1000).unwrap().len(), 100);
}

#[test]
fn a_blob_is_remembered_while_it_is_there() {
    let (_dir, store) = store();
    let (layer, diff_id) = (LayerId([7; 32]), DiffId(Digest::of(b"tar")));
    let digest = store.blobs().put(b"compressed").unwrap();
    store.remember_blob(layer, "gzip-4", &diff_id, &descriptor(&digest)).unwrap();
    assert_eq!(store.blob_for(layer, "gzip-4").unwrap(), Some((diff_id.clone(), descriptor(&digest))));
    assert_eq!(store.any_blob_for(layer).unwrap(), Some((diff_id.clone(), descriptor(&digest))));
    assert_eq!(store.blob_for(layer, "zstd-3").unwrap(), None);
    store.blobs().remove(&digest).unwrap();
    assert_eq!(store.blob_for(layer, "gzip-4").unwrap(), None);
    assert_eq!(store.diff_id_of(layer).unwrap(), Some(diff_id));
}

#[test]
fn images_are_listed_by_name_and_survive_the_index() {
    let (dir, store) = store();
    let digest = Digest::of(b"m");
    let image = |name: &str| ImageRecord {
        name: name.into(),
        manifest: descriptor(&digest),
        blobs: vec![],
        layers: vec![],
        created: 1,
    };
    let long = format!("registry.example/{}:1", "x/".repeat(200));
    store.put_image(&image("docker.io/library/b:1")).unwrap();
    store.put_image(&image("docker.io/library/a:1")).unwrap();
    store.put_image(&image(&long)).unwrap();
    drop(store);
    let root = dir.path().join("store");
    fs::write(root.join("index.sqlite"), vec![b'?'; 4096]).unwrap();
    let store = open(&root);
    let names: Vec<_> = store.list_images().unwrap().into_iter().map(|image| image.name).collect();
    assert_eq!(names, ["docker.io/library/a:1", "docker.io/library/b:1", &long]);
    assert_eq!(store.image("docker.io/library/a:1").unwrap(), Some(image("docker.io/library/a:1")));
    assert!(store.remove_image("docker.io/library/a:1").unwrap());
    assert!(!store.remove_image("docker.io/library/a:1").unwrap());
}

#[test]
fn one_execution_per_key() {
    let (dir, store) = store();
    let held = store.lock_key(&[1; 32]).unwrap();
    let other = open(&dir.path().join("store"));
    drop(other.lock_key(&[2; 32]).unwrap());
    let waiter = std::thread::spawn(move || drop(other.lock_key(&[1; 32]).unwrap()));
    assert!(!waiter.is_finished());
    drop(held);
    waiter.join().unwrap();
}

#[test]
fn what_a_dead_process_left_goes_at_the_next_start_and_no_more() {
    let (dir, store) = store();
    let root = dir.path().join("store");
    let living = store.upper().unwrap();
    // As a killed process leaves it: the folder and its lock file, which nobody holds.
    fs::create_dir(root.join("uppers/sdead")).unwrap();
    fs::write(root.join("uppers/sdead.lock"), "").unwrap();
    fs::write(root.join("uppers/sdead/f"), "x").unwrap();
    // A folder without a lock file may be in the making while others have the store open.
    fs::create_dir(root.join("tmp/sodd")).unwrap();
    drop(open(&root));
    assert!(living.path().is_dir());
    assert!(!root.join("uppers/sdead").exists() && !root.join("uppers/sdead.lock").exists());
    assert!(root.join("tmp/sodd").exists());
    drop(living);
    drop(store);
    drop(open(&root));
    assert!(!root.join("tmp/sodd").exists());
    assert_eq!(fs::read_dir(root.join("uppers")).unwrap().count(), 0);
}

#[test]
fn pruning_spares_what_images_and_builds_need() {
    let (_dir, store) = store();
    let store = Arc::new(store);
    let snapshotter = CopySnapshotter::new(Arc::clone(&store));
    let kept = layer("kept");
    let gone = layer("gone");
    for layer in [&kept, &gone] {
        snapshotter.materialise(layer, None).unwrap();
    }
    let pinned = store.blobs().put(b"pinned").unwrap();
    let loose = store.blobs().put(b"loose").unwrap();
    let image = ImageRecord {
        name: "a".into(),
        manifest: descriptor(&pinned),
        blobs: vec![],
        layers: vec![kept.id()],
        created: 1,
    };
    store.put_image(&image).unwrap();

    let dry = store.prune(&PruneOptions { dry_run: true, ..PruneOptions::default() }).unwrap();
    assert_eq!(dry.removed.len(), 2, "{dry:?}");
    assert!(dry.bytes > 5000);
    let young = PruneOptions { until: Some(Duration::from_secs(3600)), ..PruneOptions::default() };
    assert_eq!(store.prune(&young).unwrap(), PruneReport::default());
    let lease = store.lease().unwrap();
    let fresh = store.blobs().put(b"fresh").unwrap();
    assert!(store.use_blob(&loose) && store.use_layer(gone.id()));
    assert_eq!(store.prune(&PruneOptions::default()).unwrap(), PruneReport::default());
    drop(lease);
    let plenty = PruneOptions { keep_storage: Some(u64::MAX), ..PruneOptions::default() };
    assert_eq!(store.prune(&plenty).unwrap(), PruneReport::default());

    assert_eq!(store.prune(&PruneOptions::default()).unwrap().removed.len(), 3);
    assert!(store.blobs().contains(&pinned) && !store.blobs().contains(&loose) && !store.blobs().contains(&fresh));
    assert!(store.use_layer(kept.id()) && !store.use_layer(gone.id()));
    assert_eq!(store.list_images().unwrap().len(), 1);

    store.put_record(&record(1, "a")).unwrap();
    store.prune(&PruneOptions { all: true, ..PruneOptions::default() }).unwrap();
    assert_eq!(store.list_images().unwrap(), []);
    assert!(!store.use_layer(kept.id()));
    assert_eq!(store.get_record("step", &[1; 32]).unwrap(), None);
    assert_eq!(store.disk_usage().unwrap().trees.min(9000), store.disk_usage().unwrap().trees);
}

#[test]
fn entries_come_back_with_their_contents() {
    let (_dir, store) = store();
    let store = Arc::new(store);
    let layer = layer("f");
    assert!(store.load_entries(layer.id()).unwrap().is_none());
    CopySnapshotter::new(Arc::clone(&store)).materialise(&layer, None).unwrap();
    let kept = store.load_entries(layer.id()).unwrap().unwrap();
    assert!(kept.has_contents());
    assert_eq!(Layer::from_plan(kept.to_vec()).unwrap().id(), layer.id());
    // A damaged list counts as none.
    fs::write(store.layout.layer(layer.id()).join("entries"), "damaged").unwrap();
    assert!(store.load_entries(layer.id()).unwrap().is_none());
}

#[test]
fn an_index_of_another_schema_is_refused() {
    let (dir, store) = store();
    store.index.with(|connection| connection.pragma_update(None, "user_version", 99)).unwrap();
    drop(store);
    let error = Store::open(&dir.path().join("store"), StoreOptions::default()).unwrap_err();
    let place = dir.path().join("store").display().to_string();
    insta::assert_snapshot!(error.to_string().replace(&place, "STORE"), @r#"the store STORE has the layout "index 99", which this version of strake does not know"#);
}

#[test]
fn after_a_restart_only_what_was_synced_is_trusted() {
    let (dir, store) = store();
    let root = dir.path().join("store");
    let (old, new) = (layer("old"), layer("new"));
    let store = Arc::new(store);
    let snapshotter = CopySnapshotter::new(Arc::clone(&store));
    snapshotter.materialise(&old, None).unwrap();
    let time = std::time::SystemTime::now() - Duration::from_secs(60);
    let list = root.join(format!("trees/{}/entries", old.id()));
    fs::File::options().write(true).open(list).unwrap().set_modified(time).unwrap();
    store.sync_cache().unwrap();
    snapshotter.materialise(&new, None).unwrap();
    // The disk was waited for a moment ago: cache may stay in memory.
    store.sync_cache().unwrap();
    let good = store.blobs().put(b"good").unwrap();
    let bad = store.blobs().put(b"bad").unwrap();
    fs::write(store.blobs().path(&bad), "").unwrap();
    drop((snapshotter, store));
    if !root.join("boot").exists() {
        return;
    }
    fs::write(root.join("boot"), "another boot").unwrap();
    let store = open(&root);
    assert!(store.use_layer(old.id()) && !store.use_layer(new.id()));
    assert!(store.blobs().contains(&good) && !store.blobs().contains(&bad));
}

#[test]
fn a_kept_result_of_the_cache_is_synced_when_what_it_came_from_was_not() {
    let (dir, store) = store();
    let unsynced = dir.path().join("store/unsynced");
    store.sync_found().unwrap();
    assert!(!dir.path().join("store/synced").exists(), "nothing was there to be synced");
    store.sync_cache().unwrap();
    assert!(!unsynced.exists(), "the first one waits");
    store.sync_cache().unwrap();
    assert!(unsynced.exists());
    store.sync_found().unwrap();
    assert!(!unsynced.exists());
}
