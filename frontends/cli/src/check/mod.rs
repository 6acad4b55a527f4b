//! `strake check`, and `strake build --call check,format=…`.

mod fixing;
mod json;
mod sarif;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use strake::{BuildRequest, Cancel, CheckSettings, Checked, Engine, Event, EventSink, NoticeSink, Rule, Severity};

use crate::args::{BuildArgs, StoreArgs};
use crate::{render, request, settings};

/// Flags of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Build context, of which the ignore file is checked, too; as for `build`
    #[arg(value_name = "CONTEXT", default_value = ".")]
    pub(crate) context: String,
    /// Dockerfile [default: CONTEXT/Dockerfile]; `-` reads it from standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// Stage to check with all it needs [default: all stages]
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// Value of an ARG; without a value the environment's
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub(crate) build_args: Vec<String>,
    /// Platform of the image, e.g. linux/arm64
    #[arg(long = "platform", value_name = "OS/ARCH", value_delimiter = ',')]
    pub(crate) platforms: Vec<String>,
    /// Further context: NAME=FOLDER, NAME=docker-image://REF, NAME=oci-layout://DIR, a git or http(s) address
    #[arg(long = "build-context", value_name = "NAME=VALUE")]
    pub(crate) build_contexts: Vec<String>,
    /// What to write to standard output
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Make the edits that are sure, then check again
    #[arg(long)]
    pub(crate) fix: bool,
    /// Rule to leave out, by name or code
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    skip: Vec<String>,
    /// Fail on warnings, too
    #[arg(long)]
    error: bool,
}

/// What checks write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Findings with excerpts, for people
    #[default]
    Text,
    /// One JSON object, in the reference's format with more members
    Json,
    /// SARIF 2.1.0, which code hosts and editors read
    Sarif,
}

impl CheckArgs {
    /// The settings that stand on the command line.
    pub(crate) fn settings(&self) -> Result<CheckSettings> {
        let mut settings = CheckSettings { extras: true, error: self.error, ..CheckSettings::default() };
        for name in &self.skip {
            let Some(rule) = Rule::from_name(name).or_else(|| Rule::from_code(name)) else {
                bail!("--skip {name}: there is no such rule: a finding shows the name of its rule behind the code");
            };
            settings.skip(rule);
        }
        Ok(settings)
    }
}

/// Checks, mends where that is asked for, and reports.
pub(crate) fn run(store: &StoreArgs, args: &CheckArgs) -> Result<ExitCode> {
    let mut scratch = None;
    let request = request::for_check(args, &mut scratch)?;
    let checker = Checker::open(store)?;
    let (checked, made) =
        if args.fix { fixing::run(&checker, &request)? } else { (checker.check(&request)?, Vec::new()) };
    match args.format {
        Format::Text => text(&checked, &made, args.fix),
        Format::Json => {
            made.iter().for_each(|line| crate::complain(&format!("{line}\n")));
            crate::say(&serde_json::to_string_pretty(&json::report(&checked, true))?);
        }
        Format::Sarif => {
            made.iter().for_each(|line| crate::complain(&format!("{line}\n")));
            crate::say(&serde_json::to_string_pretty(&sarif::report(&checked)?)?);
        }
    }
    Ok(exit_code(&checked))
}

/// `strake build --call check,format=…`: the checks of a build in another format.
pub(crate) fn call(store: &StoreArgs, args: &BuildArgs, format: Format) -> Result<ExitCode> {
    let mut scratch = None;
    let request = request::make(args, &mut scratch)?;
    let checked = Checker::open(store)?.check(&request)?;
    match format {
        Format::Text => text(&checked, &[], false),
        Format::Json => crate::say(&serde_json::to_string_pretty(&json::report(&checked, false))?),
        Format::Sarif => crate::say(&serde_json::to_string_pretty(&sarif::report(&checked)?)?),
    }
    Ok(exit_code(&checked))
}

/// What `--call` asks for: none to build, else the format of the checks, or none for that of `--check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// The build itself.
    Build,
    /// The checks.
    Check(Option<Format>),
}

/// Reads `METHOD[,format=FORMAT]`.
pub(crate) fn parse_call(text: &str) -> Result<Call, String> {
    let (method, option) = text.split_once(',').map_or((text, None), |(method, option)| (method, Some(option)));
    let format = match option {
        None => None,
        Some(option) => {
            let name = option.strip_prefix("format=").ok_or_else(|| format!("unknown option {option:?}: format=…"))?;
            Some(Format::from_str(name, false).map_err(|_| format!("unknown format {name:?}: text, json or sarif"))?)
        }
    };
    match method {
        "build" | "" => Ok(Call::Build),
        "check" | "lint" => Ok(Call::Check(format)),
        "outline" | "targets" => {
            Err(format!("{method} is not there: `strake dockerfile graph` shows stages and arguments"))
        }
        _ => Err("known are build and check".to_owned()),
    }
}

/// A store held open to check in.
struct Checker {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
}

impl Checker {
    fn open(store: &StoreArgs) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
        let notices = NoticeSink::new(|notice| {
            if let strake::Notice::Warning(message) = notice {
                crate::complain(&format!("warning: {message}\n"));
            }
        });
        let engine = Engine::open_with(settings::make(store)?, &notices)?;
        Ok(Self { runtime, engine })
    }

    fn check(&self, request: &BuildRequest) -> Result<Checked> {
        let sink = EventSink::new(|event| {
            if let Event::Warning { message, .. } = event {
                crate::complain(&format!("warning: {message}\n"));
            }
        });
        Ok(self.runtime.block_on(self.engine.check(request.clone(), sink, Cancel::new()))?)
    }
}

fn exit_code(checked: &Checked) -> ExitCode {
    if checked.is_failure() { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

/// Findings with excerpts and one line that sums them up.
fn text(checked: &Checked, made: &[String], is_fixed: bool) {
    made.iter().for_each(|line| crate::say(line));
    let colour = console::colors_enabled();
    for finding in &checked.findings {
        crate::say(&render::finding(finding, colour));
    }
    crate::say(&summary(checked, is_fixed));
}

fn summary(checked: &Checked, is_fixed: bool) -> String {
    let count = |severity| checked.findings.iter().filter(|one| one.diagnostic.severity == severity).count();
    let parts: Vec<String> = [
        (count(Severity::Error), "error", "errors"),
        (count(Severity::Warning), "warning", "warnings"),
        (count(Severity::Note), "note", "notes"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
    .collect();
    let name = checked.files.first().map_or("Dockerfile", |file| &*file.name);
    if parts.is_empty() {
        return format!("{name}: nothing found");
    }
    let verdict = if checked.verdict.is_some() { ", and warnings are errors here" } else { "" };
    let line = format!("{name}: {}{verdict}", parts.join(", "));
    let fixable = checked.findings.iter().filter(|one| one.diagnostic.fix.is_some()).count();
    if fixable > 0 && !is_fixed && !checked.has_errors() {
        return format!("{line}; --fix mends {fixable}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_in_docker_s_spelling() {
        assert_eq!(parse_call("build"), Ok(Call::Build));
        assert_eq!(parse_call("check"), Ok(Call::Check(None)));
        assert_eq!(parse_call("check,format=json"), Ok(Call::Check(Some(Format::Json))));
        assert!(parse_call("check,format=xml").is_err_and(|problem| problem.contains("sarif")));
        assert!(parse_call("outline").is_err() && parse_call("x").is_err() && parse_call("check,x").is_err());
    }
}
