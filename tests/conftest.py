"""What the whole suite needs to live in one process."""

import sys

import pytest
import torch

THREADS = torch.get_num_threads()  # as OMP_NUM_THREADS has it; a training sets its own, which would stay for all tests after


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems():
    """See `_disarm_lazy_modules`."""
    _disarm_lazy_modules()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """See `_disarm_lazy_modules`; and the threads that the suite began with."""
    _disarm_lazy_modules()
    torch.set_num_threads(THREADS)


def _disarm_lazy_modules():
    """Hypothesis asks every loaded module for `__file__`; SpeechBrain's lazy ones answer by importing what is not installed."""
    utilities = sys.modules.get("speechbrain.utils.importutils")
    if utilities is not None:
        utilities.LazyModule.__file__ = None
