/// What an untrusted archive may cost (linux.md §4.3, last line).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes after decompression, and bytes of all files.
    pub unpacked: u64,
    /// Number of entries.
    pub entries: u64,
    /// Decompressed bytes for each compressed byte.
    pub ratio: u64,
    /// Bytes of extended attributes and other PAX records of one entry.
    pub records: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unpacked: 16 << 30, entries: 4_000_000, ratio: 1000, records: 1 << 20 }
    }
}
