//! Plans, resolves and executes Dockerfile builds.
//!
//! # Owns
//! The way from a request to an image: the graph of steps, what the network must tell, keys and records of the cache,
//! the scheduler, the platform runners, COPY and ADD, and the exporters. Everything it has to tell goes through
//! [`events`].
//!
//! # Depends on
//! The parser for text, the layers for what a step makes, the snapshotter for what a RUN must see, the registry for
//! images. It prints nothing, ends no process, reads no environment variable, and keeps no global state.
//!
//! # Invariants
//! - Planning is pure: no files, no clock, no network.
//! - Resolving is the one phase that asks the network for facts; executing asks it for bytes only.
//! - The identity of an input is its content; times of files are a memo, never an identity.
//! - A failed or interrupted build leaves no output, no process, no mount.

mod build;
mod cache;
mod call;
mod check;
mod error;
pub mod events;
mod execute;
mod export;
mod finding;
mod lower;
pub mod plan;
pub mod request;
pub mod resolve;
pub mod runner;
mod secrets;
mod source;

pub use build::{Builder, Built, Settings};
pub use call::{Outline, OutlineArgument, OutlineMount, Target, Targets};
pub use check::{Checked, CheckedFile};
pub use error::{Error, Result};
pub use finding::{Finding, Location, SourceFile};
pub use lower::{LoweredDockerfile, lower};

/// Every code of the builder, with a page about each.
pub fn code_tables() -> Vec<&'static [strake_parser::codes::CodeEntry]> {
    let mut tables = vec![plan::CODES];
    tables.extend(execute::code_tables());
    tables
}
