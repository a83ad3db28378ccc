"""The short version of `make soak`: one storm over a real Orthanc, then everything is counted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.peers import ORTHANC_DICOMWEB, ORTHANC_PACKAGES, missing

sys.path[:0] = [str(Path(__file__).parents[2] / "tools")]

import soak  # noqa: E402

pytestmark = pytest.mark.peers


def test_three_commands_in_bad_weather_bring_every_instance_once(tmp_path):
    if not ORTHANC_DICOMWEB.exists():
        missing(ORTHANC_PACKAGES)
    story = soak.soak(tmp_path, seconds=8, seed=7, studies=3, slices=6, storm=8)
    assert story.rounds == 1
    assert sum(story.fates.values()) >= 3
    assert sum(story.weather.values()) > 3
