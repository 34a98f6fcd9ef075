"""Pipes to and from processes; ours, because asyncio waits for the end of its own as it does for the process.

Invariant: what this process holds of a pipe is closed when the block ends. The other end is closed by who starts the
process.
"""

import asyncio
import contextlib
import os
from asyncio.streams import FlowControlMixin
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def reading() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """Give a reader, and the descriptor that a process writes to."""
    read_end, write_end = os.pipe()
    output = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output), os.fdopen(read_end, "rb", buffering=0)
    )
    try:
        yield output, write_end
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def writing() -> AsyncIterator[tuple[asyncio.StreamWriter, int]]:
    """Give a writer, and the descriptor that a process reads from."""
    read_end, write_end = os.pipe()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(FlowControlMixin, os.fdopen(write_end, "wb", buffering=0))
    try:
        yield asyncio.StreamWriter(transport, protocol, None, loop), read_end
    finally:
        transport.close()
