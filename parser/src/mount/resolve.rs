//! From the fields of a mount to its meaning.

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::expand::Expander;
use crate::mount::{Mount, MountSpec};

impl Mount {
    /// Expands the values, all but `from`, and checks them.
    pub fn resolve(&self, expander: &Expander<'_>) -> Result<MountSpec, Diagnostic> {
        let _ = expander;
        Err(Diagnostic::error(codes::MOUNT_FIELD, "not yet read", self.span))
    }
}
