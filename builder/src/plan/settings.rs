//! The instructions that only set something (dockerfile.md §13).

use strake_layers::Healthcheck as ImageHealthcheck;
use strake_parser::{ArgDeclaration, Form, Healthcheck, Instruction, KeyValues, Rule, Spanned, Word, suggest};

use super::evaluate::Evaluator;
use super::graph::{Op, WorkdirOp};
use super::outline::{Argument, description};
use super::{codes, gofmt, paths, ports, title};

/// Arguments that tell the builder what to scan: they may be declared, and are no variables (dockerfile.md §9.7).
const SBOM: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

impl Evaluator<'_, '_> {
    /// ARG (dockerfile.md §9.3, §13.2).
    pub(super) fn arg(&mut self, instruction: &Instruction, items: &[ArgDeclaration]) -> Option<()> {
        let mut texts = Vec::with_capacity(items.len());
        let mut is_good = true;
        for item in items {
            let name = &item.name.value;
            if self.state.env.output(name).is_some() {
                self.argument_and_output(name, item.name.span);
                is_good = false;
                continue;
            }
            let table = self.table;
            let given = table.options.build_args.get(name).cloned();
            let is_own = given.is_some() || item.default.is_some() || table.globals.get(name).is_none();
            let value = match (given, &item.default) {
                (Some(given), _) => Some(given),
                (None, Some(word)) => {
                    let value = self.expanding(|this, expander| this.word(expander, word));
                    is_good &= value.is_some();
                    value
                }
                (None, None) => table.globals.get(name).map(str::to_owned),
            };
            texts.push(match &value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            if let Some(value) = value.as_ref().filter(|_| !SBOM.contains(&name.as_str())) {
                self.set_variable(name, value);
            }
            if is_own {
                let (span, lines) = (self.place.span, self.place.lines);
                let (name, value, description) = (name.clone(), value.clone(), description(&instruction.docs, name));
                self.taken.declared.push(Argument { name, value, description, span, lines, uses: Vec::new() });
            } else {
                self.taken.inherited.push(name.clone());
            }
            match self.state.arguments.iter_mut().find(|(have, _)| have == name) {
                Some((_, have)) => *have = value,
                None => self.state.arguments.push((name.clone(), value)),
            }
        }
        self.commit(format!("ARG {}", texts.join(" ")), false);
        is_good.then_some(())
    }

    /// ENV (dockerfile.md §13.4).
    pub(super) fn env(&mut self, pairs: &KeyValues) -> Option<()> {
        let values = self.pairs("ENV", pairs)?;
        for (name, value) in &values {
            self.state.config.set_env(name, value);
            self.set_variable(name, value);
        }
        self.commit(pairs_text("ENV", &values), false);
        Some(())
    }

    /// LABEL (dockerfile.md §13.8).
    pub(super) fn label(&mut self, pairs: &KeyValues) -> Option<()> {
        let values = self.pairs("LABEL", pairs)?;
        let text = pairs_text("LABEL", &values);
        self.state.config.config.labels.extend(values);
        self.commit(text, false);
        Some(())
    }

    /// Expands names and values with what was set before the instruction.
    fn pairs(&mut self, keyword: &str, pairs: &KeyValues) -> Option<Vec<(String, String)>> {
        let mut is_good = true;
        let values = self.expanding(|this, expander| {
            let mut values = Vec::with_capacity(pairs.pairs.len());
            for (name, value) in &pairs.pairs {
                let expanded = this.word(expander, name).zip(this.word(expander, value));
                let Some((key, value)) = expanded else {
                    is_good = false;
                    continue;
                };
                // The reference keeps it.
                if key.is_empty() {
                    let help = format!("give {} a value with ARG or ENV above this line", name.raw);
                    this.warn(codes::BLANK_NAME, format!("the name in {keyword} is empty"), name.span, help);
                }
                values.push((key, value));
            }
            values
        });
        is_good.then_some(values)
    }

    /// EXPOSE (dockerfile.md §13.9).
    pub(super) fn expose(&mut self, words: &[Word]) -> Option<()> {
        let mut sorted: Vec<&Word> = words.iter().collect();
        sorted.sort_by(|a, b| a.raw.cmp(&b.raw));
        let mut all = Vec::new();
        let mut is_good = true;
        // A name without a value is no warning here, as in the reference.
        self.expanding(|this, expander| {
            for word in sorted {
                let split = match expander.words(word) {
                    Ok(split) => split,
                    Err(error) => {
                        this.pass(error.into());
                        is_good = false;
                        continue;
                    }
                };
                for port in split {
                    match ports::parse(&port) {
                        Ok(found) => {
                            this.lint_port(&port, &found, word);
                            all.extend(found.ports);
                        }
                        Err(problem) => {
                            let help = if port.contains(',') {
                                "separate ports by blanks, as in EXPOSE 80 443"
                            } else if port.contains(':') {
                                "name the container's port alone; docker run -p maps it to one of the host"
                            } else {
                                "write PORT, PORT/udp, PORT/sctp or FIRST-LAST; ports are numbers up to 65535"
                            };
                            this.error_with_help(codes::PORT, problem, word.span, help.to_owned());
                            is_good = false;
                        }
                    }
                }
            }
        });
        self.commit(format!("EXPOSE {}", gofmt::list(&all)), false);
        self.state.config.config.exposed_ports.extend(all);
        is_good.then_some(())
    }

    fn lint_port(&mut self, port: &str, found: &ports::Ports, word: &Word) {
        // A word with variables or quotes is left to people.
        let fix = (word.raw == port).then(|| found.plain.clone());
        let mut lint = |rule, message, help: &str| match &fix {
            Some(fix) => self.lint_with_fix(rule, message, word.span, help, fix.clone()),
            None => self.lint(rule, message, word.span, help),
        };
        if found.has_upper_case {
            let message = format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase");
            lint(Rule::ExposeProtoCasing, message, &format!("write {}", found.plain));
        }
        if found.has_host_part {
            let message =
                format!("EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'");
            let help = "name the container's port alone; docker run -p maps it to one of the host";
            lint(Rule::ExposeInvalidFormat, message, help);
        }
    }

    /// VOLUME (dockerfile.md §13.10).
    pub(super) fn volume(&mut self, words: &[Word]) -> Option<()> {
        let is_windows = self.is_windows();
        let values = self.expanding(|this, expander| {
            let mut values = Vec::with_capacity(words.len());
            for word in words {
                let value = this.word(expander, word)?;
                if value.trim().is_empty() {
                    let message = "VOLUME specified can not be an empty string";
                    let help = if word.raw.contains('$') {
                        format!("give the variable in {} a value with ARG or ENV above this line", word.raw)
                    } else {
                        "write VOLUME PATH, as in VOLUME /data".to_owned()
                    };
                    this.error_with_help(codes::VOLUME, message.to_owned(), word.span, help);
                    return None;
                }
                if let Err(problem) = paths::check_volume(is_windows, &value) {
                    this.path_error(problem, word.span);
                    return None;
                }
                values.push(value);
            }
            Some(values)
        })?;
        self.commit(format!("VOLUME {}", gofmt::list(&values)), false);
        self.state.config.config.volumes.extend(values);
        Some(())
    }

    /// USER (dockerfile.md §13.7).
    pub(super) fn user(&mut self, word: &Word) -> Option<()> {
        let user = self.expanding(|this, expander| this.word(expander, word))?;
        self.commit(format!("USER {user}"), false);
        self.state.config.config.user = user;
        Some(())
    }

    /// CMD (dockerfile.md §13.11).
    pub(super) fn cmd(&mut self, form: &Form) -> Option<()> {
        let argv = self.command_line(form);
        self.commit(format!("CMD {}", gofmt::quoted_list(&argv)), false);
        self.state.config.config.cmd = argv;
        // The reference sets it for every system.
        self.state.config.config.args_escaped = true;
        self.has_cmd = true;
        Some(())
    }

    /// ENTRYPOINT (dockerfile.md §13.12).
    pub(super) fn entrypoint(&mut self, form: &Form) -> Option<()> {
        let argv = self.command_line(form);
        self.commit(format!("ENTRYPOINT {}", gofmt::quoted_list(&argv)), false);
        self.state.config.config.entrypoint = argv;
        if !self.has_cmd {
            self.state.config.config.cmd.clear();
        }
        Some(())
    }

    fn command_line(&mut self, form: &Form) -> Vec<String> {
        match form {
            Form::Exec(words) => words.iter().map(|word| word.value.clone()).collect(),
            Form::Shell(text) => {
                // A shell that the base image sets was chosen on purpose (dockerfile.md §18, JSONArgsRecommended).
                if !self.state.config.config.shell.is_empty() {
                    self.lints.withdraw(Rule::JSONArgsRecommended, self.place.span);
                }
                self.with_shell(text.value.clone())
            }
        }
    }

    /// SHELL (dockerfile.md §13.13).
    pub(super) fn shell(&mut self, words: &[Spanned<String>]) -> Option<()> {
        let shell: Vec<_> = words.iter().map(|word| word.value.clone()).collect();
        self.commit(format!("SHELL {}", gofmt::list(&shell)), false);
        self.state.config.config.shell = shell;
        Some(())
    }

    /// HEALTHCHECK (dockerfile.md §13.14).
    pub(super) fn healthcheck(&mut self, check: &Healthcheck) -> Option<()> {
        let none = ImageHealthcheck { test: vec!["NONE".to_owned()], ..ImageHealthcheck::default() };
        let (made, texts) = match check {
            Healthcheck::None => (none, std::array::from_fn(|_| "0s".to_owned())),
            Healthcheck::Command(check) => {
                let mut test = Vec::new();
                match &check.command {
                    Form::Exec(words) => {
                        test.push("CMD".to_owned());
                        test.extend(words.iter().map(|word| word.value.clone()));
                    }
                    Form::Shell(text) => test.extend(["CMD-SHELL".to_owned(), text.value.clone()]),
                }
                let durations = [check.interval, check.timeout, check.start_period, check.start_interval];
                let [interval, timeout, start_period, start_interval] =
                    durations.map(|duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
                let retries = i64::from(check.retries);
                let made = ImageHealthcheck { test, interval, timeout, start_period, start_interval, retries };
                (made, durations.map(gofmt::duration))
            }
        };
        let [interval, timeout, start_period, start_interval] = texts;
        let text = format!(
            "HEALTHCHECK {{Test:{} Interval:{interval} Timeout:{timeout} StartPeriod:{start_period} \
             StartInterval:{start_interval} Retries:{}}}",
            gofmt::list(&made.test),
            made.retries
        );
        self.commit(text, false);
        self.state.config.config.healthcheck = Some(made);
        Some(())
    }

    /// STOPSIGNAL (dockerfile.md §13.15).
    pub(super) fn stopsignal(&mut self, word: &Word) -> Option<()> {
        let signal = self.expanding(|this, expander| this.word(expander, word))?;
        if !ports::is_signal(&signal) {
            let names: Vec<_> = ports::signal_names().collect();
            let near = suggest(&signal.to_uppercase(), names.iter().map(String::as_str));
            let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
            let help = "write one signal: a name such as SIGTERM, or a number from 1".to_owned();
            self.error_with_help(codes::SIGNAL, format!("invalid signal: {signal}{hint}"), word.span, help);
            return None;
        }
        self.commit(format!("STOPSIGNAL {signal}"), false);
        self.state.config.config.stop_signal = signal;
        Some(())
    }

    /// MAINTAINER (dockerfile.md §13.16).
    pub(super) fn maintainer(&mut self, text: &str) -> Option<()> {
        self.commit(format!("MAINTAINER {text}"), false);
        self.state.config.author = Some(text.to_owned());
        Some(())
    }

    /// WORKDIR (dockerfile.md §13.6).
    pub(super) fn workdir(&mut self, instruction: &Instruction, word: &Word) -> Option<()> {
        let path = self.expanding(|this, expander| this.word(expander, word))?;
        let is_windows = self.is_windows();
        let is_absolute = path.starts_with('/')
            || (is_windows && (path.starts_with('\\') || path.get(1..3).is_some_and(|rest| rest.starts_with(":"))));
        // The image, while it is not known, may be one of Windows.
        let may_be_drive = self.state.env.is_partial() && path.get(1..2) == Some(":");
        if !std::mem::replace(&mut self.state.has_workdir, true) && !is_absolute && !may_be_drive {
            let message = format!("Relative workdir {path:?} can have unexpected results if the base image changes");
            let help = "write a path that begins with a slash, or set an absolute WORKDIR before";
            self.lint(Rule::WorkdirRelativePath, message, self.place.span, help);
        }
        let current = &self.state.config.config.working_dir;
        let made = paths::directory(is_windows, current, &path);
        let made = match made {
            Ok(made) => made,
            Err(problem) => {
                self.path_error(problem, word.span);
                return None;
            }
        };
        self.state.config.config.working_dir.clone_from(&made);
        let slashed = if is_windows { made.replace('\\', "/") } else { made.clone() };
        let created_by = format!("WORKDIR {slashed}");
        if slashed == "/" {
            self.commit(created_by, false);
            return Some(());
        }
        let user = self.state.config.config.user.clone();
        let op = Op::Workdir(WorkdirOp { path: made, user, platform: self.state.platform.clone() });
        let title = title::of(instruction.original(&self.table.dockerfile.source), &self.state.env, None);
        self.push_step(op, title, created_by);
        Some(())
    }
}

fn pairs_text(keyword: &str, pairs: &[(String, String)]) -> String {
    let mut out = keyword.to_owned();
    for (name, value) in pairs {
        out.push(' ');
        out.push_str(name);
        out.push('=');
        out.push_str(value);
    }
    out
}
