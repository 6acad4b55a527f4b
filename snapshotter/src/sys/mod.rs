//! What differs from host to host: writing trees by directory descriptors, owners, mounts.

mod linux;
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::{
    TreeWriter, disk_size, foreign_owner, is_privileged, make_private, mark_used, open_up, owner, read_xattrs,
    relative_path, remove_xattrs, set_opaque, share_lock, sync_file_system, unmount_below,
};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{
    TreeWriter, disk_size, foreign_owner, is_privileged, make_private, mark_used, open_up, owner, read_xattrs,
    relative_path, remove_xattrs, set_opaque, share_lock, sync_file_system, unmount_below,
};
