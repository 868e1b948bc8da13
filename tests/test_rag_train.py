"""What the training command keeps between runs."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from rag.reader.examples import Example, Window
from rag.reader.features import EVIDENCE
from rag.reader.train import _as_text, _example


def test_an_example_survives_being_written_down() -> None:
    rows = np.random.default_rng(0).normal(size=(2, len(EVIDENCE))).astype(np.float16)
    window = Window(
        "Pets\nDogs bark. Cats purr.", ((5, 15), (16, 26)), (False, True), ((16, 20),), rows.tobytes()
    )
    example = Example("Who purrs?", "factoid", "toy", "pets.txt", True, (window, window))
    found = _example(json.loads(json.dumps(asdict(example), default=_as_text)))
    assert found == example
    assert np.array_equal(found.windows[0].to_read().evidence, rows.astype(np.float32))
