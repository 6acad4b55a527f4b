//! Where files come from that are in no image and no stage: build contexts, downloads, repositories.

mod context;
mod files;
mod git;
mod http;
mod ignoring;
mod include;
mod layer;
mod links;
mod memo;
mod sources;
mod tree;

#[cfg(test)]
pub(crate) use context::{Context, ContextOptions, IgnoreFile, Modes};
pub(crate) use http::FetchedFile;
pub(crate) use include::IncludedFiles;
pub(crate) use links::{Followed, LastLink, Root, Seen};
pub(crate) use sources::Sources;
pub(crate) use tree::{FileId, SourceNode, Tree, files_root};

use layer::as_layer;
