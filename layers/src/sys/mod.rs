//! What differs between hosts: directories reached by descriptor, reading at an offset.

mod linux;
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::*;
