"""No file can run code: nothing in the repository unpickles, evaluates, or hands a string to a shell.

An AST walk over every Python file that is shipped or shown; each forbidden thing has a planted file that is caught.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifelong.store import tensors

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("lifelong", "benchmarks", "examples", "tasks")

MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "dbm",
    "jsonpickle",
    "hickle",
}
"""Never imported: to read with them is to run."""
BUILTINS = {"eval", "exec", "compile", "__import__", "execfile"}
CALLS = {
    "torch.load",
    "torch.save",
    "torch.package",
    "torch.hub.load",
    "torch.jit.load",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.dump",
    "os.system",
    "os.popen",
    "pandas.read_pickle",
    "pd.read_pickle",
    "np.fromregex",
    "numpy.fromregex",
}
KEYWORDS = {"allow_pickle", "trust_remote_code", "shell", "weights_only"}
"""Where they are given a value that is not False; weights_only is a plea for torch.load and never right."""
LOADERS = {"yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader", "yaml.CLoader"}


def complaints(tree: ast.AST, where: str) -> Iterator[str]:
    """file:line and what is forbidden there."""
    names = _imported_names(tree)
    for node in ast.walk(tree):
        for what in _forbidden(node, names):
            yield f"{where}:{getattr(node, 'lineno', 0)}: {what}"


def _imported_names(tree: ast.AST) -> dict[str, str]:
    """Local name -> what it stands for, so that `from torch import load as x` is seen."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {
                a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                for a in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def _forbidden(node: ast.AST, names: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (a.name for a in node.names if a.name.partition(".")[0] in MODULES)
    elif isinstance(node, ast.ImportFrom) and node.module:
        if node.module.partition(".")[0] in MODULES:
            yield node.module
    elif isinstance(node, ast.Name) and node.id in BUILTINS and isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.keyword) and node.arg in KEYWORDS:
        given = node.value
        if not (isinstance(given, ast.Constant) and given.value is False):
            yield f"{node.arg}="
    if isinstance(node, (ast.Attribute, ast.Name)):
        called = _dotted(node, names)
        if called in CALLS | LOADERS or called.partition(".")[0] in MODULES or called.startswith("builtins."):
            yield called
    if isinstance(node, ast.Call) and _dotted(node.func, names).endswith("import_module"):
        asked = [a.value for a in node.args[:1] if isinstance(a, ast.Constant)]
        yield from (f"import_module({name!r})" for name in asked if str(name).partition(".")[0] in MODULES)


def _dotted(node: ast.AST, names: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(names.get(node.id, node.id))
    return ".".join(reversed(parts))


def files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def test_nothing_runs_what_it_reads():
    assert len(files()) > 200
    found = [c for path in files() for c in complaints(ast.parse(path.read_bytes()), str(path.relative_to(ROOT)))]
    assert found == []


PLANTED = {
    "import pickle": "import pickle\n",
    "from pickle": "from pickle import loads\n",
    "pickle by another name": "import _pickle as json\njson.loads(data)\n",
    "dill": "import dill\n",
    "joblib": "from joblib import load\n",
    "shelve": "import shelve\n",
    "marshal": "import marshal\n",
    "torch.load": "import torch\ntorch.load(path)\n",
    "torch.load, weights_only": "import torch\ntorch.load(path, weights_only=True)\n",
    "torch.load by another name": "from torch import load as read\nread(path)\n",
    "torch under another name": "import torch as t\nt.load(path)\n",
    "torch.save": "import torch\ntorch.save(x, path)\n",
    "torch.jit.load": "import torch\ntorch.jit.load(path)\n",
    "eval": "eval(text)\n",
    "exec": "exec(text)\n",
    "eval passed on": "list(map(eval, texts))\n",
    "builtins.eval": "import builtins\nbuiltins.eval(text)\n",
    "__import__": "__import__(name)\n",
    "compile": "compile(text, '', 'exec')\n",
    "yaml.load": "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)\n",
    "yaml.unsafe_load": "import yaml\nyaml.unsafe_load(text)\n",
    "yaml.Loader": "from yaml import Loader\nclass Mine(Loader): pass\n",
    "allow_pickle": "import numpy\nnumpy.load(path, allow_pickle=True)\n",
    "allow_pickle, maybe": "import numpy\nnumpy.load(path, allow_pickle=flag)\n",
    "read_pickle": "import pandas as pd\npd.read_pickle(path)\n",
    "a shell": "import subprocess\nsubprocess.run(text, shell=True)\n",
    "os.system": "import os\nos.system(text)\n",
    "os.popen": "from os import popen\npopen(text)\n",
    "remote code": "AutoModel.from_pretrained(name, trust_remote_code=True)\n",
    "import_module": "import importlib\nimportlib.import_module('pickle')\n",
}


@pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED.keys())
def test_each_planted_line_is_found(text):
    assert list(complaints(ast.parse(text), "planted.py"))


@pytest.mark.parametrize(
    "text",
    [
        "import json\njson.loads(text)\n",
        "net.eval()\n",
        "import re\nre.compile('x')\n",
        "import numpy\nnumpy.load(path, allow_pickle=False)\n",
        "AutoModel.from_pretrained(name, trust_remote_code=False)\n",
        "import yaml\nyaml.safe_load(text)\n",
        "import subprocess\nsubprocess.run([name, option])\n",
        "from safetensors.torch import load\nload(data)\n",
    ],
)
def test_what_is_allowed_is_not_found(text):
    assert list(complaints(ast.parse(text), "fine.py")) == []


def test_all_that_a_model_holds_is_json_or_safetensors(tmp_path):
    """The state of an unfinished training, too."""
    from attacked import untrained_model
    from torch import ones

    from lifelong.growing.resume import Resume, State
    from lifelong.model.task import Fit

    folder = untrained_model(tmp_path / "model", tmp_path / "cache")
    resume = Resume(folder / "resume" / "job")
    state = State({"theta/w": ones(3, 3).requires_grad_()}, (), Fit())
    state.judge(1.0, 0.5, 1.0)
    resume.save(0, state, now=True)
    kinds = {"json": 0, "tensors": 0}
    for path in (p for p in folder.rglob("*") if p.is_file() and p.parent.name != "tmp"):
        data = path.read_bytes()
        text = data[data.find(b"\n") + 1 :] if path.parent.name == "versions" else data
        if text[:1] in b"{[":
            kinds["json"] += 1
            json.loads(text)
        else:
            kinds["tensors"] += 1
            tensors.unpack(data, str(path))
    assert kinds == {"json": 18, "tensors": 14}
