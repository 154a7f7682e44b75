import pytest
import torch

from tts.data.content_file import (
    ContentInfo,
    ContentKind,
    content_path,
    read_content,
    read_content_fingerprint,
    read_content_info,
    write_content,
    write_content_info,
)
from tts.errors import ConfigError, DataError


def test_a_version_comes_back_in_half_precision(tmp_path):
    content = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    write_content(content_path(tmp_path, "a"), content, "abc")
    for version in range(3):
        found = read_content(tmp_path, "a", version)
        assert found.dtype == torch.float32
        assert torch.equal(found, content[version].half().float())
    assert read_content_fingerprint(content_path(tmp_path, "a")) == "abc"


@pytest.mark.parametrize("version", [-1, 2])
def test_a_version_that_is_not_there_is_named(tmp_path, version):
    write_content(content_path(tmp_path, "a"), torch.zeros(2, 3, 4), "")
    with pytest.raises(DataError, match=rf"\(2, 3, 4\), expected \(versions, D, T\) with version {version}"):
        read_content(tmp_path, "a", version)


def test_a_missing_or_cut_file_is_an_error_that_says_how_to_make_it(tmp_path):
    with pytest.raises(DataError, match="glottis prepare content"):
        read_content(tmp_path, "a")
    path = content_path(tmp_path, "a")
    write_content(path, torch.zeros(1, 3, 4), "abc")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="not a complete content file"):
        read_content(tmp_path, "a")
    assert read_content_fingerprint(path) is None
    assert read_content_fingerprint(tmp_path / "nowhere") is None


def test_what_content_json_says_comes_back(tmp_path):
    info = ContentInfo(kind=ContentKind.xlsr, dim=1024, n_phones=0, versions=3, fingerprint="abc")
    write_content_info(tmp_path, info)
    assert read_content_info(tmp_path) == info


def test_a_folder_without_content_says_so(tmp_path):
    with pytest.raises(DataError, match="no content features"):
        read_content_info(tmp_path)


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="0 <= n_phones <= dim"):
        ContentInfo(kind=ContentKind.ppg, dim=3, n_phones=4)
