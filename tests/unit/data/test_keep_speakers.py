from pathlib import Path

import pytest

from tts.data.corpora import keep_speakers
from tts.data.manifest import Utterance
from tts.errors import SpeakerError

UTTERANCES = [
    Utterance(id=f"u{i}", audio=Path("u.wav"), text="a", speaker=who)
    for i, who in enumerate(["bob", "ada", "ada", "bob", "eve"])
]


def kept(utterances, *names):
    return [u.id for u in keep_speakers(utterances, names)]


def test_speakers_are_kept_in_the_order_of_the_corpus():
    assert kept(UTTERANCES, "ada") == ["u1", "u2"]
    assert kept(UTTERANCES, "eve", "bob", "eve") == ["u0", "u3", "u4"]


def test_main_is_the_speaker_with_most_utterances_and_the_first_of_equals():
    assert kept(UTTERANCES, "main") == ["u0", "u3"]
    assert kept(UTTERANCES[1:3] + UTTERANCES[:1], "main") == ["u1", "u2"]
    assert kept(UTTERANCES, "main", "eve") == ["u0", "u3", "u4"]


def test_an_unknown_speaker_is_an_error_that_lists_those_there_are():
    with pytest.raises(SpeakerError, match=r"no speaker 'Ada', 'joe'; the corpus has ada, bob, eve\."):
        kept(UTTERANCES, "joe", "ada", "Ada")
