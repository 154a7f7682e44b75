"""`glottis convert` and `convert-set`: files, folders, lists and pairs; what fails and what goes on."""

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

from tts.apps.cli import main
from tts.data.files import read_json
from tts.inference.converter import VoiceConverter
from tts.testing import make_model_folder, make_tone

WAV = make_tone(130, 0.8)


@pytest.fixture
def glottis(converter, monkeypatch):
    monkeypatch.setattr(VoiceConverter, "from_pretrained", lambda *_args, **_options: converter)

    def run(verb, *words):
        return main([verb, "--model", "any", "--steps", "1", *map(str, words)])

    return run


def write(path, wav=WAV):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wav, 16000)
    return path


def read(path):
    return soundfile.read(path, dtype="float32")[0]


def test_one_recording_is_what_the_api_gives(glottis, converter, tmp_path):
    source, out = write(tmp_path / "a.wav"), tmp_path / "new folder" / "ünï.flac"
    words = ["--pitch", "-3", "--filter-style", "bob", "--blend", "bob", "0.5", "--seed", "4"]
    assert glottis("convert", "--source", source, "--target", "ada", "--out", out, *words) == 0
    audio = converter.convert(source, "ada", pitch=-3.0, filter_style="bob", blend=("bob", 0.5), seed=4, steps=1)
    np.testing.assert_allclose(read(out), np.clip(audio.wav, -1, 1), atol=1e-4)


def test_a_folder_keeps_its_places_and_names_and_one_bad_file_is_counted(glottis, tmp_path, caplog):
    write(tmp_path / "in" / "a.wav")
    write(tmp_path / "in" / "deep er" / "b.flac")
    (tmp_path / "in" / "bad.wav").write_text("no audio")
    (tmp_path / "in" / "notes.txt").write_text("no recording")
    assert glottis("convert", "--source", tmp_path / "in", "--target", "ada", "--out", tmp_path / "out") == 1
    made = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert made == ["a.wav", "deep er/b.wav"]
    assert "1 of 3 could not be converted" in caplog.text
    assert "bad.wav is not audio" in caplog.text


def test_a_batch_of_files_is_what_each_is_alone_and_one_bad_file_spoils_none(glottis, tmp_path, caplog):
    for number, seconds in enumerate((0.5, 0.9, 0.7, 31.0)):
        write(tmp_path / "in" / f"{number}.wav", make_tone(120 + 20 * number, min(seconds, 1.0)).repeat(max(1, int(seconds))))
    soundfile.write(tmp_path / "in" / "nan.wav", np.full(8000, np.nan, np.float32), 16000, subtype="FLOAT")
    words = ["convert", "--source", tmp_path / "in", "--target", "ada", "--seed", "3"]
    assert glottis(*words, "--out", tmp_path / "single") == 1
    assert glottis(*words, "--out", tmp_path / "batch", "--batch-size", "2") == 1
    assert "1 of 5 could not be converted" in caplog.text
    for number in range(4):
        single, batch = (read(tmp_path / name / f"{number}.wav") for name in ("single", "batch"))
        np.testing.assert_allclose(single, batch, atol=1e-3)
    assert glottis(*words, "--out", tmp_path / "none", "--batch-size", "0") == 2


def test_a_list_is_converted_into_a_folder_and_replaced_only_with_overwrite(glottis, tmp_path, capsys):
    paths = [write(tmp_path / "x" / "a.wav"), write(tmp_path / "y" / "b.wav")]
    (tmp_path / "list.txt").write_text("\ufeff" + "\r\n".join(map(str, paths)), encoding="utf-8")
    words = ["convert", "--source", tmp_path / "list.txt", "--target", "ada", "bob.wav", "--out", tmp_path / "out"]
    write(tmp_path / "bob.wav")
    words[words.index("bob.wav")] = tmp_path / "bob.wav"
    words[words.index("ada")] = tmp_path / "bob.wav"
    assert glottis(*words) == 0
    times = [(tmp_path / "out" / name).stat().st_mtime_ns for name in ("a.wav", "b.wav")]
    assert glottis(*words) == 1
    assert "2 of the outputs are there" in capsys.readouterr().err
    assert [(tmp_path / "out" / name).stat().st_mtime_ns for name in ("a.wav", "b.wav")] == times
    assert glottis(*words, "--overwrite") == 0


def test_nothing_to_convert_and_two_for_one_name_are_refused(glottis, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert glottis("convert", "--source", tmp_path / "empty", "--target", "ada", "--out", tmp_path / "out") == 1
    assert "empty: no recording in it" in capsys.readouterr().err
    write(tmp_path / "in" / "a.wav")
    write(tmp_path / "in" / "a.flac")
    assert glottis("convert", "--source", tmp_path / "in", "--target", "ada", "--out", tmp_path / "out") == 1
    assert "more than one recording would be written to" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--source", "gone.wav", "--target", "ada", "--out", "o.wav"], 1, "no such file: gone.wav"),
        (["--source", "a.wav", "--target", "nobody", "--out", "o.wav"], 1, "no speaker and no file 'nobody'"),
        (["--source", "a.wav", "--target", "ada", "--out", "o.xyz"], 1, "o.xyz: cannot write .xyz"),
        (["--source", "a.wav", "--out", "o.wav"], 2, "no target: give one"),
        (["--source", "a.wav", "--target", "ada", "--out", "o.wav", "--pitch", "up"], 2, "pitch must be transpose, keep"),
        (["--source", "a.wav", "--target", "ada", "--out", "o.wav", "--pitch", "30"], 2, "from -24 to 24"),
        (["--source", "a.wav", "--target", "ada", "--out", "o.wav", "--blend", "bob", "x"], 2, "'x' is no number"),
        (["--source", "a.wav", "--target", "ada", "--out", "o.wav", "--chunk-seconds", "0"], 2, "chunk_seconds"),
    ],
)
def test_what_is_at_fault_is_one_line(glottis, tmp_path, monkeypatch, capsys, words, status, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.wav")
    assert glottis("convert", *words) == status
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_set_of_pairs_leaves_what_an_evaluation_reads(glottis, converter, tmp_path, caplog):
    source, target = write(tmp_path / "a.wav"), write(tmp_path / "b.wav", make_tone(220, 1.0))
    (tmp_path / "bad.wav").write_text("no audio")
    pairs = [("first", source, "bob"), ("second", source, target), ("third", tmp_path / "bad.wav", "ada")]
    (tmp_path / "pairs.tsv").write_text("".join(f"{n}\t{s}\t{t}\n" for n, s, t in pairs))
    words = ["--pairs", tmp_path / "pairs.tsv", "--out", tmp_path / "out", "--seed", "5", "--source-style", "source"]
    assert glottis("convert-set", *words) == 1
    assert "1 of 3 could not be converted: third" in caplog.text
    decoded = read_json(tmp_path / "out" / "decode.json")
    assert decoded["vocoder"] == "level"
    assert (decoded["sampling"]["steps"], decoded["sampling"]["seed"]) == (1, 5)
    assert [row["id"] for row in decoded["utterances"]] == ["first", "second"]
    assert set(decoded["utterances"][0]) == {"id", "source", "target", "duration", "seconds"}
    expected = converter.convert(source, target, source_style="source", seed=6, steps=1)
    arrays = load_file(tmp_path / "out" / "second.safetensors")
    assert set(arrays) == {"mel", "f0", "source_prior", "filter_prior"}
    for name, values in arrays.items():
        np.testing.assert_allclose(values, getattr(expected, name), atol=1e-5)
    np.testing.assert_allclose(read(tmp_path / "out" / "second.wav"), np.clip(expected.wav, -1, 1), atol=1e-4)


def test_a_set_of_which_nothing_can_be_converted_is_an_error(glottis, tmp_path, capsys):
    (tmp_path / "bad.wav").write_text("no audio")
    (tmp_path / "pairs.tsv").write_text(f"a\t{tmp_path / 'bad.wav'}\tada\n")
    assert glottis("convert-set", "--pairs", tmp_path / "pairs.tsv", "--out", tmp_path / "out") == 1
    assert "none of 1 pairs could be converted" in capsys.readouterr().err
    assert not (tmp_path / "out" / "decode.json").exists()


def test_synthesis_takes_a_style_an_attribute(tmp_path):
    model = make_model_folder(tmp_path / "tiny", ("ada", "bob"))
    words = ["synthesize", "--model", model, "--device", "cpu", "--sampler", "prior", "--text", "Me lo."]
    waves = {}
    for name, more in {"plain": [], "source": ["--source-style", "bob"], "filter": ["--filter-style", "bob"]}.items():
        assert main([*map(str, words), "--out", str(tmp_path / f"{name}.wav"), *more]) == 0
        waves[name] = read(tmp_path / f"{name}.wav")
    assert len({len(wav) for wav in waves.values()}) == 1
    assert not np.array_equal(waves["plain"], waves["source"])
    assert not np.array_equal(waves["plain"], waves["filter"])
