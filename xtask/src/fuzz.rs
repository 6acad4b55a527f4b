//! `cargo xtask fuzz`: libFuzzer on the targets of `fuzz/`, with the stable compiler.
//!
//! cargo-fuzz wants a nightly compiler for the address sanitizer. The crates under test hold no unsafe code, so that
//! coverage alone is what is needed, and LLVM's pass for it runs in any compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::packages;
use crate::run::{cargo, must, output, root, succeeds, target_dir};

/// The targets, and the longest input that each gets.
const TARGETS: &[(&str, u32)] = &[("parser", 4096), ("expansion", 512), ("ignore", 512), ("format", 2048)];

/// How long `--smoke` runs each target, in seconds.
const SMOKE: u32 = 60;

/// How long each target runs before a release, in seconds.
const RELEASE: u32 = 3600;

/// What makes the compiler count edges and tell libFuzzer of compared values.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// Builds the targets and runs those that are asked for, one after the other; tells whether none found anything.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let (targets, seconds) = read(arguments)?;
    // libFuzzer itself is C++.
    packages::install(&[("g++", "/usr/bin/g++")])?;
    let host = host()?;
    let folder = target_dir().join("fuzz");
    let mut build = cargo(["build", "--release", "--quiet", "--manifest-path", "fuzz/Cargo.toml"]);
    // With a target given, build scripts and macros stay without counters.
    build.args(["--target", &host, "--target-dir"]).arg(&folder);
    must(build.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}")))?;
    let seeds = seeds(&folder)?;
    let mut is_green = true;
    for (target, longest) in targets {
        let artifacts = folder.join("artifacts").join(target);
        let corpus = folder.join("corpus").join(target);
        std::fs::create_dir_all(&artifacts)?;
        std::fs::create_dir_all(&corpus)?;
        let mut fuzzer = Command::new(folder.join(&host).join("release").join(target));
        // What it wants to keep goes into the first folder, the others are read.
        fuzzer.arg(&corpus).arg(&seeds);
        fuzzer.arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={longest}"));
        fuzzer.arg(format!("-dict={}", root().join("fuzz/dockerfile.dict").display()));
        fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display()));
        fuzzer.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]);
        if !succeeds(&mut fuzzer)? {
            eprintln!("{target}: the input is in {}; make it a test", artifacts.display());
            is_green = false;
        }
    }
    Ok(is_green)
}

/// Reads `[--smoke] [--seconds N] [TARGET…]`.
fn read(arguments: &[String]) -> Result<(Vec<(&'static str, u32)>, u32)> {
    let mut seconds = RELEASE;
    let mut targets = Vec::new();
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--smoke" => seconds = SMOKE,
            "--seconds" => {
                let number = words.next().context("--seconds needs a number")?;
                seconds = number.parse().with_context(|| format!("--seconds {number}: not a number"))?;
            }
            name => match TARGETS.iter().find(|(target, _)| *target == name) {
                Some(target) => targets.push(*target),
                None => {
                    let names: Vec<_> = TARGETS.iter().map(|(target, _)| *target).collect();
                    bail!("there is no target {name:?}: the targets are {}", names.join(", "));
                }
            },
        }
    }
    if targets.is_empty() {
        targets = TARGETS.to_vec();
    }
    Ok((targets, seconds))
}

fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = output(Command::new(rustc).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// Copies what the test data has of Dockerfiles and ignore files into one folder.
fn seeds(folder: &Path) -> Result<PathBuf> {
    let seeds = folder.join("seeds");
    std::fs::create_dir_all(&seeds)?;
    let mut count = 0;
    for part in ["testdata/dockerfiles", "testdata/conformance"] {
        for entry in std::fs::read_dir(root().join(part))? {
            let path = entry?.path();
            let files = if path.is_dir() {
                vec![path.join("Dockerfile"), path.join("context/.dockerignore")]
            } else {
                vec![path]
            };
            for file in files.iter().filter(|file| file.is_file()) {
                std::fs::copy(file, seeds.join(count.to_string()))
                    .with_context(|| format!("cannot copy {}", file.display()))?;
                count += 1;
            }
        }
    }
    Ok(seeds)
}
