//! From the fields of a mount to its meaning.

use super::{
    BindMount, CacheMount, FileOwner, Mount, MountOption, MountSpec, SecretMount, Sharing, SshMount, TmpfsMount,
};
use crate::ast::Word;
use crate::boolean::parse_bool;
use crate::byte_size::parse_byte_size;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::expand::Expander;
use crate::span::Span;
use crate::suggest::suggest;

/// Every key; the order is that of the reference's suggestions.
pub(super) static KEYS: &[&str] = &[
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

/// The types of mounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

static KINDS: &[(&str, Kind)] = &[
    ("bind", Kind::Bind),
    ("cache", Kind::Cache),
    ("tmpfs", Kind::Tmpfs),
    ("secret", Kind::Secret),
    ("ssh", Kind::Ssh),
];

static SHARINGS: &[(&str, Sharing)] =
    &[("shared", Sharing::Shared), ("private", Sharing::Private), ("locked", Sharing::Locked)];

/// The fields with values, before it is known which of them the type allows.
#[derive(Debug, Default)]
struct Fields {
    kind: Kind,
    from: Option<Word>,
    source: String,
    target: String,
    is_read_only: Option<bool>,
    size: Option<u64>,
    id: String,
    sharing: Option<Sharing>,
    is_required: bool,
    env: Option<String>,
    owner: FileOwner,
}

impl Mount {
    /// Expands the values, all but `from`, and checks them.
    ///
    /// A key that belongs to a type only, such as `size`, counts after the `type` key alone, as in the reference.
    pub fn resolve(&self, expander: &Expander<'_>) -> Result<MountSpec, Diagnostic> {
        let mut fields = Fields::default();
        for option in &self.options {
            fields.read(option, expander)?;
        }
        fields.check(self)?;
        fields.into_spec(self)
    }
}

impl Fields {
    fn read(&mut self, option: &MountOption, expander: &Expander<'_>) -> Result<(), Diagnostic> {
        let key = &*option.key.value;
        let Some(word) = &option.value else { return self.read_alone(option, key) };
        if key == "from" {
            self.from = Some(word.clone()).filter(|word| !word.raw.is_empty());
            return Ok(());
        }
        let value = expander.word(word)?.text;
        let span = word.span;
        let invalid = |code, message, help: &str| Err(Diagnostic::error(code, message, span).with_help(help));
        let bad_bool = || {
            let message = format!("invalid value for {key}: {value}");
            Diagnostic::error(codes::MOUNT_VALUE, message, span).with_help(format!("write {key}=true or {key}=false"))
        };
        match key {
            "type" => self.kind = read_choice(KINDS, &value, codes::MOUNT_TYPE, "unsupported mount type", span)?,
            "sharing" => {
                let sharing = read_choice(SHARINGS, &value, codes::MOUNT_VALUE, "unsupported sharing value", span)?;
                self.sharing = Some(sharing);
            }
            "source" | "src" => self.source = value,
            "target" | "dst" | "destination" => self.target = value,
            "id" => self.id = value,
            "env" => self.env = Some(value),
            "readonly" | "ro" => self.is_read_only = Some(parse_bool(&value).ok_or_else(bad_bool)?),
            "readwrite" | "rw" => self.is_read_only = Some(!parse_bool(&value).ok_or_else(bad_bool)?),
            "required" => {
                self.only_for(key, &[Kind::Secret, Kind::Ssh], option.key.span)?;
                self.is_required = parse_bool(&value).ok_or_else(bad_bool)?;
            }
            "size" => {
                self.only_for(key, &[Kind::Tmpfs], option.key.span)?;
                let Some(size) = parse_byte_size(&value) else {
                    let help = "write a number of bytes, or one with a unit, as in size=64m";
                    return invalid(codes::MOUNT_VALUE, format!("invalid value for size: {value}"), help);
                };
                self.size = Some(size);
            }
            "mode" => self.owner.mode = Some(read_number(key, &value, 8, span)?),
            "uid" => self.owner.uid = Some(read_number(key, &value, 10, span)?),
            "gid" => self.owner.gid = Some(read_number(key, &value, 10, span)?),
            _ => return Err(unexpected_key(option)),
        }
        Ok(())
    }

    fn read_alone(&mut self, option: &MountOption, key: &str) -> Result<(), Diagnostic> {
        match key {
            "readonly" | "ro" => self.is_read_only = Some(true),
            "readwrite" | "rw" => self.is_read_only = Some(false),
            "required" => {
                self.only_for(key, &[Kind::Secret, Kind::Ssh], option.key.span)?;
                self.is_required = true;
            }
            _ => {
                let message = format!("invalid field '{}' must be a key=value pair", option.field);
                let help = if option.field.is_empty() {
                    "write the fields without blanks, and no comma at the end".to_owned()
                } else if option.field.contains(char::is_whitespace) {
                    "a quote in the flag is not closed, so that the command counts as a part of it".to_owned()
                } else if option.field.starts_with(['/', '.']) {
                    format!(
                        "write target={} for the place where it appears, or source=… for what appears",
                        option.field
                    )
                } else if KINDS.iter().any(|(kind, _)| *kind == key) {
                    format!("write type={key}")
                } else {
                    match suggest(key, KEYS.iter().copied()).filter(|near| *near != key) {
                        Some(near) => format!("did you mean {near}=VALUE?"),
                        None => format!("write {}=VALUE", option.field),
                    }
                };
                return Err(Diagnostic::error(codes::MOUNT_FIELD, message, option.key.span).with_help(help));
            }
        }
        Ok(())
    }

    fn only_for(&self, key: &str, kinds: &[Kind], span: Span) -> Result<(), Diagnostic> {
        if kinds.contains(&self.kind) {
            return Ok(());
        }
        let names: Vec<_> = kinds.iter().map(|kind| format!("type={}", kind.name())).collect();
        let message = format!("unexpected key '{key}' for mount type '{}'", self.kind.name());
        let help = format!("{key} belongs to {}; put the type first", names.join(" and "));
        Err(Diagnostic::error(codes::MOUNT_KEY_OF_TYPE, message, span).with_help(help))
    }

    /// Checks what the table of dockerfile.md §13.3 forbids.
    fn check(&self, mount: &Mount) -> Result<(), Diagnostic> {
        let kind = self.kind.name();
        let refuse = |keys: &[&str], message: String, help: &str| {
            let span = mount.options.iter().rev().find(|option| keys.contains(&&*option.key.value));
            let span = span.map_or(mount.span, |option| option.key.span);
            Err(Diagnostic::error(codes::MOUNT_KEY_OF_TYPE, message, span).with_help(help))
        };
        if matches!(self.kind, Kind::Bind | Kind::Tmpfs) {
            let given = [("mode", self.owner.mode), ("uid", self.owner.uid), ("gid", self.owner.gid)];
            if let Some((key, _)) = given.iter().find(|(_, value)| value.is_some()) {
                let message = format!("{key} not allowed for {kind:?} type mounts");
                return refuse(&[key], message, "mode, uid and gid belong to cache, secret and ssh mounts");
            }
        }
        if self.kind == Kind::Secret && self.from.is_some() {
            return refuse(
                &["from"],
                "secret mount should not have a from".to_owned(),
                "remove from: a secret comes from the command line",
            );
        }
        if self.sharing.is_some() && self.kind == Kind::Secret {
            return refuse(
                &["sharing"],
                "secret mount should not define sharing".to_owned(),
                "sharing belongs to cache mounts",
            );
        }
        if self.sharing.is_some() && self.kind != Kind::Cache {
            let message = format!("invalid cache sharing set for {kind} mount");
            return refuse(&["sharing"], message, "sharing belongs to cache mounts");
        }
        if self.kind == Kind::Ssh && !self.source.is_empty() {
            return refuse(&["source", "src"], "ssh does not support source".to_owned(), "name the agent with id=NAME");
        }
        Ok(())
    }

    fn into_spec(self, mount: &Mount) -> Result<MountSpec, Diagnostic> {
        let source = Some(self.source.clone()).filter(|source| !source.is_empty());
        let optional_target = Some(self.target.clone()).filter(|target| !target.is_empty());
        Ok(match self.kind {
            Kind::Bind => MountSpec::Bind(BindMount {
                target: self.require_target(mount)?,
                from: self.from,
                source,
                is_read_only: self.is_read_only.unwrap_or(true),
            }),
            Kind::Cache => {
                let target = self.require_target(mount)?;
                let id = if self.id.is_empty() { clean(&target) } else { self.id };
                MountSpec::Cache(CacheMount {
                    target,
                    id,
                    from: self.from,
                    source,
                    sharing: self.sharing.unwrap_or_default(),
                    is_read_only: self.is_read_only.unwrap_or(false),
                    owner: self.owner,
                })
            }
            Kind::Tmpfs => MountSpec::Tmpfs(TmpfsMount {
                target: self.require_target(mount)?,
                size: self.size,
                is_read_only: self.is_read_only.unwrap_or(false),
            }),
            Kind::Secret => self.into_secret(mount)?,
            Kind::Ssh => MountSpec::Ssh(SshMount {
                id: if self.id.is_empty() { "default".to_owned() } else { self.id },
                target: optional_target,
                is_required: self.is_required,
                owner: self.owner,
            }),
        })
    }

    fn into_secret(self, mount: &Mount) -> Result<MountSpec, Diagnostic> {
        let fail = |message: &str, help: &str| {
            Err(Diagnostic::error(codes::MOUNT_SECRET, message, mount.span).with_help(help))
        };
        if !self.source.is_empty() && !self.id.is_empty() {
            return fail("both source and id can't be set", "source and id both name the secret: keep id");
        }
        let named = if self.source.is_empty() { self.id } else { self.source };
        let id = match (named.is_empty(), self.target.is_empty()) {
            (false, _) => named,
            (true, false) => base_name(&self.target).to_owned(),
            (true, true) => {
                return fail("invalid secret mount. one of source, target required", "name the secret with id=NAME");
            }
        };
        let target = match (self.target.is_empty(), &self.env) {
            (false, _) => Some(self.target),
            (true, Some(_)) => None,
            (true, None) => Some(format!("/run/secrets/{}", base_name(&id))),
        };
        let env = self.env.map(|env| if env.is_empty() { id.clone() } else { env });
        Ok(MountSpec::Secret(SecretMount { id, target, env, is_required: self.is_required, owner: self.owner }))
    }

    /// Gives the target; without one it is the working directory, as in the reference.
    ///
    /// Whether that is the root only the caller knows, who joins the two.
    fn require_target(&self, mount: &Mount) -> Result<String, Diagnostic> {
        if self.target.is_empty() {
            return Ok(".".to_owned());
        }
        if clean(&self.target) != "/" {
            return Ok(self.target.clone());
        }
        let keys = ["target", "dst", "destination"];
        let given = mount.options.iter().rev().find(|option| keys.contains(&&*option.key.value));
        let span = given.map_or(mount.span, |option| option.key.span);
        let message = format!("invalid mount target {:?}", self.target);
        let help = "give the mount a target below the root, as in target=/PATH";
        Err(Diagnostic::error(codes::MOUNT_TARGET, message, span).with_help(help))
    }
}

impl Kind {
    fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

fn read_choice<T: Copy>(
    choices: &[(&'static str, T)],
    value: &str,
    code: &'static str,
    message: &str,
    span: Span,
) -> Result<T, Diagnostic> {
    let lower = value.to_lowercase();
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == lower) {
        return Ok(*choice);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
    let near = suggest(value, names.iter().copied());
    let hint = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
    let made = Diagnostic::error(code, format!("{message} {value:?}{hint}"), span);
    Err(made.with_help(format!("it is one of {}", names.join(", "))))
}

fn read_number(key: &str, value: &str, radix: u32, span: Span) -> Result<u32, Diagnostic> {
    let is_digits = !value.is_empty() && !value.starts_with('+');
    u32::from_str_radix(value, radix).ok().filter(|_| is_digits).ok_or_else(|| {
        let help =
            if radix == 8 { "write octal digits, as in mode=0755" } else { "write a number: names are not known here" };
        Diagnostic::error(codes::MOUNT_VALUE, format!("invalid value {value} for {key}"), span).with_help(help)
    })
}

fn unexpected_key(option: &MountOption) -> Diagnostic {
    let key = &option.key.value;
    let near = suggest(key, KEYS.iter().copied());
    let hint = near.map_or(String::new(), |near| format!(" (did you mean {near}?)"));
    let message = format!("unexpected key '{key}' in '{}'{hint}", option.field);
    let made = Diagnostic::error(codes::MOUNT_KEY, message, option.key.span);
    match near {
        Some(near) if option.key.span.len() == key.len() => made.with_fix(option.key.span, near),
        Some(_) => made,
        None => made.with_help(format!("the keys are {}", KEYS.join(", "))),
    }
}

/// Gives the last element of a path.
fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// Cleans a path as Go's `path.Clean` does.
fn clean(path: &str) -> String {
    crate::clean::clean_path(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::Escape;

    fn resolve(value: &str) -> Result<MountSpec, String> {
        let lookup = |name: &str| (name == "DIR").then(|| "/var/cache".to_owned());
        let word = Word { raw: value.into(), span: Span::new(0, value.len()) };
        let mount = Mount::parse(&word).map_err(|error| error.message)?;
        mount.resolve(&Expander::new(Escape::Backslash, &lookup)).map_err(|error| error.message)
    }

    #[test]
    fn bind_is_the_default_and_read_only() {
        let MountSpec::Bind(bind) = resolve("target=/x,source=a,from=build").unwrap() else { panic!() };
        assert!(bind.is_read_only);
        assert_eq!((bind.target.as_str(), bind.source.as_deref()), ("/x", Some("a")));
        assert_eq!(bind.from.unwrap().raw, "build");
        let MountSpec::Bind(bind) = resolve("type=bind,dst=/x,rw").unwrap() else { panic!() };
        assert!(!bind.is_read_only);
        let MountSpec::Bind(bind) = resolve("source=a").unwrap() else { panic!() };
        assert_eq!(bind.target, ".");
    }

    #[test]
    fn cache_takes_its_target_as_id() {
        let MountSpec::Cache(cache) = resolve("type=cache,target=$DIR/./apt/,sharing=LOCKED,mode=0700").unwrap() else {
            panic!()
        };
        assert_eq!(cache.id, "/var/cache/apt");
        assert_eq!(cache.sharing, Sharing::Locked);
        assert_eq!(cache.owner.mode, Some(0o700));
        assert!(!cache.is_read_only);
    }

    #[test]
    fn tmpfs_sizes_have_units() {
        let MountSpec::Tmpfs(tmpfs) = resolve("type=tmpfs,target=/t,size=64m").unwrap() else { panic!() };
        assert_eq!(tmpfs.size, Some(64 << 20));
    }

    #[test]
    fn secret_targets_default_to_the_name() {
        let secret = |value| match resolve(value) {
            Ok(MountSpec::Secret(secret)) => secret,
            other => panic!("{other:?}"),
        };
        assert_eq!(secret("type=secret,id=a/tok").target.as_deref(), Some("/run/secrets/tok"));
        assert_eq!(secret("type=secret,target=/root/.netrc").id, ".netrc");
        let both = secret("type=secret,id=tok,env=TOK,required");
        assert_eq!((both.target, both.env.as_deref(), both.is_required), (None, Some("TOK"), true));
        assert_eq!(secret("type=secret,source=tok,uid=1,mode=0400").owner.uid, Some(1));
    }

    #[test]
    fn ssh_has_a_default_agent() {
        let MountSpec::Ssh(ssh) = resolve("type=ssh,required=true").unwrap() else { panic!() };
        assert_eq!((ssh.id.as_str(), ssh.is_required), ("default", true));
    }

    #[test]
    fn errors_name_the_field() {
        for (value, message) in [
            ("targt=/x", "unexpected key 'targt' in 'targt=/x' (did you mean target?)"),
            ("type=cach,target=/x", "unsupported mount type \"cach\" (did you mean cache?)"),
            ("target", "invalid field 'target' must be a key=value pair"),
            ("type=tmpfs,target=/x,size=lots", "invalid value for size: lots"),
            ("target=/x,size=1", "unexpected key 'size' for mount type 'bind'"),
            ("type=cache,target=/x,uid=app", "invalid value app for uid"),
            ("type=cache,target=/x,mode=9", "invalid value 9 for mode"),
            ("target=/x,uid=1", "uid not allowed for \"bind\" type mounts"),
            ("type=tmpfs,target=/x,mode=1", "mode not allowed for \"tmpfs\" type mounts"),
            ("target=/x,required", "unexpected key 'required' for mount type 'bind'"),
            ("target=/x,ro=maybe", "invalid value for ro: maybe"),
            ("type=cache,target=/x,sharing=lockd", "unsupported sharing value \"lockd\" (did you mean locked?)"),
            ("target=/x,sharing=locked", "invalid cache sharing set for bind mount"),
            ("type=secret,id=a,from=b", "secret mount should not have a from"),
            ("type=secret,id=a,source=b", "both source and id can't be set"),
            ("type=secret", "invalid secret mount. one of source, target required"),
            ("type=ssh,source=a", "ssh does not support source"),
            ("target=/", "invalid mount target \"/\""),
            ("target=/a/..", "invalid mount target \"/a/..\""),
            ("target=/x,\"a", "failed to parse csv mounts: extraneous or missing \" in quoted-field"),
            ("target=${DIR", "failed to process \"${DIR\": syntax error: missing '}'"),
            ("", "invalid field '' must be a key=value pair"),
        ] {
            assert_eq!(resolve(value).unwrap_err(), message, "{value}");
        }
    }
}
