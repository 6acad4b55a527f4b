//! What people see of a wrong Dockerfile: every message whole, as the command line prints it.

#![expect(clippy::unwrap_used, reason = "a table or an example that cannot be read fails its test")]

mod bad_input;
mod mending;
mod pages;
mod planned;
