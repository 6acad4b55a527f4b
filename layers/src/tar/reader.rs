use std::io::{self, Read};

use tar::Header;

use super::header::{BLOCK, padding};
use super::member::{ArchiveEntry, RawMember, WhiteoutNames, has_checksum, size_of};
use super::pax::Records;
use super::sparse::{SparseMap, SparseReader};
use crate::{Cancel, Error, Limits, Result};

/// Reads uncompressed tar archives: ustar, PAX and GNU forms.
///
/// The blocks are framed here, headers are taken apart by the crate `tar`: an archive of a stranger must have only one
/// reading, bounded memory, and every extension either applied or refused.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveReader<'a> {
    /// What the archive is called in messages.
    pub name: &'a str,
    /// Whether `.wh.` names have their meaning.
    pub whiteouts: WhiteoutNames,
    /// What it may cost.
    pub limits: Limits,
    /// Asked at every member.
    pub cancel: &'a Cancel,
}

/// What visits the members of an archive: the member and its content.
pub(super) type Visit<'v> = dyn FnMut(ArchiveEntry, &mut dyn Read) -> Result<()> + 'v;

/// Longest name or link target of a GNU header; a path of an image has at most 4096 bytes.
const LONG_NAME: u64 = 64 << 10;

impl ArchiveReader<'_> {
    /// Visits each member in order, with a reader of its content. What the visitor leaves unread is skipped.
    pub fn for_each(
        &self,
        reader: &mut dyn Read,
        visit: &mut dyn FnMut(ArchiveEntry, &mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let mut blocks = Blocks { inner: reader, position: 0 };
        let mut global = Records::default();
        let mut totals = Totals::default();
        while let Some(member) = self.next_member(&mut blocks, &mut global)? {
            self.cancel.check()?;
            totals.members += 1;
            if totals.members > self.limits.entries {
                return Err(self.limit("the number of entries", format!("{}", self.limits.entries)));
            }
            self.visit_member(&member, &mut blocks, &mut totals, visit)?;
        }
        Ok(())
    }

    fn visit_member(
        &self,
        member: &RawMember,
        blocks: &mut Blocks<'_>,
        totals: &mut Totals,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        let bad = |problem: String| self.bad(&member.name(), problem);
        let mut stored = member.stored_size().map_err(bad)?;
        let end_padding = padding(stored);
        let sparse = if member.header.as_bytes()[156] == b'S' {
            let header = member.header.as_gnu().ok_or_else(|| bad("it is sparse, but not of the GNU form".into()))?;
            Some(SparseMap::from_header(header, blocks).map_err(bad)?)
        } else if member.records.get(b"GNU.sparse.major") == Some(b"1") {
            let (map, taken) = SparseMap::from_data(&member.records, blocks).map_err(bad)?;
            stored = stored.checked_sub(taken).ok_or_else(|| bad("its sparse map is longer than its data".into()))?;
            Some(map)
        } else {
            SparseMap::from_records(&member.records).map_err(bad)?
        };
        if sparse.as_ref().is_some_and(|map| map.stored() != stored) {
            return Err(bad("its sparse map does not fit its data".into()));
        }
        let (size, offset) = match &sparse {
            Some(map) => (map.size, None),
            None => (stored, Some(blocks.position)),
        };
        totals.bytes = totals.bytes.saturating_add(size);
        if totals.bytes > self.limits.unpacked {
            return Err(self.limit("the unpacked size", format!("{} bytes", self.limits.unpacked)));
        }
        let mut data = Content { blocks, left: stored };
        if let Some(entry) = member.judge(self.whiteouts, size, offset).map_err(bad)? {
            match &sparse {
                Some(map) => visit(entry, &mut SparseReader { stored: &mut data, map, position: 0, piece: 0 })?,
                None => visit(entry, &mut data)?,
            }
        }
        let left = data.left + end_padding as u64;
        blocks.skip(left).map_err(|e| self.stream(e))
    }

    /// Reads headers up to one that describes a member.
    fn next_member(&self, blocks: &mut Blocks<'_>, global: &mut Records) -> Result<Option<RawMember>> {
        let mut records: Option<Records> = None;
        let mut long_name = None;
        let mut long_link = None;
        loop {
            let Some(block) = self.next_header(blocks)? else {
                if records.is_some() || long_name.is_some() || long_link.is_some() {
                    return Err(self.bad(b"", "the archive ends after a header that describes a further entry".into()));
                }
                return Ok(None);
            };
            let header = Header::from_byte_slice(&block);
            let name = header.path_bytes();
            let twice = |taken: bool| match taken {
                true => Err(self.bad(&name, "two headers of the same type describe one entry".into())),
                false => Ok(()),
            };
            match block[156] {
                b'x' => {
                    twice(records.is_some())?;
                    records = Some(self.read_records(blocks, &block, &name)?);
                }
                b'g' => {
                    let found = self.read_records(blocks, &block, &name)?;
                    self.check_global(&found, &name)?;
                    let mut all = found;
                    all.put_before(global);
                    *global = all;
                    // Repeated global headers must not pile up.
                    if global.iter().count() > 1000 {
                        return Err(self.limit("the number of global records", "1000".into()));
                    }
                }
                b'L' => {
                    twice(long_name.is_some())?;
                    long_name = Some(self.read_long(blocks, &block, &name)?);
                }
                b'K' => {
                    twice(long_link.is_some())?;
                    long_link = Some(self.read_long(blocks, &block, &name)?);
                }
                // The label of a volume (GNU).
                b'V' => drop(self.read_long(blocks, &block, &name)?),
                _ => {
                    let mut records = records.unwrap_or_default();
                    if !global.is_empty() {
                        records.put_before(global);
                    }
                    return Ok(Some(RawMember { header: header.clone(), records, long_name, long_link }));
                }
            }
        }
    }

    /// The next header block; `None` at the end mark or where the archive ends without one.
    fn next_header(&self, blocks: &mut Blocks<'_>) -> Result<Option<[u8; BLOCK]>> {
        let Some(block) = blocks.next_block().map_err(|e| self.stream(e))? else { return Ok(None) };
        if block.iter().all(|&b| b == 0) {
            return match blocks.next_block().map_err(|e| self.stream(e))? {
                Some(second) if second.iter().any(|&b| b != 0) => {
                    Err(self.bad(b"", "one block of zeros stands where the end has two".into()))
                }
                _ => Ok(None),
            };
        }
        if !has_checksum(&block) {
            let at = blocks.position - BLOCK as u64;
            return Err(self.bad(b"", format!("there is no header at offset {at}: it is damaged or no tar archive")));
        }
        Ok(Some(block))
    }

    fn read_records(&self, blocks: &mut Blocks<'_>, block: &[u8; BLOCK], name: &[u8]) -> Result<Records> {
        let body = self.read_extension(blocks, block, name, self.limits.records)?;
        Records::parse(&body).map_err(|problem| self.bad(name, problem))
    }

    fn read_long(&self, blocks: &mut Blocks<'_>, block: &[u8; BLOCK], name: &[u8]) -> Result<Vec<u8>> {
        let mut text = self.read_extension(blocks, block, name, LONG_NAME)?;
        while text.last() == Some(&0) {
            text.pop();
        }
        Ok(text)
    }

    fn read_extension(&self, blocks: &mut Blocks<'_>, block: &[u8; BLOCK], name: &[u8], limit: u64) -> Result<Vec<u8>> {
        let size = size_of(block).ok_or_else(|| self.bad(name, "its size is damaged".into()))?;
        if size > limit {
            return Err(self.bad(name, format!("its extended header has {size} bytes, the limit is {limit}")));
        }
        let mut body = Vec::new();
        Content { blocks, left: size }.read_to_end(&mut body).map_err(|e| self.stream(e))?;
        blocks.skip(padding(size) as u64).map_err(|e| self.stream(e))?;
        Ok(body)
    }

    /// A global header may set defaults for owners and times, and comments; what only one entry can have is refused.
    fn check_global(&self, records: &Records, name: &[u8]) -> Result<()> {
        let single = |name: &[u8]| {
            matches!(name, b"path" | b"linkpath" | b"size")
                || name.starts_with(b"GNU.sparse.")
                || name.starts_with(b"SCHILY.")
                || name.starts_with(b"MSWINDOWS.")
        };
        match records.iter().find(|(record, _)| single(record)) {
            None => Ok(()),
            Some((record, _)) => {
                let record = String::from_utf8_lossy(record);
                Err(self.bad(name, format!("a global header sets {record:?} for all entries, which is refused")))
            }
        }
    }

    pub(super) fn bad(&self, entry: &[u8], problem: String) -> Error {
        let entry: String = String::from_utf8_lossy(entry).chars().take(300).collect();
        Error::BadArchive { what: self.name.to_owned(), entry, problem }
    }

    pub(super) fn stream(&self, source: io::Error) -> Error {
        Error::stream(self.name, source)
    }

    fn limit(&self, what: &str, limit: String) -> Error {
        Error::Limit { what: format!("{what} of {}", self.name), limit }
    }
}

#[derive(Default)]
struct Totals {
    members: u64,
    bytes: u64,
}

/// The bytes of an archive and how many of them were read.
pub(super) struct Blocks<'a> {
    inner: &'a mut dyn Read,
    position: u64,
}

impl Blocks<'_> {
    /// The next block; `None` at the end, an error in the middle of a block.
    pub(super) fn next_block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(cut_off()),
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(block))
    }

    fn skip(&mut self, mut left: u64) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            match self.read(&mut buffer[..most]) {
                Ok(0) => return Err(cut_off()),
                Ok(length) => left -= length as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Blocks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.position += length as u64;
        Ok(length)
    }
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off")
}

/// The stored content of one member.
struct Content<'a, 'b> {
    blocks: &'a mut Blocks<'b>,
    left: u64,
}

impl Read for Content<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let length = self.blocks.read(&mut buffer[..most])?;
        if length == 0 {
            return Err(cut_off());
        }
        self.left -= length as u64;
        Ok(length)
    }
}
