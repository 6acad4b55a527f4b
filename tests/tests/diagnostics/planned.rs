//! Dockerfiles planned without a network, and the messages that come of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use strake_builder::plan::{KnownImages, Plan, PlanOptions, Planned as PlannedGraph, plan};
use strake_builder::request::BuildRequest;
use strake_builder::resolve::ResolvedImage;
use strake_builder::{Error, Finding};
use strake_cli::render;
use strake_layers::{Descriptor, Digest, ImageConfig, Platform};
use strake_parser::{Compose, Diagnostic, ParseOptions, compose, ignore::IgnoreRules, parse};

/// What came of a Dockerfile.
pub(crate) struct Planned {
    /// Everything as the command line prints it, without colours.
    pub(crate) text: String,
    /// The codes in it.
    pub(crate) codes: BTreeSet<&'static str>,
}

/// Plans a Dockerfile. Its first lines may say how it is built: `# strake build --target app .` or `# strake check .`,
/// and what `.dockerignore` holds: `# .dockerignore: *.py`. Every image but those with `missing` in their name exists.
pub(crate) fn planned(dockerfile: &[u8]) -> Planned {
    let text = String::from_utf8_lossy(dockerfile);
    let command = text.lines().find_map(|line| line.strip_prefix("# strake build "));
    let mut request = request(command.unwrap_or_default());
    if text.lines().any(|line| line == "# strake check .") {
        request.check_only = true;
        request.checks.extras = true;
    }
    let mut options = PlanOptions::from_request(&request, request.platforms.first().cloned(), linux()).unwrap();
    let ignored = text.lines().find_map(|line| line.strip_prefix("# .dockerignore: "));
    options.ignore = ignored.map(|rules| Arc::new(IgnoreRules::parse(rules.replace(' ', "\n").as_bytes()).unwrap()));
    let syntax = options.build_args.get("BUILDKIT_SYNTAX").cloned();
    let parsed = composed(dockerfile, &ParseOptions { syntax, ..ParseOptions::default() }, &options);
    let problems = plan_all(&parsed, &options).map_or_else(|problems| problems, |planned| planned.warnings);
    let source = Arc::new(parsed.dockerfile.source.clone());
    let found = |diagnostic: Diagnostic| Finding {
        file: "Dockerfile".into(),
        source: Arc::clone(&source),
        line: parsed.dockerfile.lines_of(diagnostic.span).first(),
        diagnostic,
        notes: Vec::new(),
    };
    let codes = problems.iter().map(|problem| problem.code).collect();
    let is_failed = problems.iter().any(Diagnostic::is_error);
    let findings: Vec<Finding> = problems.into_iter().map(found).collect();
    let text = if is_failed {
        render::error(&Error::Dockerfile(findings), false)
    } else {
        findings.iter().map(|one| render::finding(one, false)).collect()
    };
    Planned { text, codes }
}

/// What an ordinary build is planned with.
pub(crate) fn options() -> PlanOptions {
    PlanOptions::from_request(&BuildRequest::default(), None, linux()).unwrap()
}

/// Reads a file and works out its additions to the language; no other file exists.
pub(crate) fn composed(dockerfile: &[u8], how: &ParseOptions, options: &PlanOptions) -> strake_parser::Parsed {
    let platform = [("TARGETOS", "linux"), ("TARGETARCH", "amd64")];
    let outside = Compose {
        path: "Dockerfile",
        build_args: &options.build_args,
        platform_args: &platform.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        load: &mut |_| Err("the build context has no such file".to_owned()),
    };
    compose(&parse(dockerfile, how), how, outside)
}

/// Reads the flags that examples use.
fn request(command: &str) -> BuildRequest {
    let mut request = BuildRequest::default();
    let mut words = command.split_whitespace();
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    while let Some(word) = words.next() {
        match word {
            "--target" => request.target = words.next().map(str::to_owned),
            "--no-cache-filter" => request.no_cache_filter.extend(words.next().map(str::to_owned)),
            "--build-arg" => request.build_args.extend(words.next().map(pair)),
            "--build-context" => request.named_contexts.extend(words.next().map(pair)),
            "--platform" => request.platforms.extend(words.next().map(|text| text.parse::<Platform>().unwrap())),
            "." => {}
            other => panic!("no example may use {other}"),
        }
    }
    request
}

fn linux() -> Platform {
    Platform::new("linux", "amd64")
}

/// Plans with images as they are asked for.
pub(crate) fn plan_all(
    parsed: &strake_parser::Parsed,
    options: &PlanOptions,
) -> Result<Box<PlannedGraph>, Vec<Diagnostic>> {
    let mut known = KnownImages::new();
    for _ in 0..5 {
        let wanted = match plan(parsed, options, &known) {
            Ok(Plan::Ready(planned)) => return Ok(planned),
            Ok(Plan::NeedImages(wanted)) => wanted,
            Err(problems) => return Err(problems),
        };
        for request in wanted {
            if request.name.contains("missing") {
                return Err(vec![request.failed(&Error::user("no such image"))]);
            }
            let config = config(&request.name);
            let image = ResolvedImage {
                source: request.key.source.clone(),
                platform: request.key.platform.clone(),
                name: request.key.source.to_string(),
                config: ImageConfig::parse(config.as_bytes(), "config").unwrap(),
                config_bytes: config.as_bytes().into(),
                manifest: Descriptor::new(
                    "application/vnd.oci.image.manifest.v1+json",
                    Digest::of(config.as_bytes()),
                    1,
                ),
                index: None,
                layers: Vec::new(),
            };
            known.insert(request.key, Arc::new(image));
        }
    }
    panic!("planning asks for images again and again");
}

/// The configs of the images that examples build upon.
fn config(name: &str) -> String {
    let (os, architecture) = match name {
        _ if name.contains("windows") => ("windows", "amd64"),
        _ if name.contains("arm64") => ("linux", "arm64"),
        _ => ("linux", "amd64"),
    };
    let triggers = match name {
        "node:onbuild" => r#""COPY package.json /app/", "RUN npm install""#,
        "broken:onbuild" => r#""COYP . /app""#,
        "chained:onbuild" => r#""ONBUILD RUN true""#,
        "forward:onbuild" => r#""COPY --from=assets / /srv", "RUN --mount=target=/ true", "EXPOSE http""#,
        _ => "",
    };
    format!(
        r#"{{"architecture":"{architecture}","os":"{os}","config":{{"Env":["PATH=/bin"],"OnBuild":[{triggers}]}}}}"#
    )
}
