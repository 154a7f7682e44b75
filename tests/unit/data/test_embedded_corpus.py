"""The corpus in the package is what its card says."""

import re
from collections import Counter

import pytest
import soundfile

from tts.data.corpora import EMBEDDED_CORPUS, read_corpus

ROW = re.compile(r"^\| `(\w+)` \|[^|]*\| (\d+) \| ([\d.]+) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def utterances():
    return read_corpus(EMBEDDED_CORPUS)


def test_voices_clips_and_minutes_are_those_of_the_card(utterances):
    rows = ROW.findall((EMBEDDED_CORPUS / "README.md").read_text(encoding="utf-8"))
    assert {voice: int(clips) for voice, clips, _ in rows} == Counter(u.speaker for u in utterances)
    assert len(rows) >= 4
    minutes = Counter()
    for utterance in utterances:
        info = soundfile.info(utterance.audio)
        assert (info.samplerate, info.channels) == (16000, 1), utterance.id
        minutes[utterance.speaker] += info.frames / 16000 / 60
    assert {voice: round(value, 1) for voice, value in minutes.items()} == {voice: float(m) for voice, _, m in rows}
    assert minutes.total() >= 25 and max(minutes.values()) > minutes.total() / 2


def test_it_is_small_and_every_file_belongs_to_a_line(utterances):
    files = list((EMBEDDED_CORPUS / "wavs").iterdir())
    assert sorted(files) == sorted(EMBEDDED_CORPUS / "wavs" / u.audio.name for u in utterances)
    assert sum(path.stat().st_size for path in EMBEDDED_CORPUS.rglob("*") if path.is_file()) < 12e6


def test_equal_numbers_are_equal_sentences_and_no_text_needs_a_reading(utterances):
    sentence = {}
    for utterance in utterances:
        number = utterance.id.rpartition("-")[2]
        assert sentence.setdefault(number, utterance.text) == utterance.text
        assert utterance.text.isascii() and not re.search(r"\d", utterance.text)
