//! The files that INCLUDE names (docs/language-additions.md).

use std::path::Path;
use std::sync::Arc;

use strake_layers::HostDir;

use super::files::Files;
use super::sources::read_host;
use crate::request::{BuildRequest, ContextSource, DockerfileSource};
use crate::{Error, Result};

/// The largest file that is included: that of a Dockerfile (edges.md 13).
const LIMIT: u64 = 16 << 20;

/// What the Dockerfile may include: the files of the build context, those that the ignore file names, too.
#[derive(Clone, Debug)]
pub(crate) struct IncludedFiles {
    files: Files,
    dockerfile: String,
}

impl IncludedFiles {
    /// Takes the files of the context and the place of the Dockerfile in it.
    pub(super) fn new(files: Files, dockerfile: String) -> Self {
        Self { files, dockerfile }
    }

    /// What the Dockerfile of a request may include, where both it and the context are on this machine: with its name and
    /// its bytes.
    pub(crate) fn of_host(request: &BuildRequest) -> Result<(String, Vec<u8>, Self)> {
        let files = match &request.context {
            ContextSource::Directory(path) => Files::Folder(Arc::new(HostDir::open(path)?)),
            _ => Files::empty(),
        };
        let (name, bytes) = match &request.dockerfile {
            DockerfileSource::Text { name, bytes } => (name.clone(), bytes.clone()),
            DockerfileSource::File(path) => {
                let bytes = read_host(path, LIMIT)?
                    .ok_or_else(|| Error::user(format!("there is no file {}", path.display())))?;
                let name = path.file_name().map_or_else(|| "Dockerfile".into(), |name| name.to_string_lossy());
                (name.into_owned(), bytes)
            }
            _ => return Err(Error::user("the Dockerfile must be a file of this machine")),
        };
        let dockerfile = match (&request.dockerfile, &request.context) {
            (DockerfileSource::File(file), ContextSource::Directory(context)) => {
                path_inside(context, file).unwrap_or_default()
            }
            _ => String::new(),
        };
        Ok((name, bytes, Self::new(files, dockerfile)))
    }

    /// The path of the Dockerfile below the root of the context; empty where it lies elsewhere.
    pub(crate) fn dockerfile(&self) -> &str {
        &self.dockerfile
    }

    /// Reads a file, links followed inside the context.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.files.read(path, LIMIT)?.ok_or_else(|| {
            let why = self.files.why_missing(path);
            Error::user(why.unwrap_or_else(|| {
                let near = self.files.near(path).map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
                format!("the build context has no such file{near}")
            }))
        })
    }
}

/// The path of a Dockerfile of the host below a context that is a folder of the host, where it is inside.
pub(super) fn path_inside(context: &Path, dockerfile: &Path) -> Option<String> {
    let (context, dockerfile) = (std::fs::canonicalize(context).ok()?, std::fs::canonicalize(dockerfile).ok()?);
    let below = dockerfile.strip_prefix(context).ok()?;
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    Some(parts.join("/"))
}
