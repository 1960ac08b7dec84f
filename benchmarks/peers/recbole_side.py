"""What the RecBole scripts share: its options, its data on disk, the protocol's scores from one of its models."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed

from benchmarks.protocol import LENGTH, Interactions, Scores, splits_folder

SIZES = {
    "SASRec": {"n_layers": 2, "n_heads": 2, "hidden_size": 64},
    "GRU4Rec": {"embedding_size": 64, "hidden_size": 64, "num_layers": 1},
    "NextItNet": {"embedding_size": 64, "block_num": 2},
    "BPR": {},
}
"""The sizes of the reference runs; everything else is RecBole's default (Adam, lr 1e-3, cross-entropy over all items)."""


def options(model: str, folder: Path, **more: Any) -> dict[str, Any]:
    """RecBole's options: leave one out, full ranking, one target per window of 50."""
    base = {
        "data_path": str(folder),
        "use_gpu": False,
        "reproducibility": True,
        "state": "WARNING",
        "show_progress": False,
        "train_neg_sample_args": None,
        "loss_type": "CE",
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "MAX_ITEM_LIST_LENGTH": LENGTH,
        "checkpoint_dir": str(Path(tempfile.gettempdir()) / "recbole-checkpoints"),
    }
    return {**base, **SIZES[model], **more}


def write_inter(data: Interactions) -> Path:
    """RecBole's own file of the protocol's events, made once; the position is its time. Returns the folder for data_path."""
    path = splits_folder() / "recbole" / data.name / f"{data.name}.inter"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        with open(partial, "w", encoding="ascii") as file:
            file.write("user_id:token\titem_id:token\ttimestamp:float\n")
            for user in range(1, data.users + 1):
                items = data.items_E[data.offsets_U1[user - 1] : data.offsets_U1[user]].tolist()
                file.write("".join(f"{user}\t{item}\t{place}\n" for place, item in enumerate(items)))
        os.replace(partial, path)
    return path.parent.parent


def made(model: str, name: str, folder: Path, seed: int, **more: Any) -> tuple[Any, Any, Any, Any]:
    """(dataset, training batches, model, trainer) of RecBole, with its anomaly detection off.

    recbole/model/sequential_recommender/sine.py turns torch's anomaly detection on for every sequential model at import; an
    epoch takes twice as long with it. Off is the stronger rival.
    """
    config = Config(model=model, dataset=name, config_dict=options(model, folder, seed=seed, **more))
    init_seed(seed, True)
    dataset = create_dataset(config)
    train, _, _ = data_preparation(config, dataset)
    init_seed(seed, True)
    net = get_model(model)(config, train._dataset)
    torch.autograd.set_detect_anomaly(False)
    return dataset, train, net, get_trainer(config["MODEL_TYPE"], model)(config, net)


def scores_of(net: Any, dataset: Any, data: Interactions) -> Scores:
    """The model's scores of all items, by the protocol's numbers."""
    tokens = dataset.field2token_id["item_id"]
    number_I1 = np.array([0] + [tokens[str(item)] for item in range(1, data.item_count + 1)])

    def score(users_B: np.ndarray, histories: list[np.ndarray]) -> np.ndarray:
        window_BL, length_B = np.zeros((len(users_B), LENGTH), np.int64), np.zeros(len(users_B), np.int64)
        for row, history in enumerate(histories):
            latest = number_I1[history[-LENGTH:]]
            window_BL[row, : len(latest)], length_B[row] = latest, len(latest)
        asked = {"item_id_list": window_BL, "item_length": length_B, "user_id": users_B.astype(np.int64)}
        with torch.no_grad():
            answer = net.full_sort_predict(Interaction({k: torch.from_numpy(v) for k, v in asked.items()}))
        return answer.view(len(users_B), -1).numpy()[:, number_I1]

    return score
