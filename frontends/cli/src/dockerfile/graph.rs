//! `strake dockerfile graph`: the stages as text, DOT or JSON.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use strake::{BuildRequest, Outline, OutlineEdge, OutlineEdgeKind, OutlineSource, OutlineStage, ParseOptions};

use super::{GraphArgs, GraphFormat};
use crate::request::build_arg;
use strake_cli::harmless;

/// The version of the JSON; it grows when a field changes its meaning or goes.
const JSON_VERSION: u32 = 1;

/// Plans the stages and writes them.
pub(super) fn run(args: &GraphArgs) -> Result<ExitCode> {
    let (name, bytes) = super::read(&args.file)?;
    let build_args: Vec<_> = args.build_args.iter().filter_map(|text| build_arg(text)).collect();
    let syntax = build_args.iter().rev().find(|(name, _)| name == "BUILDKIT_SYNTAX").map(|(_, value)| value.clone());
    let parsed = strake::parse(&bytes, &ParseOptions { syntax, ..ParseOptions::default() });
    let request = BuildRequest { target: args.target.clone(), build_args, ..BuildRequest::default() };
    let outline = strake::outline(&parsed, &name, &request)?;
    let text = match args.format {
        GraphFormat::Text => as_text(&outline),
        GraphFormat::Dot => as_dot(&outline),
        GraphFormat::Json => serde_json::to_string_pretty(&as_json(&outline))?,
    };
    crate::say(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// What people call a stage: its name, or its number.
fn name(outline: &Outline, index: usize) -> String {
    let stage = outline.stages.get(index).and_then(|stage| stage.name.clone());
    stage.unwrap_or_else(|| format!("stage-{index}"))
}

fn shown(outline: &Outline, source: &OutlineSource) -> String {
    match source {
        OutlineSource::Scratch => "scratch".to_owned(),
        OutlineSource::Stage(index) => format!("stage {}", name(outline, *index)),
        OutlineSource::Image(image) => format!("image {image}"),
        OutlineSource::Context(name) => format!("context {name}"),
    }
}

fn word(kind: OutlineEdgeKind) -> &'static str {
    match kind {
        OutlineEdgeKind::From => "from",
        OutlineEdgeKind::Copy => "copy",
        OutlineEdgeKind::Mount => "mount",
    }
}

/// Gives the images that stages start or read from, and whether a needed one does.
fn images(outline: &Outline) -> BTreeMap<&str, bool> {
    let mut images = BTreeMap::new();
    for stage in &outline.stages {
        for edge in &stage.edges {
            if let OutlineSource::Image(image) = &edge.source {
                *images.entry(image.as_str()).or_default() |= stage.is_needed;
            }
        }
    }
    images
}

fn as_text(outline: &Outline) -> String {
    let mut lines = Vec::new();
    for (index, stage) in outline.stages.iter().enumerate() {
        let role = match (index == outline.target, stage.is_needed) {
            (true, _) => "the target",
            (false, true) => "needed",
            (false, false) => "not needed",
        };
        let platform = stage.platform.as_ref().map(|platform| format!(", {platform}")).unwrap_or_default();
        lines.push(format!("{} (line {}{platform}): {role}", name(outline, index), stage.line));
        for edge in &stage.edges {
            let number = edge.line;
            lines.push(format!("  <- {} ({}, line {number})", shown(outline, &edge.source), word(edge.kind)));
        }
        for instruction in &stage.instructions {
            // Where lines were joined there are long runs of blanks.
            let words: Vec<_> = instruction.arguments.split_whitespace().collect();
            let text = format!("{} {}", instruction.keyword, words.join(" "));
            lines.push(format!("  {:>5}  {}", instruction.line, harmless(text.as_bytes())));
        }
        lines.push(String::new());
    }
    let all = images(outline);
    let needed: Vec<_> = all.iter().filter(|(_, is_needed)| **is_needed).map(|(image, _)| *image).collect();
    lines.push(match needed.as_slice() {
        [] => "no image is needed".to_owned(),
        images => format!("images that are needed: {}", images.join(", ")),
    });
    lines.join("\n")
}

fn as_json(outline: &Outline) -> Value {
    let stage = |(index, stage): (usize, &OutlineStage)| {
        let instructions: Vec<_> = stage
            .instructions
            .iter()
            .map(|one| json!({ "keyword": one.keyword, "arguments": one.arguments, "line": one.line }))
            .collect();
        json!({
            "index": index,
            "name": stage.name,
            "platform": stage.platform.as_ref().map(ToString::to_string),
            "line": stage.line,
            "needed": stage.is_needed,
            "instructions": instructions,
            "edges": stage.edges.iter().map(edge_as_json).collect::<Vec<_>>(),
        })
    };
    let image = |(name, needed): (&str, bool)| json!({ "name": name, "needed": needed });
    json!({
        "version": JSON_VERSION,
        "target": outline.target,
        "stages": outline.stages.iter().enumerate().map(stage).collect::<Vec<_>>(),
        "images": images(outline).into_iter().map(image).collect::<Vec<_>>(),
    })
}

fn edge_as_json(edge: &OutlineEdge) -> Value {
    let (key, value) = match &edge.source {
        OutlineSource::Scratch => ("scratch", json!(true)),
        OutlineSource::Stage(index) => ("stage", json!(index)),
        OutlineSource::Image(image) => ("image", json!(image)),
        OutlineSource::Context(name) => ("context", json!(name)),
    };
    let mut object = json!({ "kind": word(edge.kind), "line": edge.line });
    object[key] = value;
    object
}

fn as_dot(outline: &Outline) -> String {
    let mut lines =
        vec!["digraph dockerfile {".to_owned(), "  rankdir=LR;".to_owned(), "  node [shape=box];".to_owned()];
    for (index, stage) in outline.stages.iter().enumerate() {
        let style = match (index == outline.target, stage.is_needed) {
            (true, _) => ", style=bold",
            (false, true) => "",
            (false, false) => ", style=dotted",
        };
        lines.push(format!("  stage{index} [label={}{style}];", quoted(&name(outline, index))));
    }
    // A source is declared when the first edge names it.
    let mut others: Vec<&OutlineSource> = Vec::new();
    for (index, stage) in outline.stages.iter().enumerate() {
        for edge in &stage.edges {
            let from = match &edge.source {
                OutlineSource::Stage(source) => format!("stage{source}"),
                source => match others.iter().position(|other| *other == source) {
                    Some(at) => format!("source{at}"),
                    None => {
                        let at = others.len();
                        others.push(source);
                        lines.push(format!("  source{at} [label={}, shape=ellipse];", quoted(&shown(outline, source))));
                        format!("source{at}")
                    }
                },
            };
            let label = match edge.kind {
                OutlineEdgeKind::From => String::new(),
                kind => format!(" [label={}, style=dashed]", quoted(word(kind))),
            };
            lines.push(format!("  {from} -> stage{index}{label};"));
        }
    }
    lines.push("}".to_owned());
    lines.join("\n")
}

/// A string of the DOT language: only the quote and what begins an escape of labels need one.
fn quoted(text: &str) -> String {
    let text = harmless(text.as_bytes());
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(dockerfile: &str, target: Option<&str>) -> Outline {
        let parsed = strake::parse(dockerfile.as_bytes(), &ParseOptions::default());
        let request = BuildRequest { target: target.map(str::to_owned), ..BuildRequest::default() };
        strake::outline(&parsed, "Dockerfile", &request).expect("there is a graph")
    }

    const FILE: &str = "ARG GO=1.25\n\
        FROM golang:$GO AS Build\n\
        RUN --mount=from=tools,target=/t \\\n  go build\n\
        FROM alpine AS tools\n\
        FROM build AS test\nRUN go test\n\
        FROM scratch\n\
        COPY --from=build /a /a\n\
        COPY --from=docker.io/library/busybox:1 /b /b\n";

    /// A stage may not read from a later one, so `tools` stands first here.
    fn file() -> String {
        let (head, rest) = FILE.split_once("FROM golang").expect("as above");
        let rest = rest.replace("FROM alpine AS tools\n", "");
        format!("{head}FROM alpine AS tools\nFROM golang{rest}")
    }

    #[test]
    fn text_says_what_the_target_needs() {
        let text = as_text(&outline(&file(), None));
        assert_eq!(
            text,
            "tools (line 2): needed\n  <- image alpine:latest (from, line 2)\n\n\
             build (line 3): needed\n  <- image golang:1.25 (from, line 3)\n  <- stage tools (mount, line 4)\n      \
             4  RUN --mount=from=tools,target=/t go build\n\n\
             test (line 6): not needed\n  <- stage build (from, line 6)\n      7  RUN go test\n\n\
             stage-3 (line 8): the target\n  <- scratch (from, line 8)\n  <- stage build (copy, line 9)\n  \
             <- image busybox:1 (copy, line 10)\n      9  COPY --from=build /a /a\n     \
             10  COPY --from=docker.io/library/busybox:1 /b /b\n\n\
             images that are needed: alpine:latest, busybox:1, golang:1.25"
        );
        let text = as_text(&outline(&file(), Some("tools")));
        assert!(text.ends_with("images that are needed: alpine:latest"), "{text}");
    }

    #[test]
    fn json_holds_places_and_edges() {
        let json = as_json(&outline(&file(), Some("test")));
        assert_eq!(json["target"], 2);
        assert_eq!(json["stages"][1]["edges"][1], json!({ "kind": "mount", "line": 4, "stage": 0 }));
        assert_eq!(json["stages"][3]["needed"], false);
        assert_eq!(json["images"][1], json!({ "name": "busybox:1", "needed": false }));
    }

    #[test]
    fn dot_escapes_labels_and_draws_each_source_once() {
        let dot = as_dot(&outline("FROM a AS x\nFROM a\nCOPY --from=x / /\n", None));
        assert_eq!(dot.matches("shape=ellipse").count(), 1, "{dot}");
        assert!(dot.contains("stage0 -> stage1 [label=\"copy\", style=dashed];"), "{dot}");
        assert_eq!(quoted("a\"b\\c"), r#""a\"b\\c""#);
    }

    #[test]
    fn triggers_of_a_stage_make_edges_where_they_fire() {
        let found = outline("FROM a AS x\nFROM b AS on\nONBUILD COPY --from=x / /\nFROM on\n", None);
        assert_eq!(found.stages[1].edges.len(), 1);
        assert_eq!(found.stages[2].edges[1].source, OutlineSource::Stage(0));
        assert!(found.stages[0].is_needed);
    }
}
