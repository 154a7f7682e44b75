"""The leak probe on content: speakers with a level of their own are told from the features, and not from the content."""

import dataclasses

import pytest
import torch

from tts.data.content_file import ContentInfo, ContentKind, content_path, write_content, write_content_info
from tts.data.manifest import MANIFEST, ManifestRow, write_manifest
from tts.errors import DataError
from tts.metrics.asr import NotMeasured
from tts.metrics.content_leak import content_leak, describe_leak
from tts.speech.config import ContentConfig
from tts.speech.model import SourceFilterModel
from tts.testing import seeded, tiny_speech_config

DIM = 6


def model(dim=DIM):
    content = ContentConfig(kind=ContentKind.hubert, dim=dim)
    return seeded(lambda: SourceFilterModel(dataclasses.replace(tiny_speech_config(9), content=content)), spread=0.3).eval()


def folder(path, per_speaker, speakers=("ada", "bob"), versions=2):
    """Content of noise; on clean recordings the second speaker's is 3 higher and twice as wide."""
    generator, rows = torch.Generator().manual_seed(0), []
    for number, speaker in enumerate(speakers):
        for i in range(per_speaker):
            clip = f"{speaker}{i}"
            content = torch.randn(versions, DIM, 40, generator=generator)
            content[0] = content[0] * (1 + number) + 3 * number
            write_content(content_path(path, clip), content, "")
            rows.append(ManifestRow(id=clip, audio="", text="", phones=(), speaker=speaker, frames=40, seconds=0.6))
    write_manifest(path / MANIFEST, rows)
    write_content_info(path, ContentInfo(kind=ContentKind.hubert, dim=DIM, n_phones=0, versions=versions))
    return path


def test_a_level_of_the_voice_is_told_from_the_features_and_not_from_the_content(tmp_path):
    scores = content_leak(model(), folder(tmp_path, 100))
    assert list(scores) == ["features, clean", "content, clean", "features, perturbed", "content, perturbed"]
    assert all(score.n == 100 and score.chance == 0.5 for score in scores.values())  # every second of 100, of two speakers
    assert scores["features, clean"].accuracy.value == 1.0
    for name in ("content, clean", "features, perturbed", "content, perturbed"):
        assert 0.3 < scores[name].accuracy.value < 0.7  # 4 deviations of a coin thrown 100 times
    assert describe_leak(scores).startswith("speaker named by a linear probe: features, clean 100%; content, clean ")
    assert describe_leak(scores).endswith("(chance 50%, 100 utterances)")


def test_clean_content_alone_is_probed_alone(tmp_path):
    assert list(content_leak(model(), folder(tmp_path, 6, versions=1))) == ["features, clean", "content, clean"]


@pytest.mark.parametrize(("per_speaker", "speakers"), [(4, ("ada", "bob")), (9, ("ada",))])
def test_a_set_too_small_is_not_measured_and_says_so(tmp_path, per_speaker, speakers):
    found = content_leak(model(), folder(tmp_path, per_speaker, speakers))
    assert isinstance(found, NotMeasured)
    assert "two speakers with 5 utterances are needed, found" in describe_leak(found)


def test_content_of_another_size_is_refused(tmp_path):
    with pytest.raises(DataError, match="hubert with 6 features a frame, the model takes hubert with 7"):
        content_leak(model(7), folder(tmp_path, 5))
