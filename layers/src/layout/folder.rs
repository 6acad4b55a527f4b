use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use oci_spec::image::ANNOTATION_REF_NAME;

use super::{ANNOTATION_IMAGE_NAME, INDEX_FILE, LAYOUT_FILE, Layout, blob_name, folders, index_file, layout_file};
use crate::image::parse_json;
use crate::{Cancel, DOCUMENT_LIMIT, Descriptor, Error, HostDir, ImagePath, Index, Result};

impl Layout<'_> {
    /// Writes an OCI layout as a folder. A new folder appears whole or not at all. In a layout that exists, all files are
    /// written beside and then renamed, `index.json` last; images under other names stay in it (edges.md 4).
    pub fn write_folder(&self, path: impl AsRef<Path>, cancel: &Cancel) -> Result<()> {
        let path = path.as_ref();
        if path.exists() {
            let entries = merge(read_index(path)?, self.index_entries());
            let staging = Staging::create(path, ".strake")?;
            self.fill(&staging.path, entries, cancel)?;
            return self.move_into(&staging.path, path);
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(|e| Error::host("create", parent, e))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let staging = Staging::create(parent, &format!(".{name}"))?;
        self.fill(&staging.path, self.index_entries(), cancel)?;
        fs::rename(&staging.path, path).map_err(|e| Error::host("rename the finished layout to", path, e))
    }

    /// Writes all files of the layout into an empty folder.
    fn fill(&self, folder: &Path, entries: Vec<Descriptor>, cancel: &Cancel) -> Result<()> {
        for name in folders(self.blobs.keys()) {
            let path = folder.join(name);
            fs::create_dir(&path).map_err(|e| Error::host("create", path, e))?;
        }
        for (digest, size) in &self.blobs {
            let path = folder.join(blob_name(digest));
            write_file(&path, |out| self.copy_blob(digest, *size, out, cancel))?;
        }
        let small = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            write_file(&path, |out| out.write_all(bytes).map_err(|e| Error::host("write", &path, e)))
        };
        small(LAYOUT_FILE, &layout_file()?)?;
        small(INDEX_FILE, &index_file(entries)?.bytes)
    }

    fn move_into(&self, staging: &Path, target: &Path) -> Result<()> {
        for name in folders(self.blobs.keys()) {
            let path = target.join(name);
            fs::create_dir_all(&path).map_err(|e| Error::host("create", path, e))?;
        }
        let small = [LAYOUT_FILE.to_owned(), INDEX_FILE.to_owned()];
        for name in self.blobs.keys().map(blob_name).chain(small) {
            let path = target.join(&name);
            fs::rename(staging.join(&name), &path).map_err(|e| Error::host("write", path, e))?;
        }
        Ok(())
    }
}

/// Writes a file and waits until the disk has it.
fn write_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let mut file = File::create_new(path).map_err(|e| Error::host("create", path, e))?;
    write(&mut file)?;
    file.sync_all().map_err(|e| Error::host("write", path, e))
}

/// The images that a layout lists; none where there is no layout yet.
fn read_index(folder: &Path) -> Result<Vec<Descriptor>> {
    let directory = HostDir::open(folder)?;
    let name = ImagePath::parse(INDEX_FILE).map_err(|error| Error::Internal(error.to_string()))?;
    let file = match directory.open_file(&name) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let path = folder.join(INDEX_FILE);
    let mut bytes = Vec::new();
    let read = io::Read::read_to_end(&mut io::Read::take(file, DOCUMENT_LIMIT + 1), &mut bytes);
    read.map_err(|e| Error::host("read", &path, e))?;
    let index: Index = parse_json(&bytes, &path.display().to_string())?;
    Ok(index.manifests)
}

/// Puts new entries to those that a layout has. They replace entries of their names; one without a name replaces another.
fn merge(earlier: Vec<Descriptor>, new: Vec<Descriptor>) -> Vec<Descriptor> {
    let name = |entry: &Descriptor| {
        let annotation = |key: &str| entry.annotations.get(key).cloned();
        (annotation(ANNOTATION_IMAGE_NAME), annotation(ANNOTATION_REF_NAME))
    };
    let mut entries = earlier;
    entries.retain(|entry| !new.iter().any(|other| name(other) == name(entry) && other.platform == entry.platform));
    entries.extend(new);
    entries
}

/// A folder that is removed with all that is left in it.
struct Staging {
    path: PathBuf,
}

impl Staging {
    /// Makes a folder with a name of its own, readable as the user's mask allows.
    fn create(parent: &Path, prefix: &str) -> Result<Self> {
        let prefix: String = prefix.chars().take(40).collect();
        // The names of this process do not collide with each other, those of others show as existing.
        for number in 0..10_000 {
            let path = parent.join(format!("{prefix}.{}-{number}.tmp", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::host("create a folder in", parent, error)),
            }
        }
        Err(Error::host("create a folder in", parent, io::ErrorKind::AlreadyExists.into()))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a success there is nothing; after a failure the first error is the one to tell.
        drop(fs::remove_dir_all(&self.path));
    }
}
