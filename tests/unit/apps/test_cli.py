import argparse
import subprocess
import sys
import types

import pytest

from tts import __version__
from tts.apps import cli
from tts.errors import AudioError

VERBS = cli.verbs()


@pytest.fixture
def verb(monkeypatch):
    """A verb of our own, `probe`, whose run() the test chooses."""
    module = types.ModuleType("probe", "Probe something.\n\nMore about it.")
    module.add_arguments = lambda parser: parser.add_argument("--steps", type=int, default=8, help="number of steps")
    monkeypatch.setitem(sys.modules, "tts.apps.cli.probe", module)
    monkeypatch.setattr(cli, "verbs", lambda: ["probe"])
    monkeypatch.setattr(cli, "_summary", lambda name: "Probe something.")
    return module


def raises(error):
    def run(args):
        raise error

    return run


def test_verbs_are_the_modules_of_the_package():
    assert "doctor" in VERBS
    assert not any(name.startswith("_") for name in VERBS)


def test_no_word_at_all_shows_the_verbs_with_their_first_lines(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    for name in VERBS:
        line = next(line for line in shown.splitlines() if line.startswith(f"  {name} "))
        assert len(line.split(maxsplit=1)[1]) > 10


def test_version_is_the_package_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"glottis {__version__}\n"


@pytest.mark.parametrize("name", VERBS)
def test_help_of_every_verb_explains_every_option(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert f"glottis {name}" in capsys.readouterr().out
    for parser in _with_subparsers(cli.build_parser(name)[0]):
        for action in parser._actions:
            assert action.help, f"glottis {name}: {action.option_strings or action.dest} says nothing"


def _with_subparsers(parser):
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _with_subparsers(child)


def test_help_shows_defaults(verb, capsys):
    with pytest.raises(SystemExit):
        cli.main(["probe", "--help"])
    shown = capsys.readouterr().out
    assert "number of steps (default 8)" in shown
    assert "Probe something." in shown


def test_an_unknown_verb_is_a_usage_error_with_the_nearest_one(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["docter"])
    assert stop.value.code == 2
    assert "no verb 'docter'. Did you mean 'doctor'? Verbs: " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--no-such-option"], ["--traceback", "--traceback"], ["-x", "doctor"]])
def test_an_unknown_option_before_the_verb_is_a_usage_error(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2


@pytest.mark.parametrize("words", [["--steps", "many"], ["--stepz", "3"], ["stray"]])
def test_a_bad_command_line_of_a_verb_is_a_usage_error(verb, words, capsys):
    verb.run = raises(AssertionError("must not run"))
    with pytest.raises(SystemExit) as stop:
        cli.main(["probe", *words])
    assert stop.value.code == 2
    assert "glottis probe: error:" in capsys.readouterr().err


def test_a_verb_that_ends_well_gives_0_and_its_own_status_otherwise(verb):
    verb.run = lambda args: None
    assert cli.main(["probe"]) == 0
    verb.run = lambda args: args.steps
    assert cli.main(["probe", "--steps", "5"]) == 5


@pytest.mark.parametrize("error", [AudioError("a.wav has no samples."), PermissionError(13, "Permission denied", "a.wav")])
def test_what_a_user_can_mend_is_one_line_without_traceback_and_status_1(verb, error, capsys):
    verb.run = raises(error)
    assert cli.main(["probe"]) == 1
    assert capsys.readouterr().err == f"glottis probe: {error}\n"


@pytest.mark.parametrize("words", [["--traceback", "probe"], ["probe", "--traceback"]])
def test_traceback_shows_where_the_error_was_raised(verb, words):
    verb.run = raises(AudioError("a.wav has no samples."))
    with pytest.raises(AudioError, match="no samples"):
        cli.main(words)


def test_an_argument_out_of_range_is_a_usage_error(verb, capsys):
    def run(args):
        exec(compile("raise ValueError('steps 0: expected 1 to 1000')", "x", "exec"), {"__name__": "tts.somewhere"})

    verb.run = run
    assert cli.main(["probe"]) == 2
    assert capsys.readouterr().err == "glottis probe: steps 0: expected 1 to 1000\n"


def test_a_bug_is_not_dressed_up_as_the_users_fault(verb):
    verb.run = raises(ValueError("too many values to unpack"))  # raised here, not in tts
    with pytest.raises(ValueError, match="too many values"):
        cli.main(["probe"])
    verb.run = raises(KeyError("mel"))
    with pytest.raises(KeyError):
        cli.main(["probe"])


def test_an_interrupt_gives_130(verb, capsys):
    verb.run = raises(KeyboardInterrupt())
    assert cli.main(["probe"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_the_module_runs_as_a_command_and_its_front_page_imports_no_torch():
    code = "import sys, tts.apps.cli as c\ntry: c.main(['--help'])\nfinally: print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "False\n"
    done = subprocess.run([sys.executable, "-m", "tts.apps.cli", "docter"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
