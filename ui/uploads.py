"""The body of a request that is a document: bounded in size, and kept out of memory where it is large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from tempfile import SpooledTemporaryFile
from typing import IO

from index.library import too_large

KEPT_IN_MEMORY = 2**20
"""Bytes of an upload; the rest of a larger one waits in a temporary file."""


async def spooled(name: str, chunks: AsyncIterable[bytes], limit: int) -> IO[bytes]:
    """A body, in memory while it is small. One that is too large is heard out, not kept: else who sends it
    never reads why it is refused. Raises DocumentTooLargeError."""
    kept: IO[bytes] = SpooledTemporaryFile(KEPT_IN_MEMORY)  # noqa: SIM115 - who reads it closes it
    size = 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size <= limit:
                await asyncio.to_thread(kept.write, chunk) if size > KEPT_IN_MEMORY else kept.write(chunk)
        if size > limit:
            raise too_large(name, size, limit)
    except BaseException:
        kept.close()
        raise
    kept.seek(0)
    return kept
