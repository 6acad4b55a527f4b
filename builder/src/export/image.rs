//! The config of a built image: diff IDs, times of its history.

use std::collections::BTreeMap;
use std::sync::Arc;

use strake_layers::{DiffId, History, ImageConfig, Layer, Platform, Timestamp};

use crate::{Error, Result};

/// A built image of one platform.
#[derive(Clone, Debug)]
pub(crate) struct BuiltImage {
    /// The platform.
    pub(crate) platform: Platform,
    /// The final config.
    pub(crate) config_bytes: Arc<[u8]>,
    /// The layers, lowest first.
    pub(crate) layers: Vec<Arc<Layer>>,
}

/// What is known when the last step has ended.
#[derive(Debug)]
pub(crate) struct Unfinished {
    /// The platform.
    pub(crate) platform: Platform,
    /// The config as planned.
    pub(crate) config: ImageConfig,
    /// The number of leading history entries that came with the base image.
    pub(crate) inherited_history: usize,
    /// The times at which layers were made, by their position in the history.
    pub(crate) made: BTreeMap<usize, Timestamp>,
    /// The layers, lowest first.
    pub(crate) layers: Vec<Arc<Layer>>,
}

/// Times of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// When the build began.
    pub(crate) now: Timestamp,
    /// The latest time that may show (dockerfile.md §17.2).
    pub(crate) epoch: Option<Timestamp>,
}

impl Clock {
    /// A time of something made by this build, as it may show.
    pub(crate) fn shown(&self, time: Timestamp) -> Timestamp {
        self.epoch.map_or(time, |epoch| time.min(epoch))
    }
}

impl Unfinished {
    /// Puts diff IDs and times in.
    pub(crate) fn finish(self, diff_ids: Vec<DiffId>, clock: Clock) -> Result<BuiltImage> {
        let mut config = self.config;
        let inherited = self.inherited_history.min(config.history.len());
        let own_layers = config.history[inherited..].iter().filter(|entry| !entry.empty_layer).count();
        let first = balance(&mut config.history, inherited, diff_ids.len().saturating_sub(own_layers));
        let shift = first - inherited;
        let mut time = self.made.values().next().copied().unwrap_or(clock.now);
        for at in first..config.history.len() {
            if let Some(made) = self.made.get(&(at - shift)) {
                time = *made;
            }
            config.history[at].created = Some(rfc3339(clock.shown(time))?);
        }
        let last = config.history[first..].iter().rev().find_map(|entry| entry.created.clone());
        config.created = match last {
            Some(last) => Some(last),
            None => Some(rfc3339(clock.shown(clock.now))?),
        };
        config.diff_ids = diff_ids;
        let config_bytes = config.to_json()?.into();
        Ok(BuiltImage { platform: self.platform, config_bytes, layers: self.layers })
    }
}

/// Brings the inherited history in line with the inherited layers (dockerfile.md §15.4): entries are added where it is
/// short, and marked as empty from the bottom where it is long. Gives the new number of inherited entries.
fn balance(history: &mut Vec<History>, inherited: usize, layers: usize) -> usize {
    let with_layer = history[..inherited].iter().filter(|entry| !entry.empty_layer).count();
    if with_layer > layers {
        let too_many = with_layer - layers;
        for entry in history[..inherited].iter_mut().filter(|entry| !entry.empty_layer).take(too_many) {
            entry.empty_layer = true;
        }
        return inherited;
    }
    let missing = layers - with_layer;
    let filler = History { comment: "buildkit.exporter.image.v0".to_owned(), ..History::default() };
    history.splice(inherited..inherited, std::iter::repeat_n(filler, missing));
    inherited + missing
}

/// A time as image documents write it.
pub(crate) fn rfc3339(time: Timestamp) -> Result<String> {
    let nanos = i32::try_from(time.nanos).map_err(|_| Error::internal("a time has too many nanoseconds"))?;
    let stamp = jiff::Timestamp::new(time.seconds, nanos)
        .map_err(|_| Error::user(format!("the time {} lies outside of what image documents can say", time.seconds)))?;
    Ok(stamp.to_string())
}

#[cfg(test)]
mod tests {
    use strake_layers::Digest;

    use super::*;

    fn entry(text: &str, empty_layer: bool) -> History {
        History { created_by: text.to_owned(), empty_layer, ..History::default() }
    }

    fn unfinished(history: Vec<History>, inherited: usize, made: &[(usize, i64)]) -> Unfinished {
        let platform = Platform::new("linux", "amd64");
        let mut config = ImageConfig::scratch(&platform);
        config.history = history;
        let made = made.iter().map(|(at, seconds)| (*at, Timestamp::from_seconds(*seconds))).collect();
        Unfinished { platform, config, inherited_history: inherited, made, layers: Vec::new() }
    }

    fn config(image: &BuiltImage) -> ImageConfig {
        ImageConfig::parse(&image.config_bytes, "config").unwrap()
    }

    fn times(image: &BuiltImage) -> Vec<Option<String>> {
        config(image).history.into_iter().map(|entry| entry.created).collect()
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn metadata_takes_the_time_of_the_nearest_layer() {
        let history = vec![entry("ENV", true), entry("RUN", false), entry("CMD", true)];
        let clock = Clock { now: Timestamp::from_seconds(99), epoch: None };
        let image = unfinished(history, 0, &[(1, 60)]).finish(vec![DiffId(Digest::of(b"1"))], clock).unwrap();
        assert_eq!(times(&image), some(&["1970-01-01T00:01:00Z"; 3]));
        assert_eq!(config(&image).created.as_deref(), Some("1970-01-01T00:01:00Z"));
    }

    #[test]
    fn an_epoch_clamps_only_what_was_made_here() {
        let mut base = entry("base", false);
        base.created = Some("2020-01-01T00:00:00Z".to_owned());
        let history = vec![base, entry("RUN", false)];
        let clock = Clock { now: Timestamp::from_seconds(99), epoch: Some(Timestamp::from_seconds(5)) };
        let diff_ids = vec![DiffId(Digest::of(b"1")), DiffId(Digest::of(b"2"))];
        let image = unfinished(history, 1, &[(1, 60)]).finish(diff_ids, clock).unwrap();
        assert_eq!(times(&image), some(&["2020-01-01T00:00:00Z", "1970-01-01T00:00:05Z"]));
    }

    #[test]
    fn a_base_whose_history_does_not_fit_is_balanced() {
        let clock = Clock { now: Timestamp::from_seconds(9), epoch: None };
        let diff_ids: Vec<DiffId> = [b"1", b"2", b"3"].map(|data| DiffId(Digest::of(data))).into();
        let short = unfinished(vec![entry("RUN", false)], 0, &[(0, 60)]).finish(diff_ids.clone(), clock).unwrap();
        assert_eq!(config(&short).history.iter().filter(|entry| !entry.empty_layer).count(), 3);
        assert_eq!(config(&short).history[2].created.as_deref(), Some("1970-01-01T00:01:00Z"));
        let long = vec![entry("a", false), entry("b", false), entry("RUN", false)];
        let long = unfinished(long, 2, &[(2, 60)]).finish(diff_ids[..2].to_vec(), clock).unwrap();
        let history = config(&long).history;
        assert!(history[0].empty_layer && !history[1].empty_layer);
    }
}
