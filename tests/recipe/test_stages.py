"""The order of the stages, what is done again and what is not; the interpreter is a stub (conftest.py)."""

import re
import shutil
import subprocess
import time

import pytest

SENTENCE = "LJ001-0001|Printing.|Printing.\n"


def verbs(calls):
    return [" ".join(w for w in call[:2] if not w.startswith("-")) for call in calls]


def value(call, option):
    return call[call.index(option) + 1]


EVERY_STAGE = [
    "prepare corpus",
    *["prepare features"] * 3,
    *["prepare validate"] * 3,
    "prepare statistics",
    "align",
    "train",
    "average",
    "decode",
    "decode",
    "evaluate",
    "pack",
]


def test_the_default_is_the_mini_profile_on_the_embedded_corpus_at_16_khz(recipe):
    done = recipe.run()
    calls = recipe.calls()
    assert done.returncode == 0, done.stderr
    assert verbs(calls) == EVERY_STAGE
    assert "--root" not in calls[0]
    assert value(calls[1], "--audio") == "libri16k"
    train = calls[9]
    assert value(train, "--config") == "mini"
    assert value(train, "--exp") == str(recipe.folder / "exp" / "ljspeech_mini")
    assert value(train, "--features") == str(recipe.folder / "dump" / "embedded_16000" / "features" / "train")


@pytest.mark.parametrize("profile", ["small", "base"])
def test_the_larger_profiles_download_ljspeech_at_22_khz(recipe, profile):
    recipe.run("--profile", profile)
    calls = recipe.calls()
    assert calls[0][:3] == ["prepare", "download", "ljspeech"]
    assert value(calls[1], "--root") == f"{value(calls[0], '--out')}/ljspeech/LJSpeech-1.1"
    assert value(calls[2], "--audio") == "ljspeech22k"
    assert value(calls[10], "--config") == profile
    assert value(calls[10], "--exp").endswith(f"/exp/ljspeech_{profile}")


def test_the_asterisk_corpus_is_made_by_its_script(recipe):
    recipe.run("--corpus", "asterisk")
    calls = recipe.calls()
    assert calls[0][0].endswith("/tools/make_asterisk.py")
    assert value(calls[0], "--out") == value(calls[1], "--root") == str(recipe.folder / "dump" / "downloads" / "asterisk")
    assert value(calls[10], "--exp").endswith("/exp/ljspeech_mini_asterisk")


def test_every_nth_sentence_is_held_out_in_place_of_a_number_of_them(recipe):
    recipe.run("--stop_stage", "1")
    assert value(recipe.calls()[0], "--eval") == "20"
    recipe.run("--stop_stage", "1", "--holdout_every", "21")
    call = recipe.calls()[0]
    assert value(call, "--holdout-every") == "21" and "--eval" not in call


def test_the_vocoder_is_griffin_lim_or_the_one_given_or_one_trained_after_the_model(recipe):
    recipe.run()
    assert {value(call, "--vocoder") for call in recipe.calls() if call[0] == "decode"} == {"griffin_lim"}
    recipe.run("--vocoder", "my voice")
    assert [(call[0], value(call, "--vocoder")) for call in recipe.calls()[:2]] == [("decode", "my voice")] * 2
    recipe.run("--vocoder", "train", "--vocoder_args", "--steps 7")
    calls = recipe.calls()
    assert verbs(calls)[:3] == ["train-vocoder", "decode", "decode"]
    assert value(calls[0], "--steps") == "7" and value(calls[0], "--out") == value(calls[1], "--vocoder")


def test_a_second_run_does_nothing_and_does_it_fast(recipe):
    recipe.run()
    recipe.calls()
    begin = time.monotonic()
    done = recipe.run()
    assert time.monotonic() - begin < 5
    assert done.returncode == 0
    assert recipe.calls() == []
    assert done.stdout.count("done before") == len(EVERY_STAGE)


def test_only_the_asked_stages_run(recipe):
    recipe.run("--stop_stage", "3")
    assert verbs(recipe.calls()) == EVERY_STAGE[:7]
    recipe.run("--stage", "4", "--stop-stage", "5")
    assert verbs(recipe.calls()) == EVERY_STAGE[7:10]
    recipe.run()
    assert verbs(recipe.calls()) == EVERY_STAGE[10:]


@pytest.mark.parametrize("ending", ["exit 1", "kill -9 $$", "exit 130"])
def test_a_stage_that_ends_badly_stops_the_run_and_is_done_again(recipe, ending):
    done = recipe.run(do=f'[ "$1" != train ] || {ending}')
    assert done.returncode == {"exit 1": 1, "kill -9 $$": 137, "exit 130": 130}[ending]
    assert re.search(r"run\.sh: stage 5, train failed; its log is .*/exp/ljspeech_mini/log/5\.train\.log\n", done.stderr)
    assert verbs(recipe.calls())[-1] == "train"
    assert recipe.run().returncode == 0
    assert verbs(recipe.calls()) == EVERY_STAGE[9:]


def test_a_changed_option_does_its_stage_and_those_after_it_again(recipe):
    recipe.run("--stop_stage", "4")
    recipe.calls()
    recipe.run("--stop_stage", "4", "--max_wav_duration", "9")
    assert verbs(recipe.calls()) == EVERY_STAGE[4:9]
    recipe.run("--stop_stage", "4", "--num_eval", "30", "--max_wav_duration", "9")
    assert verbs(recipe.calls()) == EVERY_STAGE[:9]


def test_how_many_processes_work_is_no_reason_to_do_it_again(recipe):
    recipe.run("--nj", "2")
    assert all(value(call, "--nj") == "2" for call in recipe.calls() if call[1] == "features")
    recipe.run("--nj", "3", "--ngpu", "0")
    assert recipe.calls() == []


def test_more_training_steps_go_on_in_the_same_experiment(recipe):
    recipe.run("--tag", "a", "--train_args", "steps=10 prior_steps=5")
    assert recipe.calls()[9][-4:-2] == ["steps=10", "prior_steps=5"]
    recipe.run("--tag", "a", "--train_args", "steps=20 prior_steps=5", "--inference_args", "--steps 4")
    calls = recipe.calls()
    assert verbs(calls) == EVERY_STAGE[9:]
    assert calls[2][-2:] == ["--steps", "4"]
    assert calls[3][-4:] == ["--steps", "4", "--sampler", "prior"]


def test_the_report_holds_the_command_that_made_it_and_is_not_made_anew_for_another(recipe):
    recipe.run("--tag", "it's", "--asr", "none")
    evaluate = recipe.calls()[-2]
    assert "--no-asr" in evaluate
    assert value(evaluate, "--command").endswith(
        r"run.sh " + f"--dumpdir {recipe.folder}/dump --expdir {recipe.folder}/exp --tag it\\'s --asr none "
    )
    recipe.run("--tag", "it's", "--asr", "none", "--stage", "5")
    assert recipe.calls() == []


def test_an_experiment_is_not_mixed_with_other_data(recipe):
    recipe.run("--tag", "a")
    done = recipe.run("--tag", "a", "--num_eval", "30")
    assert done.returncode == 1
    assert "exp/ljspeech_a was trained on data that have been made anew since. Remove it, or give" in done.stderr
    assert "train" not in verbs(recipe.calls())[10:]
    assert recipe.run("--tag", "b", "--num_eval", "30").returncode == 0


@pytest.mark.parametrize("name", ["my voice", "Ωμέγα 声", "-leading", "q'uo\"te $HOME *"])
def test_a_corpus_folder_of_any_name_is_used_in_place(recipe, name):
    corpus = recipe.folder / name
    corpus.mkdir()
    (corpus / "metadata.csv").write_text(SENTENCE)
    done = recipe.run("--db_root", name)
    calls = recipe.calls()
    assert done.returncode == 0, done.stderr
    assert verbs(calls) == EVERY_STAGE
    assert value(calls[0], "--root") == str(corpus)
    assert value(calls[1], "--data") == str(recipe.folder / "dump" / f"{name}_16000" / "data" / "train")
    assert value(calls[9], "--exp") == str(recipe.folder / "exp" / f"ljspeech_mini_{name}")
    assert [p.name for p in corpus.iterdir()] == ["metadata.csv"]
    recipe.run("--db_root", name)
    assert recipe.calls() == []


def test_it_works_in_the_locale_c_without_a_home(recipe):
    (recipe.folder / "声").mkdir()
    recipe.environment |= {"LC_ALL": "C", "HOME": "/nonexistent"}
    for expected in (EVERY_STAGE, []):
        done = recipe.run("--db_root", "声")
        assert done.returncode == 0, done.stderr
        calls = recipe.calls()
        assert verbs(calls) == expected
        if calls:
            assert value(calls[0], "--root") == str(recipe.folder / "声")


def test_places_with_odd_names_and_relative_paths_work(recipe):
    done = recipe.run("--dumpdir", "-d ü", "--expdir=-- e", "--tag", "t 1", "--speaker", "LJ")
    calls = recipe.calls()
    assert done.returncode == 0, done.stderr
    assert value(calls[0], "--out") == str(recipe.folder / "-d ü" / "embedded_16000_LJ" / "data")
    assert value(calls[9], "--exp") == str(recipe.folder / "-- e" / "ljspeech_t 1")


def test_the_call_is_saved_in_the_experiment_and_repeats_it(recipe):
    recipe.run("--tag", "it's", "--train_args", "steps=3  seed=1")
    recipe.calls()
    exp = recipe.folder / "exp" / "ljspeech_it's"
    shutil.rmtree(exp / ".done")
    again = subprocess.run(
        ["bash", exp / "run.sh"], cwd="/", env=recipe.environment, capture_output=True, text=True, timeout=60
    )
    calls = recipe.calls()
    assert again.returncode == 0, again.stderr
    assert verbs(calls) == EVERY_STAGE[9:]
    assert {"steps=3", "seed=1"} <= set(calls[0])


def test_two_runs_do_not_work_in_one_folder(recipe):
    if shutil.which("flock") is None:
        pytest.skip("this system has no flock; the recipe then does without a lock")
    inner = '[ "$1" != average ] || bash "$RUN" --stage 5 --tag a --train_args steps=2 --dumpdir dump --expdir exp'
    recipe.environment["RUN"] = str(recipe.run.__func__.__globals__["RUN"])
    done = recipe.run("--tag", "a", do=inner)
    assert "another run is at work in " in done.stdout + done.stderr


def test_what_a_stage_says_is_shown_and_kept(recipe):
    done = recipe.run(do='echo "hello from $1"; echo "warning" >&2')
    log = (recipe.folder / "exp" / "ljspeech_mini" / "log" / "6.average.log").read_text()
    assert sorted(log.splitlines()) == ["hello from average", "warning"]
    assert "hello from average\n" in done.stdout
