//! The values of secrets, read when a build starts.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use strake_layers::{HostDir, ImagePath};

use crate::request::{Secret, SecretValue};
use crate::{Error, Result};

/// The largest secret (edges.md 13).
const LIMIT: u64 = 500 << 10;

/// Reads all secrets; the last one of an id counts.
pub(crate) fn read(secrets: &[Secret]) -> Result<BTreeMap<String, Arc<[u8]>>> {
    let mut values = BTreeMap::new();
    for secret in secrets {
        let bytes = match &secret.value {
            SecretValue::Bytes(bytes) => bytes.clone(),
            SecretValue::File(path) => read_file(&secret.id, path)?,
        };
        if bytes.len() as u64 > LIMIT {
            return Err(Error::user(format!("the secret {:?} is larger than {} KiB", secret.id, LIMIT >> 10))
                .with_help("secrets are keys and passwords; bring larger files in by a bind mount"));
        }
        values.insert(secret.id.clone(), bytes.into());
    }
    Ok(values)
}

/// Reads a file without ever waiting for one that is none.
fn read_file(id: &str, path: &Path) -> Result<Vec<u8>> {
    let fail =
        |problem: String| Error::user(format!("the secret {id:?} cannot be read from {}: {problem}", path.display()));
    // The path may end in a link (mounted secrets of clusters do); the file itself is opened below its folder.
    let real = std::fs::canonicalize(path).map_err(|error| fail(error.to_string()))?;
    let (Some(folder), Some(name)) = (real.parent(), real.file_name()) else {
        return Err(fail("it is a folder".to_owned()));
    };
    let name = ImagePath::parse(name.as_encoded_bytes()).map_err(|error| fail(error.to_string()))?;
    let file =
        HostDir::open(folder).and_then(|folder| folder.open_file(&name)).map_err(|error| fail(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| fail(error.to_string()))?;
    Ok(bytes)
}
