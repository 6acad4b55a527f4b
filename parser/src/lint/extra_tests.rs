use super::*;
use crate::diagnostic::Severity;
use crate::parse::{ParseOptions, parse};

fn found(text: &str) -> Vec<Diagnostic> {
    let parsed = parse(text.as_bytes(), &ParseOptions::default());
    assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
    let checks = CheckSettings { extras: true, ..CheckSettings::default() };
    let checks = checks.merged(&parsed.dockerfile.directives.check_settings);
    check(&parsed.dockerfile, &checks, &|_| true)
}

fn lines_of(rule: Rule, text: &str) -> Vec<usize> {
    let source = crate::SourceText::new(text.as_bytes());
    let found = found(text).into_iter().filter(|one| one.rule == Some(rule));
    found.map(|one| source.line_of(one.span.start())).collect()
}

#[track_caller]
fn fires(rule: Rule, texts: &[&str]) {
    for text in texts {
        assert!(!lines_of(rule, text).is_empty(), "{} does not fire: {text}", rule.name());
    }
}

#[track_caller]
fn is_silent(rule: Rule, texts: &[&str]) {
    for text in texts {
        assert_eq!(lines_of(rule, text), [0; 0], "{} fires: {text}", rule.name());
    }
}

/// Puts a RUN into a whole file.
fn run(commands: &[&str]) -> Vec<String> {
    commands.iter().map(|command| format!("FROM a:1\nRUN {command}\n")).collect()
}

#[track_caller]
fn run_fires(rule: Rule, commands: &[&str]) {
    run(commands).iter().for_each(|text| fires(rule, &[text]));
}

#[track_caller]
fn run_is_silent(rule: Rule, commands: &[&str]) {
    run(commands).iter().for_each(|text| is_silent(rule, &[text]));
}

#[test]
fn bases_without_version_or_digest_are_told() {
    fires(Rule::LatestTag, &["FROM alpine\n", "FROM alpine:latest\n", "FROM r.example:5000/a\n"]);
    is_silent(
        Rule::LatestTag,
        &["FROM alpine:3\n", "ARG B\nFROM $B\n", "FROM scratch\n", "FROM a@sha256:0\n", "FROM a:1 AS b\nFROM b\n"],
    );
    fires(Rule::UnpinnedBaseImage, &["FROM alpine:3\n", "# check=skip=LatestTag\nFROM alpine\n"]);
    is_silent(Rule::UnpinnedBaseImage, &["FROM alpine\n", "FROM a:1@sha256:0\n", "FROM scratch\n"]);
    assert_eq!(found("FROM alpine:3\n")[0].severity, Severity::Note);
}

#[test]
fn package_lists_that_stay_are_told() {
    run_fires(Rule::AptListsLeft, &["apt-get update && apt-get install -y x", "apt -qq update", "sudo apt-get update"]);
    run_is_silent(
        Rule::AptListsLeft,
        &[
            "apt-get update && rm -rf /var/lib/apt/lists/*",
            "--mount=type=cache,target=/var/lib/apt apt-get update",
            "echo apt-get update",
            "apt-get install x",
            "apt-get update; apt-get install -y x; apt-get dist-clean",
            "--mount=type=cache,target=/var/lib/ apt-get update",
        ],
    );
    run_fires(Rule::AptListsLeft, &["apt-get install -y --update x", "--mount=target=/var/lib/apt-x apt update"]);
    is_silent(Rule::AptListsLeft, &["FROM a:1 AS b\nRUN apt-get update\nFROM c:1\nCOPY --from=b /x /\n"]);
    fires(Rule::AptListsLeft, &["FROM a:1 AS b\nRUN apt-get update\nFROM b\nUSER x\n"]);
}

#[test]
fn package_indexes_that_stay_are_told() {
    run_fires(Rule::ApkCacheLeft, &["apk add x", "apk update && apk add x", "apk -q add x"]);
    run_is_silent(
        Rule::ApkCacheLeft,
        &[
            "apk add --no-cache x",
            "apk --no-cache add x",
            "apk add x && rm -rf /var/cache/apk/*",
            "--mount=type=cache,target=/var/cache/apk apk add x",
            "apk del x",
        ],
    );
}

#[test]
fn pipes_that_hide_a_failure_are_told() {
    run_fires(Rule::PipeWithoutPipefail, &["curl x | sh", "a && b | c", "<<E\nset -e\ncurl x | tar x\nE"]);
    run_is_silent(
        Rule::PipeWithoutPipefail,
        &[
            "a || b",
            "echo x | b",
            "grep 'a|b' c",
            "set -o pipefail; a | b",
            "yes | a",
            "find . -type f | sort",
            "ls | wc -l && df / | awk x",
            "case x in a|b) c;; esac",
            "x=$(a | b)",
            "[\"a\", \"|\"]",
        ],
    );
    is_silent(
        Rule::PipeWithoutPipefail,
        &[
            "FROM a:1\nSHELL [\"bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN a | b\n",
            "FROM a:1\nSHELL [\"C:\\\\x\\\\powershell.exe\", \"-Command\"]\nRUN a | b\n",
        ],
    );
}

#[test]
fn copies_that_repeat_an_installation_are_told() {
    let file = |run: &str| format!("FROM a:1\nCOPY . .\nRUN {run}\n");
    for run in [
        "npm ci",
        "npm install --omit=dev",
        "yarn",
        "pnpm i --frozen-lockfile",
        "pip install --no-cache-dir -r requirements.txt",
        "bundle install",
        "go mod download && go build",
        "cargo fetch",
        "mvn -B dependency:go-offline",
        "composer install",
        "dotnet restore app.csproj",
        "python3 -m pip install -r requirements.txt",
        "apt-get update && apt-get install -y curl git && rm -rf /var/lib/apt/lists/*",
        "apk add --no-cache curl",
        "pip install flask gunicorn",
    ] {
        assert_eq!(lines_of(Rule::CopyInvalidatesRun, &file(run)), [2], "{run}");
    }
    for run in [
        "npm install -g pnpm",
        "npm install express",
        "npm run build",
        "pip install .",
        "pip install -e . -r x",
        "go build",
        "yarn build",
        "apt-get install -y ./app.deb",
        "cp app.list /etc/apt/sources.list.d && apt-get update && apt-get install -y app",
        "apt-get install -y $(cat packages)",
        "pip install -c constraints.txt flask",
        "apk add",
        "pip install --requirement=req.in flask",
        "pip install -rreq.txt flask",
        "pip install --no-index --find-links=wheels mypkg",
        "apt-get update && apt-get install -y /tmp/x/foo.deb && apt-get install -y curl",
        "apt-get update && apt-get build-dep -y . && apt-get install -y devscripts",
        "apt-get install -y make && rm -rf /app/.git",
        "apk add --keys-dir keys --repository repo foo",
        "--mount=type=cache,target=/root/.npm npm ci",
    ] {
        assert_eq!(lines_of(Rule::CopyInvalidatesRun, &file(run)), [0; 0], "{run}");
    }
    is_silent(
        Rule::CopyInvalidatesRun,
        &[
            "FROM a:1\nCOPY package.json .\nRUN npm ci\nCOPY . .\nRUN npm ci --omit=dev\n",
            "FROM a:1 AS b\nFROM c:1\nCOPY --from=b . .\nRUN npm ci\n",
            "FROM a:1\nCOPY src .\nRUN npm ci\n",
            "FROM a:1\nCOPY . /etc/yum.repos.d/\nRUN dnf install -y foo\n",
            "FROM a:1\nUSER app\nCOPY . .\nUSER root\nRUN apk add foo\n",
        ],
    );
    let found = found("FROM ruby:3.3\nCOPY . .\nRUN gem install bundler\nRUN bundle install\n");
    assert!(found.iter().any(|one| one.help.as_ref().is_some_and(|help| help.contains("Gemfile"))), "{found:?}");
}

#[test]
fn stages_that_nothing_uses_are_told() {
    assert_eq!(lines_of(Rule::UnusedStage, "FROM a:1\nFROM b:1\n"), [1]);
    assert_eq!(found("FROM a@x AS t\nFROM b@x\n")[0].severity, Severity::Note);
    is_silent(
        Rule::UnusedStage,
        &[
            "FROM a:1 AS b\nFROM B\n",
            "FROM a:1\nFROM b:1\nCOPY --from=0 /a /\n",
            "FROM a:1 AS b\nFROM c:1\nRUN --mount=from=b,target=/x y\n",
            "FROM a:1 AS b\nFROM c:1\nONBUILD COPY --from=b /x /\n",
            "ARG W=b\nFROM a:1 AS b\nFROM c:1\nCOPY --from=$W /x /\n",
            "# check=skip=UnusedStage\nFROM a:1\nFROM b:1\n",
            "FROM a:1 AS unit-test\nFROM b:1\n",
            "FROM a:1 AS Dev\nFROM b:1\n",
        ],
    );
}

#[test]
fn arguments_that_nothing_uses_are_told() {
    assert_eq!(lines_of(Rule::UnusedArg, "ARG A\nFROM a:1\nRUN x\nARG B\nUSER u\n"), [1, 4]);
    is_silent(
        Rule::UnusedArg,
        &[
            "ARG A\nFROM a:$A\n",
            "ARG A=1\nFROM a:1\nARG A\nRUN x\n",
            "FROM a:1\nARG A\nRUN x\n",
            "FROM a:1 AS b\nARG A\nFROM b\nRUN x\n",
            "FROM a:1\nARG TARGETARCH HTTP_PROXY SOURCE_DATE_EPOCH BUILDKIT_X\n",
            "FROM a:1\nARG A\nLABEL a=${A}\n",
        ],
    );
}

#[test]
fn files_that_all_may_write_are_told() {
    fires(Rule::WorldWritableCopy, &["FROM a:1\nCOPY --chmod=777 a /\n", "FROM a:1\nADD --chmod=a+w a /\n"]);
    is_silent(
        Rule::WorldWritableCopy,
        &["FROM a:1\nCOPY --chmod=755 a /\n", "FROM a:1\nCOPY --chmod=1777 a /\n", "FROM a:1\nCOPY --chmod=$M a /\n"],
    );
}

#[test]
fn values_that_look_like_secrets_are_told() {
    let env = |value: &str| format!("FROM a:1\nENV SETTING={value}\n");
    // Put together here, so that nobody takes them for real ones.
    let letters = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzZ";
    for value in [
        format!("ghp_{letters}ab"),
        format!("AKIA{}", "QWERTZUIOPASDFGH"),
        format!("glpat-{}", &letters[..20]),
        format!("\"{}\"", &letters[..30]),
        format!("eyJ{letters}.eyJ{letters}.{letters}"),
        "postgres://app:kf83hGs02mX@db/app".to_owned(),
    ] {
        fires(Rule::SecretLikeValue, &[&env(&value)]);
    }
    for value in [
        "/usr/local/lib/python3.12/site-packages",
        "postgres://postgres:postgres@db/app",
        "https://example.org/a/b/c?x=1",
        "MyCompany.Application.WebService.Configuration2",
        "com.example.application.Main2024Version",
        "d41d8cd98f00b204e9800998ecf8427e",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "ghp_example",
        "-Xmx512m",
        "${TOKEN}",
        "Mozilla5FirefoxBrowserUserAgentString",
        "AKIAIOSFODNN7EXAMPLE",
        "PSDocker-DotnetSDK-WindowsServerCore-ltsc2022-amd64",
        "MyApp2Server4Worker8Queue16Cache32Redis64",
    ] {
        is_silent(Rule::SecretLikeValue, &[&env(value)]);
    }
    is_silent(Rule::SecretLikeValue, &[&format!("FROM a:1\nARG INTEGRITY_SHA512={letters}\n")]);
    let message = &found(&env(&format!("ghp_{letters}ab")))[1].message;
    assert_eq!(message, "the value of ENV SETTING looks like a GitHub token");
}

#[test]
fn own_rules_are_skipped_by_name() {
    let text = "FROM a@sha256:0\n# check=skip=PipeWithoutPipefail\nRUN a | b\nRUN a | b\n";
    assert_eq!(lines_of(Rule::PipeWithoutPipefail, text), [4]);
    is_silent(Rule::LatestTag, &["# check=skip=LatestTag,UnpinnedBaseImage\nFROM alpine\n"]);
}

#[test]
fn builds_do_not_see_the_extras() {
    let text = "FROM alpine\nCOPY --chmod=777 . .\nRUN apt-get update | tee x\nRUN apk add x\nARG X\nFROM b\n";
    let parsed = parse(text.as_bytes(), &ParseOptions::default());
    assert_eq!(check(&parsed.dockerfile, &CheckSettings::default(), &|_| true), []);
}

#[test]
fn rules_say_truly_whether_they_have_a_fix() {
    let texts = [
        "FROM a:1 as B\nrun a \\\n\nb\nMAINTAINER me\nENV a b\nRUN apt update && apt install x\nRUN apk add x\nARG X\n",
        "# syntax=docker/dockerfile:1.3\nFROM a:1\nCOPY --link a /\n",
        "FROM a:1\nCOPY --chmod=777 a C:\\\nUSER x\n",
        "FROM a AS scratch\nFROM --platform=linux/arm64 b AS a\nFROM b AS a\nCMD x\nCMD y\nVOLUME ['a']\nENV A_KEY=1\n",
        "FROM a:1\nCOPY . .\nRUN npm ci | tee\nRUN <<E\na\nb\nE\nENV X=postgres://app:kf83hGs02mX@db/app\nFROM b:1\n",
    ];
    let all: Vec<Diagnostic> = texts.iter().flat_map(|text| found(text)).collect();
    let of_the_planner = [Rule::RedundantTargetPlatform, Rule::ExposeProtoCasing, Rule::ExposeInvalidFormat];
    for rule in Rule::ALL {
        let has = all.iter().any(|one| one.rule == Some(*rule) && one.fix.is_some());
        assert_eq!(has, rule.has_fix() && !of_the_planner.contains(rule), "{}", rule.name());
        assert!(rule.explanation().len() > 20 && !rule.description().is_empty());
    }
}

#[test]
fn features_newer_than_the_syntax_line_are_told() {
    let under = |tag: &str, text: &str| format!("# syntax=docker/dockerfile:{tag}\n{text}");
    let table = [
        ("1.1", "FROM a:1\nRUN --mount=type=cache,target=/c x\n", "1.2"),
        ("1.2", "FROM a:1\nRUN --network=none x\n", "1.3"),
        ("1.3", "FROM a:1\nRUN <<E\nx\nE\n", "1.4"),
        ("1.2-labs", "FROM a:1\nCOPY <<E /\nx\nE\n", "1.3-labs"),
        ("1.3.2", "FROM a:1\nCOPY --link a /\n", "1.4"),
        ("1.5", "FROM a:1\nADD --checksum=sha256:0 https://h.example/a /\n", "1.6"),
        ("1.7", "# check=skip=UnusedArg\nFROM a:1\n", "1.8"),
        ("1.9", "FROM a:1\nRUN --mount=type=secret,id=a,env=A x\n", "1.10"),
        ("1.10", "FROM a:1\nONBUILD COPY --from=b /x /\n", "1.11"),
        ("1.10", "FROM a:1\nONBUILD RUN --mount=from=b,target=/x x\n", "1.11"),
        ("1.13", "FROM a:1\nCOPY --chmod=u+x a /\n", "1.14"),
        ("1.16", "FROM a:1\nADD --unpack a.tar /\n", "1.17"),
        ("1.18", "FROM a:1\nCOPY --exclude=*.md a /\n", "1.19"),
        ("1.6-labs", "FROM a:1\nCOPY --exclude=*.md a /\n", "1.7-labs"),
        ("1.19", "FROM a:1\nCOPY --parents a /\n", "1.20"),
        ("1.19", "FROM a:1\nRUN --security=insecure x\n", "1.20"),
        ("1.20", "FROM a:1\nRUN --device=v.example/c=a x\n", "1.14-labs"),
    ];
    let told = |text: &str| {
        let found = found(text).into_iter().filter(|one| one.rule == Some(Rule::FeatureNewerThanSyntax));
        found.map(|one| one.message).collect::<Vec<_>>()
    };
    for (tag, text, needed) in table {
        let messages = told(&under(tag, text));
        assert!(
            matches!(messages.as_slice(), [one] if one.ends_with(&format!(" needs docker/dockerfile:{needed}"))),
            "{tag} {text}: {messages:?}"
        );
        assert_eq!(told(&under(needed, text)), [""; 0], "{needed} {text}");
        for newest in ["1-labs", "labs"] {
            assert_eq!(told(&under(newest, text)), [""; 0], "{newest} {text}");
        }
    }
    is_silent(
        Rule::FeatureNewerThanSyntax,
        &[
            "FROM a:1\nCOPY --parents a /\n",
            "# syntax=docker/dockerfile:1\nFROM a:1\nCOPY --parents a /\n",
            "# syntax=docker/dockerfile:1.0-labs\nFROM a:1\nRUN --security=insecure x\n",
            "# syntax=docker/dockerfile:1.19\nFROM a:1\n# check=skip=FeatureNewerThanSyntax\nCOPY --parents a /\n",
        ],
    );
}

#[test]
fn one_edit_of_the_syntax_line_serves_all_features() {
    let fixed = |line: &str| {
        let text = format!("# syntax={line}\nFROM a:1\nCOPY --link a /\nCOPY --parents a /\n");
        let fixes: Vec<_> = found(&text)
            .into_iter()
            .filter(|one| one.rule == Some(Rule::FeatureNewerThanSyntax))
            .filter_map(|one| one.fix)
            .map(|fix| format!("{}{}{}", &text[..fix.span.start()], fix.replacement, &text[fix.span.end()..]))
            .collect();
        fixes.iter().map(|text| text.lines().next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(fixed("docker/dockerfile:1.3"), ["# syntax=docker/dockerfile:1.20"]);
    assert_eq!(fixed("docker/dockerfile:1.3-labs with text"), ["# syntax=docker/dockerfile:1.7-labs with text"]);
    // What is left out takes the edit of the others along with it no more than their findings.
    assert_eq!(
        fixed("docker/dockerfile:1.3\nFROM b:1\n# check=skip=FeatureNewerThanSyntax\nCOPY --parents a /"),
        ["# syntax=docker/dockerfile:1.20"]
    );
    assert_eq!(fixed("docker.io/docker/dockerfile:1.3"), [""; 0]);
    assert_eq!(fixed("docker/dockerfile:1.3@sha256:0"), [""; 0]);
}

#[test]
fn directives_that_stand_too_late_are_told() {
    assert_eq!(lines_of(Rule::LateDirective, "# a licence\n# syntax=docker/dockerfile:1\nFROM a:1\n"), [2]);
    assert_eq!(lines_of(Rule::LateDirective, "\n# escape=`\nFROM a:1\n# Escape = `\n"), [2, 4]);
    assert_eq!(found("# x\n# syntax=y\nFROM a@b\n")[0].severity, Severity::Note);
    is_silent(
        Rule::LateDirective,
        &[
            "# syntax=docker/dockerfile:1\n# escape=`\nFROM a:1\n",
            "#!/usr/bin/env x\n# syntax=docker/dockerfile:1\nFROM a:1\n",
            "FROM a:1\n# escape=\\\n# escape=anything\n# the syntax=x\n# check=skip=all\nRUN x\n",
            "FROM a:1\nRUN <<EOF\n# escape=`\nEOF\n",
            "FROM a:1\n# syntax = see below\n",
        ],
    );
}

#[test]
fn images_that_are_copied_from_have_tags_too() {
    let tag = |text: &str| lines_of(Rule::LatestTag, text);
    assert_eq!(tag("FROM a:1\nCOPY --from=nginx:latest /x /\nRUN --mount=from=r.example/y,target=/y z\n"), [2, 3]);
    assert_eq!(tag("ARG R=r\nFROM ${R}/a:latest\nFROM ${R}:latest\n"), [2, 3]);
    is_silent(
        Rule::LatestTag,
        &[
            "FROM a:1 AS x\nFROM b:1\nCOPY --from=x /a /\nCOPY --from=0 /a /\nCOPY --from=files /a /\nCOPY --from=c:1 /a /\n",
            "ARG V=latest\nFROM a:$V\nCOPY --from=r.example/a:$V /x /\nCOPY --from=r.example/a@sha256:1 /x /\n",
        ],
    );
}

#[test]
fn secrets_of_instructions_that_cannot_be_read_are_hidden() {
    for (line, hidden) in [
        ("ENV DB_PASSWORD=hunter2 x", "hunter2"),
        ("ENV DB_PASSWORD = hunter2", "hunter2"),
        ("ARG DB_PASSWORD = hunter2", "hunter2"),
        ("ENV PASSWORD=\"two words\" # the db", "\"two words\""),
        ("ENVV API_TOKEN 'one two'", "'one two'"),
        ("ENV PASSWORD=\"open x", "\"open x"),
    ] {
        let parsed = parse(format!("FROM a:1\n{line}\n").as_bytes(), &ParseOptions::default());
        let spans = super::secret_values(&parsed.dockerfile);
        let texts: Vec<_> = spans.iter().map(|span| parsed.dockerfile.source.slice(*span)).collect();
        assert_eq!(texts, [hidden], "{line}");
    }
}

#[test]
fn lists_that_are_used_later_are_not_removed() {
    let has_fix = |rest: &str| {
        let found = found(&format!("FROM a:1 AS a\nRUN apt-get {rest}\n"));
        found.into_iter().find(|one| one.rule == Some(Rule::AptListsLeft)).is_some_and(|one| one.fix.is_some())
    };
    assert!(has_fix("update && apt-get install -y curl\nRUN apt-get update && apt-get install -y git"));
    for rest in [
        "update\nRUN apt-get install -y curl",
        "update && apt-get install -y curl\nRUN apt-get install -y git",
        "update && apt-get install -y curl\nFROM a\nRUN <<E\napt-get -y install git\nE",
        "update && apt-get install -y curl\nONBUILD RUN apt-get install -y git",
    ] {
        assert!(!has_fix(rest), "{rest}");
    }
}

#[test]
fn lists_are_removed_with_the_folder_above() {
    is_silent(Rule::AptListsLeft, &["FROM a:1\nRUN apt-get update && rm -rf /var/lib/apt /tmp/*\n"]);
}

#[test]
fn many_packages_are_looked_through_in_bounded_time() {
    let text = format!("FROM a:1\n{}", "RUN apt-get update && apt-get install x\n".repeat(100_000));
    assert!(found(&text).iter().any(|one| one.rule == Some(Rule::AptListsLeft) && one.fix.is_some()));
}
