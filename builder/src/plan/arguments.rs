//! Arguments: the global ones, the platform's, proxies and those that steer the builder (dockerfile.md §9).

use std::collections::{BTreeMap, BTreeSet};

use strake_layers::Platform;
use strake_parser::{Diagnostic, Dockerfile, Expander, Expansion, InstructionKind, Rule, Word, suggest};

use super::lints::Lints;
use super::options::PlanOptions;
use super::outline::{Argument, description};

/// Names that are no build arguments of the Dockerfile but settings of the builder (dockerfile.md §9.7).
const CONTROL: &[&str] = &[
    "BUILDKIT_SYNTAX",
    "BUILDKIT_CACHE_MOUNT_NS",
    "BUILDKIT_CONTEXT_KEEP_GIT_DIR",
    "BUILDKIT_INLINE_CACHE",
    "BUILDKIT_MULTI_PLATFORM",
    "BUILDKIT_SANDBOX_HOSTNAME",
    "BUILDKIT_DOCKERFILE_CHECK",
    "BUILDKIT_BUILD_NAME",
    "BUILDKIT_SBOM_SCAN_CONTEXT",
    "BUILDKIT_SBOM_SCAN_STAGE",
    "SOURCE_DATE_EPOCH",
];

/// Proxy names, which RUN sees without a declaration (dockerfile.md §9.6).
const PROXY: &[&str] = &["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// The arguments of the global scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Globals {
    values: BTreeMap<String, String>,
    /// Values without regard to `--build-arg`.
    defaults: BTreeMap<String, String>,
    /// What the ARG instructions declare, the last of a name.
    declared: BTreeMap<String, Argument>,
    platform: BTreeSet<String>,
}

/// A word expanded in the global scope.
pub(super) struct Expanded {
    /// The text.
    pub(super) text: String,
    /// Names that no ARG declares.
    pub(super) undeclared: Vec<String>,
}

impl Globals {
    /// Works out the arguments above the first FROM, in order.
    pub(super) fn new(dockerfile: &Dockerfile, options: &PlanOptions, lints: &mut Lints) -> Self {
        let mut globals = Self::default();
        for (name, value) in platform_arguments(dockerfile, options) {
            globals.defaults.insert(name.to_owned(), value.clone());
            let value = options.build_args.get(name).cloned().unwrap_or(value);
            globals.values.insert(name.to_owned(), value);
            globals.platform.insert(name.to_owned());
        }
        let escape = dockerfile.directives.escape();
        for instruction in &dockerfile.global_args {
            let InstructionKind::Arg(items) = &instruction.kind else { continue };
            for item in items {
                let name = &item.name.value;
                let default = item.default.as_ref().map(|word| {
                    let by_default = expand_in(&globals.defaults, escape, word).map(|made| made.text).ok();
                    (expand_in(&globals.values, escape, word), by_default)
                });
                let given = options.build_args.get(name).cloned();
                let is_given = given.is_some();
                let mut value = given.clone();
                let mut uses = Vec::new();
                if let Some((expanded, by_default)) = default {
                    globals.defaults.extend(by_default.map(|text| (name.clone(), text)));
                    match expanded {
                        Ok(made) => {
                            value = given.or(Some(made.text));
                            uses = made.names.used;
                        }
                        // What is given counts, and the default is not looked at.
                        Err(error) if !is_given => lints.push(error),
                        Err(_) => {}
                    }
                }
                globals.values.extend(value.clone().map(|text| (name.clone(), text)));
                if is_given {
                    uses.clear();
                } else if let Some(at) = uses.iter().position(|used| used == name) {
                    // A default that is made of the argument's former value hangs on what that hung on.
                    uses.remove(at);
                    uses.extend(globals.declared.get(name).into_iter().flat_map(|former| former.uses.clone()));
                }
                let (span, lines) = (instruction.span, instruction.lines);
                let description = description(&instruction.docs, name);
                let argument = Argument { name: name.clone(), value, description, span, lines, uses };
                globals.declared.insert(name.clone(), argument);
            }
        }
        globals
    }

    /// Gives the value that a stage's `ARG NAME` without default takes.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Gives what an ARG above the first FROM declares.
    pub(super) fn argument(&self, name: &str) -> Option<&Argument> {
        self.declared.get(name)
    }

    /// Tells whether an ARG above the first FROM, or the platform, defines the name.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.declared.contains_key(name) || self.platform.contains(name)
    }

    /// Gives all names that FROM may use.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.declared.keys().chain(&self.platform).map(String::as_str)
    }

    /// Expands a word of FROM or of `--from`.
    pub(super) fn expand(&self, dockerfile: &Dockerfile, word: &Word) -> Result<Expanded, Diagnostic> {
        let made = expand_in(&self.values, dockerfile.directives.escape(), word)?;
        let undeclared = made.names.unset.into_iter().filter(|name| !self.is_declared(name)).collect();
        Ok(Expanded { text: made.text, undeclared })
    }

    /// Gives the variables in a word of FROM that have values.
    pub(super) fn used(&self, dockerfile: &Dockerfile, word: &Word) -> Vec<String> {
        if !word.raw.contains('$') {
            return Vec::new();
        }
        expand_in(&self.values, dockerfile.directives.escape(), word).map(|made| made.names.used).unwrap_or_default()
    }

    /// Expands a word with the defaults of the ARG instructions only.
    pub(super) fn expand_defaults(&self, dockerfile: &Dockerfile, word: &Word) -> Option<String> {
        expand_in(&self.defaults, dockerfile.directives.escape(), word).ok().map(|made| made.text)
    }
}

fn expand_in(
    values: &BTreeMap<String, String>,
    escape: strake_parser::Escape,
    word: &Word,
) -> Result<Expansion, Diagnostic> {
    let lookup = |name: &str| values.get(name).cloned();
    Ok(Expander::new(escape, &lookup).word(word)?)
}

/// Gives the arguments of the platforms that conditions may use; which stage is built is not known to them.
pub(crate) fn for_conditions(options: &PlanOptions) -> BTreeMap<String, String> {
    let all = platform_arguments(&Dockerfile::default(), options);
    all.into_iter().filter(|(name, _)| *name != "TARGETSTAGE").map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Gives the arguments that are always known (dockerfile.md §9.5).
fn platform_arguments(dockerfile: &Dockerfile, options: &PlanOptions) -> Vec<(&'static str, String)> {
    let build = &options.build_platform;
    let target = options.target_platform();
    let short = Platform { os_version: None, os_features: Vec::new(), ..build.clone() };
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let last = dockerfile.stages.last().and_then(|stage| stage.name.as_ref()).map(|name| name.value.to_lowercase());
    // A stage's name counts in lower case (dockerfile.md §7.1), a target as it is given.
    let stage = options.target.clone().filter(|name| !name.is_empty()).or(last);
    vec![
        ("BUILDPLATFORM", short.to_string()),
        ("BUILDOS", build.os.clone()),
        ("BUILDARCH", build.architecture.clone()),
        ("BUILDVARIANT", text(&build.variant)),
        ("BUILDOSVERSION", text(&build.os_version)),
        ("TARGETPLATFORM", target.to_string()),
        ("TARGETOS", target.os.clone()),
        ("TARGETARCH", target.architecture.clone()),
        ("TARGETVARIANT", text(&target.variant)),
        ("TARGETOSVERSION", text(&target.os_version)),
        ("TARGETSTAGE", stage.unwrap_or_else(|| "default".to_owned())),
    ]
}

/// Gives the proxy variables of a RUN: every one that `--build-arg` sets and that is not empty, in upper and lower case.
/// They win over what the stage sets; of several spellings the last one in the order of bytes counts, as with the
/// reference.
pub(super) fn proxy_variables(options: &PlanOptions) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for name in PROXY {
        let given = options.build_args.iter().rev().find(|(have, _)| have.eq_ignore_ascii_case(name));
        let Some((_, value)) = given.filter(|(_, value)| !value.is_empty()) else { continue };
        out.extend([name.to_uppercase(), (*name).to_owned()].map(|spelling| (spelling, value.clone())));
    }
    out
}

/// Warns of `--build-arg` names that nothing declares (D-14).
pub(super) fn warn_unused(
    dockerfile: &Dockerfile,
    options: &PlanOptions,
    globals: &Globals,
    triggered: &BTreeSet<String>,
    lints: &mut Lints,
) {
    let mut known: BTreeSet<&str> = globals.names().collect();
    known.extend(triggered.iter().map(String::as_str));
    for instruction in dockerfile.stages.iter().flat_map(|stage| &stage.instructions) {
        let kind = match &instruction.kind {
            InstructionKind::Onbuild(onbuild) => &onbuild.instruction.kind,
            kind => kind,
        };
        if let InstructionKind::Arg(items) = kind {
            known.extend(items.iter().map(|item| item.name.value.as_str()));
        }
    }
    for name in options.build_args.keys() {
        let is_proxy = PROXY.iter().any(|proxy| proxy.eq_ignore_ascii_case(name));
        if known.contains(name.as_str()) || is_proxy || CONTROL.contains(&name.as_str()) {
            continue;
        }
        let near = suggest(name, known.iter().copied());
        let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        let message = format!("build argument {name} was not used{hint}");
        let help = match near {
            Some(near) => format!("pass --build-arg {near}=VALUE, or declare ARG {name} in the stage that uses it"),
            None => format!("declare ARG {name} in the stage that uses it, or leave --build-arg {name} out"),
        };
        lints.lint_file(Rule::UnusedBuildArg, message, help);
    }
}
