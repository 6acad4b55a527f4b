//! Sparse files of GNU tar (its manual, "Storing Sparse Files"): the old format and the three PAX ones. Content comes
//! out dense.

use std::io::{self, Read};

use tar::{GnuExtSparseHeader, GnuHeader, GnuSparseHeader};

use super::pax::Records;
use super::reader::Blocks;

/// Where the stored pieces of a sparse file belong, and how long it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SparseMap {
    pub(crate) size: u64,
    /// Offset and length of each piece, in order, without overlaps.
    pieces: Vec<(u64, u64)>,
}

/// Most pieces of one file; a map of them has about the size that other records may have.
const MOST_PIECES: usize = 1 << 16;

impl SparseMap {
    /// The map of PAX formats 0.0 and 0.1; `None` where the records have none.
    pub(crate) fn from_records(records: &Records) -> Result<Option<Self>, String> {
        let mut numbers = Vec::new();
        if let Some(map) = records.get(b"GNU.sparse.map") {
            for text in map.split(|&b| b == b',') {
                numbers.push(number(text)?);
            }
        } else {
            for (name, value) in records.iter() {
                if matches!(name, b"GNU.sparse.offset" | b"GNU.sparse.numbytes") {
                    numbers.push(number(value)?);
                }
            }
        }
        let Some(size) = records.get(b"GNU.sparse.size") else { return Ok(None) };
        Self::new(number(size)?, &numbers).map(Some)
    }

    /// The map of PAX format 1.0, which stands before the data; gives it and the bytes it takes.
    pub(crate) fn from_data(records: &Records, blocks: &mut Blocks<'_>) -> Result<(Self, u64), String> {
        let size = number(records.get(b"GNU.sparse.realsize").ok_or("its sparse map has no size")?)?;
        let mut text = Vec::new();
        let mut numbers = Vec::new();
        let mut wanted = None;
        let mut taken = 0;
        loop {
            let block = blocks.next_block().map_err(|e| e.to_string())?.ok_or("its sparse map is cut off")?;
            taken += block.len() as u64;
            for byte in block {
                if byte != b'\n' {
                    text.push(byte);
                    if text.len() > 20 {
                        return Err("its sparse map is damaged".into());
                    }
                    continue;
                }
                let value = number(&text)?;
                text.clear();
                match wanted {
                    None if value > MOST_PIECES as u64 => return Err("its sparse map is too long".into()),
                    None => wanted = Some(value * 2),
                    Some(_) => numbers.push(value),
                }
                if wanted == Some(numbers.len() as u64) {
                    // The rest of the block is padding.
                    return Ok((Self::new(size, &numbers)?, taken));
                }
            }
        }
    }

    /// The map of the old format: in the header, and in blocks after it.
    pub(crate) fn from_header(header: &GnuHeader, blocks: &mut Blocks<'_>) -> Result<Self, String> {
        let mut numbers = Vec::new();
        let mut add = |piece: &GnuSparseHeader| -> Result<(), String> {
            if !piece.is_empty() {
                numbers.push(piece.offset().map_err(|e| e.to_string())?);
                numbers.push(piece.length().map_err(|e| e.to_string())?);
            }
            if numbers.len() > 2 * MOST_PIECES { Err("its sparse map is too long".into()) } else { Ok(()) }
        };
        header.sparse.iter().try_for_each(&mut add)?;
        let mut more = header.is_extended();
        while more {
            let block = blocks.next_block().map_err(|e| e.to_string())?.ok_or("its sparse map is cut off")?;
            let mut extension = GnuExtSparseHeader::new();
            extension.as_mut_bytes().copy_from_slice(&block);
            extension.sparse.iter().try_for_each(&mut add)?;
            more = extension.is_extended();
        }
        Self::new(header.real_size().map_err(|e| e.to_string())?, &numbers)
    }

    fn new(size: u64, numbers: &[u64]) -> Result<Self, String> {
        if !numbers.len().is_multiple_of(2) || numbers.len() > 2 * MOST_PIECES {
            return Err("its sparse map is damaged".into());
        }
        let mut pieces = Vec::new();
        let mut end = 0;
        for pair in numbers.chunks_exact(2) {
            let (offset, length) = (pair[0], pair[1]);
            let next = offset.checked_add(length).filter(|&next| next <= size && offset >= end);
            end = next.ok_or("its sparse map is out of order")?;
            pieces.push((offset, length));
        }
        Ok(Self { size, pieces })
    }

    /// Bytes that are stored.
    pub(crate) fn stored(&self) -> u64 {
        self.pieces.iter().map(|(_, length)| length).sum()
    }
}

fn number(text: &[u8]) -> Result<u64, String> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| "a number of its sparse map is damaged".into())
}

/// Reads a sparse file's content, holes as zeros.
pub(crate) struct SparseReader<'a> {
    pub(crate) stored: &'a mut dyn Read,
    pub(crate) map: &'a SparseMap,
    pub(crate) position: u64,
    pub(crate) piece: usize,
}

impl Read for SparseReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(&(offset, length)) = self.map.pieces.get(self.piece)
            && self.position >= offset + length
        {
            self.piece += 1;
        }
        let (end, in_piece) = match self.map.pieces.get(self.piece) {
            Some(&(offset, length)) if self.position >= offset => (offset + length, true),
            Some(&(offset, _)) => (offset, false),
            None => (self.map.size, false),
        };
        let most = usize::try_from(end - self.position).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..most];
        let length = if in_piece {
            self.stored.read(buffer)?
        } else {
            buffer.fill(0);
            most
        };
        if in_piece && length == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off"));
        }
        self.position += length as u64;
        Ok(length)
    }
}
