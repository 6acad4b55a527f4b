use std::collections::BTreeMap;

use super::{Record, StepKey};

/// Says in a line why a step missed: what differs from the nearest earlier record of the same step.
pub(crate) fn explain_miss(key: &StepKey, earlier: &[Record]) -> String {
    let nearest = earlier.iter().min_by_key(|record| differences(key, record).count());
    let Some(nearest) = nearest else {
        return "never built".to_owned();
    };
    let Some((name, old, new)) = differences(key, nearest).next() else {
        return "its result was pruned".to_owned();
    };
    match (old, new) {
        (None, Some(new)) => format!("{name} is new: {new}"),
        (Some(old), None) => format!("{name} is gone: {old}"),
        (Some(old), Some(new)) if is_opaque(&old) || is_opaque(&new) => format!("{name} changed"),
        (old, new) => format!("{name} {} -> {}", old.unwrap_or_default(), new.unwrap_or_default()),
    }
}

/// Hashes and identities say nothing to people.
fn is_opaque(value: &str) -> bool {
    value.starts_with('#') || (value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Name, old value, new value of each component that differs, in the order of the key.
fn differences<'a>(
    key: &'a StepKey,
    record: &'a Record,
) -> impl Iterator<Item = (&'a str, Option<String>, Option<String>)> {
    let new: BTreeMap<&str, &str> = key.parts.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let old: BTreeMap<&str, &str> = record.parts.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let gone: Vec<&str> = old.keys().filter(|name| !new.contains_key(*name)).copied().collect();
    let names: Vec<&str> = key.parts.iter().map(|(name, _)| name.as_str()).chain(gone).collect();
    names.into_iter().filter_map(move |name| {
        let (before, after) = (old.get(name), new.get(name));
        (before != after).then(|| (name, before.map(|v| (*v).to_owned()), after.map(|v| (*v).to_owned())))
    })
}

#[cfg(test)]
mod tests {
    use strake_layers::LayerId;

    use super::*;

    fn parts(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    fn record(list: &[(&str, &str)]) -> Record {
        Record { version: 1, layer: LayerId([0; 32]), created: 0, took_ms: 0, output: None, parts: parts(list) }
    }

    #[test]
    fn the_nearest_record_tells_what_changed() {
        let key = StepKey { hash: [0; 32], parts: parts(&[("command", "make"), ("ARG VERSION", "1.3")]) };
        let earlier = [
            record(&[("command", "true"), ("ARG VERSION", "1.0")]),
            record(&[("command", "make"), ("ARG VERSION", "1.2")]),
        ];
        assert_eq!(explain_miss(&key, &earlier), "ARG VERSION 1.2 -> 1.3");
        assert_eq!(explain_miss(&key, &[]), "never built");
        let same = [record(&[("command", "make"), ("ARG VERSION", "1.3")])];
        assert_eq!(explain_miss(&key, &same), "its result was pruned");
    }
}
