//! Real registries for the tests under Wine, which has the network of this machine but not its programs.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::registry::Registry;
use crate::run::{root, target_dir};

/// The certificate that the tests of the registry client trust.
const TLS: &str = "layers/registry/tests/registry_faults/tls";

/// One registry that speaks HTTP and one that speaks HTTPS; they end with this value.
pub(super) struct Registries {
    plain: Registry,
    secure: Registry,
}

impl Registries {
    /// Starts both with nothing in them.
    pub(super) fn start() -> Result<Self> {
        let folder = target_dir().join("win/registries");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let plain = Registry::start(&folder.join("plain"))?;
        let secure = Registry::start_with_tls(&folder.join("secure"), &root().join(TLS))?;
        Ok(Self { plain, secure })
    }

    /// Tells the tests their addresses; layers/registry/tests/registry_faults/real.rs reads them.
    pub(super) fn name_in(&self, command: &mut Command) {
        command.env("STRAKE_TEST_REGISTRY", self.plain.address());
        command.env("STRAKE_TEST_REGISTRY_TLS", self.secure.address());
    }
}
