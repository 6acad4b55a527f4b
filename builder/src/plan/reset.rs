//! `FROM --reset`: takes back what a stage inherits (docs/language-additions.md).

use std::sync::Arc;

use strake_layers::ImageConfig;
use strake_parser::{Diagnostic, Reset, ResetPart, Spanned};

use super::evaluate::StageState;
use super::lints::Lints;
use super::{codes, paths};

/// Tells whether the triggers of the base do not fire.
pub(super) fn silences_triggers(items: &[Spanned<Reset>]) -> bool {
    items.iter().any(|item| matches!(item.value.part, ResetPart::Onbuild | ResetPart::All))
}

/// Takes back what the items name.
pub(super) fn apply(state: &mut StageState, items: &[Spanned<Reset>], lints: &mut Lints) {
    let is_windows = state.platform.is_windows();
    for item in items {
        let Reset { part, key } = &item.value;
        let is_there = match (part, key) {
            (ResetPart::Env, Some(key)) => reset_variable(state, key),
            (ResetPart::Expose, Some(key)) => {
                let ports = &mut state.config.config.exposed_ports;
                // A port without a protocol is one of TCP, as in EXPOSE (dockerfile.md §13.9).
                ports.remove(key) || ports.remove(&format!("{key}/tcp"))
            }
            (ResetPart::Label, Some(key)) => state.config.config.labels.remove(key).is_some(),
            (ResetPart::Volume, Some(key)) => state.config.config.volumes.remove(key),
            (ResetPart::All, _) => {
                for part in ALL {
                    reset_part(state, part, is_windows);
                }
                true
            }
            (part, _) => {
                reset_part(state, *part, is_windows);
                true
            }
        };
        if let (false, Some(key)) = (is_there || state.env.is_partial(), key) {
            let message = format!("--reset={}={key} takes back nothing: the base does not set it", part.name());
            let help = "look at the base image's config for what it sets, or remove the item";
            lints.push(Diagnostic::warning(codes::NOTHING_TO_RESET, message, item.span).with_help(help));
        }
    }
}

/// What `all` stands for; triggers are held back where they would fire.
const ALL: [ResetPart; 11] = [
    ResetPart::Cmd,
    ResetPart::Entrypoint,
    ResetPart::Env,
    ResetPart::Expose,
    ResetPart::Healthcheck,
    ResetPart::Label,
    ResetPart::Shell,
    ResetPart::Stopsignal,
    ResetPart::User,
    ResetPart::Volume,
    ResetPart::Workdir,
];

fn reset_part(state: &mut StageState, part: ResetPart, is_windows: bool) {
    let config = &mut state.config.config;
    match part {
        ResetPart::Cmd => {
            config.cmd.clear();
            config.args_escaped = false;
        }
        ResetPart::Entrypoint => config.entrypoint.clear(),
        ResetPart::Env => {
            let names: Vec<String> = config.env.iter().map(|line| name_of(line).to_owned()).collect();
            for name in names {
                reset_variable(state, &name);
            }
        }
        ResetPart::Expose => config.exposed_ports.clear(),
        ResetPart::Healthcheck => config.healthcheck = None,
        ResetPart::Label => config.labels.clear(),
        ResetPart::Shell => config.shell.clear(),
        ResetPart::Stopsignal => config.stop_signal.clear(),
        ResetPart::User => config.user.clear(),
        ResetPart::Volume => config.volumes.clear(),
        ResetPart::Workdir => {
            config.working_dir = paths::directory(is_windows, "", "/").unwrap_or_else(|_| "/".to_owned());
        }
        // Triggers were held back, and `all` was taken apart.
        _ => {}
    }
}

/// Takes a variable away, where it is set; the search path gets its default back, as in a stage from scratch.
fn reset_variable(state: &mut StageState, name: &str) -> bool {
    let is_windows = state.platform.is_windows();
    let is_it = |line: &str| {
        let have = name_of(line);
        if is_windows { have.to_lowercase() == name.to_lowercase() } else { have == name }
    };
    let env = &mut state.config.config.env;
    let before = env.len();
    env.retain(|line| !is_it(line));
    if env.len() == before {
        return false;
    }
    Arc::make_mut(&mut state.env).unset(name);
    if !is_windows && name == "PATH" {
        let default = ImageConfig::scratch(&state.platform);
        if let Some(path) = default.env("PATH") {
            state.config.set_env("PATH", path);
            Arc::make_mut(&mut state.env).set("PATH", path);
        }
    }
    true
}

fn name_of(line: &str) -> &str {
    line.split_once('=').map_or(line, |(name, _)| name)
}
