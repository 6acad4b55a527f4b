//! What of the command line is a function of its input: messages as text.
//!
//! # Owns
//! The text of errors and findings as `strake` prints it, and the cleaning of what processes write. The binary, the
//! tests and the generated reference read it from here, so that what they show is what people see.
//!
//! # Depends on
//! The embedding library.
//!
//! # Invariants
//! - Pure: nothing is printed, no environment is read.

mod harmless;
pub mod render;

pub use harmless::harmless;
