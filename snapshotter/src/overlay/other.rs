#![cfg(not(target_os = "linux"))]

use std::fs::File;
use std::path::PathBuf;

use super::Options;
use crate::{Error, Result};

pub(super) fn mount(_options: &Options<'_>) -> Result<File> {
    Err(Error::Unsupported("overlay mounts exist on Linux only".into()))
}

pub(super) fn path_of(_mount: &File) -> PathBuf {
    PathBuf::new()
}

pub(super) fn is_user_namespace() -> bool {
    false
}
