"""The report a person opens: one page that needs nothing else, and tells nothing but the truth."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from pipeline.adapters.verification_report import HtmlReportPrinter
from pipeline.domain.blessing import Blessing, Override, OverrideKind
from pipeline.domain.checks import Check, Outcome, Prediction, ReasonFigures, Weight
from pipeline.domain.comparison import Slice
from pipeline.domain.staleness import OnNewest
from pipeline.ports.verification import VerificationReport
from tests.builders import NOW, a_dataset, a_training_result
from tests.tiny_model import grey_photo

PRINTER = HtmlReportPrinter()
TOO_WEAK = Check("class_accuracy.불량", Outcome.FAILED, 0.85, 0.9, 40, "class_accuracy.불량 0.85, ≥ 0.9 needed (n=40)")
NO_PROOF = Check("gain_beyond_chance", Outcome.FAILED, float("nan"), 0.05, 3, "three photos", weight=Weight.PROOF)


def page(*, slices=(), flipped=(), flips=None, by_reason=(), staleness=(), **changes):
    fields = {
        "id": "blessing:run-1",
        "run_id": "run-1",
        "model_type": "LAUNDRY",
        "accepted": False,
        "reasons": (TOO_WEAK.reason,),
        "checks": (TOO_WEAK, NO_PROOF),
        "champion_version": "v1.0.0",
        "first_model": False,
        "artifact_manifest_sha256": "a" * 64,
        "dataset_sha256": "d" * 64,
        "thresholds_sha256": "t" * 64,
        "report_uri": "s3://models/run-1/report.json",
        "decided_at": NOW,
        **changes,
    }
    shown = (slices, flipped, flips, by_reason, staleness)
    report = VerificationReport(Blessing(**fields), a_training_result(), a_dataset(), *shown)
    return PRINTER.html(report).decode()


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({}, "Refused"),
        ({"held": True}, "Held: a person has to decide"),
        ({"accepted": True, "reasons": (), "doubts": ("too few photos",)}, "Accepted by the floors, not proven better"),
        ({"accepted": True, "reasons": ()}, "Accepted, and proven better"),
    ],
)
def test_the_headline_is_the_verdict(changes, headline):
    assert headline in page(**changes)


def test_every_condition_stands_there_with_figure_bar_and_reason():
    shown = page()
    assert "Accuracy on 불량" in shown and "0.85" in shown and TOO_WEAK.reason in shown
    assert "nan" not in shown.lower().replace("nanum", "")


def test_the_first_model_is_called_rubber_stamped():
    assert "rubber-stamped" in page(first_model=True, champion_version=None)


def test_what_a_person_decided_stands_beside_the_verdict():
    override = Override("run-1", OverrideKind.FORCED, "kim", "drill", NOW)
    assert "Forced</b> by kim: drill" in page(override=override)


def test_reasons_stand_there_with_how_many_corrections_for_them_are_answered_as_people_did():
    assert '<td>얼룩</td><td class="n">8</td><td class="n">6 (75 %)</td>' in page(
        by_reason=[ReasonFigures("얼룩", 8, 6)]
    )


def test_older_models_stand_there_with_their_age_and_what_they_judge_right_of_the_newest_photos():
    told = page(
        staleness=[OnNewest("", 0.0, 40, 38), OnNewest("v1.0.0", 90.4, 40, 30), OnNewest("v0.9.0", 200, 0, 0, "gone")]
    )
    assert '<td>this model</td>\n<td class="n">0</td><td class="n">40</td>\n<td class="n">0.950</td>' in told
    assert '<td>v1.0.0</td>\n<td class="n">90</td><td class="n">40</td>\n<td class="n">0.750</td>' in told
    assert "could not be asked: gone" in told


def test_what_people_wrote_cannot_run_in_the_page():
    script = "<script>alert(1)</script>"
    hostile = page(
        reasons=(script,),
        slices=[Slice(f"corrected: {script}", 60, 0.9, 0.95, 0.5)],
        flipped=[Prediction(script, script, script)],
        flips=b"PNG",
        by_reason=[ReasonFigures(script, 3, 2)],
        staleness=[OnNewest(script, 1.0, 0, 0, script)],
    )
    assert "<script" not in hostile and hostile.count("&lt;script&gt;") == 8


def test_the_report_says_how_right_a_constant_answer_would_be():
    common = replace(TOO_WEAK, name="class_accuracy.양호", support=120)
    assert "right on 75.0 % of the validation photos" in page(checks=(TOO_WEAK, common))
    assert "Baseline" not in page(checks=(NO_PROOF,))


def test_the_page_needs_no_other_file():
    shown = page(flipped=[Prediction("TASK-1", "불량", "양호")], flips=b"PNG")
    assert "http://" not in shown and "https://" not in shown and 'src="data:image/png;base64,' in shown


def test_a_page_is_given_another_sheet_of_photos_and_stays_as_it_is_otherwise():
    flipped = [Prediction("TASK-1", "불량", "양호")]
    before, after = (page(flipped=flipped, flips=flips).encode() for flips in (b"PNG", b"another PNG, and longer"))
    assert PRINTER.with_flips(before, b"another PNG, and longer") == after != before


def test_the_contact_sheet_has_a_tile_for_each_photo_and_one_that_cannot_be_read_spoils_nothing():
    sheet = PRINTER.contact_sheet([(f"TASK-{n}", grey_photo(20 * n)) for n in range(1, 8)] + [("TASK-8", b"no photo")])
    with Image.open(io.BytesIO(sheet)) as image:
        assert image.size == (6 * 160, 2 * 194)
        assert abs(image.getpixel((80, 80))[0] - 20) < 4
        assert image.getpixel((160 + 80, 194 + 80)) == (211, 211, 211)


def test_without_a_flipped_photo_the_sheet_says_so():
    with Image.open(io.BytesIO(PRINTER.contact_sheet([]))) as image:
        assert image.getextrema() != ((255, 255),) * 3
