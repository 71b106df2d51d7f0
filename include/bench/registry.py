"""Every benchmark and study by name: what it measures, its group, how long it takes, what it writes for people."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from include.bench.measurement import Found, Say
from include.bench.scale import SCALE


class UnknownBenchmark(Exception):
    """No benchmark has this name; the text suggests one that is spelled alike."""


@dataclass(frozen=True)
class Benchmark:
    """One row of the table: `minutes` on two cores; `pages` are the files written to `include/studies/`.

    `where` is `module:function` in the package of its group. It is imported when it runs, so that `list` does not
    wait for TensorFlow.
    """

    group: str
    name: str
    minutes: float
    where: str
    measures: str
    pages: tuple[str, ...] = ()

    def run(self, say: Say) -> Found:
        module, _, function = self.where.partition(":")
        found: Found = getattr(import_module(f"include.bench.{self.group}.{module}"), function)(say)
        return found


_VERDICTS = "verification-table.md", "verification.svg"
_FORGETTING = "forgetting.md", "forgetting.csv"
_REASONS = "reasons.md", "reasons.csv"
_STUDIES = "data.md", "replay.csv", "replay.png", "leak.csv", "leak.png"
BENCHMARKS = (
    Benchmark("ratios", "intake", 1, "intake:intake", "confirmations stored; plain: a commit for each"),
    Benchmark("ratios", "augmentation", 1, "augmentation:augmentation", "150 phone photos; plain: decoded in full"),
    Benchmark("ratios", "engines", 2, "engines:engines", "images a second by OpenVINO; plain: TensorFlow"),
    Benchmark("ratios", "monitor", 1, "monitor:monitor", "a look at a million confirmations; plain: rows counted"),
    Benchmark("serving", "swaps", 5, "swapping:swaps", "two replicas under load: swaps, rollbacks, bad models"),
    Benchmark("serving", "swaps-resnet50", 5, "swapping:swaps_resnet50", "swaps of a large network under load"),
    Benchmark(
        "serving",
        "swap-p99",
        8,
        "changing:swap_p99",
        "p99 while a small network changes, beside steady, many times over",
    ),
    Benchmark("serving", "swap-p99-resnet50", 14, "changing:swap_p99_resnet50", "the same of a large network"),
    Benchmark("serving", "rolling", 12, "rolling:rolling", "100 000 requests while three replicas restart in turn"),
    Benchmark("serving", "rolling-once", 3, "rolling:rolling_once", "the same while each restarts once"),
    Benchmark("serving", "fleet", 1, "swapping:activation_spread", "how far apart three replicas change over"),
    Benchmark(
        "serving", "throughput", 5, "throughput:throughput", "ResNet50 by engine and precision; plain: TensorFlow"
    ),
    Benchmark("serving", "batching", 2, "batching:batching", "the same crowd with and without batching"),
    Benchmark("serving", "http", 3, "protocols:protocols", "raw tensors over HTTP; plain: over gRPC"),
    Benchmark("serving", "callers", 3, "callers:callers", "what one caller gets, and up to 64", ("callers.svg",)),
    Benchmark("serving", "memory", 3, "memory:memory", "a replica's memory over a hundred swaps"),
    Benchmark("serving", "memory-many", 25, "memory:memory_of_many", "the same over a thousand"),
    Benchmark("serving", "cold-start", 1, "memory:cold_start", "from process start to the first answer"),
    Benchmark("serving", "observing", 3, "observing:observing", "with metrics, spans and JSON lines; plain: with none"),
    Benchmark("serving", "child-process", 1, "child_process:child_process", "a process for each version (ADR 0010)"),
    Benchmark(
        "serving", "enrolled", 15, "enrolled:enrolled", "a face model live with 100 000 enrolled (BENCH_ENROLLED)"
    ),
    Benchmark("serving", "peers", 5, "peers:peers", "MLServer with the same model and the same client"),
    Benchmark("training", "speedup", 5, "speed:speed", "600 images × 50 epochs; plain: one model.fit"),
    Benchmark("training", "accuracy", 4, "accuracy:accuracy", "how often it is right; plain: one model.fit"),
    Benchmark("training", "resume-kill", 4, "resuming:killed", "killed at random moments, and started again"),
    Benchmark("training", "resume-term", 4, "resuming:terminated", "ended by SIGTERM, as a spot node does it"),
    Benchmark("everyday", "dags", 1, "dags:dags", "reading each DAG file"),
    Benchmark("everyday", "starting", 4, "starting:starting", "the whole stack, started twice; its memory"),
    Benchmark("everyday", "installing", 2, "installing:installing", "Python packages out of a warm cache"),
    Benchmark("data", "augmenting", 4, "augmenting:augmenting", "photos in S3 to shards; memory to 5 000 photos"),
    Benchmark("data", "collecting", 3, "collecting:collecting", "a selection out of up to 5 million tasks"),
    Benchmark("data", "overview", 15, "overview:overview", "the dashboard's questions at 10 million confirmations"),
    Benchmark(
        "scale",
        "month",
        10,
        "month:month",
        f"a month of ten million confirmations, one of {SCALE} (BENCH_SCALE)",
        ("scale.md",),
    ),
    Benchmark("verdicts", "verification", 5, "verification:verification", "who is promoted, held, refused", _VERDICTS),
    Benchmark(
        "verdicts",
        "verification-memory",
        8,
        "verification_memory:verification_memory",
        "memory of a verification to 1 600 photos of 4 MB",
        ("verification-memory.md",),
    ),
    Benchmark(
        "verdicts",
        "paired-coverage",
        1,
        "paired_coverage:paired_coverage",
        "how often the bound of a paired difference holds",
        ("paired-coverage.md",),
    ),
    Benchmark(
        "verdicts",
        "face-rates",
        4,
        "face_rates:face_rates",
        "how often the intervals of two rates of faces hold; plain: Wilson on pairs",
    ),
    Benchmark(
        "verdicts",
        "face-strangers",
        2,
        "face_strangers:face_strangers",
        "how often strangers are named among many; by one: with the threshold for one person",
    ),
    Benchmark("verdicts", "canary", 3, "canary:canaries", "how canaries end, and when", ("canary.md",)),
    Benchmark(
        "verdicts", "live-accuracy", 2, "live_accuracy:live_accuracy", "who is rolled back", ("live-accuracy.md",)
    ),
    Benchmark("studies", "forgetting", 12, "forgetting:forgetting", "ten months of shifting kinds", _FORGETTING),
    Benchmark("studies", "face-impostors", 2, "impostors:impostors", "learning from people who were let in as others"),
    Benchmark("studies", "reasons", 6, "reasons:reasons", "what reasons of corrections bring", _REASONS),
    Benchmark(
        "studies", "replay-and-split", 4, "replay_and_split:both", "why replay, why split photos first", _STUDIES
    ),
)


def chosen(names: Sequence[str], benchmarks: Sequence[Benchmark] = BENCHMARKS) -> list[Benchmark]:
    """Those named, by their own name, their group's or `all`, each once and in the order of the registry."""
    known = {"all", *(b.name for b in benchmarks), *(b.group for b in benchmarks)}
    for name in names:
        if name not in known:
            alike = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {alike[0]!r}?" if alike else ""
            raise UnknownBenchmark(f"no benchmark or group is called {name!r}{hint} (`list` shows all)")
    return [b for b in benchmarks if {"all", b.name, b.group} & set(names)]
