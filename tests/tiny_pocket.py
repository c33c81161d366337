"""A whole Pocket TTS model of its own architecture, but tiny and with random weights."""

from __future__ import annotations

from pathlib import Path

import yaml

WORDS = 120
TRANSFORMER = {"d_model": 32, "hidden_scale": 2, "max_period": 10000, "num_heads": 2, "num_layers": 1}


def make_model(folder: Path, seed: int = 0) -> Path:
    """A model's folder: tokenizer, configuration, and weights as the package itself lays them out."""
    import sentencepiece
    import torch
    from pocket_tts import TTSModel
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    lines = folder / "lines.txt"
    lines.write_text("\n".join(f"the quick brown fox {n} jumps over it; what, {n * 7}? yes!" for n in range(400)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(lines), model_prefix=str(folder / "tokenizer"), vocab_size=WORDS, minloglevel=2,
        hard_vocab_limit=False, character_coverage=1.0,
    )  # fmt: skip
    lines.unlink()
    (folder / "tokenizer.vocab").unlink()
    seanet = {
        "dimension": 16, "channels": 1, "n_filters": 4, "n_residual_layers": 1, "ratios": [6, 5, 4],
        "kernel_size": 7, "residual_kernel_size": 3, "last_kernel_size": 3, "dilation_base": 2,
        "pad_mode": "constant", "compress": 2,
    }  # fmt: skip
    codec = {
        "d_model": 16, "num_heads": 2, "num_layers": 1, "layer_scale": 0.01, "context": 50,
        "dim_feedforward": 32, "input_dimension": 16, "output_dimensions": [16],
    }  # fmt: skip
    size = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model")).vocab_size()
    config = {
        "flow_lm": {
            "insert_bos_before_voice": True, "dtype": "float32", "flow": {"depth": 1, "dim": 16},
            "transformer": TRANSFORMER,
            "lookup_table": {
                "dim": 32, "n_bins": size, "tokenizer": "sentencepiece",
                "tokenizer_path": str(folder / "tokenizer.model"),
            },
        },
        "mimi": {
            "dtype": "float32", "sample_rate": 24000, "inner_dim": 8, "outer_dim": 16, "channels": 1,
            "frame_rate": 12.5, "seanet": seanet, "transformer": codec,
            "quantizer": {"dimension": 8, "output_dimension": 16},
        },
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.manual_seed(seed)
    model = TTSModel.load_model(config=folder / "config.yaml")
    weights = {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    for name, value in weights.items():
        # As it comes, the projection of the voice is all zeros, and the sound is next to silence.
        if name.endswith("speaker_proj_weight"):
            weights[name] = torch.randn_like(value)
    save_file(weights, folder / "model.safetensors")
    return folder
