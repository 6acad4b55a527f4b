use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::{Error, Result};

/// A file that appears whole or not at all: written beside, synced, renamed (edges.md 4).
///
/// Dropped without [`OutputFile::commit`], it leaves an earlier file of that name as it was. A pipe or device is written to
/// directly.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Beside(NamedTempFile<File>),
    Direct(File),
}

impl OutputFile {
    /// Begins the file `path`. A link is followed; the folder must exist.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let given = path.as_ref();
        let path = fs::canonicalize(given).unwrap_or_else(|_| given.to_owned());
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => return Err(Error::host("write", path, io::ErrorKind::IsADirectory.into())),
            Ok(meta) if !meta.is_file() => {
                let file = OpenOptions::new().write(true).open(&path).map_err(|e| Error::host("open", &path, e))?;
                return Ok(Self { path, target: Target::Direct(file) });
            }
            _ => {}
        }
        let file = create_beside(&path)?;
        Ok(Self { path, target: Target::Beside(file) })
    }

    /// Puts the file in its place.
    pub fn commit(self) -> Result<()> {
        match self.target {
            Target::Direct(_) => Ok(()),
            Target::Beside(file) => {
                file.as_file().sync_all().map_err(|e| Error::host("write", &self.path, e))?;
                file.persist(&self.path).map_err(|e| Error::host("write", self.path, e.error))?;
                Ok(())
            }
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = match &mut self.target {
            Target::Beside(file) => file.as_file_mut().write(data),
            Target::Direct(file) => file.write(data),
        };
        written.map_err(|e| if e.kind() == io::ErrorKind::Interrupted { e } else { self.error(e) })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl OutputFile {
    fn error(&self, error: io::Error) -> io::Error {
        Error::host("write", &self.path, error).into_io()
    }
}

/// What the names of unfinished files end in.
const SUFFIX: &str = ".strake.tmp";

/// Makes a file with a name of its own in the folder of `path`, readable as the user's mask allows. It is locked while
/// somebody writes it; those of killed processes are removed (edges.md 2).
fn create_beside(path: &Path) -> Result<NamedTempFile<File>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A long name must still fit with what is added to it.
    let prefix: String = format!(".{name}").chars().take(40).collect();
    remove_abandoned(folder, &prefix);
    let open = |path: &Path| OpenOptions::new().write(true).create_new(true).open(path);
    loop {
        let file = tempfile::Builder::new().prefix(&prefix).suffix(SUFFIX).make_in(folder, open);
        let file = file.map_err(|e| Error::host("create a file for", path, e))?;
        // Before the lock another process may have taken it for an abandoned one. Without locks nobody removes any.
        if file.as_file().lock().is_err() || file.path().exists() {
            return Ok(file);
        }
    }
}

/// Removes unfinished files that nobody writes any more.
fn remove_abandoned(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(SUFFIX));
        if is_ours
            && let Ok(file) = OpenOptions::new().write(true).open(entry.path())
            && file.try_lock().is_ok()
        {
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_appears_on_commit_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("out");
        fs::write(&path, "earlier").expect("written");
        let mut output = OutputFile::create(&path).expect("created");
        output.write_all(b"new").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"earlier");
        drop(output);
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 1);
        let mut output = OutputFile::create(&path).expect("created");
        output.write_all(b"new").expect("written");
        output.commit().expect("committed");
        assert_eq!(fs::read(&path).expect("read"), b"new");
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 1);
    }

    #[test]
    fn files_of_killed_processes_go_and_those_of_others_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("out");
        let abandoned = dir.path().join(format!(".outAbCdEf{SUFFIX}"));
        fs::write(&abandoned, "half").expect("written");
        fs::write(dir.path().join(".out.tmp"), "the user's").expect("written");
        let first = OutputFile::create(&path).expect("created");
        assert!(!abandoned.exists());
        let second = OutputFile::create(&path).expect("created");
        first.commit().expect("committed");
        second.commit().expect("committed");
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 2);
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let message = OutputFile::create(dir.path()).expect_err("a folder").to_string();
        assert!(message.contains(&dir.path().canonicalize().expect("real").display().to_string()), "{message}");
        let missing = dir.path().join("none/out");
        let message = OutputFile::create(&missing).expect_err("no folder").to_string();
        assert!(message.contains("none/out") || message.contains(r"none\out"), "{message}");
    }
}
