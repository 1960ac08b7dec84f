"""Pictures: timm's own preparation and features, stages, frozen norms, and pictures that cannot be used."""

import numpy as np
import pytest
import torch
from PIL import Image as Pil
from safetensors.torch import load_file, save_file

from lifelong.core.config import build
from lifelong.core.errors import ConfigError, DataError
from lifelong.core.progress import Silent
from lifelong.core.types import Contents
from lifelong.items.image import Image
from lifelong.items.layers.efficientnet import FIRST, OTHER, TOP
from lifelong.items.layers.vision import Vision, preparation, prepared

SIZE = 32


def opened(weights, paths, cache, restore=None, model="test_efficientnet", **options):
    torch.manual_seed(3)
    made = Image(
        build(Image.Config, {"model": model, "weights": str(weights), "size": SIZE, **options}, "image"),
        8,
        len(paths) + 1,
    )
    if restore is not None:
        made.restore(restore.stored())
    made.open(Contents(np.arange(1, len(paths) + 1), [], list(paths)), None, cache, Silent())
    return made.eval()


def of_timm(model, weights, path):
    """A picture through timm's own preparation and model, by itself."""
    import timm
    from timm.data import create_transform, resolve_data_config

    network = timm.create_model(model, num_classes=0).eval()
    network.load_state_dict(load_file(weights))
    how = {**resolve_data_config({}, model=network), "input_size": (3, SIZE, SIZE)}
    with torch.no_grad():
        return network(create_transform(**how)(Pil.open(path).convert("RGB"))[None])[0]


@pytest.mark.parametrize("train", ["frozen", 1, 3])
def test_features_are_those_of_timm(vision, pictures, tmp_path, train):
    made = opened(vision, pictures, tmp_path, train=train)
    for n in (0, 3, 9):
        features = made._features(made._picture_V[[n + 1]])[0].detach()
        torch.testing.assert_close(features, of_timm("test_efficientnet", vision, pictures[n]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(40, 50), (333, 100), (32, 32), (31, 500), (1, 1), (7, 64)])
def test_preparation_is_timms_to_the_bit(size):
    import timm
    from timm.data import create_transform, resolve_data_config

    network = timm.create_model("test_efficientnet", num_classes=0)
    draw = np.random.default_rng(1)
    picture = Pil.fromarray(draw.integers(0, 255, (size[1], size[0], 3), np.uint8))
    how = {**resolve_data_config({}, model=network), "input_size": (3, SIZE, SIZE)}
    wanted = create_transform(**how)(picture).numpy()
    assert np.abs(prepared(picture, preparation(network, SIZE)) - wanted).max() <= 1e-6


def test_stages_of_one_pass_and_of_two_are_equal(vision, pictures, tmp_path):
    frozen = opened(vision, pictures, tmp_path / "a")
    for train in (1, 2, 5):
        made = opened(vision, pictures, tmp_path / str(train), train=train)
        which = made._picture_V[made.readable_V.numpy()]
        torch.testing.assert_close(made._features(which).detach(), frozen._features(which), rtol=1e-5, atol=1e-6)


def test_norms_stay_as_they_came(vision, pictures, tmp_path):
    made = opened(vision, pictures, tmp_path, train=2).train()
    before = {n: b.clone() for n, b in made.backbone.named_buffers()}
    made(torch.arange(13)).sum().backward()
    assert all(torch.equal(before[n], b) for n, b in made.backbone.named_buffers())
    assert not any(m.training for m in made.backbone.modules())
    trained = {n for n, p in made.named_parameters() if p.requires_grad and n.startswith("backbone.")}
    assert trained
    homes = tuple(f"backbone.model.{home}" for home in ("blocks.3", "blocks.4", "conv_head", "bn2"))
    assert all(name.startswith(homes) for name in trained)
    assert trained <= set(made.rates())


def test_what_cannot_be_used_is_counted_and_has_no_picture(vision, pictures, tmp_path):
    bomb = tmp_path / "bomb.png"
    Pil.new("L", (9000, 9000)).save(bomb)
    made = opened(vision, [*pictures, str(bomb)], tmp_path)
    assert made.left_out == {"no picture": 1, "picture damaged": 1, "picture missing": 1, "picture too large": 1}
    assert (~made.readable_V).nonzero()[:, 0].tolist() == [0, 3, 7, 8, 13]
    assert made.same_V[5] == 1
    again = opened(vision, [*pictures, str(bomb)], tmp_path)
    assert again.left_out == made.left_out


def test_no_picture_at_all(vision, tmp_path):
    made = opened(vision, [None, None], tmp_path)
    assert made.left_out == {"no picture": 2}
    assert not made.settle().any()


def lukemelas(state, blocks):
    """timm's names as lukemelas' checkpoints have them."""
    numbers = {
        f"blocks.{s}.{b}": n for n, (s, b) in enumerate((s, b) for s, many in enumerate(blocks) for b in range(many))
    }
    made = {}
    for name, value in state.items():
        home = next((place for place in numbers if name.startswith(f"{place}.")), None)
        words = TOP if home is None else OTHER if f"{home}.conv_pwl.weight" in state else FIRST
        backward = {timm: theirs for theirs, timm in words.items()}
        inner = name if home is None else name[len(home) + 1 :]
        first, _, rest = inner.partition(".")
        prefix = "" if home is None else f"_blocks.{numbers[home]}."
        made[f"{prefix}{backward[first]}.{rest}"] = value
    return made


def test_names_of_other_efficientnets_are_understood(tmp_path):
    import timm

    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0")
    state = network.state_dict()
    named = lukemelas(state, [1, 2, 2, 3, 3, 4, 1])
    assert "_blocks.15._project_conv.weight" in named
    assert "_fc.bias" in named
    torch.save(named, tmp_path / "weights.pth")
    made = Vision("tf_efficientnet_lite0", tmp_path / "weights.pth")
    assert all(torch.equal(v, state[n]) for n, v in made.model.state_dict().items())
    assert made.hidden == 1280


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "no_such_net"}, "timm has no model"),
        ({"train": 9}, "has 5 stages"),
        ({"train": 0}, "name a number of stages"),
        ({"size": 3}, "at least 16"),
        ({"weights": "package:nothing_here/w.pth"}, "is not installed"),
    ],
)
def test_options_that_do_not_fit(vision, tmp_path, options, told):
    with pytest.raises(ConfigError, match=told):
        opened(**{"weights": vision, "paths": [None], "cache": tmp_path, **options})


def test_weights_of_another_model_are_refused(vision, tmp_path):
    with pytest.raises(DataError, match="not of 'test_resnet'"):
        opened(vision, [None], tmp_path, model="test_resnet")
    state = load_file(vision)
    del state["conv_stem.weight"]
    save_file(state, tmp_path / "short.safetensors")
    with pytest.raises(DataError, match=r"has no 'conv_stem\.weight'"):
        opened(tmp_path / "short.safetensors", [None], tmp_path)
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read"):
        opened(tmp_path / "bad.safetensors", [None], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    ["test_resnet", "test_vit", "test_convnext", "test_mambaout", "test_nfnet", "test_maxvit", "mobilenetv3_small_050"],
)
def test_other_models_of_timm(model, pictures, tmp_path):
    import timm

    torch.manual_seed(1)
    network = timm.create_model(model, num_classes=0)
    save_file({n: v.contiguous() for n, v in network.state_dict().items()}, tmp_path / "w.safetensors")
    options = {"model": model, "size": preparation(network, None)["size"]}
    frozen = opened(tmp_path / "w.safetensors", pictures[:2], tmp_path / "f", **options)
    cut = opened(tmp_path / "w.safetensors", pictures[:2], tmp_path / "c", train=1, **options)
    made, wanted = (encoder._features(np.arange(2)).detach() for encoder in (cut, frozen))
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-4)
