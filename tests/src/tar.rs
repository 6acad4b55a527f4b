//! Tar archives, written header by header, so that they can lie.

/// Where an old tar header has its fields (POSIX.1-2017, pax, "ustar Interchange Format").
const NAME: std::ops::Range<usize> = 0..100;
const MODE: usize = 100;
const UID: usize = 108;
const GID: usize = 116;
const SIZE: usize = 124;
const MTIME: usize = 136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..265;

/// An archive in the making. Names are written as they are given.
#[derive(Clone, Debug, Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    /// Begins an archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a folder.
    #[must_use]
    pub fn dir(self, name: &str) -> Self {
        self.entry(b'5', name, "", 0o755, 0, b"")
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, name: &str, bytes: &[u8]) -> Self {
        self.entry(b'0', name, "", 0o755, bytes.len() as u64, bytes)
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name, target, 0o777, 0, b"")
    }

    /// Adds a hard link.
    #[must_use]
    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name, target, 0o644, 0, b"")
    }

    /// Adds a file whose header promises `size` bytes, whatever follows.
    #[must_use]
    pub fn liar(self, name: &str, size: u64, bytes: &[u8]) -> Self {
        self.entry(b'0', name, "", 0o644, size, bytes)
    }

    /// The archive with its end.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// The archive as if it had been cut off.
    pub fn unfinished(self) -> Vec<u8> {
        self.0
    }

    fn entry(mut self, kind: u8, name: &str, link: &str, mode: u32, size: u64, bytes: &[u8]) -> Self {
        let mut header = [0_u8; 512];
        header[NAME][..name.len()].copy_from_slice(name.as_bytes());
        header[LINK][..link.len()].copy_from_slice(link.as_bytes());
        for (at, width, value) in
            [(MODE, 7, u64::from(mode)), (UID, 7, 0), (GID, 7, 0), (SIZE, 11, size), (MTIME, 11, 1_000_000_000)]
        {
            header[at..at + width].copy_from_slice(format!("{value:0width$o}").as_bytes());
        }
        header[TYPE] = kind;
        header[MAGIC].copy_from_slice(b"ustar\x0000");
        header[CHECKSUM].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }
}
