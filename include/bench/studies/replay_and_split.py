"""Both studies over five seeds, on the same photos: a page, two plots and every row."""

from include.bench.measurement import Figures, Found, Say
from include.bench.studies import leak, plots, replay, table
from include.bench.studies.csv_rows import as_csv
from include.bench.studies.material import gather

_SEEDS = range(5)


def both(say: Say) -> Found:
    material = gather(say)
    replayed = [row for seed in _SEEDS for row in replay.run(material, seed)]
    say(f"replay study: {len(replayed)} rows")
    leaked = [row for seed in _SEEDS for row in leak.run(material, seed)]
    say(f"leak study: {len(leaked)} rows")
    return Found(
        _figures(replayed, leaked),
        f"{len(material.photos)} drawn photos, features of the frozen EfficientNetLite0, means of {len(_SEEDS)} seeds.",
        {
            "replay.csv": as_csv(replayed),
            "leak.csv": as_csv(leaked),
            "replay.png": plots.of_replay(replayed),
            "leak.png": plots.of_leak(leaked),
            "data.md": table.page(replayed, leaked, material, len(_SEEDS)).encode(),
        },
    )


def _figures(replayed: table.Rows, leaked: table.Rows) -> Figures:
    """Accuracy on live photos after the last round, and points by which validation promises too much."""
    figures: Figures = {}
    for way in table.ways(replayed):
        mean, _ = table.over_seeds(replayed, "holdout_accuracy", way=way, round=replay.ROUNDS)
        figures[f"replay_accuracy_{_name(way)}"] = mean
    for way in table.ways(leaked):
        said, truth = (
            table.over_seeds(leaked, f"{side}_accuracy", way=way, labels="random")[0]
            for side in ("validation", "holdout")
        )
        figures[f"leak_points_too_high_random_labels_{_name(way)}"] = (said - truth) * 100
    return figures


def _name(way: str) -> str:
    return way.replace(",", "").replace(" ", "_")
