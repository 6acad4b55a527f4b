//! What the command line needs of the operating system: its signals, and where users keep data.

mod unix;
mod windows;

#[cfg(unix)]
pub(crate) use unix::{default_root, signals};
#[cfg(windows)]
pub(crate) use windows::{default_root, signals};
