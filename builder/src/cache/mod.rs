//! Keys and records of step results.
//!
//! The key of a step is a hash over named components; inputs count by the identity of their content, so that a rebuilt
//! input with an equal result hits (ARCHITECTURE.md, decision 3). Records keep the components, so that a miss can be
//! explained (linux.md §5.4).

mod explain;
mod key;
mod record;

use explain::explain_miss;
pub(crate) use key::{KeyBuilder, StepKey};
pub(crate) use record::{Kept, Record, Results};
