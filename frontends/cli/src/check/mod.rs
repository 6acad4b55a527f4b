//! `strake check`, and `strake build --call check,format=…`.

mod fixing;
mod json;
mod sarif;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use strake::{BuildRequest, CheckSettings, Checked, Rule, Severity};

use crate::args::{BuildArgs, StoreArgs};
use crate::call::Asker;
use crate::{render, request};

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
                let names = || Rule::ALL.iter().map(|rule| rule.name());
                let near = names().find(|known| known.eq_ignore_ascii_case(name));
                let near = near.or_else(|| strake::suggest(name, names()));
                let help = near.map_or_else(
                    || "a finding shows the name of its rule behind the code".to_owned(),
                    |near| format!("did you mean {near}?"),
                );
                bail!("--skip {name}: there is no such rule: {help}");
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
    let asker = Asker::open(store)?;
    let (checked, made) =
        if args.fix { fixing::run(&asker, &request)? } else { (check(&asker, &request)?, Vec::new()) };
    match args.format {
        Format::Text => text(&checked, &made, args.fix)?,
        Format::Json => {
            made.iter().for_each(|line| crate::complain(&format!("{line}\n")));
            crate::say(&serde_json::to_string_pretty(&json::report(&checked, true))?)?;
        }
        Format::Sarif => {
            made.iter().for_each(|line| crate::complain(&format!("{line}\n")));
            crate::say(&serde_json::to_string_pretty(&sarif::report(&checked)?)?)?;
        }
    }
    Ok(exit_code(&checked))
}

/// `strake build --call check,format=…`: the checks of a build in another format.
pub(crate) fn call(store: &StoreArgs, args: &BuildArgs, format: Format) -> Result<ExitCode> {
    let mut scratch = None;
    let request = request::make(args, &mut scratch)?;
    let checked = check(&Asker::open(store)?, &request)?;
    match format {
        Format::Text => text(&checked, &[], false)?,
        Format::Json => crate::say(&serde_json::to_string_pretty(&json::report(&checked, false))?)?,
        Format::Sarif => crate::say(&serde_json::to_string_pretty(&sarif::report(&checked)?)?)?,
    }
    Ok(exit_code(&checked))
}

fn check(asker: &Asker, request: &BuildRequest) -> Result<Checked> {
    asker.ask(|engine, events, cancel| engine.check(request.clone(), events, cancel))
}

fn exit_code(checked: &Checked) -> ExitCode {
    if checked.is_failure() { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

/// Findings with excerpts and one line that sums them up.
fn text(checked: &Checked, made: &[String], is_fixed: bool) -> Result<()> {
    made.iter().try_for_each(|line| crate::say(line))?;
    let colour = console::colors_enabled();
    for finding in &checked.findings {
        crate::say(&render::finding(finding, colour))?;
    }
    crate::say(&summary(checked, is_fixed))
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
