//! What only layers of Windows have (windows.md §2): accounts, security descriptors, attributes, folded names, and the
//! rules of their tree. Nothing here asks the host.

mod fold;
mod metadata;
mod rules;
mod sddl;
mod sid;

pub use fold::fold_case;
pub use metadata::{FileKind, metadata_for, truncate_time};
pub use rules::check_layer;
pub use sddl::encode_sddl;
pub use sid::Sid;
