"""The number of a version says what changed: the network, the data, or how it was trained on the same data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.models import VersionNumber
from pipeline.domain.numbering import next_number
from tests.builders import a_model_version, a_training_result

RESNET, LITE = "ResNet50", "EfficientNetLite0"


def version(number, dataset="DS-1", backbone=RESNET):
    return a_model_version(number, dataset_id=dataset, backbone=backbone)


def number(registered, champion=None, *, dataset="DS-9", backbone=RESNET, retried=False):
    """Of a model of that dataset and network; `champion` is the number of one of the `registered`."""
    serving = next((v for v in registered if v.version == champion), None)
    result = a_training_result(dataset_id=dataset, backbone=backbone)
    return str(next_number(result, registered, serving, retried=retried))


def test_the_first_model_is_v1():
    assert number([]) == "v1.0.0"


def test_other_data_is_the_next_minor_of_the_champions_line():
    assert number([version("v1.0.0"), version("v1.1.4")], "v1.1.4") == "v1.2.0"


def test_another_network_than_the_champions_is_the_next_major_above_the_highest_ever():
    tried = [version("v1.3.0"), version("v2.0.0", backbone=LITE)]
    assert number(tried, "v1.3.0", backbone=LITE) == "v3.0.0"


def test_after_a_rollback_to_an_earlier_network_its_line_goes_on():
    registered = [version("v1.3.0"), version("v2.0.0", backbone=LITE), version("v2.1.0", backbone=LITE)]
    assert number(registered, "v1.3.0") == "v1.4.0"


def test_after_a_rollback_within_a_line_no_number_comes_twice():
    assert number([version("v1.0.0"), version("v1.1.0")], "v1.0.0") == "v1.2.0"


def test_without_a_champion_the_highest_line_goes_on_whatever_the_network():
    assert number([version("v1.0.0"), version("v2.0.0")], backbone=LITE) == "v2.1.0"


def test_the_retry_of_a_refused_run_is_the_first_patch_of_the_number_that_run_would_have_had():
    assert number([version("v1.0.0")], "v1.0.0", retried=True) == "v1.1.1"
    assert number([], retried=True) == "v1.0.1"


@pytest.mark.parametrize("retried", [True, False])
def test_another_model_of_the_latest_dataset_is_the_next_patch(retried):
    registered = [version("v1.0.0"), version("v1.1.1", "DS-9")]
    assert number(registered, "v1.0.0", retried=retried) == "v1.1.2"


@pytest.mark.parametrize(
    ("registered", "wanted"),
    [
        ([("v1.0.0", "DS-1"), ("v1.1.0", "DS-2"), ("v1.2.0", "DS-3")], "v1.1.1"),
        ([("v1.0.0", "DS-1"), ("v1.1.0", "DS-2"), ("v1.1.1", "DS-2"), ("v1.2.0", "DS-3")], "v1.1.2"),
        # By an earlier release, whose third model of DS-2 went on from the highest number.
        ([("v1.1.0", "DS-2"), ("v1.2.0", "DS-3"), ("v1.3.1", "DS-2")], "v1.3.2"),
        # Of another network: there it was a major, and here there is none of this data.
        ([("v1.0.0", "DS-1"), ("v1.2.0", "DS-3")], "v1.3.1"),
    ],
)
def test_another_model_of_earlier_data_is_the_next_patch_of_what_that_made(registered, wanted):
    rows = [version(*row) for row in registered]
    other = version("v2.0.0", "DS-2", LITE)
    assert number([*rows, other], rows[-1].version, dataset="DS-2", retried=True) == wanted


def test_a_retry_with_another_network_is_a_major_all_the_same():
    assert number([version("v1.0.0")], "v1.0.0", backbone=LITE, retried=True) == "v2.0.0"


RUNS = st.tuples(
    st.sampled_from([RESNET, LITE]),
    st.integers(-1, 6),  # on a dataset of its own (-1), or once more on one of those there are
    st.booleans(),  # accepted
    st.integers(-1, 20),  # which of the registered versions serves afterwards; -1: none
)


@given(st.lists(RUNS, max_size=25))
def test_whatever_was_tried_refused_and_rolled_back_no_number_comes_twice_and_a_minor_is_of_one_dataset(runs):
    registered, champion, tried = [], None, {}
    for backbone, data, accepted, serving in runs:
        dataset = f"DS-{len(tried) if data < 0 or not tried else data % len(tried)}"
        result = a_training_result(dataset_id=dataset, backbone=backbone)
        found = next_number(result, registered, champion, retried=dataset in tried)
        again, tried[dataset] = dataset in tried, True
        line = {VersionNumber.parse(v.version): v for v in registered if v.version.startswith(f"v{found.major}.")}
        assert found not in line
        assert {v.dataset_id for number, v in line.items() if number.minor == found.minor} <= {dataset}
        assert found.minor <= 1 + max((number.minor for number in line), default=-1)
        if champion is not None and champion.backbone == backbone:
            assert found.major == VersionNumber.parse(champion.version).major
            assert bool(found.patch) == again
        if champion is not None and champion.backbone != backbone:
            assert line == {}
        if accepted:
            registered.append(version(str(found), result.dataset_id, backbone))
        if registered:
            champion = registered[serving % len(registered)] if serving >= 0 else None
