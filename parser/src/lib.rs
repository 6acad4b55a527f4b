//! Dockerfile parser of strake: text to instructions, spans and diagnostics.
//!
//! # Owns
//!
//! The Dockerfile language as text: directives, lines, instructions, here-docs, mounts, expansion of words, ignore
//! files, wildcards, modes, the one form of a formatted file, the build checks that need no more than the tree, and the stable codes of all of these.
//!
//! # Depends on
//!
//! No other crate of strake.
//!
//! # Invariants
//!
//! - Pure: no file, clock, network or environment is touched.
//! - Parsing never fails and never panics; it gives a tree and every problem, each with a span inside the text.
//! - Words are expanded late and never rewritten in place.
//! - The time is linear in the input, the depth of recursion has a bound.
//!
//! ```
//! use strake_parser::{ParseOptions, parse};
//!
//! let parsed = parse(b"FROM scratch\nLABEL a=b\n", &ParseOptions::default());
//! assert_eq!(parsed.dockerfile.stages.len(), 1);
//! assert!(parsed.diagnostics.is_empty());
//! ```

mod ast;
mod boolean;
mod byte_size;
mod check;
pub mod chmod;
mod clean;
pub mod codes;
mod compose;
mod csv;
mod diagnostic;
mod duration;
mod expand;
mod features;
mod fix;
mod flags;
mod format;
pub mod git_ref;
pub mod glob;
mod heredoc;
pub mod ignore;
mod instruction;
mod json;
mod keyword;
mod lines;
pub mod lint;
mod lower;
mod mount;
mod name;
mod parse;
mod pieces;
mod rule;
mod source;
mod span;
mod suggest;
mod syntax;
mod wildcard;
mod words;

pub use ast::{
    Add, ArgDeclaration, Condition, Copy, CopySource, Device, Directives, Dockerfile, Escape, Form, Healthcheck,
    HealthcheckCommand, Heredoc, Instruction, InstructionKind, KeyValues, Network, Onbuild, Reset, ResetPart, Run,
    RunAdditions, RunHeredocs, Security, Stage, Word,
};
pub use boolean::parse_bool;
pub use byte_size::parse_byte_size;
pub use check::{CheckSettings, CheckSettingsError, RuleSet};
pub use compose::{Compose, compose};
pub use diagnostic::{Diagnostic, Edit, Label, Severity};
pub use duration::parse_duration;
pub use expand::{ExpandError, Expander, Expansion, Names};
pub use features::Feature;
pub use fix::{Fixed, fix};
pub use format::format;
pub use lower::{Lowered, lower};
pub use mount::{
    BindMount, CacheMount, FileOwner, Mount, MountOption, MountSpec, SecretMount, Sharing, SshMount, TmpfsMount,
};
pub use parse::{ParseOptions, Parsed, parse, parse_onbuild};
pub use pieces::{Piece, PieceKind};
pub use rule::Rule;
pub use smol_str::SmolStr;
pub use source::{IncludedText, SourceText};
pub use span::{LineRange, Span, Spanned};
pub use suggest::suggest;
pub use syntax::{COVERED_MINOR, Frontend};
