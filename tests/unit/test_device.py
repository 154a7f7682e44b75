import pytest
import torch

from tts.device import check_gpu_count, has_fast_bf16, resolve_device, resolve_precision
from tts.errors import ConfigError


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_auto_takes_cuda_only_where_it_is(no_gpu):
    assert resolve_device() == torch.device("cpu")
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_prefers_cuda(two_gpus):
    assert resolve_device("auto") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_a_missing_cuda_device_is_an_error_that_says_what_there_is(no_gpu, name):
    with pytest.raises(ConfigError, match=rf"'{name}' asked for, 0 CUDA device\(s\) found\. Use --device cpu or auto"):
        resolve_device(name)


def test_an_index_past_the_last_device_is_an_error(two_gpus):
    with pytest.raises(ConfigError, match=r"2 CUDA device\(s\) found"):
        resolve_device("cuda:2")


def test_a_missing_mps_device_is_an_error(no_gpu):
    with pytest.raises(ConfigError, match="'mps' asked for, but this machine has none"):
        resolve_device("mps")


@pytest.mark.parametrize("name", ["gpu", "tpu0", ""])
def test_an_unknown_device_name_is_an_error(name):
    with pytest.raises(ConfigError, match=r"is not known\. Use auto, cpu, cuda"):
        resolve_device(name)


def test_more_gpus_than_there_are_is_an_error_that_says_how_many(no_gpu):
    check_gpu_count(0)
    with pytest.raises(ConfigError, match=r"--ngpu 2 asked for, 0 CUDA device\(s\) found\. Use --ngpu 0"):
        check_gpu_count(2)


def test_as_many_gpus_as_there_are_is_accepted_and_a_negative_number_is_not(two_gpus):
    check_gpu_count(2)
    with pytest.raises(ConfigError, match="--ngpu -1 asked for"):
        check_gpu_count(-1)


def test_auto_precision_is_bf16_only_where_the_hardware_has_it(monkeypatch):
    cpu = torch.device("cpu")
    for fast, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("tts.device.has_fast_bf16", lambda device, fast=fast: fast)
        assert resolve_precision("auto", cpu) is dtype
    assert resolve_precision("bf16", cpu) is torch.bfloat16
    assert resolve_precision("fp32", cpu) is torch.float32


def test_mps_is_never_said_to_have_fast_bf16():
    assert has_fast_bf16(torch.device("mps")) is False


def test_an_unknown_precision_is_an_error():
    with pytest.raises(ConfigError, match=r"precision 'fp16' is not known\. Use auto, bf16 or fp32"):
        resolve_precision("fp16", torch.device("cpu"))
