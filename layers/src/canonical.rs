use crate::{Entry, EntryKind, Error, LayerId, Result, TimesInId};

/// Puts entries in the order of their paths (linux.md §4.4), a whiteout before an entry of the same path.
pub(crate) fn sort(mut entries: Vec<Entry>) -> Result<Vec<Entry>> {
    entries.sort_by(|a, b| a.path.cmp(&b.path).then_with(|| is_whiteout(b).cmp(&is_whiteout(a))));
    for pair in entries.windows(2) {
        if pair[0].path == pair[1].path && is_whiteout(&pair[0]) == is_whiteout(&pair[1]) {
            return Err(Error::Internal(format!("two entries for {} in one layer", pair[0].path)));
        }
    }
    Ok(entries)
}

fn is_whiteout(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Whiteout)
}

/// What the hashed bytes begin with.
const HEADER: &[u8] = b"strake layer entries 1\0";

/// The identity of a layer: BLAKE3 over a serialisation in which every field has a fixed place and length.
pub(crate) fn layer_id(entries: &[Entry], times: TimesInId) -> Result<LayerId> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(HEADER);
    let mut line = Vec::with_capacity(256);
    for entry in entries {
        line.clear();
        write_entry(&mut line, entry, times)?;
        hasher.update(&(line.len() as u64).to_le_bytes());
        hasher.update(&line);
    }
    Ok(LayerId(*hasher.finalize().as_bytes()))
}

/// The identity of a layer without entries.
pub(crate) fn empty_id() -> LayerId {
    LayerId(*blake3::hash(HEADER).as_bytes())
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry, times: TimesInId) -> Result<()> {
    let bytes = |out: &mut Vec<u8>, data: &[u8]| {
        out.extend_from_slice(&(data.len() as u64).to_le_bytes());
        out.extend_from_slice(data);
    };
    bytes(out, entry.path.as_bytes());
    let meta = &entry.meta;
    for number in [meta.mode, meta.uid, meta.gid] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    if times == TimesInId::Counted {
        out.extend_from_slice(&meta.mtime.seconds.to_le_bytes());
        out.extend_from_slice(&meta.mtime.nanos.to_le_bytes());
    }
    out.extend_from_slice(&(meta.xattrs.len() as u64).to_le_bytes());
    for (name, value) in &meta.xattrs {
        bytes(out, name);
        bytes(out, value);
    }
    let records = meta.windows.as_ref().map_or(0, |windows| windows.records.len());
    out.extend_from_slice(&(records as u64).to_le_bytes());
    if let Some(windows) = &meta.windows {
        for (name, value) in &windows.records {
            // The times of Windows records follow the same rule as `mtime`.
            if times == TimesInId::Counted || name.starts_with("MSWINDOWS.") {
                bytes(out, name.as_bytes());
                bytes(out, value);
            }
        }
    }
    match &entry.kind {
        EntryKind::Directory { opaque, implicit } => {
            out.extend_from_slice(&[b'd', u8::from(*opaque), u8::from(*implicit)]);
        }
        EntryKind::File(content) => {
            let hash = content.hash.ok_or_else(|| Error::Internal(format!("{} has no content hash", entry.path)))?;
            out.push(b'f');
            out.extend_from_slice(&content.size.to_le_bytes());
            out.extend_from_slice(&hash.0);
        }
        EntryKind::Symlink(target) => {
            out.push(b'l');
            bytes(out, target);
        }
        EntryKind::HardLink(target) => {
            out.push(b'h');
            bytes(out, target.as_bytes());
        }
        EntryKind::CharDevice(number) | EntryKind::BlockDevice(number) => {
            out.push(if matches!(entry.kind, EntryKind::CharDevice(_)) { b'c' } else { b'b' });
            out.extend_from_slice(&number.major.to_le_bytes());
            out.extend_from_slice(&number.minor.to_le_bytes());
        }
        EntryKind::Fifo => out.push(b'p'),
        EntryKind::Whiteout => out.push(b'w'),
    }
    Ok(())
}
