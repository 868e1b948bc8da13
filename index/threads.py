"""How many CPU threads whatever computes may use: one count, so that libraries don't crowd each other."""

from __future__ import annotations

import os

MOST = 4
"""More threads make a short question no faster."""


def thread_count(wanted: int = 0) -> int:
    """The number wanted; for 0 one for each core, up to `MOST`."""
    return wanted or min(MOST, os.cpu_count() or 1)


def use_threads(count: int) -> None:
    """Give PyTorch and the tokenizers this many. ONNX Runtime gets its own with each session."""
    import torch

    torch.set_num_threads(count)
    os.environ.setdefault("RAYON_NUM_THREADS", str(count))  # read when the first batch is tokenized
