import pytest

from tts.data.corpora import read_corpus
from tts.data.kaldi_dir import write_kaldi_dir
from tts.errors import AudioError
from tts.testing import make_features, make_model_folder


@pytest.fixture(scope="module")
def trial(load_tool):
    return load_tool("trial")


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    root = tmp_path_factory.mktemp("trial")
    make_features(root / "features", 1, 0.3)
    write_kaldi_dir(root / "data", read_corpus(root / "features" / "corpus"))
    models = [make_model_folder(root / name, seed=seed) for seed, name in enumerate("ab")]
    sampling = ["--sampler", "ddim", "dpmpp_2m", "--steps", 1, "--no-asr"]
    paths = ["--data", root / "data", "--features", root / "features", "--out", root / "out"]
    return [str(word) for word in ["--model", *models, *paths, *sampling]]


def test_every_setting_of_every_model_is_a_row_and_is_not_made_twice(trial, words, capsys, monkeypatch):
    assert trial.main(words) == 0
    first = capsys.readouterr().out
    table = [line.split("|")[1].strip().rpartition("/")[2] for line in first.splitlines() if line.startswith("|")][2:]
    rows = ["priors alone", *(f"{s}, 1 steps, temperature 0.9, anchor 1, start 1, quadratic" for s in ("ddim", "dpmpp_2m"))]
    assert table[:6] == [f"{name} (preconditioned): {row}" for name in "ab" for row in rows]
    assert table[6:] == ["recordings through griffin_lim", "recordings"]

    def refuse(*args, **options):
        raise AssertionError("made again")

    monkeypatch.setattr(trial, "decode_set", refuse)
    monkeypatch.setattr(trial, "score_system", refuse)
    assert trial.main(words) == 0
    again = capsys.readouterr().out
    assert [line for line in again.splitlines() if line.startswith("|")] == [
        line for line in first.splitlines() if line.startswith("|")
    ]


def test_a_setting_whose_wave_is_not_finite_is_a_row_that_says_so(trial, words, tmp_path, capsys, monkeypatch):
    plain = trial.decode_set

    def blow_up(*args, sampler, **options):
        if sampler == "ddim":
            raise AudioError("wave: sample 3 is nan")
        plain(*args, sampler=sampler, **options)

    monkeypatch.setattr(trial, "decode_set", blow_up)
    assert trial.main([*words, "--out", str(tmp_path)]) == 0
    lines = [line.split("|")[1:4] for line in capsys.readouterr().out.splitlines() if "steps" in line and line.startswith("|")]
    refused = [
        [cell.strip() for cell in cells[1:]] for cells in lines if cells[0].strip().endswith("refused, its wave is not finite")
    ]
    assert len(lines) == 4 and refused == [["–", "–"]] * 2


def test_features_of_another_set_are_refused(trial, words, tmp_path, capsys):
    make_features(tmp_path / "other", 1, 0.3, ("bob",))
    place = words.index("--features") + 1
    assert trial.main([*words[:place], str(tmp_path / "other"), *words[place + 1 :]]) == 1
    assert "has no sentence of" in capsys.readouterr().err
