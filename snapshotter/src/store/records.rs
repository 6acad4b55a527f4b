use std::time::Duration;

use rusqlite::params;
use strake_layers::{Descriptor, DiffId, LayerId};

use super::{Store, now};
use crate::Result;

/// The time of last use is written anew only when it is older than this many seconds: reading must stay cheap.
const USE_GRAIN: i64 = 3600;

/// A record of the cache: the store keeps it without knowing what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What sort of record; keys of different kinds never meet.
    pub kind: String,
    /// Its key.
    pub key: [u8; 32],
    /// What it is found by when its key is not known (stage and step), for explaining a miss.
    pub group: String,
    /// What it says.
    pub bytes: Vec<u8>,
    /// What making its result took: what was cheap is pruned first.
    pub cost: Duration,
}

impl Store {
    /// Looks up a record of the cache.
    pub fn get_record(&self, kind: &str, key: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT bytes, used FROM record WHERE kind = ?1 AND key = ?2";
        let found = self.index.find(sql, params![kind, key], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        let Some((bytes, used)) = found else { return Ok(None) };
        let now = now();
        if used < now - USE_GRAIN {
            self.index.change("UPDATE record SET used = ?3 WHERE kind = ?1 AND key = ?2", params![kind, key, now])?;
        }
        Ok(Some(bytes))
    }

    /// Keeps a record, in place of an older one with the same kind and key.
    pub fn put_record(&self, record: &Record) -> Result<()> {
        let cost = i64::try_from(record.cost.as_millis()).unwrap_or(i64::MAX);
        self.index.change(
            "INSERT OR REPLACE INTO record (kind, key, grp, bytes, cost_ms, used) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![record.kind, record.key, record.group, record.bytes, cost, now()],
        )?;
        Ok(())
    }

    /// Forgets a record.
    pub fn remove_record(&self, kind: &str, key: &[u8; 32]) -> Result<()> {
        self.index.change("DELETE FROM record WHERE kind = ?1 AND key = ?2", params![kind, key])?;
        Ok(())
    }

    /// The records of a group, most recently used first, at most `limit`.
    pub fn recent_records(&self, kind: &str, group: &str, limit: usize) -> Result<Vec<Record>> {
        let sql = "SELECT key, bytes, cost_ms FROM record WHERE kind = ?1 AND grp = ?2 ORDER BY used DESC LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.index.with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![kind, group, limit], |row| {
                Ok(Record {
                    kind: kind.to_owned(),
                    key: row.get(0)?,
                    group: group.to_owned(),
                    bytes: row.get(1)?,
                    cost: Duration::from_millis(u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0)),
                })
            })?;
            rows.collect()
        })
    }

    /// The diff ID of a layer, where it was ever worked out.
    pub fn diff_id_of(&self, layer: LayerId) -> Result<Option<DiffId>> {
        let sql = "SELECT diff_id FROM form WHERE layer = ?1 LIMIT 1";
        let text = self.index.find(sql, [layer.0], |row| row.get::<_, String>(0))?;
        Ok(text.and_then(|text| text.parse().ok()).map(DiffId))
    }

    /// Remembers the diff ID of a layer.
    pub fn remember_diff_id(&self, layer: LayerId, diff_id: &DiffId) -> Result<()> {
        self.put_form(layer, "", diff_id, "")
    }

    /// The blob of a layer in a form (compression, level, engine version), if it was made before and is still there.
    pub fn blob_for(&self, layer: LayerId, form: &str) -> Result<Option<(DiffId, Descriptor)>> {
        let sql = "SELECT diff_id, descriptor FROM form WHERE layer = ?1 AND form = ?2";
        let row = self.index.find(sql, params![layer.0, form], read_form)?;
        Ok(row.and_then(parse_form).filter(|(_, descriptor)| self.use_blob(&descriptor.digest)))
    }

    /// Any blob of a layer that is still there, whatever its form.
    pub fn any_blob_for(&self, layer: LayerId) -> Result<Option<(DiffId, Descriptor)>> {
        let sql = "SELECT diff_id, descriptor FROM form WHERE layer = ?1 AND form <> ''";
        let rows = self.index.with(|connection| {
            connection.prepare_cached(sql)?.query_map([layer.0], read_form)?.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let mut forms = rows.into_iter().filter_map(parse_form);
        Ok(forms.find(|(_, descriptor)| self.use_blob(&descriptor.digest)))
    }

    /// Remembers a blob of a layer, so that it is never compressed twice.
    pub fn remember_blob(&self, layer: LayerId, form: &str, diff_id: &DiffId, descriptor: &Descriptor) -> Result<()> {
        let text = serde_json::to_string(descriptor).map_err(|e| crate::Error::Internal(e.to_string()))?;
        self.put_form(layer, form, diff_id, &text)
    }

    fn put_form(&self, layer: LayerId, form: &str, diff_id: &DiffId, descriptor: &str) -> Result<()> {
        self.index.change(
            "INSERT OR REPLACE INTO form (layer, form, diff_id, descriptor) VALUES (?1, ?2, ?3, ?4)",
            params![layer.0, form, diff_id.to_string(), descriptor],
        )?;
        Ok(())
    }
}

fn read_form(row: &rusqlite::Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn parse_form((diff_id, descriptor): (String, String)) -> Option<(DiffId, Descriptor)> {
    Some((DiffId(diff_id.parse().ok()?), serde_json::from_str(&descriptor).ok()?))
}
