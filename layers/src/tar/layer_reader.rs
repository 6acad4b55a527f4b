use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use super::index::{IndexBuilder, Problem};
use super::member::{ArchiveEntry, ArchiveEntryKind, WhiteoutNames};
use super::reader::ArchiveReader;
use crate::archive::{layer_format, verify_diff_id};
use crate::compress::BoundedReader;
use crate::pipeline::HashedReader;
use crate::{Archive, BlobStore, Cancel, Descriptor, DiffId, Entry, Error, Limits, Result};

/// Reads a layer blob of the store in one pass, and verifies its size and diff ID on the way. (Its own digest was
/// verified before the store took it.)
#[derive(Clone, Copy, Debug)]
pub struct LayerReader<'a> {
    /// Where the blob is.
    pub store: &'a BlobStore,
    /// The blob.
    pub descriptor: &'a Descriptor,
    /// The digest that the uncompressed tar must have.
    pub diff_id: &'a DiffId,
    /// What it may cost.
    pub limits: Limits,
    /// Asked at every member.
    pub cancel: &'a Cancel,
}

impl LayerReader<'_> {
    /// Visits each member in order, with a reader of its content. The diff ID is verified after the last one, so
    /// what the visitor made counts only if this returns without an error.
    pub fn for_each(&self, visit: &mut dyn FnMut(ArchiveEntry, &mut dyn Read) -> Result<()>) -> Result<()> {
        let name = format!("layer {}", self.descriptor.digest);
        let stream = |e| Error::stream(&name, e);
        let mut file = self.store.open_blob(&self.descriptor.digest)?;
        let size = file.metadata().map_err(stream)?.len();
        if size != self.descriptor.size {
            return Err(Error::SizeMismatch { what: name, expected: self.descriptor.size, found: size });
        }
        let format = layer_format(&mut file, &name)?;
        let plain = BoundedReader::new(format, Box::new(file), self.limits, &name).map_err(stream)?;
        let mut plain = HashedReader::new(plain).map_err(stream)?;
        let reader = ArchiveReader {
            name: &name,
            whiteouts: WhiteoutNames::Whiteouts,
            limits: self.limits,
            cancel: self.cancel,
        };
        reader.for_each(&mut plain, visit)?;
        // What follows the end mark belongs to the digest.
        io::copy(&mut plain, &mut io::sink()).map_err(stream)?;
        let hasher = plain.finish().map_err(stream)?;
        verify_diff_id(&name, hasher, self.diff_id)
    }

    /// Reads the layer's members as sorted entries: whiteouts, opaque directories, duplicates, hard links and parents
    /// resolved, contents hashed and left in the blob.
    pub fn index(&self) -> Result<Vec<Entry>> {
        let archive = Arc::new(Archive::of_blob(self.store, self.descriptor, self.diff_id, self.limits));
        let mut builder = IndexBuilder::default();
        self.for_each(&mut |member, content| add(&mut builder, member, content, &archive))?;
        Ok(builder.finish())
    }

    /// As [`LayerReader::index`], with the contents written out in the same pass: `place` gives the file for the one
    /// at an offset of the uncompressed archive, which the entries tell. Inline contents are not written.
    pub fn index_into(&self, place: &dyn Fn(u64) -> io::Result<File>) -> Result<Vec<Entry>> {
        let archive = Arc::new(Archive::of_blob(self.store, self.descriptor, self.diff_id, self.limits));
        let mut builder = IndexBuilder::default();
        self.for_each(&mut |member, content| {
            let ArchiveEntryKind::File { size: 1.., offset: Some(offset) } = member.kind else {
                return add(&mut builder, member, content, &archive);
            };
            let failed = |e| Error::stream(format!("the unpacked content of {}", member.path), e);
            let mut content = Copying { content, file: place(offset).map_err(failed)?, failure: None };
            let outcome = add(&mut builder, member.clone(), &mut content, &archive);
            match content.failure {
                Some(failure) => Err(failed(failure)),
                None => outcome,
            }
        })?;
        Ok(builder.finish())
    }
}

/// Writes what is read to a file, too. A failure to write is kept apart: it says nothing about the archive.
struct Copying<'a> {
    content: &'a mut dyn Read,
    file: File,
    failure: Option<io::Error>,
}

impl Read for Copying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.content.read(buffer)?;
        if let Err(error) = self.file.write_all(&buffer[..length]) {
            let kind = error.kind();
            self.failure = Some(error);
            return Err(kind.into());
        }
        Ok(length)
    }
}

impl ArchiveReader<'_> {
    /// Reads the members of an archive as sorted entries whose contents stay in it. Duplicates, hard links and parents
    /// are resolved; contents are hashed.
    pub fn index(&self, archive: &Arc<Archive>) -> Result<Vec<Entry>> {
        let mut builder = IndexBuilder::default();
        let mut reader = io::BufReader::with_capacity(256 << 10, archive.reader_to_end()?);
        self.for_each(&mut reader, &mut |member, content| add(&mut builder, member, content, archive))?;
        Ok(builder.finish())
    }
}

fn add(builder: &mut IndexBuilder, member: ArchiveEntry, content: &mut dyn Read, archive: &Arc<Archive>) -> Result<()> {
    let path = member.path.clone();
    builder.add(member, content, archive).map_err(|problem| match problem {
        Problem::Bad(problem) => {
            Error::BadArchive { what: archive.name().to_owned(), entry: path.to_string(), problem }
        }
        Problem::Stream(error) => Error::stream(archive.name(), error),
    })
}
