import json
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from small_world import FIRST, KNOWN, LABEL

from lifelong.cli import main


class Done:
    """What a command left behind."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def document(self):
        """The one JSON document on stdout."""
        assert self.code in (0, 1), self.err
        return json.loads(self.out)


@pytest.fixture
def run(capsys):
    """Run a command in this process."""

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Prepared data of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIFELONG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder with task files and event files."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "first.yaml").write_text(yaml.safe_dump(FIRST))
    (folder / "label.yaml").write_text(yaml.safe_dump(LABEL))
    lines = [f"u{user},{item},{1_600_000_000 + user + n}" for user in range(5) for n, item in enumerate(KNOWN)]
    (folder / "events.csv").write_text("\n".join(["user,item,time", *lines, ""]))
    (folder / "own.csv").write_text("\n".join(["customer,sku,bought", *lines, ""]))
    (folder / "strangers.csv").write_text("user,item,time\nu1,nobody-knows,1600000000\n")
    (folder / "headless.csv").write_text("customer,item,time\nu1,i0000000,1600000000\n")
    (folder / "empty.csv").write_text("")
    return folder


@pytest.fixture(scope="session")
def grown(tmp_path_factory, files):
    """A model with two tasks, made by the commands; what they printed is beside it."""
    folder = tmp_path_factory.mktemp("grown")
    model = folder / "model"
    for name, command in (("pretrain", "first.yaml"), ("add-task", "label.yaml")):
        with pytest.MonkeyPatch.context() as patch, (folder / f"{name}.json").open("w") as out:
            patch.setattr("sys.stdout", out)
            assert main([name, str(model), str(files / command), "--json", "--quiet"]) == 0
    return model
