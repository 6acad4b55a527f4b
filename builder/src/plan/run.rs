//! RUN: command, environment, mounts (dockerfile.md §13.3).

use strake_parser::{Form, Heredoc, Instruction, MountSpec, Network, Run, RunHeredocs, Security, Span};

use crate::request::Entitlement;

use super::arguments::proxy_variables;
use super::evaluate::Evaluator;
use super::graph::{Op, RunMount, RunOp};
use super::{codes, paths, title};

/// The host name of steps (linux.md §1.1).
const HOSTNAME: &str = "buildkitsandbox";

/// What a RUN executes.
struct Command {
    argv: Vec<String>,
    script: Option<(String, Vec<u8>)>,
    first_line: Option<String>,
}

impl Evaluator<'_, '_> {
    /// RUN.
    pub(super) fn run(&mut self, instruction: &Instruction, run: &Run) -> Option<()> {
        self.check_output(run)?;
        let command = self.command(run);
        let mounts = self.mounts(run);
        let is_allowed = self.check_rights(run);
        let (Some(command), Some(mounts), true) = (command, mounts, is_allowed) else { return None };
        let makes = self.output(run);
        let options = self.table.options;
        let setting = |name: &str| options.build_args.get(name).filter(|value| !value.is_empty()).cloned();
        let env = &self.state.env;
        let title = title::of(instruction.original(&self.table.dockerfile.source), env, command.first_line.as_deref());
        let created_by = format!("RUN {}{} # buildkit", self.arguments_text(), command.argv.join(" "));
        let working_dir = &self.state.config.config.working_dir;
        let root = if self.is_windows() { "\\" } else { "/" };
        let additions = run.additions();
        let op = RunOp {
            argv: command.argv,
            script: command.script,
            env: env.pairs().to_vec(),
            outputs: env.outputs(),
            makes: makes.clone(),
            proxy_env: proxy_variables(options),
            cwd: if working_dir.is_empty() { root.to_owned() } else { working_dir.clone() },
            user: self.state.config.config.user.clone(),
            mounts,
            network: network(run, options.network),
            security: run.security.as_ref().map(|security| security.value).unwrap_or_default(),
            hostname: setting("BUILDKIT_SANDBOX_HOSTNAME").unwrap_or_else(|| HOSTNAME.to_owned()),
            cache_namespace: setting("BUILDKIT_CACHE_MOUNT_NS").unwrap_or_default(),
            timeout: additions.timeout.map(|timeout| timeout.value),
            retry: additions.retry.map_or(0, |retry| retry.value),
            memory: additions.memory.map(|memory| memory.value),
        };
        self.push_step(Op::Run(Box::new(op)), title, created_by);
        if let Some(output) = &makes {
            self.set_output(output);
        }
        Some(())
    }

    fn command(&mut self, run: &Run) -> Option<Command> {
        let text = match &run.command {
            Form::Exec(words) => {
                let argv = words.iter().map(|word| word.value.clone()).collect();
                return Some(Command { argv, script: None, first_line: None });
            }
            Form::Shell(text) => text,
        };
        match run.heredoc_shape() {
            RunHeredocs::None => {
                Some(Command { argv: self.with_shell(text.value.clone()), script: None, first_line: None })
            }
            RunHeredocs::Script => {
                let heredoc = run.heredocs.first()?;
                Some(self.script(heredoc))
            }
            RunHeredocs::Mixed if self.is_windows() => {
                let message = "a here-document among other text needs a shell that reads here-documents".to_owned();
                let help = "make the whole command one here-document, or COPY a script and run it".to_owned();
                self.error_with_help(codes::HEREDOC, message, text.span, help);
                None
            }
            RunHeredocs::Mixed => {
                let mut full = text.value.clone();
                for heredoc in &run.heredocs {
                    full.push('\n');
                    full.push_str(&String::from_utf8_lossy(&heredoc.body));
                    full.push_str(&heredoc.name);
                }
                Some(Command { argv: self.with_shell(full), script: None, first_line: None })
            }
        }
    }

    /// A here-document that is the whole command: a script of its own interpreter, or text for the shell.
    fn script(&self, heredoc: &Heredoc) -> Command {
        let content = heredoc.content();
        let first_line = Some(title::first_line(&String::from_utf8_lossy(&content)));
        if !self.is_windows() && content.starts_with(b"#!") {
            let argv = self.with_shell(format!("/dev/pipes/{}", heredoc.name));
            return Command { argv, script: Some((heredoc.name.to_string(), content.into_owned())), first_line };
        }
        let argv = self.with_shell(String::from_utf8_lossy(&content).into_owned());
        Command { argv, script: None, first_line }
    }

    /// Gives `|N A=1 B=2 ` for the arguments in scope (dockerfile.md §13.3, `H:`).
    fn arguments_text(&self) -> String {
        let arguments = &self.state.arguments;
        if arguments.is_empty() {
            return String::new();
        }
        let mut out = format!("|{} ", arguments.len());
        for (name, value) in arguments {
            let value = self.state.env.get(name).or(value.as_deref()).unwrap_or_default();
            out.push_str(name);
            out.push('=');
            out.push_str(value);
            out.push(' ');
        }
        out
    }

    fn mounts(&mut self, run: &Run) -> Option<Vec<RunMount>> {
        let mut mounts = Vec::with_capacity(run.mounts.len());
        let mut is_good = true;
        let mut agents = 0;
        for mount in &run.mounts {
            let resolved = self.expanding(|this, expander| {
                let resolved = mount.resolve(expander);
                this.warn_unset(&expander.names().unset, mount.span);
                resolved
            });
            let from = mount.from().map(|word| self.bind(word));
            let spec = match resolved {
                Ok(spec) => self.place_mount(spec, mount.span, &mut agents),
                Err(problem) => {
                    self.pass(problem);
                    None
                }
            };
            let Some(spec) = spec else {
                is_good = false;
                continue;
            };
            let from = match from {
                None => None,
                Some(Some(from)) => Some(from),
                // Reported with the edges of the graph.
                Some(None) => {
                    is_good = false;
                    continue;
                }
            };
            mounts.push(RunMount { spec, from, span: self.at(mount.span) });
        }
        is_good.then_some(mounts)
    }

    /// Makes the target of a mount absolute.
    fn place_mount(&mut self, mut spec: MountSpec, span: Span, agents: &mut usize) -> Option<MountSpec> {
        let is_windows = self.is_windows();
        if let MountSpec::Ssh(ssh) = &mut spec {
            ssh.target.get_or_insert_with(|| format!("/run/buildkit/ssh_agent.{agents}"));
            *agents += 1;
        }
        if is_windows && matches!(spec, MountSpec::Tmpfs(_)) {
            let help = "use type=cache, or a folder that the same RUN deletes".to_owned();
            self.error_with_help(codes::MOUNT, "Windows has no tmpfs mounts".to_owned(), span, help);
            return None;
        }
        let target = match &mut spec {
            MountSpec::Bind(mount) => Some(&mut mount.target),
            MountSpec::Cache(mount) => Some(&mut mount.target),
            MountSpec::Tmpfs(mount) => Some(&mut mount.target),
            MountSpec::Secret(mount) => mount.target.as_mut(),
            MountSpec::Ssh(mount) => mount.target.as_mut(),
        };
        let Some(target) = target else { return Some(spec) };
        let current = &self.state.config.config.working_dir;
        match paths::absolute(is_windows, current, target) {
            Ok(path) if path == "/" => {
                let message = format!("invalid mount target {target:?}: the mount would cover the root");
                let help = match target.as_str() {
                    "." => "say where it appears, as in target=/src; without a target it is the working directory",
                    _ => "give it a target below the root, as in target=/src",
                };
                self.error_with_help(codes::MOUNT, message, span, help.to_owned());
                None
            }
            Ok(path) => {
                *target = path;
                Some(spec)
            }
            Err(problem) => {
                self.path_error(problem, span);
                None
            }
        }
    }

    /// Refuses what the request did not allow (D-25).
    fn check_rights(&mut self, run: &Run) -> bool {
        let mut is_allowed = true;
        let mut need = |this: &mut Self, right: Entitlement, name: &str, span: Span| {
            if !this.table.options.entitlements.contains(&right) {
                let help = format!("allow it with --allow {name}");
                this.error_with_help(codes::ENTITLEMENT, format!("{name} is not allowed"), span, help);
                is_allowed = false;
            }
        };
        if let Some(network) = run.network.as_ref().filter(|network| network.value == Network::Host) {
            need(self, Entitlement::NetworkHost, "network.host", network.span);
        }
        if let Some(security) = run.security.as_ref().filter(|security| security.value == Security::Insecure) {
            need(self, Entitlement::SecurityInsecure, "security.insecure", security.span);
        }
        for device in run.devices.iter().filter(|device| !device.is_required) {
            need(self, Entitlement::Device, "device", device.span);
        }
        for device in run.devices.iter().filter(|device| device.is_required) {
            let message = format!("device {} cannot be given: strake reads no CDI specifications", device.name);
            let help = "remove the flag; where the step only uses the device if there is one, leave out required";
            self.error_with_help(codes::DEVICE, message, device.span, help.to_owned());
            is_allowed = false;
        }
        is_allowed
    }
}

fn network(run: &Run, default: Option<Network>) -> Network {
    run.network.as_ref().map(|network| network.value).or(default).unwrap_or_default()
}
