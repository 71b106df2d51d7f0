"""Great Expectations over a manifest: what the data must be before anything is trained on it."""

import logging
from typing import TYPE_CHECKING, Any

from pipeline.domain.dataset import Manifest, Source, Split, leaks
from pipeline.domain.training import MIN_PHOTOS_PER_CLASS
from pipeline.ports import Validation

if TYPE_CHECKING:
    import pandas as pd

_MIN_SIDE_PIXELS = 64
_MIN_CLASS_SHARE, _WARN_CLASS_SHARE = 0.10, 0.25
_DARK, _BRIGHT = 0.05, 0.97
_MAX_UNUSABLE_SHARE = 0.2
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
)


class GreatExpectationsValidator:
    """Hard expectations fail the run, soft ones (`severity: warning`) go into the report."""

    def check(self, manifest: Manifest) -> Validation:
        import pandas as pd

        frame = pd.DataFrame([vars(photo) for photo in manifest.photos], columns=[*_COLUMNS, "brightness"])
        frame["confirmed_at"] = pd.to_datetime(frame["confirmed_at"], utc=True, errors="coerce", format="ISO8601")
        result = _validate(frame, _expectations(manifest))
        failures, warnings = _sorted(result)
        ours_failed, ours_warned = _beyond_rows(manifest)
        return Validation((*failures, *ours_failed), (*warnings, *ours_warned), _html(result))


def _expectations(manifest: Manifest) -> list[Any]:
    from great_expectations import expectations as gxe

    sources, splits = [s.value for s in Source], [s.value for s in Split]
    hard = [
        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in _COLUMNS),
        gxe.ExpectColumnValuesToBeUnique(column="task_id"),
        gxe.ExpectColumnValuesToBeInSet(column="label", value_set=list(manifest.labels)),
        gxe.ExpectColumnDistinctValuesToContainSet(column="label", value_set=list(manifest.labels)),
        gxe.ExpectColumnValuesToBeInSet(column="source", value_set=sources),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=splits),
        gxe.ExpectColumnDistinctValuesToContainSet(column="split", value_set=splits),
        gxe.ExpectColumnValuesToMatchRegex(column="photo_url", regex=r"^s3://[a-z0-9.-]+/.+"),
        gxe.ExpectColumnValuesToMatchRegex(column="sha256", regex=r"^[0-9a-f]{64}$"),
        gxe.ExpectColumnValuesToBeBetween(column="width", min_value=_MIN_SIDE_PIXELS),
        gxe.ExpectColumnValuesToBeBetween(column="height", min_value=_MIN_SIDE_PIXELS),
    ]
    soft = [gxe.ExpectColumnValuesToBeBetween(column="brightness", min_value=_DARK, max_value=_BRIGHT, mostly=0.99)]
    for expectation in soft:
        expectation.meta = {"severity": "warning"}
    return [*hard, *soft]


def _validate(frame: "pd.DataFrame", expectations: list[Any]) -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.enable_analytics(enable=False)
    asset = context.data_sources.add_pandas("photos").add_dataframe_asset("manifest")
    suite = context.suites.add(gx.ExpectationSuite(name="manifest", expectations=expectations))
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    return batch.validate(suite)


def _sorted(result: Any) -> tuple[list[str], list[str]]:
    failures: list[str] = []
    warnings: list[str] = []
    for one in result.results:
        if one.success:
            continue
        meta = one.expectation_config.meta or {}
        (warnings if meta.get("severity") == "warning" else failures).append(_sentence(one))
    return failures, warnings


def _sentence(one: Any) -> str:
    config, found = one.expectation_config, one.result or {}
    rule = config.type.removeprefix("expect_").replace("_", " ")
    detail = f", e.g. {found['partial_unexpected_list'][:3]}" if found.get("partial_unexpected_list") else ""
    if one.exception_info and one.exception_info.get("raised_exception"):
        detail = f" ({one.exception_info.get('exception_message', '')[:200]})"
    count = f" ({found['unexpected_count']} rows)" if found.get("unexpected_count") else ""
    return f"{config.kwargs.get('column', 'table')}: {rule}{count}{detail}"


def _beyond_rows(manifest: Manifest) -> tuple[list[str], list[str]]:
    """What no single row shows: leaks, too few photos of a class, too many unusable ones."""
    failures = [f"leak: {leak}" for leak in leaks(manifest.photos)[:5]]
    warnings = []
    train = manifest.of(Split.TRAIN)
    for label in manifest.labels:
        count = sum(photo.label == label for photo in train)
        share = count / len(train) if train else 0.0
        if count < MIN_PHOTOS_PER_CLASS or share < _MIN_CLASS_SHARE:
            failures.append(f"only {count} of {len(train)} training photos are {label}: {_MIN_CLASS_SHARE:.0%} needed")
        elif share < _WARN_CLASS_SHARE:
            warnings.append(f"only {share:.0%} of the training photos are {label}")
    total = len(manifest.photos) + len(manifest.quarantined)
    unusable = f"{len(manifest.quarantined)} of {total} photos cannot be used"
    if manifest.quarantined:
        text = f"{unusable}, e.g. {manifest.quarantined[0].task_id}: {manifest.quarantined[0].reason}"
        (failures if len(manifest.quarantined) > total * _MAX_UNUSABLE_SHARE else warnings).append(text)
    return failures, warnings


def _html(result: Any) -> bytes:
    """Great Expectations' own page, as one self-contained file."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    page = ValidationResultsPageRenderer().render(result)
    return str(DefaultJinjaPageView().render(page)).encode()
