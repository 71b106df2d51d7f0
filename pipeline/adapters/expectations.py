"""Great Expectations over a manifest: what the data must be before anything is trained on it."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape, unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.contract.photo import MIN_PHOTO_SIDE
from pipeline.domain.dataset import Manifest, Source, Split
from pipeline.domain.events import EARLIEST, MAX_CLOCK_SKEW
from pipeline.domain.quality import Measured
from pipeline.ports.data import Validation

if TYPE_CHECKING:
    import pandas as pd

_USED_SPLITS = [Split.TRAIN.value, Split.VALIDATION.value, Split.HOLDOUT.value]
_COLUMNS = (
    "task_id",
    "photo_url",
    "sha256",
    "cluster_id",
    "label",
    "source",
    "split",
    "confirmed_at",
    "width",
    "height",
    "brightness",
)
# The styles of the pages; fonts, animations and the tour are left out of every dataset's folder.
_KEPT = (".html", ".css", ".svg")


class GreatExpectationsValidator:
    """Two suites: `manifest` looks at every photo, `figures` at the whole; `severity` says what stops a run."""

    def check(self, manifest: Manifest, measured: Sequence[Measured], *, now: datetime) -> Validation:
        import pandas as pd

        # Great Expectations prints what it finds as it is: what people typed must be no HTML before it gets there.
        rows = [{name: _escaped(value) for name, value in vars(photo).items()} for photo in manifest.photos]
        photos = pd.DataFrame(rows, columns=list(_COLUMNS))
        photos["confirmed_at"] = pd.to_datetime(photos["confirmed_at"], utc=True, errors="coerce", format="ISO8601")
        figures = pd.DataFrame([{one.name: float(one.value) for one in measured}])
        with tempfile.TemporaryDirectory(prefix="data-docs-") as folder:
            results = _validate(
                {
                    "manifest": (photos, _of_rows(manifest, now)),
                    "figures": (figures, [_of_figure(one) for one in measured]),
                },
                run=manifest.dataset_id,
                folder=folder,
            )
            pages = {
                str(path.relative_to(folder)): path.read_bytes()
                for path in sorted(Path(folder).rglob("*"))
                if path.suffix in _KEPT
            }
        failures, warnings = _sorted(results)
        return Validation(tuple(failures), tuple(warnings), pages)


def _of_rows(manifest: Manifest, now: datetime) -> list[Any]:
    from great_expectations import expectations as gxe

    labels = [escape(label) for label in manifest.labels]
    return [
        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in _COLUMNS),
        gxe.ExpectColumnValuesToBeUnique(column="task_id"),
        gxe.ExpectColumnValuesToBeInSet(column="label", value_set=labels),
        gxe.ExpectColumnDistinctValuesToContainSet(column="label", value_set=labels),
        gxe.ExpectColumnValuesToBeInSet(column="source", value_set=[s.value for s in Source]),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=[s.value for s in Split]),
        gxe.ExpectColumnDistinctValuesToContainSet(column="split", value_set=_USED_SPLITS),
        # An object store's address, whichever store it is.
        gxe.ExpectColumnValuesToMatchRegex(column="photo_url", regex=r"(?s)^(?!https?:)[a-z0-9]+://[a-z0-9.-]+/.+"),
        gxe.ExpectColumnValuesToMatchRegex(column="sha256", regex=r"^[0-9a-f]{64}$"),
        gxe.ExpectColumnValuesToBeBetween(column="confirmed_at", min_value=EARLIEST, max_value=now + MAX_CLOCK_SKEW),
        gxe.ExpectColumnValuesToBeBetween(column="width", min_value=MIN_PHOTO_SIDE),
        gxe.ExpectColumnValuesToBeBetween(column="height", min_value=MIN_PHOTO_SIDE),
        gxe.ExpectColumnValuesToBeBetween(column="brightness", min_value=0, max_value=1),
    ]


def _of_figure(one: Measured) -> Any:
    from great_expectations import expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    severity = FailureSeverity.CRITICAL if one.hard else FailureSeverity.WARNING
    return gxe.ExpectColumnValuesToBeBetween(
        column=one.name,
        min_value=one.minimum,
        max_value=one.maximum,
        severity=severity,
        meta={"sentence": one.sentence},
        notes=escape(one.sentence),
    )


def _validate(suites: Mapping[str, tuple["pd.DataFrame", list[Any]]], *, run: str, folder: str) -> list[Any]:
    """Results of every expectation; the data docs are left in `folder`."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    site = {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": folder},
    }
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites={"docs": site},
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    context = gx.get_context(mode="ephemeral", project_config=config)
    photos = context.data_sources.add_pandas("photos")
    results: list[Any] = []
    for name, (frame, expectations) in suites.items():
        batch = photos.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
        definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
        found = definition.run(batch_parameters={"dataframe": frame}, run_id=gx.RunIdentifier(run_name=run))
        results += found.results
    context.build_data_docs()
    return results


def _sorted(results: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Sentences without repetition: one fault often breaks several expectations."""
    from great_expectations.expectations.metadata_types import FailureSeverity

    failures: dict[str, None] = {}
    warnings: dict[str, None] = {}
    for one in results:
        if not one.success:
            (warnings if one.expectation_config.severity == FailureSeverity.WARNING else failures)[_sentence(one)] = (
                None
            )
    return list(failures), [w for w in warnings if not any(f.startswith(w) for f in failures)]


def _sentence(one: Any) -> str:
    config, found = one.expectation_config, one.result or {}
    if config.meta and config.meta.get("sentence"):
        return str(config.meta["sentence"])
    rule = config.type.removeprefix("expect_").replace("_", " ")
    detail = f", e.g. {found['partial_unexpected_list'][:3]}" if found.get("partial_unexpected_list") else ""
    if one.exception_info and one.exception_info.get("raised_exception"):
        detail = f" ({one.exception_info.get('exception_message', '')[:200]})"
    count = f" ({found['unexpected_count']} rows)" if found.get("unexpected_count") else ""
    return unescape(f"{config.kwargs.get('column', 'table')}: {rule}{count}{detail}")


def _escaped(value: object) -> object:
    return escape(value) if isinstance(value, str) else value
