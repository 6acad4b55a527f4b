//! `strake build --call`: questions about a Dockerfile instead of a build (dockerfile.md §19).

mod table;

use std::collections::BTreeSet;
use std::future::Future;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use serde_json::{Map, Value, json};
use strake::{
    BuildRequest, Cancel, Engine, Event, EventSink, Location, NoticeSink, Outline, SourceFile, Span, Targets,
};

use crate::args::{BuildArgs, StoreArgs};
use crate::check::Format;
use crate::{base64, request, settings};
use table::Table;

/// What `--call` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// The build itself.
    Build,
    /// The checks, in this format or in that of `--check`.
    Check(Option<Format>),
    /// What the target can be given.
    Outline(Answer),
    /// The stages.
    Targets(Answer),
}

/// The formats of what is no check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Tables for people.
    #[default]
    Text,
    /// One JSON object, in the reference's format.
    Json,
}

/// Reads `METHOD[,format=FORMAT]`.
pub(crate) fn parse_call(text: &str) -> Result<Call, String> {
    let (method, option) = text.split_once(',').map_or((text, None), |(method, option)| (method, Some(option)));
    let name = match option {
        None => None,
        Some(option) => {
            Some(option.strip_prefix("format=").ok_or_else(|| format!("unknown option {option:?}: format=…"))?)
        }
    };
    let answer = || match name {
        None | Some("text") => Ok(Answer::Text),
        Some("json") => Ok(Answer::Json),
        Some(name) => Err(format!("unknown format {name:?}: text or json")),
    };
    let format =
        |name: &str| Format::from_str(name, false).map_err(|_| format!("unknown format {name:?}: text, json or sarif"));
    match method {
        "build" | "" => Ok(Call::Build),
        "check" | "lint" => Ok(Call::Check(name.map(format).transpose()?)),
        "outline" => Ok(Call::Outline(answer()?)),
        "targets" => Ok(Call::Targets(answer()?)),
        _ => Err("known are build, check, outline and targets".to_owned()),
    }
}

/// `--call outline`.
pub(crate) fn outline(store: &StoreArgs, args: &BuildArgs, answer: Answer) -> Result<ExitCode> {
    ask(store, args, |asker, request| {
        let outline = asker.ask(|engine, events, cancel| engine.outline(request, events, cancel))?;
        Ok(match answer {
            Answer::Text => outline_text(&outline),
            Answer::Json => serde_json::to_string_pretty(&outline_json(&outline))? + "\n",
        })
    })
}

/// `--call targets`.
pub(crate) fn targets(store: &StoreArgs, args: &BuildArgs, answer: Answer) -> Result<ExitCode> {
    ask(store, args, |asker, request| {
        let targets = asker.ask(|engine, events, cancel| engine.targets(request, events, cancel))?;
        Ok(match answer {
            Answer::Text => targets_text(&targets),
            Answer::Json => serde_json::to_string_pretty(&targets_json(&targets))? + "\n",
        })
    })
}

fn ask(
    store: &StoreArgs,
    args: &BuildArgs,
    answer: impl FnOnce(&Asker, BuildRequest) -> Result<String>,
) -> Result<ExitCode> {
    let mut scratch = None;
    let request = request::make(args, &mut scratch)?;
    let text = answer(&Asker::open(store)?, request)?;
    crate::say_all(text)?;
    Ok(ExitCode::SUCCESS)
}

/// A store held open to ask something about a Dockerfile.
pub(crate) struct Asker {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
    /// The warnings so far: of several questions about one file, each is shown once.
    warnings: Arc<Mutex<BTreeSet<String>>>,
}

impl Asker {
    /// Opens the store.
    pub(crate) fn open(store: &StoreArgs) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
        let notices = NoticeSink::new(|notice| {
            if let strake::Notice::Warning(message) = notice {
                crate::complain(&format!("warning: {message}\n"));
            }
        });
        let engine = Engine::open_with(settings::make(store)?, &notices)?;
        Ok(Self { runtime, engine, warnings: Arc::default() })
    }

    /// Waits for an answer; warnings on the way go to standard error.
    pub(crate) fn ask<'a, T, F>(&'a self, question: impl FnOnce(&'a Engine, EventSink, Cancel) -> F) -> Result<T>
    where
        F: Future<Output = strake::Result<T>>,
    {
        let warnings = Arc::clone(&self.warnings);
        let sink = EventSink::new(move |event| {
            if let Event::Warning { message, .. } = event
                && warnings.lock().unwrap_or_else(PoisonError::into_inner).insert(message.clone())
            {
                crate::complain(&format!("warning: {message}\n"));
            }
        });
        Ok(self.runtime.block_on(question(&self.engine, sink, Cancel::new()))?)
    }
}

/// The reference's tables, blanks at the ends of lines included.
fn outline_text(outline: &Outline) -> String {
    let mut out = String::new();
    if outline.name.is_some() || outline.description.is_some() {
        let mut head = Table::new(1);
        head.row(["TARGET:", outline.name.as_deref().unwrap_or("(default)")]);
        if let Some(description) = &outline.description {
            head.row(["DESCRIPTION:", description]);
        }
        out.push_str(&head.finish());
        out.push('\n');
    }
    if !outline.arguments.is_empty() {
        let mut table = Table::new(3);
        table.row(["BUILD ARG", "VALUE", "DESCRIPTION"]);
        for one in &outline.arguments {
            table.row([
                &one.name,
                one.value.as_deref().unwrap_or_default(),
                one.description.as_deref().unwrap_or_default(),
            ]);
        }
        out.push_str(&table.finish());
        out.push('\n');
    }
    for (title, mounts) in [("SECRET", &outline.secrets), ("SSH", &outline.agents)] {
        if mounts.is_empty() {
            continue;
        }
        let mut table = Table::new(3);
        table.row([title, "REQUIRED"]);
        for one in mounts {
            table.row([&*one.id, if one.is_required { "true" } else { "" }]);
        }
        out.push_str(&table.finish());
        out.push('\n');
    }
    out
}

fn targets_text(targets: &Targets) -> String {
    let mut table = Table::new(1);
    table.row(["TARGET", "DESCRIPTION"]);
    for one in &targets.targets {
        let name = match (&one.name, one.is_default) {
            (Some(name), true) => format!("{name} (default)"),
            (Some(name), false) => name.clone(),
            (None, true) => "(default)".to_owned(),
            (None, false) => String::new(),
        };
        table.row([&*name, one.description.as_deref().unwrap_or_default()]);
    }
    table.finish()
}

/// An object of which members that say nothing are left out, as the reference leaves them out.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let is_said = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let said = members.into_iter().filter(|(_, value)| is_said(value));
    Value::Object(said.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

fn outline_json(outline: &Outline) -> Value {
    let argument = |one: &strake::OutlineArgument| {
        object([
            ("name", json!(one.name)),
            ("description", json!(one.description)),
            ("value", json!(one.value)),
            ("location", location(one.location)),
        ])
    };
    let mount = |one: &strake::OutlineMount| {
        object([("name", json!(one.id)), ("required", json!(one.is_required)), ("location", location(one.location))])
    };
    // The reference has a member for caches in its format and leaves it empty.
    let cache = |one: &strake::OutlineMount| object([("ID", json!(one.id)), ("location", location(one.location))]);
    object([
        ("name", json!(outline.name)),
        ("description", json!(outline.description)),
        ("args", outline.arguments.iter().map(argument).collect()),
        ("secrets", outline.secrets.iter().map(mount).collect()),
        ("ssh", outline.agents.iter().map(mount).collect()),
        ("cache", outline.caches.iter().map(cache).collect()),
        ("sources", sources(&outline.files)),
    ])
}

fn targets_json(targets: &Targets) -> Value {
    let target = |one: &strake::Target| {
        object([
            ("name", json!(one.name)),
            ("default", json!(one.is_default)),
            ("description", json!(one.description)),
            ("base", json!(one.base)),
            ("platform", json!(one.platform)),
            ("location", location(one.location)),
        ])
    };
    let all: Vec<Value> = targets.targets.iter().map(target).collect();
    json!({"targets": all, "sources": sources(&targets.files)})
}

/// The lines of an instruction, each a range as the reference has them; the index of the first file is left out.
pub(crate) fn location(at: Location) -> Value {
    let range = |line: usize| json!({"start": {"line": line}, "end": {"line": line}});
    let mut out = json!({"ranges": (at.first..=at.last).map(range).collect::<Value>()});
    if at.file > 0 {
        out["sourceIndex"] = at.file.into();
    }
    out
}

fn sources(files: &[SourceFile]) -> Value {
    files.iter().map(|file| base64::encode(&file.source.bytes(Span::new(0, file.source.text().len())))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_in_docker_s_spelling() {
        assert_eq!(parse_call("build"), Ok(Call::Build));
        assert_eq!(parse_call("check"), Ok(Call::Check(None)));
        assert_eq!(parse_call("check,format=json"), Ok(Call::Check(Some(Format::Json))));
        assert_eq!(parse_call("outline"), Ok(Call::Outline(Answer::Text)));
        assert_eq!(parse_call("targets,format=json"), Ok(Call::Targets(Answer::Json)));
        assert!(parse_call("check,format=xml").is_err_and(|problem| problem.contains("sarif")));
        assert!(parse_call("outline,format=sarif").is_err_and(|problem| problem.contains("text or json")));
        assert!(parse_call("x").is_err() && parse_call("check,x").is_err());
    }
}
