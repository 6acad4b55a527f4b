//! Copies of everything before an installation that needs a few files only.

use super::Findings;
use super::shell::{Command, Script};
use crate::ast::{Copy, CopySource, Instruction, InstructionKind, Run, Stage};
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;

/// A command that fetches dependencies, and the files it needs for that.
struct Install {
    programs: &'static [&'static str],
    /// The first argument that is no flag; the empty text stands for none.
    actions: &'static [&'static str],
    files: &'static str,
}

const INSTALLS: &[Install] = &[
    Install { programs: &["npm"], actions: &["ci", "install", "i"], files: "package.json package-lock.json" },
    Install { programs: &["yarn"], actions: &["install", ""], files: "package.json yarn.lock" },
    Install { programs: &["pnpm"], actions: &["install", "i"], files: "package.json pnpm-lock.yaml" },
    Install { programs: &["bun"], actions: &["install"], files: "package.json bun.lock" },
    Install { programs: &["bundle"], actions: &["install"], files: "Gemfile Gemfile.lock" },
    Install { programs: &["composer"], actions: &["install"], files: "composer.json composer.lock" },
    Install { programs: &["pipenv"], actions: &["install", "sync"], files: "Pipfile Pipfile.lock" },
    Install { programs: &["cargo"], actions: &["fetch"], files: "Cargo.toml Cargo.lock" },
    Install { programs: &["mix"], actions: &["deps.get"], files: "mix.exs mix.lock" },
    Install { programs: &["dotnet"], actions: &["restore"], files: "the project files" },
    Install { programs: &["mvn", "mvnw"], actions: &["dependency:go-offline", "dependency:resolve"], files: "pom.xml" },
];

/// Package managers whose packages are named on the command line, and what installs them.
const BY_NAME: &[(&[&str], &[&str])] = &[
    (&["apt-get", "apt", "dnf", "microdnf", "yum", "zypper", "gem", "pip", "pip3"], &["install"]),
    (&["apk"], &["add"]),
];

/// What stands beside such an installation and needs nothing of what was copied.
const BESIDE: &[&str] = &["set", "true", "echo"];

/// What package managers do to their own files.
const UPKEEP: &[&str] = &["autoclean", "autoremove", "clean", "makecache", "refresh", "update", "upgrade"];

/// Where package managers leave files that are removed in the end.
const LEAVINGS: &[&str] = &["/var/lib/apt/", "/var/cache/", "/tmp/", "/var/tmp/", "/root/.cache", "/var/log/"];

/// Options of installations that name no file.
const OPTIONS: &[&str] = &[
    "-y",
    "-qy",
    "-yq",
    "-q",
    "-qq",
    "-qqy",
    "-yqq",
    "-U",
    "-N",
    "--yes",
    "--assume-yes",
    "--quiet",
    "--upgrade",
    "--no-cache",
    "--no-cache-dir",
    "--no-docs",
    "--nodocs",
    "--no-document",
    "--no-install-recommends",
    "--no-progress",
    "--non-interactive",
    "--setopt=install_weak_deps=False",
    "--setopt=tsflags=nodocs",
    "--update",
];

pub(super) fn check(stage: &Stage, findings: &mut Findings<'_>) {
    // Programs whose installation already stands above the copy.
    let mut done: Vec<&'static str> = Vec::new();
    let mut copy: Option<&Instruction> = None;
    // An installation that needs no file at all is told where none is that needs some.
    let mut by_name: Option<(&Instruction, &Instruction, String)> = None;
    let mut is_same_shell = true;
    for instruction in &stage.instructions {
        match &instruction.kind {
            InstructionKind::User(_) | InstructionKind::Shell(_) => is_same_shell = copy.is_none(),
            InstructionKind::Copy(given) if copy.is_none() && copies_all(given) => copy = Some(instruction),
            InstructionKind::Add(add) if copy.is_none() && copies_all(&add.copy) => copy = Some(instruction),
            InstructionKind::Run(run) => {
                let Some((shown, files)) = installation(run) else {
                    if let (Some(copy), Some(shown)) = (copy, installation_by_name(run))
                        && is_same_shell
                        && by_name.is_none()
                        && !is_cached(run)
                        && !may_configure(copy)
                    {
                        by_name = Some((copy, instruction, shown));
                    }
                    continue;
                };
                let Some(copy) = copy else {
                    done.push(files);
                    continue;
                };
                if done.contains(&files) || is_cached(run) {
                    continue;
                }
                let help = format!("copy {files} first, run {shown}, and copy the rest after that");
                return tell(copy, instruction, &shown, help, findings);
            }
            _ => {}
        }
    }
    if let Some((copy, run, shown)) = by_name {
        let help = format!("move the RUN above this line: {shown} needs nothing of what is copied");
        tell(copy, run, &shown, help, findings);
    }
}

/// Says whether a copy may bring settings of the system.
fn may_configure(instruction: &Instruction) -> bool {
    let dest = match &instruction.kind {
        InstructionKind::Copy(copy) => &copy.dest,
        InstructionKind::Add(add) => &add.copy.dest,
        _ => return true,
    };
    dest.raw == "/" || dest.raw.starts_with("/etc") || dest.raw.starts_with("/usr") || dest.raw.contains('$')
}

fn tell(copy: &Instruction, run: &Instruction, shown: &str, help: String, findings: &mut Findings<'_>) {
    let message = format!("each change of the build context runs {shown} again");
    let made = Diagnostic::lint(Rule::CopyInvalidatesRun, message, copy.span);
    let made = made.with_label(run.keyword.span, "what is copied above decides whether this runs");
    findings.add(copy.check_overrides.as_deref(), made.with_help(help));
}

/// Says whether a copy takes all of the build context.
fn copies_all(copy: &Copy) -> bool {
    let is_all = |source: &CopySource| match source {
        CopySource::Word(word) => matches!(word.raw.as_str(), "." | "./" | "/" | "*" | "./*"),
        CopySource::Heredoc(_) => false,
    };
    copy.from.is_none() && copy.exclude.is_empty() && copy.sources.iter().any(is_all)
}

/// With a cache mount an installation is cheap; with files mounted its input is not what was copied.
fn is_cached(run: &Run) -> bool {
    run.mounts.iter().any(|mount| {
        let kind = mount.option("type").map_or("bind", |word| word.raw.as_str());
        matches!(kind, "cache" | "bind")
    })
}

/// Gives the installation that a RUN makes and the files it needs.
fn installation(run: &Run) -> Option<(String, &'static str)> {
    let script = Script::of(run)?;
    script.commands().iter().find_map(|command| Some((shown(command)?, needed(command)?)))
}

/// Gives the installation of packages by their names that a RUN makes, if it does nothing else.
fn installation_by_name(run: &Run) -> Option<String> {
    let script = Script::of(run)?;
    let commands = script.commands();
    let is_beside = |command: &Command| {
        let Some((name, rest)) = command.program() else { return true };
        let mut plain = rest.iter().filter(|word| !word.starts_with('-'));
        let is_upkeep = BY_NAME.iter().any(|(programs, _)| programs.contains(&name))
            && plain.clone().count() == 1
            && plain.clone().all(|word| UPKEEP.contains(&word.as_str()));
        let removes_leavings = name == "rm" && plain.all(|word| LEAVINGS.iter().any(|folder| word.starts_with(folder)));
        BESIDE.contains(&name) || is_upkeep || removes_leavings || by_name(command)
    };
    // A file, a list of names, or a value may come from what was copied.
    if !commands.iter().all(is_beside) || script.text.contains(['$', '`', '<']) {
        return None;
    }
    commands.iter().find(|command| by_name(command)).and_then(shown)
}

fn by_name(command: &Command) -> bool {
    let Some((program, rest)) = command.program() else { return false };
    let mut plain = rest.iter().map(String::as_str).filter(|word| !word.starts_with('-'));
    let action = plain.next().unwrap_or_default();
    let installs = BY_NAME.iter().any(|(programs, actions)| programs.contains(&program) && actions.contains(&action));
    let is_name = |word: &str| {
        !word.starts_with('.')
            && !word.contains('/')
            && ![".deb", ".rpm", ".apk", ".gem", ".whl", ".txt"].iter().any(|end| word.ends_with(end))
    };
    let names: Vec<&str> = plain.collect();
    installs
        && !names.is_empty()
        && names.into_iter().all(is_name)
        && rest.iter().all(|word| !word.starts_with('-') || OPTIONS.contains(&word.as_str()))
}

/// Gives the begin of a command, which tells it from others.
fn shown(command: &Command) -> Option<String> {
    let (program, rest) = command.program()?;
    let words = rest.iter().take(4).map(String::as_str);
    let all: Vec<&str> = std::iter::once(program).chain(words).collect();
    Some(all.join(" ") + if rest.len() > 4 { " …" } else { "" })
}

fn needed(command: &Command) -> Option<&'static str> {
    let (program, rest) = command.program()?;
    // `python -m pip …` is pip.
    let (program, rest) = match rest {
        [flag, module, rest @ ..] if program.starts_with("python") && flag == "-m" => (module.as_str(), rest),
        rest => (program, rest),
    };
    let plain: Vec<&str> = rest.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let has = |flags: &[&str]| rest.iter().any(|word| flags.contains(&word.as_str()));
    match program {
        "pip" | "pip3" => (plain.first() == Some(&"install") && has(&["-r", "--requirement"]) && !has(&["-e", "."]))
            .then_some("requirements.txt"),
        "go" => (plain.starts_with(&["mod", "download"])).then_some("go.mod go.sum"),
        "poetry" => (plain.first() == Some(&"install") && has(&["--no-root"])).then_some("pyproject.toml poetry.lock"),
        "uv" => (plain.first() == Some(&"sync") && has(&["--no-install-project"])).then_some("pyproject.toml uv.lock"),
        _ => {
            let install = INSTALLS.iter().find(|install| install.programs.contains(&program))?;
            let action = plain.first().copied().unwrap_or_default();
            // What names packages, or installs for all projects, needs no file.
            let is_general = has(&["-g", "--global", "--version", "--help", "-v"]);
            let names_packages = plain.len() > 1 && program != "dotnet";
            (install.actions.contains(&action) && !names_packages && !is_general).then_some(install.files)
        }
    }
}
