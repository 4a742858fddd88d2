"""The program keeps compiled programs on disk, unless the user has other wishes."""

from pathlib import Path

import pytest

from jaxloc.cli import compiled_on_disk

FOLDER = "JAX_COMPILATION_CACHE_DIR"


def test_compiled_programs_go_to_the_users_cache_folder(tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    compiled_on_disk(environment)
    assert Path(environment[FOLDER]) == tmp_path / "jaxloc" / "compiled"
    assert Path(environment[FOLDER]).is_dir()
    assert environment["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] == "-1"


@pytest.mark.parametrize("name", [FOLDER, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"])
def test_what_the_user_has_set_stays(tmp_path, name):
    value = str(tmp_path / "mine") if name == FOLDER else "7"
    environment = {"XDG_CACHE_HOME": str(tmp_path), name: value}
    compiled_on_disk(environment)
    assert environment[name] == value


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "file").write_text("")
    environment = {"XDG_CACHE_HOME": str(tmp_path / "file")}
    compiled_on_disk(environment)
    assert FOLDER not in environment
