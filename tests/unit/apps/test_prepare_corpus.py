"""`glottis prepare corpus`: which sets it writes."""

import pytest

from tts.apps.cli import main


def prepare(out, root, *words):
    return main(["prepare", "corpus", "--root", str(root), "--out", str(out), *map(str, words)])


def speakers(folder):
    return {line.split()[0]: len(line.split()) - 1 for line in (folder / "spk2utt").read_text().splitlines()}


@pytest.fixture
def voices(tmp_path):
    """SPEAKER/*.wav of three speakers with texts, of two of them one clip without."""
    root = tmp_path / "voices"
    for who, count in {"ada": 6, "bob": 3, "12": 2}.items():
        (root / who).mkdir(parents=True)
        for number in range(count):
            (root / who / f"{number}.wav").touch()
            (root / who / f"{number}.txt").write_text(f"Sentence {number}.")
    for who in ("ada", "12"):
        (root / who / "silent.wav").touch()
    return root


def test_clips_without_text_are_left_out_and_counted_or_kept_in_a_set_of_their_own(voices, tmp_path, caplog):
    assert prepare(tmp_path / "data", voices) == 0
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["train"]
    assert "2 clips without text are left out; --untranscribed keeps them" in caplog.text
    assert prepare(tmp_path / "data", voices, "--untranscribed") == 0
    assert speakers(tmp_path / "data" / "untranscribed") == {"ada": 1, "12": 1}
    assert speakers(tmp_path / "data" / "train") == {"ada": 6, "bob": 3, "12": 2}


def test_a_corpus_without_any_text_is_for_conversion_only(voices, tmp_path, capsys):
    for text in voices.rglob("*.txt"):
        text.unlink()
    assert prepare(tmp_path / "data", voices) == 1
    assert "no clip has a text to learn from. Add texts, or keep the clips" in capsys.readouterr().err
    assert prepare(tmp_path / "data", voices, "--untranscribed") == 0
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["untranscribed"]


def test_unseen_speakers_are_named_or_counted(voices, tmp_path):
    for words in (["bob"], ["1", "--min-clips", "3"], ["--min-clips=4"]):
        option = [] if words[0].startswith("--") else ["--unseen-speakers"]
        assert prepare(tmp_path / "data", voices, *option, *words) == 0
        assert "bob" in speakers(tmp_path / "data" / "unseen")
        assert "bob" not in speakers(tmp_path / "data" / "train")


def test_a_number_that_is_also_a_name_is_asked_about(voices, tmp_path, capsys):
    assert prepare(tmp_path / "data", voices, "--unseen-speakers", "12") == 2
    assert "a count, or the speaker of that name?" in capsys.readouterr().err
    assert prepare(tmp_path / "data", voices, "--unseen-speakers", "12", "12") == 0
    assert speakers(tmp_path / "data" / "unseen") == {"12": 2}


def test_a_set_of_an_earlier_call_does_not_stay(voices, tmp_path):
    data = tmp_path / "data"
    prepare(data, voices, "--unseen-speakers", "bob", "--eval", 1)
    (data / "eval" / "notes").touch()
    assert prepare(data, voices, "--keep-speaker", "ada", "bob") == 0
    assert sorted(p.relative_to(data).as_posix() for p in data.glob("*/*")) == [
        "eval/notes",
        *(f"train/{name}" for name in ("spk2utt", "text", "utt2spk", "wav.scp")),
    ]
    assert speakers(data / "train") == {"ada": 6, "bob": 3}
