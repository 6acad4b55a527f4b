//! RUN, CMD, ENTRYPOINT, SHELL and HEALTHCHECK.

use std::ops::Range;
use std::time::Duration;

use super::Scope;
use crate::ast::{
    Device, Form, Healthcheck, HealthcheckCommand, InstructionKind, Network, Run, RunAdditions, RunHeredocs, Security,
};
use crate::byte_size::parse_byte_size;
use crate::codes;
use crate::csv;
use crate::diagnostic::Diagnostic;
use crate::duration::parse_duration;
use crate::flags::{Flag, FlagKind, FlagSpec, Flags};
use crate::heredoc::HeredocStart;
use crate::mount::Mount;
use crate::span::Spanned;
use crate::suggest::suggest;
use crate::words::split_once_blank;

/// The greatest value of `RUN --retry`.
const MAX_RETRIES: u32 = 100;

/// The least value of `RUN --memory`: less than this no program starts with.
const MIN_MEMORY: u64 = 1 << 20;

/// The flags that bound how a step runs.
const LIMITS: [&str; 3] = ["timeout", "retry", "memory"];

static RUN_FLAGS: &[FlagSpec] = &[
    ("mount", FlagKind::List),
    ("network", FlagKind::String),
    ("security", FlagKind::String),
    ("device", FlagKind::List),
];

static HEALTHCHECK_FLAGS: &[FlagSpec] = &[
    ("interval", FlagKind::String),
    ("timeout", FlagKind::String),
    ("start-period", FlagKind::String),
    ("start-interval", FlagKind::String),
    ("retries", FlagKind::String),
];

/// What a RUN says that has none of strake's flags.
static NO_ADDITIONS: RunAdditions =
    RunAdditions { timeout: None, retry: None, memory: None, limits: Vec::new(), env: None };

impl Run {
    /// Gives what the flags say that a file opts in to.
    pub fn additions(&self) -> &RunAdditions {
        self.additions.as_deref().unwrap_or(&NO_ADDITIONS)
    }

    /// Says how the here-docs make up the command.
    pub fn heredoc_shape(&self) -> RunHeredocs {
        let Form::Shell(text) = &self.command else { return RunHeredocs::None };
        if self.heredocs.is_empty() {
            return RunHeredocs::None;
        }
        match HeredocStart::parse(&text.value) {
            Ok(Some(_)) => RunHeredocs::Script,
            _ => RunHeredocs::Mixed,
        }
    }
}

impl Scope<'_> {
    pub(super) fn read_run(&mut self) -> Option<InstructionKind> {
        let mut flags = self.read_flags(RUN_FLAGS);
        let command = self.read_form(self.arguments.clone());
        if command == Form::Exec(Vec::new()) {
            let help = "name the program: RUN [\"PROGRAM\", \"ARGUMENT\"]";
            let message = "RUN requires a command, but the array is empty";
            self.report(Diagnostic::error(codes::MISSING_ARGUMENTS, message, self.statement).with_help(help));
            return None;
        }
        let mut mounts = Vec::with_capacity(flags.all("mount").count());
        for flag in flags.all("mount") {
            match Mount::parse(&flag.value) {
                Ok(mount) => mounts.push(mount),
                Err(diagnostic) => self.report(diagnostic),
            }
        }
        let mut devices = Vec::new();
        for flag in flags.all("device") {
            match read_device(flag) {
                Ok(device) => devices.push(device),
                Err(diagnostic) => self.report(diagnostic),
            }
        }
        let networks = [("default", Network::Default), ("none", Network::None), ("host", Network::Host)];
        let securities = [("sandbox", Security::Sandbox), ("insecure", Security::Insecure)];
        Some(InstructionKind::Run(Box::new(Run {
            command,
            heredocs: std::mem::take(&mut self.heredocs),
            mounts,
            network: self.read_choice(&mut flags, "network", &networks, codes::NETWORK, "invalid network mode"),
            security: self.read_choice(&mut flags, "security", &securities, codes::SECURITY, "invalid security mode"),
            devices,
            additions: self.read_additions(&mut flags),
        })))
    }

    fn read_additions(&mut self, flags: &mut Flags) -> Option<Box<RunAdditions>> {
        let limits = LIMITS.iter().filter_map(|name| Some(flags.find(name)?.span)).collect();
        let additions = RunAdditions {
            limits,
            timeout: self.read_timeout(flags),
            retry: self.read_retry(flags),
            memory: self.read_memory(flags),
            env: self.read_env(flags),
        };
        Some(additions).filter(|additions| *additions != NO_ADDITIONS).map(Box::new)
    }

    /// Reads `--env`: the name of a variable.
    fn read_env(&mut self, flags: &mut Flags) -> Option<Spanned<String>> {
        let given = flags.take("env")?;
        if is_variable(&given.raw) {
            return Some(Spanned::new(given.raw.into(), given.span));
        }
        let message = format!("--env={} is not the name of a variable", given.raw);
        let help = "a name is letters, digits and _, and does not begin with a digit: --env=VERSION";
        self.report(Diagnostic::error(codes::OUTPUT_NAME, message, given.span).with_help(help));
        None
    }

    /// Reads `--timeout`: a duration above zero.
    fn read_timeout(&mut self, flags: &mut Flags) -> Option<Spanned<Duration>> {
        let given = flags.take("timeout")?;
        let help = "write a number and a unit, as in --timeout=10m; units are ns us ms s m h";
        let (code, message) = match parse_duration(&given.raw) {
            Ok(nanoseconds) => match u64::try_from(nanoseconds) {
                Ok(nanoseconds @ 1_000_000..) => {
                    return Some(Spanned::new(Duration::from_nanos(nanoseconds), given.span));
                }
                _ => (codes::DURATION_TOO_SHORT, format!("--timeout={} is less than 1ms", given.raw)),
            },
            Err(error) => (codes::DURATION, format!("{error} for flag --timeout")),
        };
        self.report(Diagnostic::error(code, message, given.span).with_help(help));
        None
    }

    /// Reads `--retry`: how often a failed step is run again.
    fn read_retry(&mut self, flags: &mut Flags) -> Option<Spanned<u32>> {
        let given = flags.take("retry")?;
        if let Some(count) = given.raw.parse().ok().filter(|count| *count <= MAX_RETRIES) {
            return Some(Spanned::new(count, given.span));
        }
        let message = format!("--retry={} is not a number from 0 to {MAX_RETRIES}", given.raw);
        let help = "write how often the step is run again when it fails, as in --retry=3";
        self.report(Diagnostic::error(codes::RETRY, message, given.span).with_help(help));
        None
    }

    /// Reads `--memory`: a size.
    fn read_memory(&mut self, flags: &mut Flags) -> Option<Spanned<u64>> {
        let given = flags.take("memory")?;
        if let Some(size) = parse_byte_size(&given.raw).filter(|size| *size >= MIN_MEMORY) {
            return Some(Spanned::new(size, given.span));
        }
        let message = format!("--memory={} is not a size of at least 1m", given.raw);
        let help = "write a number and a unit, as in --memory=512m or --memory=2g";
        self.report(Diagnostic::error(codes::MEMORY, message, given.span).with_help(help));
        None
    }

    fn read_choice<T: std::marker::Copy>(
        &mut self,
        flags: &mut Flags,
        flag: &str,
        choices: &[(&'static str, T)],
        code: &'static str,
        message: &str,
    ) -> Option<Spanned<T>> {
        let given = flags.take(flag)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == given.raw) {
            return Some(Spanned::new(*value, given.span));
        }
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let hint =
            suggest(&given.raw, names.iter().copied()).map_or(String::new(), |near| format!(" (did you mean {near}?)"));
        let made = Diagnostic::error(code, format!("{message} {:?}{hint}", given.raw), given.span);
        self.report(made.with_help(format!("--{flag} is one of {}", names.join(", "))));
        None
    }

    pub(super) fn read_command(&mut self) -> Form {
        self.read_flags(&[]);
        self.read_form(self.arguments.clone())
    }

    fn read_form(&mut self, range: Range<usize>) -> Form {
        match self.read_json() {
            Some(strings) => Form::Exec(strings),
            None => Form::Shell(self.spanned(range)),
        }
    }

    fn read_json(&mut self) -> Option<Vec<Spanned<String>>> {
        let strings = self.take_strings()?.into_iter();
        Some(strings.map(|(value, range)| Spanned::new(value.into_owned(), self.json_span(&range))).collect())
    }

    pub(super) fn read_shell(&mut self) -> Option<InstructionKind> {
        self.read_flags(&[]);
        let Some(strings) = self.read_json() else {
            if self.arguments.is_empty() {
                self.missing_arguments("at least one argument", "write SHELL [\"PROGRAM\", \"ARGUMENT\"]");
                return None;
            }
            let text = &self.text()[self.arguments.clone()];
            let has_path = text.starts_with('[') && text.contains(":\\") && !text.contains("\\\\");
            let help = if has_path {
                "JSON needs each backslash of a path doubled: [\"c:\\\\path\\\\to\\\\file.exe\", \"/parameter\"]"
            } else {
                "write SHELL [\"PROGRAM\", \"ARGUMENT\"], with double quotes and commas"
            };
            let message = "SHELL requires the arguments to be in JSON form";
            self.report(Diagnostic::error(codes::SHELL_NOT_JSON, message, self.statement).with_help(help));
            return None;
        };
        if strings.is_empty() {
            self.missing_arguments("at least one argument", "write SHELL [\"PROGRAM\", \"ARGUMENT\"]");
            return None;
        }
        Some(InstructionKind::Shell(strings))
    }

    pub(super) fn read_healthcheck(&mut self) -> Option<InstructionKind> {
        let usage = "write HEALTHCHECK CMD COMMAND or HEALTHCHECK NONE";
        let (kind, rest) = split_once_blank(self.text(), self.arguments.clone());
        if kind.is_empty() {
            self.missing_arguments("at least one argument", usage);
            return None;
        }
        let word = self.text()[kind.clone()].to_uppercase();
        if word == "NONE" {
            self.drop_flags("HEALTHCHECK NONE");
            if let Some(rest) = rest {
                let span = self.line.span(rest.start, rest.end);
                let message = "HEALTHCHECK NONE takes no arguments";
                self.report(Diagnostic::error(codes::HEALTHCHECK_NONE, message, span).with_help("remove them"));
                return None;
            }
            return Some(InstructionKind::Healthcheck(Healthcheck::None));
        }
        let mut flags = self.read_flags(HEALTHCHECK_FLAGS);
        if word != "CMD" {
            let span = self.line.span(kind.start, kind.end);
            let message = format!("Unknown type {word:?} in HEALTHCHECK (try CMD)");
            self.report(Diagnostic::error(codes::HEALTHCHECK_TYPE, message, span).with_help(usage));
            return None;
        }
        let command = rest.map(|rest| self.read_form(rest));
        let command = command.filter(|command| *command != Form::Exec(Vec::new()));
        let Some(command) = command else {
            let message = "Missing command after HEALTHCHECK CMD";
            self.report(Diagnostic::error(codes::HEALTHCHECK_COMMAND, message, self.statement).with_help(usage));
            return None;
        };
        let command = HealthcheckCommand {
            command,
            interval: self.read_interval(&mut flags, "interval"),
            timeout: self.read_interval(&mut flags, "timeout"),
            start_period: self.read_interval(&mut flags, "start-period"),
            start_interval: self.read_interval(&mut flags, "start-interval"),
            retries: self.read_retries(&mut flags),
        };
        Some(InstructionKind::Healthcheck(Healthcheck::Command(Box::new(command))))
    }

    /// Reads a duration flag; zero means unset, less than a millisecond is refused.
    fn read_interval(&mut self, flags: &mut Flags, name: &str) -> Duration {
        let Some(given) = flags.take_filled(name) else { return Duration::ZERO };
        let nanoseconds = match parse_duration(&given.raw) {
            Ok(nanoseconds) => nanoseconds,
            Err(error) => {
                let help = format!("write a number and a unit, as in --{name}=30s; units are ns us ms s m h");
                let message = format!("{error} for flag --{name}");
                self.report(Diagnostic::error(codes::DURATION, message, given.span).with_help(help));
                return Duration::ZERO;
            }
        };
        let duration = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
        if nanoseconds != 0 && duration < Duration::from_millis(1) {
            let message = format!("Interval {name:?} cannot be less than 1ms");
            let help = format!("write --{name}=1ms or more, or leave it out for the default");
            self.report(Diagnostic::error(codes::DURATION_TOO_SHORT, message, given.span).with_help(help));
            return Duration::ZERO;
        }
        duration
    }

    fn read_retries(&mut self, flags: &mut Flags) -> u32 {
        let Some(given) = flags.take_filled("retries") else { return 0 };
        match given.raw.parse::<i32>() {
            Ok(number) if number >= 0 => number.unsigned_abs(),
            Ok(number) => {
                let message = format!("--retries cannot be negative ({number})");
                self.report(
                    Diagnostic::error(codes::RETRIES, message, given.span).with_help("write 0 for the default"),
                );
                0
            }
            Err(_) => {
                let message = format!("--retries must be a number, not {:?}", given.raw);
                self.report(Diagnostic::error(codes::RETRIES, message, given.span).with_help("write --retries=3"));
                0
            }
        }
    }
}

/// Says whether a shell can name a variable so.
fn is_variable(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_part) && !name.as_bytes()[0].is_ascii_digit()
}

/// Reads `name[,required[=bool]]` or `name=…` (dockerfile.md §13.3).
fn read_device(flag: &Flag) -> Result<Device, Diagnostic> {
    let fail = |message: String| {
        let help = "write --device=VENDOR/CLASS=NAME, and ,required when the step needs it";
        Diagnostic::error(codes::DEVICE, message, flag.value.span).with_help(help)
    };
    let fields = csv::split(&flag.value.raw).map_err(|error| fail(format!("failed to parse csv devices: {error}")))?;
    let mut name = String::new();
    let mut is_required = false;
    for field in fields {
        let field = field.text;
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        match (key.as_str(), value) {
            ("required", None) => is_required = true,
            ("required", Some(value)) => {
                is_required = crate::boolean::parse_bool(value)
                    .ok_or_else(|| fail(format!("invalid value for required: {value}")))?;
            }
            ("name", Some(_)) if !name.is_empty() => return Err(fail(format!("device name already set to {name}"))),
            ("name", Some(value)) => value.clone_into(&mut name),
            _ if name.is_empty() => field.as_ref().clone_into(&mut name),
            (_, None) => return Err(fail(format!("invalid field '{field}' must be a key=value pair"))),
            (key, Some(_)) => {
                let near = suggest(key, ["name", "required"]);
                let hint = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
                return Err(fail(format!("unexpected key '{key}' in '{field}'{hint}")));
            }
        }
    }
    if name.is_empty() {
        return Err(fail(format!("{:?} names no device", flag.value.raw)));
    }
    Ok(Device { name, is_required, span: flag.value.span })
}
