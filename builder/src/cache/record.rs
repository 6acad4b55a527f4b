use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strake_layers::LayerId;
use strake_snapshotter::Store;

use super::StepKey;
use crate::Result;

/// The kind under which the store keeps step results.
const KIND: &str = "step";

/// The version of [`Record`] and of the layers that steps make; records of other versions are passed over. In the first
/// one copied directories could hide what the target had.
const VERSION: u32 = 2;

/// How many earlier records a miss is compared with.
const COMPARED: usize = 8;

/// The result of a step, kept under its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The version of this form.
    pub(crate) version: u32,
    /// The layer that the step made.
    pub(crate) layer: LayerId,
    /// When it was made, in seconds since 1970: history entries of a hit show it.
    pub(crate) created: i64,
    /// How long the step worked, in milliseconds.
    pub(crate) took_ms: u64,
    /// What a step with `RUN --env` wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<String>,
    /// The components of the key.
    pub(crate) parts: Vec<(String, String)>,
}

/// A result to keep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'a> {
    /// The layer that the step made.
    pub(crate) layer: LayerId,
    /// When, in seconds since 1970.
    pub(crate) created: i64,
    /// How long it took.
    pub(crate) took: Duration,
    /// What a step with `RUN --env` wrote.
    pub(crate) output: Option<&'a str>,
}

/// Looks up and keeps step results in the store.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    store: Arc<Store>,
}

impl Results {
    /// Makes the results of a store.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// The result of a key. One whose layer is gone is none.
    pub(crate) fn find(&self, key: &StepKey) -> Result<Option<Record>> {
        Ok(self.find_made(key)?.filter(|record| self.store.use_layer(record.layer)))
    }

    /// The record of a key, whether or not the store has the layer: enough for a step that works its layer out anew.
    pub(crate) fn find_made(&self, key: &StepKey) -> Result<Option<Record>> {
        let Some(bytes) = self.store.get_record(KIND, &key.hash)? else { return Ok(None) };
        Ok(serde_json::from_slice::<Record>(&bytes).ok().filter(|record| record.version == VERSION))
    }

    /// Keeps a result. `group` names the step in its Dockerfile, for explaining later misses.
    pub(crate) fn keep(&self, key: &StepKey, group: &str, kept: &Kept<'_>) -> Result<()> {
        let record = Record {
            version: VERSION,
            layer: kept.layer,
            created: kept.created,
            took_ms: u64::try_from(kept.took.as_millis()).unwrap_or(u64::MAX),
            output: kept.output.map(str::to_owned),
            parts: key.parts.clone(),
        };
        let bytes = serde_json::to_vec(&record).map_err(|error| crate::Error::internal(error.to_string()))?;
        self.store.put_record(&strake_snapshotter::Record {
            kind: KIND.to_owned(),
            key: key.hash,
            group: group.to_owned(),
            bytes,
            cost: kept.took,
        })?;
        Ok(())
    }

    /// Says why a key has no result.
    pub(crate) fn explain(&self, key: &StepKey, group: &str) -> Result<String> {
        let earlier = self.store.recent_records(KIND, group, COMPARED)?;
        let earlier: Vec<Record> =
            earlier.iter().filter_map(|record| serde_json::from_slice(&record.bytes).ok()).collect();
        Ok(super::explain_miss(key, &earlier))
    }
}
