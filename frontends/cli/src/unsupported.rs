//! Flags of other builders that strake does not have: each with what to do instead.

/// Name and remedy.
const FLAGS: [(&str, &str); 22] = [
    ("--attest", ATTESTATIONS),
    ("--builder", "there is no daemon: leave it out"),
    ("--cache-from", CACHE),
    ("--cache-to", CACHE),
    ("--cgroup-parent", LIMITS),
    ("--compress", "there is no daemon that the context is sent to: leave it out"),
    ("--cpu-period", LIMITS),
    ("--cpu-quota", LIMITS),
    ("--cpu-shares", LIMITS),
    ("--cpuset-cpus", LIMITS),
    ("--cpuset-mems", LIMITS),
    ("--device", "steps get no devices yet"),
    ("--disable-content-trust", "content trust is not looked at: pin images by NAME@sha256:…, and leave the flag out"),
    ("--isolation", "steps of Linux images run in namespaces: leave it out"),
    ("--memory", LIMITS),
    ("-m", LIMITS),
    ("--memory-swap", LIMITS),
    ("--provenance", ATTESTATIONS),
    ("--resource", LIMITS),
    ("--sbom", ATTESTATIONS),
    (
        "--security-opt",
        "a step that needs more rights says RUN --security=insecure, and --allow security.insecure gives them",
    ),
    ("--squash", "put commands into one RUN, or copy the result into a last stage that is FROM scratch"),
];

const ATTESTATIONS: &str = "attestations are not made yet: attach them to the pushed image with a tool of their own";
const CACHE: &str = "caches are not imported or exported yet: keep the folder of --root from run to run";
const LIMITS: &str =
    "give a step RUN --memory=SIZE (# strake: features=run-limits), or run strake itself in a limited cgroup";

/// What to say of a flag that nobody here knows; `None` for one that no builder has.
pub(crate) fn explain(flag: &str) -> Option<String> {
    let name = flag.split('=').next().unwrap_or(flag);
    let (_, remedy) = FLAGS.iter().find(|(known, _)| *known == name)?;
    Some(format!("error: {name} is not supported\nhelp: {remedy}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_no_part_of_the_name() {
        assert!(explain("--sbom=true").is_some_and(|text| text.starts_with("error: --sbom is")));
        assert_eq!(explain("--sbomb"), None);
    }
}
