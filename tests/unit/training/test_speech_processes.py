"""One run over two processes, by DDP over gloo: it ends, and it is gone on with."""

import subprocess
import sys

import pytest
import torch

from tts.config import to_dict
from tts.data.files import write_json
from tts.testing import make_features, tiny_speech_config
from tts.training.config import OptimizerConfig, TrainConfig

RUNNER = """
import sys
from pathlib import Path
from tts.config import from_dict
from tts.data.files import read_json
from tts.training.config import TrainConfig
from tts.training.run import train
if __name__ == "__main__":
    train(from_dict(TrainConfig, read_json(Path(sys.argv[1]))), Path(sys.argv[2]), Path(sys.argv[3]))
"""


@pytest.mark.timeout(280)
def test_two_processes_share_a_run_and_go_on_with_it(tmp_path):
    make_features(tmp_path / "features", n=4, seconds=0.6)
    (tmp_path / "runner.py").write_text(RUNNER)
    checkpoint = tmp_path / "exp" / "checkpoints" / "last.ckpt"
    for steps in (3, 4):
        config = TrainConfig(
            model=tiny_speech_config(),
            optimizer=OptimizerConfig(warmup=2),
            steps=steps,
            prior_steps=2,
            max_batch=1,
            checkpoint_every=2,
            cpu_processes=2,
            threads=1,
            precision="fp32",
        )
        write_json(tmp_path / "config.json", to_dict(config))
        command = [sys.executable, tmp_path / "runner.py", tmp_path / "config.json", tmp_path / "features", tmp_path / "exp"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=130)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        found = torch.load(checkpoint, weights_only=True)
        assert found["global_step"] == steps
        assert all(value.isfinite().all() for value in found["state_dict"].values())
