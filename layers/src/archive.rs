use std::path::PathBuf;

/// A layer archive of which single files are wanted: decompressed at most once, on first use.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
}

impl Archive {
    /// Makes the archive of a blob file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The blob file.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}
