"""What the whole suite needs to live in one process."""

import sys

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems():
    """See `_disarm_lazy_modules`."""
    _disarm_lazy_modules()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """See `_disarm_lazy_modules`."""
    _disarm_lazy_modules()


def _disarm_lazy_modules():
    """Hypothesis asks every loaded module for `__file__`; SpeechBrain's lazy ones answer by importing what is not installed."""
    utilities = sys.modules.get("speechbrain.utils.importutils")
    if utilities is not None:
        utilities.LazyModule.__file__ = None
