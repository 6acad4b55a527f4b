//! The strake command line: reads flags, environment and clock, shows events, ends with an exit code.

mod args;
mod base64;
mod build;
mod call;
mod check;
mod dockerfile;
mod exit;
mod fields;
mod output_spec;
mod progress;
mod request;
mod settings;
mod store_commands;
mod sys;
mod unsupported;

use std::io::Write as _;
use std::process::ExitCode;

use args::{Command, DebugCommand};
use strake_cli::render;

fn main() -> ExitCode {
    let cli = match args::read() {
        Ok(cli) => cli,
        Err(error) => return wrong_flags(&error),
    };
    let outcome = match &cli.command {
        Command::Build(args) => build::run(&cli.store, args),
        Command::Check(args) => check::run(&cli.store, args),
        Command::Images => store_commands::images(&cli.store),
        Command::Prune(args) => store_commands::prune(&cli.store, args),
        Command::Doctor => store_commands::doctor(&cli.store),
        Command::Explain { code } => explain(code),
        Command::Dockerfile(command) => dockerfile::run(command),
        Command::Debug(DebugCommand::Parse { file, tree }) => parse(file, *tree),
        Command::Version => say(&format!("strake {}", env!("CARGO_PKG_VERSION"))).map(|()| ExitCode::SUCCESS),
    };
    ended(outcome)
}

/// Says what went wrong, and gives the exit code.
fn ended(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(error) => match error.downcast_ref::<strake::Error>() {
            Some(known) => {
                complain(&render::error(known, console::colors_enabled_stderr()));
                ExitCode::from(exit::code(known, None))
            }
            None => {
                complain(&format!("error: {error:#}\n"));
                ExitCode::from(exit::USAGE)
            }
        },
    }
}

/// Says what is wrong with the command line, or prints the help that was asked for.
fn wrong_flags(error: &clap::Error) -> ExitCode {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some(text) = unsupported::explain(flag)
    {
        complain(&text);
        return ExitCode::from(exit::USAGE);
    }
    if error.use_stderr() {
        error.exit()
    }
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    ended(written(printed).map(|()| ExitCode::SUCCESS))
}

/// Writes a line to standard output.
fn say(line: &str) -> anyhow::Result<()> {
    say_all(format!("{line}\n"))
}

/// Writes to standard output as it is.
fn say_all(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(text.as_ref()).and_then(|()| out.flush()))
}

/// Judges a write to standard output; a reader that went away is no error of ours.
fn written(result: std::io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => anyhow::bail!(
            "cannot write to standard output: {error}\nhelp: free space where it goes, or send it to another file"
        ),
        _ => Ok(()),
    }
}

/// Writes to standard error as it is.
fn complain(text: &str) {
    let _ignored = write!(anstream::stderr().lock(), "{text}");
}

fn explain(code: &str) -> anyhow::Result<ExitCode> {
    let Some(page) = strake::explain(code) else {
        let pages = strake::explanations();
        let near = strake::suggest(&code.to_uppercase(), pages.iter().map(|page| page.code));
        let near = near.or_else(|| strake::suggest(code, pages.iter().map(|page| page.title)));
        let near = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        anyhow::bail!(
            "there is no code {code:?}{near}: codes look like E0101 and stand in brackets behind error and warning"
        );
    };
    say(&render::page(&page))?;
    Ok(ExitCode::SUCCESS)
}

fn parse(file: &std::path::Path, tree: bool) -> anyhow::Result<ExitCode> {
    let bytes = std::fs::read(file).map_err(|error| anyhow::anyhow!("cannot read {}: {error}", file.display()))?;
    let parsed = strake::parse(bytes, &strake::ParseOptions::default());
    dockerfile::show(&file.display().to_string(), &parsed.dockerfile, &parsed.diagnostics);
    if tree {
        say(&format!("{:#?}", parsed.dockerfile))?;
    } else {
        let stages = parsed.dockerfile.stages.len();
        let instructions: usize = parsed.dockerfile.stages.iter().map(|stage| stage.instructions.len() + 1).sum();
        say(&format!("{stages} stages, {} instructions", instructions + parsed.dockerfile.global_args.len()))?;
    }
    let failed = parsed.has_errors();
    // The process ends here: to give the tree back piece by piece would take as long as half of the parse.
    std::mem::forget(parsed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
