//! Whether outputs can be put where they are wanted, asked before anything is built.

use std::path::Path;

use crate::request::{BuildRequest, Output};
use crate::{Error, Result};

/// Refuses outputs whose place is missing or taken: a long build must not end in that.
pub(crate) fn check(request: &BuildRequest) -> Result<()> {
    request.outputs.iter().try_for_each(|output| match output {
        Output::Oci { dest: Some(path), tar: true, .. }
        | Output::Docker { dest: Some(path), .. }
        | Output::Tar { dest: Some(path) } => file(path),
        Output::Oci { dest: Some(path), tar: false, .. } | Output::Local { dest: path } => folder(path),
        _ => Ok(()),
    })
}

fn file(path: &Path) -> Result<()> {
    if path.is_dir() {
        let help = format!("name a file, as in dest={}", path.join("image.tar").display());
        return Err(Error::user(format!("cannot write {}: it is a folder", path.display())).with_help(help));
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if above.is_dir() {
        return Ok(());
    }
    let (why, help) = if above.exists() {
        ("is no folder", "name a file in a folder".to_owned())
    } else {
        ("does not exist", format!("make the folder first: mkdir -p {}", above.display()))
    };
    Err(Error::user(format!("cannot write {}: {} {why}", path.display(), above.display())).with_help(help))
}

/// A folder is made with those above it; only something else can be in the way.
fn folder(path: &Path) -> Result<()> {
    match path.ancestors().find(|above| above.exists()) {
        Some(there) if !there.is_dir() => {
            let message = format!("cannot write the folder {}: {} is no folder", path.display(), there.display());
            Err(Error::user(message).with_help("choose another place, or remove what is there"))
        }
        _ => Ok(()),
    }
}
