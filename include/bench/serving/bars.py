"""What serving has to reach."""

from collections.abc import Iterator

from include.bench.bar import Bar

_FIGURES = "../../faceserve/README.md#figures"
_ON_THE_SAME_CORES = "loading and warming up on the same cores as requests"


def _p99_while_a_model_changes() -> Iterator[Bar]:
    """For both networks at both loads: in the middle of many repeats, and in the worst of them."""
    networks = (("small", "swap-p99", "a small network"), ("resnet50", "swap-p99-resnet50", "ResNet50"))
    for network, benchmark, name in networks:
        for percent in (60, 85):
            for told, words in (("median", "median of repeats"), ("worst", "worst repeat")):
                yield Bar(
                    f"p99 while {name} changes, beside steady, at {percent} % of capacity: {words}",
                    benchmark,
                    f"p99_ratio_during_swap_{network}_{percent}_percent_{told}",
                    "×",
                    _ON_THE_SAME_CORES,
                    at_most=1.10,
                    design=1.25,
                    earlier=_FIGURES if (percent, told) == (60, "median") else "",
                )


SERVING = (
    Bar(
        "requests a second beside TensorFlow, bf16",
        "throughput",
        "throughput_ratio_bf16_vs_tensorflow",
        "×",
        "the network's arithmetic; without bf16 in the processor it is not measured",
        at_least=2.9,
        design=2.5,
        earlier=_FIGURES,
    ),
    Bar(
        "requests a second beside TensorFlow, int8",
        "throughput",
        "throughput_ratio_int8_vs_tensorflow",
        "×",
        "the network's arithmetic",
        at_least=5,
        design=4,
        earlier=_FIGURES,
    ),
    Bar(
        "requests a second through gRPC, beside images a second of the engine alone",
        "throughput",
        "grpc_efficiency_vs_engine",
        "×",
        "Python around the engine, and the client on the same cores",
        at_least=0.95,
        earlier=_FIGURES,
    ),
    Bar(
        "raw tensors over HTTP, beside gRPC: a small network",
        "http",
        "http_beside_grpc_small_median",
        "×",
        "reading HTTP in Python",
        at_least=0.9,
    ),
    Bar(
        "raw tensors over HTTP, beside gRPC: EfficientNetLite0",
        "http",
        "http_beside_grpc_efficientnetlite0_median",
        "×",
        "reading HTTP in Python",
        at_least=0.9,
    ),
    Bar(
        "requests a second of 64 callers, beside the best number of callers",
        "callers",
        "callers_most_beside_best",
        "×",
        "[curve](callers.svg)",
    ),
    Bar(
        "exchange of the model",
        "swaps",
        "exchange_milliseconds_max",
        "ms",
        "one assignment",
        at_most=0.1,
        earlier=_FIGURES,
    ),
    *_p99_while_a_model_changes(),
    Bar("failed of 105 000 requests over 20 swaps", "swaps", "requests_failed", "", "–", at_most=0, earlier=_FIGURES),
    Bar("failed of a million requests over 200 swaps, with clients and replicas killed", "", "", "", "–", at_most=0),
    Bar(
        "deployment on every replica",
        "swaps",
        "deploy_seconds_max",
        "s",
        "download, and the trial in a child process",
        at_most=10,
        earlier=_FIGURES,
    ),
    Bar(
        "deployment of ResNet50 on every replica",
        "swaps-resnet50",
        "resnet50_deploy_seconds_max",
        "s",
        "the same, of larger weights",
        at_most=5,
        design=10,
        earlier=_FIGURES,
    ),
    Bar(
        "memory after 100 swaps, what was replaced being freed",
        "memory",
        "memory_drift_percent_100_swaps",
        "%",
        "–",
        at_most=1,
        earlier=_FIGURES,
    ),
    Bar(
        "memory after 1 000 swaps, what was replaced being freed",
        "memory-many",
        "memory_drift_percent_1000_swaps",
        "%",
        "–",
        at_most=2,
    ),
    Bar(
        "start of a replica with a model, to its first answer",
        "cold-start",
        "cold_start_seconds_with_model",
        "s",
        "imports, and compiling the model",
        at_most=1.5,
        earlier=_FIGURES,
    ),
    Bar(
        "requests a second with metrics, spans and JSON lines, beside none",
        "observing",
        "observing_requests_per_second_ratio",
        "×",
        "counting every request, and spans of 1 % of them",
        at_least=0.99,
    ),
    Bar(
        "p99 with them, beside none",
        "observing",
        "observing_p99_ms_ratio",
        "×",
        "the same; on a busy machine its quartiles are further apart than the bar",
        at_most=1.01,
    ),
    Bar(
        "rollback, from the second click to every replica read back",
        "rollback",
        "rollback_seconds_median",
        "s",
        "Airflow's way from the click to the task's process; `make bench-rollback` has it in parts",
        at_most=3,
    ),
)
