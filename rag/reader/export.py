"""The trained network as an ONNX file: fused for ONNX Runtime, and quantised to 8-bit integers."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

from rag.reader.encoding import Batch
from rag.reader.features import EVIDENCE
from rag.reader.network import Network

INPUTS = Batch._fields
OUTPUTS = ("sentence_logits", "focus_logits")
OPSET = 17
KEPT_EXACT = ("sentence", "deep", "answers", "wide", "attention", "focus")
"""The heads stay in float32: they are small, and what they say is what is read."""


def export(network: Network, file: Path) -> None:
    """Write the network to `file` in float32, its operators fused."""
    network = network.eval().cpu()
    network.body.set_attn_implementation("eager")  # the form that ONNX Runtime knows how to fuse
    example = (
        torch.ones((2, 16), dtype=torch.int64),
        torch.zeros((2, 16), dtype=torch.int64),
        torch.ones((2, 16), dtype=torch.int64),
        torch.ones((2, 3, 16), dtype=torch.float32),
        torch.zeros((2, 3, len(EVIDENCE)), dtype=torch.float32),
    )
    axes = {name: {0: "n", 1: "n_tokens"} for name in INPUTS[:3]}
    axes |= {"sentences": {0: "n", 1: "n_sentences", 2: "n_tokens"}}
    axes |= {"evidence": {0: "n", 1: "n_sentences"}}
    axes |= {"sentence_logits": {0: "n", 1: "n_sentences"}, "focus_logits": {0: "n", 1: "n_tokens"}}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = Path(folder) / "raw.onnx"
        torch.onnx.export(
            network,
            example,
            str(raw),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        config = network.body.config
        fused = optimizer.optimize_model(
            str(raw),
            model_type="bert",
            num_heads=config.num_attention_heads,
            hidden_size=config.hidden_size,
            optimization_options=FusionOptions("bert"),
        )
        fused.save_model_to_file(str(file))


def quantise(source: Path, file: Path) -> None:
    """Write `source` with the weights of its matrix products and its embeddings as 8-bit integers.

    Weights have one scale for each output channel; activations are quantised as they come.
    """
    graph = onnx.load(source).graph
    exact = [
        node.name
        for node in graph.node
        if node.name.split("/")[1:2] and node.name.split("/")[1] in KEPT_EXACT
    ]
    quantize_dynamic(
        source,
        file,
        per_channel=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=exact,
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
    )
