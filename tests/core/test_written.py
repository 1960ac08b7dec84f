"""Places to write to: what cannot become a folder or a file is told before any work."""

import pytest

from lifelong.core.errors import UsageError
from lifelong.core.written import need_file, need_folder


@pytest.fixture
def place(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    return tmp_path


@pytest.mark.parametrize("name", ["file", "file/below/it", "lost"])
def test_no_folder_can_be_made_of_a_file(place, name):
    with pytest.raises(UsageError, match="is no folder; choose another place"):
        need_folder(place / name)


@pytest.mark.parametrize("name", ["folder", "folder/new/newer", ""])
def test_a_folder_is_there_or_can_be_made(place, name):
    assert need_folder(str(place / name)) == place / name


@pytest.mark.parametrize(
    ("name", "says"), [("folder", "is a folder; name a file in it"), ("no/file", "there is no folder")]
)
def test_no_file_can_be_put_there(place, name, says):
    with pytest.raises(UsageError, match=says):
        need_file(place / name)


@pytest.mark.parametrize("name", ["file", "folder/new"])
def test_a_file_can_be_put_there(place, name):
    assert need_file(str(place / name)) == place / name
