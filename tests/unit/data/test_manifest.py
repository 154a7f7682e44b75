import json

import pytest

from tts.config import AUDIO_CONFIGS
from tts.data.manifest import ManifestRow, read_audio_config, read_manifest, write_audio_config, write_manifest
from tts.errors import DataError

ROW = ManifestRow(
    id="a", audio="/a.wav", text="Ja, „ö“.", phones=("j", "ˈaː", " ", "ø", "."), speaker="eve", frames=3, seconds=0.04
)


def test_rows_come_back_equal_and_readable(tmp_path):
    write_manifest(tmp_path / "manifest.jsonl", [ROW])
    assert read_manifest(tmp_path) == [ROW]
    assert "ˈaː" in (tmp_path / "manifest.jsonl").read_text(encoding="utf-8")


def lines(**changes):
    values = {**vars(ROW), "phones": list(ROW.phones), **changes}
    return json.dumps(values) + "\n"


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("{not json", "manifest.jsonl:2:"),
        (lines(extra=1), "extra: unknown key"),
        (json.dumps({"id": "b"}), "missing key"),
        (lines(id="b", frames="3"), "row.frames: found '3', expected int"),
        (lines(id="b", frames=0), "b has 0 frames"),
        (lines(id="../b"), "cannot be an utterance or speaker id"),
        (lines(), "id a stands on line 1 already"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path, second, message):
    (tmp_path / "manifest.jsonl").write_text(lines() + second)
    with pytest.raises(DataError, match=r"manifest\.jsonl:2: .*") as caught:
        read_manifest(tmp_path)
    assert message in str(caught.value)


def test_one_folder_holds_one_mel(tmp_path):
    write_audio_config(tmp_path, AUDIO_CONFIGS["libri16k"])
    write_audio_config(tmp_path, AUDIO_CONFIGS["libri16k"])
    assert read_audio_config(tmp_path) == AUDIO_CONFIGS["libri16k"]
    with pytest.raises(DataError, match="sample_rate: 16000 != 22050"):
        write_audio_config(tmp_path, AUDIO_CONFIGS["ljspeech22k"])
