from pathlib import Path

import pytest

from tts.data.corpora import keep_speaker
from tts.data.manifest import Utterance
from tts.errors import SpeakerError

UTTERANCES = [
    Utterance(id=f"u{i}", audio=Path("u.wav"), text="a", speaker=who)
    for i, who in enumerate(["bob", "ada", "ada", "bob", "eve"])
]


def test_one_speaker_is_kept_in_order():
    assert [u.id for u in keep_speaker(UTTERANCES, "ada")] == ["u1", "u2"]


def test_main_is_the_speaker_with_most_utterances_and_the_first_of_equals():
    assert [u.id for u in keep_speaker(UTTERANCES, "main")] == ["u0", "u3"]
    assert [u.id for u in keep_speaker(UTTERANCES[1:3] + UTTERANCES[:1], "main")] == ["u1", "u2"]


def test_an_unknown_speaker_is_an_error_that_lists_those_there_are():
    with pytest.raises(SpeakerError, match=r"no speaker 'Ada'; the corpus has ada, bob, eve\."):
        keep_speaker(UTTERANCES, "Ada")
