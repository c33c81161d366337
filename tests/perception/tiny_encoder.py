"""A picture encoder of nothing but random weights, for any language model.

Of Gemma 3's kind, which needs no special tokens of the model; SmolVLM's (idefics3) needs some.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

EDGE_PX, PATCH_PX, WIDTH, INNER, MERGED = 32, 8, 16, 32, 2


def write_encoder(path: Path, model_width: int, kind: str = "gemma3") -> None:
    """An mmproj file for a model whose embeddings have `model_width` numbers: 4 tokens a picture of 32 pixels."""
    gguf = pytest.importorskip("gguf")
    rng = np.random.default_rng(3)
    writer = gguf.GGUFWriter(path, "clip")
    writer.add_string("clip.projector_type", kind)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_bool("clip.use_gelu", True)
    for name, value in (
        ("image_size", EDGE_PX), ("patch_size", PATCH_PX), ("embedding_length", WIDTH), ("feed_forward_length", INNER),
        ("block_count", 1), ("attention.head_count", 2), ("projection_dim", model_width),
        ("projector.scale_factor", MERGED), ("preproc_image_size", EDGE_PX),
    ):  # fmt: skip
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    shapes = {
        "v.patch_embd.weight": (WIDTH, 3, PATCH_PX, PATCH_PX),
        "v.patch_embd.bias": (WIDTH,),
        "v.position_embd.weight": ((EDGE_PX // PATCH_PX) ** 2, WIDTH),
        "v.blk.0.ffn_up.weight": (INNER, WIDTH),
        "v.blk.0.ffn_up.bias": (INNER,),
        "v.blk.0.ffn_down.weight": (WIDTH, INNER),
        "v.blk.0.ffn_down.bias": (WIDTH,),
    }
    if kind == "gemma3":
        shapes |= {"mm.input_projection.weight": (WIDTH, model_width), "mm.soft_emb_norm.weight": (WIDTH,)}
    else:
        shapes |= {"mm.model.fc.weight": (model_width, WIDTH * MERGED**2)}
    shapes |= {f"v.blk.0.attn_{part}.weight": (WIDTH, WIDTH) for part in ("q", "k", "v", "out")}
    shapes |= {f"v.blk.0.attn_{part}.bias": (WIDTH,) for part in ("q", "k", "v", "out")}
    shapes |= {
        f"v.{n}.{k}": (WIDTH,) for n in ("blk.0.ln1", "blk.0.ln2", "post_ln") for k in ("weight", "bias")
    }
    for name, shape in shapes.items():
        writer.add_tensor(name, rng.normal(0, 0.1, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
