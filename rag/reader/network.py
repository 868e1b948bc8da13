"""The reader's network in PyTorch, for training and export. Answering runs the exported ONNX file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, AutoConfig, AutoModel
from transformers.masking_utils import eager_mask

from rag.reader.encoding import PASSAGE, QUESTION, TOKEN_TYPES
from rag.reader.features import EVIDENCE

CUT_OFF = -30.0
"""Logit of a sentence that has no tokens."""

LARGEST = 4.0
"""Standard deviations: evidence further from the mean says no more."""

ATTENTION = "half_precision"


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **_: object,
) -> tuple[Tensor, Tensor]:
    """Attention in the precision of its inputs; the library's own widens its weights on the way."""
    scores = (query * scaling) @ key.transpose(2, 3)
    if attention_mask is not None:
        scores = scores + attention_mask.to(scores.dtype)
    weights = torch.softmax(scores, dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, eager_mask)


class Dropout(nn.Module):
    """Dropout with one mask for all tokens of a passage (Gal and Ghahramani 2016, arXiv:1512.05287): as many
    random numbers as a state has dimensions, where a mask for each token would take a third of a step.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator = np.random.default_rng(0)

    def forward(self, states: Tensor) -> Tensor:
        """states: (n, n_tokens, n_dimensions), some dimensions of each passage zero while training."""
        if not self.training or not self.share:
            return states
        n, _, dimensions = states.shape
        kept = self.generator.random((n, 1, dimensions), dtype=np.float32) >= self.share
        return states * torch.from_numpy(kept / np.float32(1.0 - self.share)).to(states)


class Network(nn.Module):
    """A MiniLM body over question and passage, with a logit for every sentence and two for every token.

    A sentence is the mean of its token states, their attention-weighted mean, and the state of the first
    token, which sees the question and all of the passage. What retrieval knows of it joins them in the hidden
    layer and beside it ("wide and deep", Cheng et al. 2016, arXiv:1606.07792).
    """

    def __init__(self, body_folder: Path, dropout: float = 0.0) -> None:
        super().__init__()
        config = AutoConfig.from_pretrained(
            body_folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )
        self.body = AutoModel.from_pretrained(
            body_folder, config=config, attn_implementation=ATTENTION, add_pooling_layer=False
        )
        self._widen_types()
        self._drop(dropout)
        size = config.hidden_size
        self.attention = nn.Linear(size, 1)
        self.sentence = nn.Linear(3 * size, size)
        self.deep = nn.Linear(len(EVIDENCE), size, bias=False)
        self.answers = nn.Sequential(nn.GELU(), nn.Linear(size, 1))
        self.wide = nn.Linear(len(EVIDENCE), 1, bias=False)
        self.focus = nn.Linear(size, 2)
        self.register_buffer("mean", torch.zeros(len(EVIDENCE)))
        self.register_buffer("scale", torch.ones(len(EVIDENCE)))
        self.mean: Tensor
        self.scale: Tensor

    def _widen_types(self) -> None:
        """Four token types where the body knows two; a matching token begins as a plain one."""
        embeddings = self.body.embeddings
        old = embeddings.token_type_embeddings.weight.data
        wide = nn.Embedding(TOKEN_TYPES, old.shape[1])
        for kind in range(TOKEN_TYPES):
            wide.weight.data[kind] = old[(QUESTION, PASSAGE)[kind % 2]]
        embeddings.token_type_embeddings = wide

    def _drop(self, share: float) -> None:
        layers = self.body.encoder.layer
        outputs = [output for layer in layers for output in (layer.attention.output, layer.output)]
        for module in [self.body.embeddings, *outputs]:
            module.dropout = Dropout(share)

    def drop_by(self, generator: np.random.Generator) -> None:
        """Draw the masks of dropout from this generator."""
        for module in self.modules():
            if isinstance(module, Dropout):
                module.generator = generator

    def forward(
        self, ids: Tensor, types: Tensor, mask: Tensor, sentences: Tensor, evidence: Tensor
    ) -> tuple[Tensor, Tensor]:
        """ids, types, mask: (n, n_tokens) int64; sentences: (n, n_sentences, n_tokens) float32;
        evidence: (n, n_sentences, n_evidence) float32.

        Returns sentence logits (n, n_sentences) and focus logits (n, n_tokens, 2): start and end.
        """
        states = self.body(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state
        states = states.to(evidence.dtype)  # the body may compute in bfloat16
        count = sentences.sum(dim=2, keepdim=True)
        mean = sentences @ states / count.clamp(min=1.0)
        weights = self.attention(states).transpose(1, 2) + (sentences - 1.0) * 10_000.0
        attended = torch.softmax(weights, dim=2) @ states
        first = states[:, :1].expand(-1, sentences.shape[1], -1)
        known = ((evidence - self.mean) / self.scale).clamp(-LARGEST, LARGEST)
        hidden = self.sentence(torch.cat([mean, attended, first], dim=2)) + self.deep(known)
        logits = (self.answers(hidden) + self.wide(known)).squeeze(2)
        return torch.where(count.squeeze(2) > 0, logits, CUT_OFF), self.focus(states)
