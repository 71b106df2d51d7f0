"""The networks a model may be trained on: one list, which everybody reads."""

import pytest

from pipeline.__main__ import main
from pipeline.domain.backbones import BACKBONES, smaller_than
from pipeline.domain.training import Hyperparameters
from pipeline.learning.backbones import BUILDERS
from pipeline.settings import Settings
from pipeline.settings.refusals import SettingsRefused


def test_each_backbone_that_is_offered_can_be_built_and_none_besides():
    assert tuple(BUILDERS) == BACKBONES


def test_the_setting_and_the_command_take_every_backbone():
    (option,) = [o for o in main.commands["train"].params if o.name == "backbone"]
    assert tuple(option.type.choices) == BACKBONES
    assert Hyperparameters().backbone in BACKBONES


def test_a_setting_that_names_no_backbone_is_told_which_there_are(monkeypatch):
    monkeypatch.setenv("RETRAIN_BACKBONE", "VGG16")
    with pytest.raises(SettingsRefused, match=f"must be one of {', '.join(BACKBONES)}"):
        Settings()


def test_from_every_backbone_smaller_ones_lead_to_the_smallest():
    tried, backbone = [], BACKBONES[-1]
    while (backbone := smaller_than(backbone)) is not None:
        tried.append(backbone)
    assert tuple(reversed(tried)) == BACKBONES[:-1]


def test_a_backbone_that_is_offered_no_more_has_no_smaller_one():
    assert smaller_than("VGG16") is None
