//! From the flags of `build` to a build request. Here alone the environment and standard input are read for it.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail};
use strake::{
    BuildRequest, CheckSettings, ContextSource, DockerfileSource, Entitlement, Network, Output, Platform, Rule, Secret,
    SecretValue, SshAgent, Timestamp, Ulimit,
};
use tempfile::TempDir;

use crate::args::BuildArgs;
use crate::call::Call;
use crate::check::CheckArgs;
use crate::fields::{key_value, size, split_csv};
use crate::output_spec;

/// The greatest size of a Dockerfile (dockerfile.md §1.3).
pub(crate) const DOCKERFILE_LIMIT: u64 = 16 << 20;

/// Makes the request. `scratch` becomes a folder where standard input brings something; it must outlive the build.
pub(crate) fn make(args: &BuildArgs, scratch: &mut Option<TempDir>) -> Result<BuildRequest> {
    let cwd = std::env::current_dir().context("cannot tell the current folder")?;
    let (context, dockerfile) = inputs(&args.context, args.file.as_deref(), &cwd, scratch)?;
    let mut outputs = Vec::new();
    for text in &args.outputs {
        outputs.push(output_spec::parse(text, &cwd)?);
    }
    if args.load {
        bail!("--load is not supported yet: use --output type=docker,dest=FILE and docker load -i FILE");
    }
    if args.push {
        if args.tags.is_empty()
            && !outputs.iter().any(|o| matches!(o, Output::Image { names, .. } if !names.is_empty()))
        {
            bail!("--push needs the name to push to: add --tag REGISTRY/NAME:TAG");
        }
        match outputs.iter_mut().find(|output| matches!(output, Output::Image { .. })) {
            Some(Output::Image { push, .. }) => *push = true,
            _ => outputs.push(Output::Image { names: Vec::new(), push: true, options: Default::default() }),
        }
    } else if outputs.is_empty() && (!args.tags.is_empty() || names_the_image(args)) {
        outputs.push(Output::Image { names: Vec::new(), push: false, options: Default::default() });
    }
    check_place("--iidfile", args.iidfile.as_ref())?;
    check_place("--metadata-file", args.metadata_file.as_ref())?;
    if !args.rm {
        bail!("--rm=false: nothing of a step is left that could be kept: leave it out");
    }
    if let [_, _, ..] = outputs.iter().filter(|output| goes_to_stdout(output)).collect::<Vec<_>>().as_slice() {
        bail!("only one output can go to standard output");
    }
    if outputs.iter().any(goes_to_stdout) && std::io::stdout().is_terminal() {
        bail!("refusing to write an archive to a terminal: add dest=FILE, or redirect standard output");
    }
    Ok(BuildRequest {
        context,
        dockerfile,
        target: args.target.clone(),
        build_args: build_args(&args.build_args)?,
        labels: pairs("--label", &args.labels)?,
        annotations: pairs("--annotation", &args.annotations)?,
        platforms: platforms(&args.platforms)?,
        secrets: args.secrets.iter().map(|text| secret(text, &cwd)).collect::<Result<_>>()?,
        ssh: args.ssh.iter().map(|text| ssh(text)).collect::<Result<_>>()?,
        named_contexts: args.build_contexts.iter().map(|text| named_context(text, &cwd)).collect::<Result<_>>()?,
        no_cache: args.no_cache,
        no_cache_filter: args.no_cache_filter.clone(),
        pull: args.pull,
        extra_hosts: args.add_hosts.iter().map(|text| extra_host(text)).collect::<Result<_>>()?,
        shm_size: args.shm_size.as_deref().map(size).transpose().context("--shm-size")?,
        ulimits: args.ulimits.iter().map(|text| ulimit(text)).collect::<Result<_>>()?,
        network: args.network.as_deref().map(network).transpose()?,
        entitlements: args.allow.iter().map(|text| entitlement(text)).collect::<Result<_>>()?,
        outputs,
        tags: args.tags.clone(),
        source_date_epoch: std::env::var("SOURCE_DATE_EPOCH").ok().filter(|text| !text.is_empty()),
        now: now(),
        check_only: args.check || matches!(args.call, Call::Check(_)),
        checks: checks(args),
        explain_cache: args.explain_cache,
        parallelism: args.jobs.unwrap_or(0),
        refuse_host_network: args.network_fallback == "error",
    })
}

/// The settings of the build checks that flags of `build` give.
fn checks(args: &BuildArgs) -> CheckSettings {
    let mut checks = CheckSettings::default();
    if args.strict_syntax {
        checks.take_in(Rule::FeatureNewerThanSyntax);
    }
    checks
}

/// Makes the request of `check`.
pub(crate) fn for_check(args: &CheckArgs, scratch: &mut Option<TempDir>) -> Result<BuildRequest> {
    let cwd = std::env::current_dir().context("cannot tell the current folder")?;
    let (context, dockerfile) = inputs(&args.context, args.file.as_deref(), &cwd, scratch)?;
    Ok(BuildRequest {
        context,
        dockerfile,
        target: args.target.clone(),
        build_args: args.build_args.iter().filter_map(|text| build_arg(text)).collect(),
        platforms: platforms(&args.platforms)?,
        named_contexts: args.build_contexts.iter().map(|text| named_context(text, &cwd)).collect::<Result<_>>()?,
        now: now(),
        check_only: true,
        checks: args.settings()?,
        // Rights are given by who builds.
        entitlements: vec![Entitlement::NetworkHost, Entitlement::SecurityInsecure, Entitlement::Device],
        ..BuildRequest::default()
    })
}

/// Tells whether somebody asks what the image is, which is known only when it is made.
fn names_the_image(args: &BuildArgs) -> bool {
    args.iidfile.is_some() || args.metadata_file.is_some() || args.quiet
}

fn goes_to_stdout(output: &Output) -> bool {
    matches!(output, Output::Oci { dest: None, .. } | Output::Docker { dest: None, .. } | Output::Tar { dest: None })
}

/// The clock of this build: read once.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
}

/// Context and Dockerfile (dockerfile.md §11.1).
fn inputs(
    given: &str,
    file: Option<&str>,
    cwd: &Path,
    scratch: &mut Option<TempDir>,
) -> Result<(ContextSource, DockerfileSource)> {
    if given == "-" {
        if file == Some("-") {
            bail!("can't use stdin for both build context and dockerfile");
        }
        return stdin_context(file, scratch);
    }
    let is_remote = is_remote(given);
    let context = if is_remote {
        ContextSource::Remote(given.to_owned())
    } else {
        let path = cwd.join(given);
        let meta = std::fs::metadata(&path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                anyhow!("unable to prepare context: path {given:?} not found")
            } else {
                anyhow!("unable to prepare context: {}: {error}", path.display())
            }
        })?;
        if !meta.is_dir() {
            let folder = Path::new(given).parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.map_or_else(|| ".".to_owned(), |folder| folder.display().to_string());
            bail!(
                "unable to prepare context: {given:?} is not a folder: for a Dockerfile write -f {given} and the folder of \
                 the context, as in -f {given} {folder}"
            );
        }
        ContextSource::Directory(path)
    };
    let dockerfile = match file {
        None => DockerfileSource::Context(None),
        Some("-") => DockerfileSource::Text { name: "Dockerfile".to_owned(), bytes: read_stdin(DOCKERFILE_LIMIT)? },
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            DockerfileSource::Remote(url.to_owned())
        }
        Some(path) if is_remote => DockerfileSource::Context(Some(path.to_owned())),
        Some(path) => {
            let file = cwd.join(path);
            if let ContextSource::Directory(folder) = &context
                && !file.exists()
                && folder.join(path).exists()
            {
                let meant = Path::new(given).join(path);
                bail!(
                    "failed to read dockerfile: {path} does not exist: --file counts from the current folder, as in \
                     --file {}",
                    meant.display()
                );
            }
            DockerfileSource::File(file)
        }
    };
    Ok((context, dockerfile))
}

/// Whether a context is an address rather than a folder; `./` and `../` never are.
fn is_remote(text: &str) -> bool {
    if text.starts_with("./") || text.starts_with("../") || Path::new(text).exists() {
        return false;
    }
    ["http://", "https://", "git://", "ssh://", "git@", "github.com/"].iter().any(|prefix| text.starts_with(prefix))
}

/// Standard input is a tar, which is the context, or else a Dockerfile.
fn stdin_context(file: Option<&str>, scratch: &mut Option<TempDir>) -> Result<(ContextSource, DockerfileSource)> {
    let folder = tempfile::Builder::new().prefix("strake-").tempdir().context("cannot make a temporary folder")?;
    let path = scratch.insert(folder).path().join("stdin");
    let mut spooled = std::fs::File::options().create_new(true).read(true).write(true).open(&path);
    let spooled = spooled.as_mut().map_err(|error| anyhow!("cannot write {}: {error}", path.display()))?;
    std::io::copy(&mut std::io::stdin().lock(), spooled).context("cannot keep what comes on standard input")?;
    if strake::ArchiveFormat::detect(spooled)?.is_some() {
        return Ok((ContextSource::Tar(path), DockerfileSource::Context(file.map(str::to_owned))));
    }
    if file.is_some() {
        bail!(
            "standard input is no tar archive, so it cannot be the context: leave -f out to build it as a Dockerfile"
        );
    }
    let mut bytes = Vec::new();
    spooled.seek(std::io::SeekFrom::Start(0))?;
    spooled.take(DOCKERFILE_LIMIT + 1).read_to_end(&mut bytes).context("cannot read what came on standard input")?;
    Ok((ContextSource::Empty, DockerfileSource::Text { name: "Dockerfile".to_owned(), bytes }))
}

/// Reads standard input, up to a limit.
pub(crate) fn read_stdin(limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(limit + 1).read_to_end(&mut bytes).context("cannot read standard input")?;
    if bytes.len() as u64 > limit {
        bail!("the Dockerfile on standard input is larger than {} MiB", limit >> 20);
    }
    Ok(bytes)
}

/// `NAME=VALUE`, or `NAME` with the value of the environment; an unset one is left out.
pub(crate) fn build_arg(text: &str) -> Option<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.to_owned())),
        None => std::env::var(text).ok().map(|value| (text.to_owned(), value)),
    }
}

/// Reads `--build-arg`.
fn build_args(texts: &[String]) -> Result<Vec<(String, String)>> {
    if let Some(text) = texts.iter().find(|text| text.is_empty() || text.starts_with('=')) {
        bail!("--build-arg {text}: the name is empty: write NAME=VALUE");
    }
    Ok(texts.iter().filter_map(|text| build_arg(text)).collect())
}

/// Refuses a file whose folder is missing before anything is built.
fn check_place(flag: &str, path: Option<&PathBuf>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("{flag} {}: there is no folder {}", path.display(), folder.display());
    }
    Ok(())
}

fn pairs(flag: &str, texts: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |text: &String| match text.split_once('=') {
        Some(("", _)) => bail!("{flag} {text}: the name is empty"),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None if flag == "--label" => Ok((text.clone(), String::new())),
        None => bail!("{flag} {text}: write NAME=VALUE"),
    };
    texts.iter().map(pair).collect()
}

/// Reads `--platform`.
pub(crate) fn platforms(texts: &[String]) -> Result<Vec<Platform>> {
    let platform = |text: &String| {
        if text == "local" {
            return Ok(Platform::host());
        }
        text.parse::<Platform>()
            .map_err(|error| anyhow!("--platform: {error}; write OS/ARCHITECTURE[/VARIANT], such as linux/arm64"))
    };
    texts.iter().map(platform).collect()
}

/// `id=NAME[,src=FILE][,env=VARIABLE][,type=file|env]` (dockerfile.md §23).
fn secret(text: &str, cwd: &Path) -> Result<Secret> {
    let mut fields = BTreeMap::new();
    for field in split_csv(text).with_context(|| format!("--secret {text}"))? {
        let Some((key, value)) = key_value(&field) else {
            bail!("--secret {text}: {field:?} is not KEY=VALUE");
        };
        let key = match key.as_str() {
            "source" => "src".to_owned(),
            "id" | "src" | "env" | "type" => key,
            _ => bail!("--secret {text}: unknown key {key:?}: known are id, src, env and type"),
        };
        fields.insert(key, value.to_owned());
    }
    let Some(id) = fields.get("id").filter(|id| !id.is_empty()).cloned() else {
        bail!("--secret {text}: id= is missing");
    };
    let from_env = |name: &str| match std::env::var_os(name) {
        Some(value) => Ok(SecretValue::Bytes(value.into_encoded_bytes())),
        None => bail!("--secret {text}: the environment variable {name} is not set"),
    };
    let from_file = |path: &str| {
        let path = cwd.join(path);
        match std::fs::metadata(&path) {
            Ok(meta) if meta.is_file() => Ok(SecretValue::File(path)),
            Ok(_) => bail!("--secret {text}: {} is not a regular file", path.display()),
            Err(error) => bail!("--secret {text}: {}: {error}", path.display()),
        }
    };
    let value = match (fields.get("type").map(String::as_str), fields.get("src"), fields.get("env")) {
        (Some(kind), ..) if kind != "file" && kind != "env" => {
            bail!("--secret {text}: unknown type {kind:?}: file or env")
        }
        (_, Some(_), Some(_)) => bail!("--secret {text}: src= and env= exclude each other"),
        (Some("env"), Some(name), None) | (_, None, Some(name)) => from_env(name)?,
        (_, Some(path), None) => from_file(path)?,
        (Some("file"), None, None) => from_file(&id)?,
        (Some("env"), None, None) => from_env(&id)?,
        (_, None, None) if std::env::var_os(&id).is_some() => from_env(&id)?,
        (_, None, None) => from_file(&id)?,
    };
    Ok(Secret { id, value })
}

fn ssh(text: &str) -> Result<SshAgent> {
    let (id, socket) = text.split_once('=').map_or((text, None), |(id, path)| (id, Some(PathBuf::from(path))));
    if id.is_empty() {
        bail!("--ssh {text}: the id is empty: write default, or ID=SOCKET");
    }
    let Some(socket) = socket.or_else(|| std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from)) else {
        bail!("--ssh {text}: SSH_AUTH_SOCK is not set: start an agent, or name its socket: --ssh {id}=SOCKET");
    };
    if std::fs::metadata(&socket).is_ok_and(|meta| meta.is_file()) {
        bail!("--ssh {text}: {} is a key file: add it to an agent and forward that", socket.display());
    }
    Ok(SshAgent { id: id.to_owned(), socket })
}

fn named_context(text: &str, cwd: &Path) -> Result<(String, String)> {
    let Some((name, value)) = text.split_once('=') else {
        bail!("--build-context {text}: write NAME=VALUE");
    };
    if name.is_empty() || value.is_empty() {
        bail!("--build-context {text}: write NAME=VALUE");
    }
    if let Some(layout) = value.strip_prefix("oci-layout://") {
        return Ok((name.to_owned(), format!("oci-layout://{}", cwd.join(layout).display())));
    }
    if value.contains("://") || value.starts_with("target:") || is_remote(value) {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let path = cwd.join(value);
    if !path.exists() {
        bail!("--build-context {text}: {} does not exist", path.display());
    }
    Ok((name.to_owned(), path.display().to_string()))
}

fn extra_host(text: &str) -> Result<(String, String)> {
    let split = text.split_once('=').or_else(|| text.split_once(':'));
    let Some((name, address)) = split.filter(|(name, address)| !name.is_empty() && !address.is_empty()) else {
        bail!("--add-host {text}: write NAME:ADDRESS");
    };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    if address != "host-gateway" && address.parse::<std::net::IpAddr>().is_err() {
        bail!("--add-host {text}: {address:?} is not an IP address");
    }
    Ok((name.to_owned(), address.to_owned()))
}

fn ulimit(text: &str) -> Result<Ulimit> {
    let bad = || anyhow!("--ulimit {text}: write NAME=SOFT[:HARD], e.g. nofile=1024:4096");
    let (name, limits) = text.split_once('=').ok_or_else(bad)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |text: &str| if text == "unlimited" { Ok(-1) } else { text.parse::<i64>().map_err(|_| bad()) };
    let limit = Ulimit { name: name.to_owned(), soft: number(soft)?, hard: number(hard)? };
    if limit.hard != -1 && (limit.soft > limit.hard || limit.soft == -1) {
        bail!("--ulimit {text}: the soft limit is above the hard one");
    }
    Ok(limit)
}

fn network(text: &str) -> Result<Network> {
    Ok(match text {
        "default" => Network::Default,
        "none" => Network::None,
        "host" => Network::Host,
        _ => bail!("--network {text}: unknown mode: default, none or host"),
    })
}

fn entitlement(text: &str) -> Result<Entitlement> {
    Ok(match text {
        "network.host" => Entitlement::NetworkHost,
        "security.insecure" => Entitlement::SecurityInsecure,
        "device" => Entitlement::Device,
        _ => bail!("--allow {text}: unknown right: network.host, security.insecure or device"),
    })
}
