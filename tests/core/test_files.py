import os
import stat

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import canonical_json, digest, replacing, require_writable, write_text
from fuxi_plugins.datasets.sources.acquire import replacing_folder


def test_an_error_while_writing_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "kept.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kept.txt"]


def test_what_is_written_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "deep" / "new.txt"
    write_text(path, "one")
    write_text(path, "two")
    assert path.read_text() == "two"
    assert os.listdir(path.parent) == ["new.txt"]


@pytest.mark.parametrize(("umask", "file_mode", "folder_mode"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_what_is_written_has_the_rights_that_the_umask_leaves(tmp_path, umask, file_mode, folder_mode):
    former = os.umask(umask)
    try:
        write_text(tmp_path / "file.txt", "text")
        with replacing_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == file_mode
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == folder_mode


def test_a_digest_depends_on_values_not_on_their_order():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.5})
    assert digest([1, 2]) != digest([2, 1])
    assert digest([12, 1]) != digest([1, 21])  # FuxiCTR's own naming confuses such pairs


def test_json_refuses_what_is_not_a_number():
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"AUC": float("nan")})


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="the results folder must be writable"):
        require_writable(tmp_path / "file" / "results", "the results folder")
