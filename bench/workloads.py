"""What is timed, in the order of README.md."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    dockerfile: str  # NAME.Dockerfile.in of gen.py
    context: str = "empty"  # tree, small or empty
    output: str = "none"  # none, oci or push
    comp: str | None = None
    cold: bool = False  # empty store before every sample
    warm: str | None = None  # built outside the timer first: "same" Dockerfile, or base, big, block
    fresh: bool = True  # a new nonce for every sample, so that no RUN is cached
    touch: bool = False  # change one file of the context between the warming build and the timed one
    heavy: bool = False  # leaves a GiB behind: empty the store after the sample


WORKLOADS = [
    Workload("W1", "W1", "small", warm="same", fresh=False),
    Workload("W2a", "W2", "tree", warm="same", fresh=False),
    Workload("W2b", "W2", "tree", warm="same", fresh=False, touch=True),
    Workload("W3a", "W3", "tree", output="oci", comp="gzip", cold=True),
    Workload("W3b", "W3", "tree", output="oci", comp="zstd", cold=True),
    Workload("W3c", "W3", "tree", output="oci", comp="uncompressed", cold=True),
    Workload("W3d", "W3", "tree", cold=True),
    Workload("W4", "W4", warm="base"),
    Workload("W5a", "W5", output="oci", comp="gzip", warm="block", heavy=True),
    Workload("W5b", "W5", output="oci", comp="zstd", warm="block", heavy=True),
    Workload("W5c", "W5", warm="block", heavy=True),
    Workload("W6", "W6", warm="big"),
    Workload("W7", "W7", warm="base"),
    Workload("W8", "W8", cold=True),
    Workload("W9a", "W5", output="push", warm="block", heavy=True),
    Workload("W9b", "W9b", output="push", warm="block", heavy=True),
    Workload("W11a", "W11a", warm="base"),
    Workload("W11b", "W11b", cold=True),
    Workload("W12", "W12", fresh=False),
]


def select(only, comps):
    """`only` names workloads or families of them (W3 for W3a to W3d); `comps` filters W3 and W5."""
    if "W10" in only:  # memory is read off these two
        only = [*only, "W3a", "W5a"]
    chosen = []
    for workload in WORKLOADS:
        family = workload.name.rstrip("abcd")
        named = not only or workload.name in only or family in only
        if named and (family not in ("W3", "W5") or (workload.comp or "none") in comps):
            chosen.append(workload)
    known = {w.name for w in WORKLOADS} | {w.name.rstrip("abcd") for w in WORKLOADS} | {"W10"}
    for name in only:
        if name not in known:
            raise SystemExit(f"no workload {name}; there are {', '.join(w.name for w in WORKLOADS)}")
    return chosen


def expected(workload, nonce, facts, touched):
    """What the image must hold, so that a builder that does nothing is not the fastest: path -> bytes or size,
    and the number of files under /app where the context was copied."""
    text = {
        "W1": {"srv/bundle": 20 * 6_000},
        "W2a": {"probe": touched}, "W2b": {"probe": touched},
        "W4": {"f1": f"{nonce} 1\n", "f30": f"{nonce} 30\n"},
        "W6": {"opt/app/changed.txt": f"as it came\n{nonce}\n"},
        "W7": {"o1": f"{nonce} 1\n", "o6": f"{nonce} 6\n"},
        "W8": {"probe": f"{nonce}\n"},
        "W11a": {"f1": f"{nonce} 1\n", "f100": f"{nonce} 100\n"},
        "W11b": {"probe": f"{nonce}\n", "opt/layer099.txt": "layer 99\n" * 20},
    }.get(workload.name, {})
    files = None
    if workload.dockerfile in ("W2", "W3"):
        files = facts["tree_files"]
        text = {**text, "app/changed.txt": touched}
    if workload.dockerfile == "W5":
        text = {f"out{i}": len(f"{nonce} {i}\n") + facts["w5_file_bytes"] for i in (1, 5)}
    return {path: value.encode() if isinstance(value, str) else value for path, value in text.items()}, files
