//! Who may depend on whom (ARCHITECTURE.md, "Folders and crates"), read from `cargo metadata`.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::platform_code;
use crate::run::{cargo, output};

/// Each crate and the workspace crates it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("strake-parser", &[]),
    ("strake-layers", &[]),
    ("strake-registry", &["strake-layers"]),
    ("strake-snapshotter", &["strake-layers"]),
    ("strake-builder", &["strake-parser", "strake-layers", "strake-registry", "strake-snapshotter"]),
    ("strake", &["strake-builder", "strake-parser", "strake-layers", "strake-registry", "strake-snapshotter"]),
    ("strake-cli", &["strake"]),
];

/// Crates that may depend on anything and that nothing depends on.
const OUTSIDE: &[&str] = &["strake-tests", "xtask", "strake-bench", "strake-fuzz"];

/// Checks the edges of the graph and the places of platform code.
pub(crate) fn check() -> Result<bool> {
    let text = output(&mut cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let mut problems = Vec::new();
    let members: Vec<&str> = packages(&metadata).filter_map(|package| package["name"].as_str()).collect();
    for package in packages(&metadata) {
        let name = package["name"].as_str().unwrap_or_default();
        if OUTSIDE.contains(&name) {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            problems
                .push(format!("{name}: a crate that ARCHITECTURE.md does not name: say there who may depend on it"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            if members.contains(&on) && !allowed.contains(&on) {
                problems.push(format!("{name} depends on {on}, which ARCHITECTURE.md does not allow"));
            }
        }
    }
    problems.extend(platform_code::problems()?);
    for problem in &problems {
        eprintln!("{problem}");
    }
    println!("check-layering: {} problems", problems.len());
    Ok(problems.is_empty())
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}
