//! `strake dockerfile graph`: the stages as text, DOT or JSON.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use strake::{BuildRequest, GraphStage, Location, StageEdge, StageEdgeKind, StageGraph, StageSource};

use super::{GraphArgs, GraphFormat};
use strake_cli::harmless;

/// The version of the JSON; it grows when a field changes its meaning or goes.
const JSON_VERSION: u32 = 1;

/// Plans the stages and writes them.
pub(super) fn run(args: &GraphArgs) -> Result<ExitCode> {
    let request = BuildRequest { target: args.target.clone(), ..args.input.request()? };
    let graph = strake::stage_graph(&request)?;
    let text = match args.format {
        GraphFormat::Text => as_text(&graph),
        GraphFormat::Dot => as_dot(&graph),
        GraphFormat::Json => serde_json::to_string_pretty(&as_json(&graph))?,
    };
    crate::say(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// What people call a stage: its name, or its number.
fn name(graph: &StageGraph, index: usize) -> String {
    let stage = graph.stages.get(index).and_then(|stage| stage.name.clone());
    stage.unwrap_or_else(|| format!("stage-{index}"))
}

fn shown(graph: &StageGraph, source: &StageSource) -> String {
    match source {
        StageSource::Scratch => "scratch".to_owned(),
        StageSource::Stage(index) => format!("stage {}", name(graph, *index)),
        StageSource::Image(image) => format!("image {image}"),
        StageSource::Context(name) => format!("context {name}"),
    }
}

/// Gives the line of something, with the name of its file where that is an included one.
fn place(graph: &StageGraph, location: Location) -> String {
    match graph.files.get(location.file).filter(|_| location.file > 0) {
        Some(file) => format!("{}:{}", file.name, location.first),
        None => location.first.to_string(),
    }
}

/// As [`place`], for running text.
fn line(graph: &StageGraph, location: Location) -> String {
    let place = place(graph, location);
    if location.file > 0 { place } else { format!("line {place}") }
}

/// Puts a place into an object: `line`, and `file` where that is an included one.
fn put_place(object: &mut Value, graph: &StageGraph, location: Location) {
    object["line"] = location.first.into();
    if let Some(file) = graph.files.get(location.file).filter(|_| location.file > 0) {
        object["file"] = (*file.name).into();
    }
}

fn word(kind: StageEdgeKind) -> &'static str {
    match kind {
        StageEdgeKind::From => "from",
        StageEdgeKind::After => "after",
        StageEdgeKind::Copy => "copy",
        StageEdgeKind::Mount => "mount",
    }
}

/// Gives the images that stages start or read from, and whether a needed one does.
fn images(graph: &StageGraph) -> BTreeMap<&str, bool> {
    let mut images = BTreeMap::new();
    for stage in &graph.stages {
        for edge in &stage.edges {
            if let StageSource::Image(image) = &edge.source {
                *images.entry(image.as_str()).or_default() |= stage.is_needed;
            }
        }
    }
    images
}

fn as_text(graph: &StageGraph) -> String {
    let mut lines = Vec::new();
    for (index, stage) in graph.stages.iter().enumerate() {
        let role = match (index == graph.target, stage.is_needed) {
            (true, _) => "the target",
            (false, true) => "needed",
            (false, false) => "not needed",
        };
        let platform = stage.platform.as_ref().map(|platform| format!(", {platform}")).unwrap_or_default();
        lines.push(format!("{} ({}{platform}): {role}", name(graph, index), line(graph, stage.location)));
        for edge in &stage.edges {
            let number = line(graph, edge.location);
            lines.push(format!("  <- {} ({}, {number})", shown(graph, &edge.source), word(edge.kind)));
        }
        for instruction in &stage.instructions {
            // Where lines were joined there are long runs of blanks.
            let words: Vec<_> = instruction.arguments.split_whitespace().collect();
            let text = format!("{} {}", instruction.keyword, words.join(" "));
            lines.push(format!("  {:>5}  {}", place(graph, instruction.location), harmless(text.as_bytes())));
        }
        lines.push(String::new());
    }
    let all = images(graph);
    let needed: Vec<_> = all.iter().filter(|(_, is_needed)| **is_needed).map(|(image, _)| *image).collect();
    lines.push(match needed.as_slice() {
        [] => "no image is needed".to_owned(),
        images => format!("images that are needed: {}", images.join(", ")),
    });
    lines.join("\n")
}

fn as_json(graph: &StageGraph) -> Value {
    let stage = |(index, stage): (usize, &GraphStage)| {
        let instructions: Vec<_> = stage
            .instructions
            .iter()
            .map(|one| {
                let mut object = json!({ "keyword": one.keyword, "arguments": one.arguments });
                put_place(&mut object, graph, one.location);
                object
            })
            .collect();
        let mut object = json!({
            "index": index,
            "name": stage.name,
            "platform": stage.platform.as_ref().map(ToString::to_string),
            "needed": stage.is_needed,
            "instructions": instructions,
            "edges": stage.edges.iter().map(|edge| edge_as_json(edge, graph)).collect::<Vec<_>>(),
        });
        put_place(&mut object, graph, stage.location);
        object
    };
    let image = |(name, needed): (&str, bool)| json!({ "name": name, "needed": needed });
    json!({
        "version": JSON_VERSION,
        "target": graph.target,
        "stages": graph.stages.iter().enumerate().map(stage).collect::<Vec<_>>(),
        "images": images(graph).into_iter().map(image).collect::<Vec<_>>(),
    })
}

fn edge_as_json(edge: &StageEdge, graph: &StageGraph) -> Value {
    let (key, value) = match &edge.source {
        StageSource::Scratch => ("scratch", json!(true)),
        StageSource::Stage(index) => ("stage", json!(index)),
        StageSource::Image(image) => ("image", json!(image)),
        StageSource::Context(name) => ("context", json!(name)),
    };
    let mut object = json!({ "kind": word(edge.kind) });
    put_place(&mut object, graph, edge.location);
    object[key] = value;
    object
}

fn as_dot(graph: &StageGraph) -> String {
    let mut lines =
        vec!["digraph dockerfile {".to_owned(), "  rankdir=LR;".to_owned(), "  node [shape=box];".to_owned()];
    for (index, stage) in graph.stages.iter().enumerate() {
        let style = match (index == graph.target, stage.is_needed) {
            (true, _) => ", style=bold",
            (false, true) => "",
            (false, false) => ", style=dotted",
        };
        lines.push(format!("  stage{index} [label={}{style}];", quoted(&name(graph, index))));
    }
    // A source is declared when the first edge names it.
    let mut others: Vec<&StageSource> = Vec::new();
    for (index, stage) in graph.stages.iter().enumerate() {
        for edge in &stage.edges {
            let from = match &edge.source {
                StageSource::Stage(source) => format!("stage{source}"),
                source => match others.iter().position(|other| *other == source) {
                    Some(at) => format!("source{at}"),
                    None => {
                        let at = others.len();
                        others.push(source);
                        lines.push(format!("  source{at} [label={}, shape=ellipse];", quoted(&shown(graph, source))));
                        format!("source{at}")
                    }
                },
            };
            let label = match edge.kind {
                StageEdgeKind::From => String::new(),
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
    use strake::DockerfileSource;

    use super::*;

    fn graph_of(dockerfile: &str, target: Option<&str>) -> StageGraph {
        let dockerfile = DockerfileSource::Text { name: "Dockerfile".to_owned(), bytes: dockerfile.into() };
        let request = BuildRequest { dockerfile, target: target.map(str::to_owned), ..BuildRequest::default() };
        strake::stage_graph(&request).expect("there is a graph")
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
        let text = as_text(&graph_of(&file(), None));
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
        let text = as_text(&graph_of(&file(), Some("tools")));
        assert!(text.ends_with("images that are needed: alpine:latest"), "{text}");
    }

    #[test]
    fn json_holds_places_and_edges() {
        let json = as_json(&graph_of(&file(), Some("test")));
        assert_eq!(json["target"], 2);
        assert_eq!(json["stages"][1]["edges"][1], json!({ "kind": "mount", "line": 4, "stage": 0 }));
        assert_eq!(json["stages"][3]["needed"], false);
        assert_eq!(json["images"][1], json!({ "name": "busybox:1", "needed": false }));
    }

    #[test]
    fn dot_escapes_labels_and_draws_each_source_once() {
        let dot = as_dot(&graph_of("FROM a AS x\nFROM a\nCOPY --from=x / /\n", None));
        assert_eq!(dot.matches("shape=ellipse").count(), 1, "{dot}");
        assert!(dot.contains("stage0 -> stage1 [label=\"copy\", style=dashed];"), "{dot}");
        assert_eq!(quoted("a\"b\\c"), r#""a\"b\\c""#);
    }

    #[test]
    fn order_alone_is_an_edge_and_makes_a_stage_needed() {
        let graph = graph_of("FROM a AS x\nFROM --after=x b\n", None);
        assert!(graph.stages[0].is_needed);
        assert!(as_text(&graph).contains("  <- stage x (after, line 2)\n"), "{}", as_text(&graph));
        assert_eq!(as_json(&graph)["stages"][1]["edges"][1], json!({ "kind": "after", "line": 2, "stage": 0 }));
        assert!(as_dot(&graph).contains("stage0 -> stage1 [label=\"after\""), "{}", as_dot(&graph));
    }

    #[test]
    fn triggers_of_a_stage_make_edges_where_they_fire() {
        let found = graph_of("FROM a AS x\nFROM b AS on\nONBUILD COPY --from=x / /\nFROM on\n", None);
        assert_eq!(found.stages[1].edges.len(), 1);
        assert_eq!(found.stages[2].edges[1].source, StageSource::Stage(0));
        assert!(found.stages[0].is_needed);
    }
}
