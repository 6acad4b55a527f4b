use crate::{ContentSource, Entry, Error, ImagePath, Result};

/// Serialises entries for the store. Where contents lie is left out, but for small inline ones and for offsets in an
/// archive.
pub fn encode_entries(entries: &[Entry]) -> Vec<u8> {
    let _ = entries;
    Vec::new()
}

/// Reads what [`encode_entries`] made. `source` gives the place of each file's content: path, size, offset in the
/// layer's archive where one was recorded.
pub fn decode_entries(
    bytes: &[u8],
    source: &dyn Fn(&ImagePath, u64, Option<u64>) -> ContentSource,
) -> Result<Vec<Entry>> {
    let _ = (bytes, source);
    Err(Error::Unsupported("reading entries is not there yet".into()))
}
