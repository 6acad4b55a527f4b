//! Ignore rules take any file; deciding from the root and on the way down agree, and no pruned folder hides a kept file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strake_parser::glob;
use strake_parser::ignore::{IgnoreRules, IgnoreState};

fuzz_target!(|data: &[u8]| {
    // The rules, a NUL, a path.
    let (rules, path) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b"a/b/c"[..]),
    };
    if let (Ok(pattern), Ok(path)) = (std::str::from_utf8(rules), std::str::from_utf8(path)) {
        let _ = glob::matches(pattern, path);
    }
    let Ok(rules) = IgnoreRules::parse(rules) else { return };
    drop(rules.decide(path));
    let Ok(path) = std::str::from_utf8(path) else { return };
    if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return;
    }
    let mut state = IgnoreState::default();
    let mut pruned = false;
    for (at, _) in path.match_indices('/') {
        let (decision, below) = rules.enter(&state, &path[..at]);
        pruned |= decision.ignored && rules.may_prune_dir(&path[..at]);
        state = below;
    }
    let decision = rules.decide_below(&state, path);
    assert_eq!(decision, rules.decide(path));
    assert!(!pruned || decision.ignored, "a pruned folder hides {path:?}");
});
