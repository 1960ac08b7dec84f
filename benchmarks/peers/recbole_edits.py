"""The three edits without which RecBole 1.2.1 does not run beside today's packages. Run by setup.sh, with the peers' Python.

Its `from ray import tune` becomes optional, `np.float_` (gone from numpy 2) becomes `np.float64`, and `torch.load` reads its
own checkpoints again (`weights_only=False`). Nothing else of it is touched. A second run changes nothing.
"""

import importlib.util
import re
from pathlib import Path

OPTIONAL = "try:\n    from ray import tune\nexcept ImportError:\n    tune = None\n"
EDITS = {
    "quick_start/quick_start.py": [(r"(?m)^from ray import tune\n", OPTIONAL), (r"torch\.load\(model_file\)", None)],
    "config/configurator.py": [
        (r"np\.float_\b", "np.float64"),
        (r"np\.complex_\b", "np.complex128"),
        (r"np\.unicode_\b", "np.str_"),
    ],
    "trainer/trainer.py": [(r"torch\.load\(((?:resume|checkpoint)_file, map_location=self\.device)\)", None)],
}
"""File -> (pattern, replacement); None adds weights_only=False to the call."""


def edited(text: str, pattern: str, replacement: str | None) -> str:
    """The text with one edit."""
    if replacement is not None:
        return re.sub(pattern, replacement, text)
    return re.sub(pattern, lambda call: f"{call[0][:-1]}, weights_only=False)", text)


def main() -> None:
    spec = importlib.util.find_spec("recbole")
    if spec is None or spec.origin is None:
        raise SystemExit("recbole is not installed here; run benchmarks/peers/setup.sh")
    for name, edits in EDITS.items():
        path = Path(spec.origin).parent / name
        text = before = path.read_text(encoding="utf-8")
        for pattern, replacement in edits:
            text = edited(text, pattern, replacement)
        path.write_text(text, encoding="utf-8")
        print(f"{name}: {'edited' if text != before else 'as it should be'}")


if __name__ == "__main__":
    main()
