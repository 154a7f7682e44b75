"""E6: steps of denoising as a one-parameter group of codes; against predictors without structure, small and free."""

from tts.diffusion import time_grid
from tts.image.groups.trajectories import HORIZONS, START, StepReport, denoising_trajectories, report_steps
from tts.training.experiments.context import Context
from tts.training.experiments.expectations import Expectation, Outcome, ratio
from tts.training.experiments.guided_steps import EXPECTATIONS as OF_ATTRIBUTES
from tts.training.experiments.guided_steps import attribute_figures
from tts.training.experiments.plots import Plot
from tts.training.experiments.steps_bench import REACH, least_variety, step_configs, trained_steps

TITLE = "Group-structured denoising: codes of x0_hat along DDIM runs, moved by exp(Δλ L)"
NOISE = 10000  # seeds of states from here on
LONG = max(HORIZONS)
NAMES = ("group", "unstructured", "free")

EXPECTATIONS = (
    Expectation("variety decoded, least", "of the three; 0 where one paints a single image", above=0.5, proposed=True),
    Expectation("error after 8", "the group: relative, in its own codes, of runs held out"),
    Expectation("error after 8, unstructured", "control: a perceptron of width 1, 52 parameters against 32"),
    Expectation("error after 8, free", "control: a perceptron of any size"),
    Expectation("still after 8", "control: a code that never moves"),
    Expectation("error after 8 / still", "better than not moving", below=1.0),
    Expectation("error after 8, group / unstructured", "a gain is the claim", below=1.0),
    Expectation("error after 8, group / free", "over a predictor that may be larger as well", below=1.0),
    Expectation("jump of 4, group / free", "one action over more steps than any in training", below=1.0),
    Expectation("jump of 8, group / free", "the same over 8", below=1.0),
    Expectation("jump of 8, group / unstructured", "the same", below=1.0),
    Expectation("consistency at 8", "one action is 8 of them: by construction", below=1e-3),
    Expectation("consistency at 8, free", "control: nothing makes it so"),
    Expectation("pixels after 8, group / free", "decoded images: the fair one, for codes differ", below=1.0, proposed=True),
    Expectation("pixels after 8, group / unstructured", "the same", below=1.0, proposed=True),
    *OF_ATTRIBUTES,
)
PLOTS = (
    Plot("rollout", (*NAMES, "still"), "steps of the grid", "relative error of the roll-out", log_y=True),
    Plot(
        "jump", (*(f"{name}, jump" for name in NAMES), "still"), "steps of the grid", "relative error of one action", log_y=True
    ),
)


def run(context: Context, seed: int) -> Outcome:
    """Train three predictors on denoising runs of the base of this seed, report those held out; then on guided runs."""
    sizes, base = context.sizes, context.base(seed)
    u = context.noise(sizes.path_runs, NOISE + seed)
    times = time_grid(base.schedule, sizes.path_steps, start=START)
    runs = denoising_trajectories(base.composite(None), u, base.schedule, times, reach=REACH)
    held = max(1, sizes.path_runs // 8)
    shown, tested = runs.runs(slice(held, None)), runs.runs(slice(0, held))
    trained = {name: trained_steps(context, f"steps-{name}", c, shown, seed) for name, c in step_configs(shown).items()}
    found = {name: report_steps(hae, tested) for name, hae in trained.items()}
    rollout = {name: report.rollout[LONG] for name, report in found.items()}
    jump = {k: {name: report.jump[k] for name, report in found.items()} for k in (LONG // 2, LONG)}
    figures = {
        "variety decoded, least": least_variety(trained.values(), tested),
        "error after 8": rollout["group"],
        "error after 8, unstructured": rollout["unstructured"],
        "error after 8, free": rollout["free"],
        "still after 8": found["group"].still[LONG],
        "error after 8 / still": ratio(rollout["group"], found["group"].still[LONG]),
        "error after 8, group / unstructured": ratio(rollout["group"], rollout["unstructured"]),
        "error after 8, group / free": ratio(rollout["group"], rollout["free"]),
        "jump of 4, group / free": ratio(jump[LONG // 2]["group"], jump[LONG // 2]["free"]),
        "jump of 8, group / free": ratio(jump[LONG]["group"], jump[LONG]["free"]),
        "jump of 8, group / unstructured": ratio(jump[LONG]["group"], jump[LONG]["unstructured"]),
        "consistency at 8": found["group"].consistency[LONG],
        "consistency at 8, free": found["free"].consistency[LONG],
        "pixels after 8, group / free": ratio(found["group"].pixels[LONG], found["free"].pixels[LONG]),
        "pixels after 8, group / unstructured": ratio(found["group"].pixels[LONG], found["unstructured"].pixels[LONG]),
        **attribute_figures(context, base, seed),
    }
    return Outcome(figures, _curves(found))


def _curves(found: dict[str, StepReport]) -> dict[str, list[tuple[float, float]]]:
    curves = {name: [(float(k), e) for k, e in report.rollout.items()] for name, report in found.items()}
    curves |= {f"{name}, jump": [(float(k), e) for k, e in report.jump.items()] for name, report in found.items()}
    return curves | {"still": [(float(k), e) for k, e in found["group"].still.items()]}
