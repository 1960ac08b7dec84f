"""Small language models with random weights, and texts."""

import torch

from lifelong.core.torchvision_bridge import ensure_torchvision

ensure_torchvision()

WORDS = [
    "milk",
    "bread",
    "soft",
    "white",
    "dark",
    "rye",
    "sweet",
    "red",
    "wine",
    "apple",
    "pie",
    "frozen",
    "pizza",
    "cheese",
]
WORDS += ["large", "small", "organic", "juice", "of", "the"]
TEXTS = [
    "Soft white bread",
    "dark rye bread",
    None,
    "soft white bread",
    "organic apple juice of the large sweet red apple of the small dark pie of the frozen cheese",
    "Soft white bread",
    "",
    "pizza",
    "frozen pizza with cheese, large, and red wine",
    "sweet red wine",
    "   ",
    "sweet apple pie",
]
"""0, 3 and 5 are one text for a tokenizer that lowers case, and two for us: 0 and 5 the same."""


def language(folder, kind, **options):
    """A model of two blocks and its tokenizer in a folder."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: i for i, word in enumerate([*special, ",", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    if kind != "gpt2":
        tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    pad = {} if kind == "gpt2" else {"pad_token": "[PAD]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", **pad).save_pretrained(folder)
    torch.manual_seed(11)
    AutoModel.from_config(_config(kind, len(vocabulary), **options)).save_pretrained(folder)
    return folder


def _config(kind, words, **options):
    import transformers as t

    bert = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "vocab_size": words,
    }
    bert |= {"max_position_embeddings": 64, "initializer_range": 0.2}
    return {
        "bert": lambda: t.BertConfig(**bert, **options),
        "roberta": lambda: t.RobertaConfig(**bert, pad_token_id=0, **options),
        "distilbert": lambda: t.DistilBertConfig(
            dim=32, n_layers=3, n_heads=2, hidden_dim=48, vocab_size=words, max_position_embeddings=64, initializer_range=0.2
        ),
        "opt": lambda: t.OPTConfig(
            **{k: v for k, v in bert.items() if k not in ("intermediate_size", "initializer_range")},
            ffn_dim=48, word_embed_proj_dim=32, pad_token_id=0, init_std=0.2,
        ),
        "gpt2": lambda: t.GPT2Config(
            n_embd=32, n_layer=3, n_head=2, vocab_size=words, n_positions=64, initializer_range=0.2
        ),
        "modernbert": lambda: t.ModernBertConfig(
            **bert, pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3, local_attention=8
        ),
    }[kind]()  # fmt: skip
