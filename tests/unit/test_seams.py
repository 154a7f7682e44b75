import numpy as np
import pytest

from tts.inference.chunks import ChunkPlan


@pytest.fixture(scope="module")
def seams(load_tool):
    return load_tool("seams")


def test_a_step_of_every_band_is_one_jump_of_its_height(seams):
    mel = np.zeros((4, 6), dtype=np.float32)
    mel[:, 3:] = 2.0
    found = seams.jumps(mel)
    for values in found.values():
        np.testing.assert_array_equal(values, [0, 0, 2, 0, 0])


def test_bands_that_move_apart_jump_in_the_spectrum_and_not_in_level(seams):
    found = seams.jumps(np.array([[0, 1], [0, -1]], dtype=np.float32))
    assert found["spectrum"] == 1
    assert found["level"] == 0


def test_seams_are_the_frames_of_their_cross_fades(seams):
    plan = ChunkPlan(chunk=20, context=6, fade=4)
    found = np.flatnonzero(seams.at_seams(45, plan))
    # one seam, before frame 20: frames 18 to 21 are mixed, so the changes into and out of them are 17 to 21
    assert found.tolist() == [17, 18, 19, 20, 21]
