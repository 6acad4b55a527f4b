use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use strake_layers::LayerId;

use crate::{Error, Result, sys};

/// What the version file holds. A store with another text is refused (linux.md §4.1).
pub(super) const VERSION: &str = "strake store 1\n";

/// How the text of every version begins.
const PREFIX: &str = "strake store ";

/// The folders of a store.
const FOLDERS: [&str; 11] =
    ["blobs", "trees", "uppers", "caches", "trash", "tmp", "ctx", "refs", "locks", "leases", "logs"];

/// Where things lie below a store's root (linux.md §4.1).
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Looks at `root` and makes it a store where there is none yet.
    pub(super) fn open(root: &Path) -> Result<Self> {
        let layout = Self { root: root.to_owned() };
        let version = layout.path("version");
        match fs::read_to_string(&version) {
            Ok(found) if found == VERSION => layout.check_owner(&version)?,
            Ok(found) => {
                let (path, is_empty) = (root.to_owned(), found.trim().is_empty());
                let found: String = found.trim().chars().take(80).collect();
                return Err(match is_empty {
                    true => Error::NoStore { path, problem: "its version file is empty".into() },
                    false if found.starts_with(PREFIX) => Error::StoreVersion { path, found },
                    false => Error::NoStore { path, problem: format!("its version file says {found:?}") },
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => layout.make()?,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(Error::NoStore { path: root.to_owned(), problem: "its version file is no text".into() });
            }
            Err(error) => return Err(Error::host("read", version, error)),
        }
        Ok(layout)
    }

    /// The store's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the root.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder of all that is kept of a layer besides its blobs.
    pub(crate) fn layer(&self, id: LayerId) -> PathBuf {
        self.root.join("trees").join(id.hex())
    }

    fn check_owner(&self, version: &Path) -> Result<()> {
        match sys::foreign_owner(version) {
            Ok(None) => Ok(()),
            Ok(Some(owner)) => Err(Error::StoreOwner { path: self.root.clone(), owner }),
            Err(error) => Err(Error::host("look at", version, error)),
        }
    }

    fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.root).map_err(|e| Error::host("make directory", &self.root, e))?;
        let mut names = fs::read_dir(&self.root).map_err(|e| Error::host("read directory", &self.root, e))?;
        // What a store that was being made when its process died holds may be there, and what file systems make.
        let foreign = names.find_map(|name| {
            let name = name.ok()?.file_name().to_string_lossy().into_owned();
            let is_known = FOLDERS.contains(&name.as_str()) || name == "lost+found" || name.starts_with("version");
            (!is_known).then_some(name)
        });
        if let Some(name) = foreign {
            // Another process made the store meanwhile, and uses it already.
            if self.path("version").exists() {
                return Self::open(&self.root).map(drop);
            }
            let problem = format!("it holds other things, such as {name:?}");
            return Err(Error::NoStore { path: self.root.clone(), problem });
        }
        for name in FOLDERS {
            let path = self.path(name);
            fs::create_dir_all(&path).map_err(|e| Error::host("make directory", path, e))?;
        }
        // Trees hold files of every owner and mode, setuid ones too: nobody else may look in.
        sys::make_private(&self.root).map_err(|e| Error::host("change the mode of", &self.root, e))?;
        // Last, so that a store which has a version has everything.
        let version = self.path("version");
        write_whole(&version, VERSION.as_bytes())
    }
}

/// Writes a file that appears whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let error = |e| Error::host("write", path, e);
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default();
    let mut file = tempfile::Builder::new().prefix(name).suffix(".new").tempfile_in(folder).map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    file.persist(path).map_err(|e| error(e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use strake_layers::ErrorKind;

    #[test]
    fn a_folder_with_other_things_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "x").unwrap();
        let error = Layout::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("thesis.txt"), "{error}");
        assert!(error.help().is_some());
    }

    #[test]
    fn a_store_that_another_process_made_meanwhile_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        fs::write(dir.path().join("lock"), "").unwrap();
        // What was asked before that found no version.
        layout.make().unwrap();
    }

    #[test]
    fn another_version_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("version"), "strake store 99\n").unwrap();
        let error = Layout::open(dir.path()).unwrap_err();
        assert!(matches!(&error, Error::StoreVersion { found, .. } if found == "strake store 99"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Environment);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_in_the_place_of_the_root_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        fs::write(&path, "x").unwrap();
        let error = Layout::open(&path).unwrap_err();
        assert!(error.to_string().contains("store"), "{error}");
    }
}
