"""Which sentences can't stand alone."""

from __future__ import annotations

import re

_POINTS_BACK = re.compile(
    r"""[“"'(\[]*(?:
        this|that|these|those|it|its|it’s|it's|he|she|they|his|her|their|him|them|such|both|neither|either|
        but|and|or|then|instead|otherwise|however|therefore|thus|hence|yet|so|here|there|nor|also|
        another|(?:the\ )?(?:other|others|former|latter|first|second|third|rest|same)|one\ of\ them
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


def leans(text: str, start: int = 0) -> bool:
    """Whether the sentence at `start` begins with a word that points back to what stands before it."""
    return _POINTS_BACK.match(text, start) is not None
