"""Thousands of runs of one experiment, in chunks, the same each time.

The dice of a chunk depend on the seed and its number only, so more runs begin with the same ones.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from simulations.looks import Flags

# 250 runs at a time, because 2,000 of 200 looks would take a gigabyte.
_CHUNK = 250


def repeated(once: Callable[[np.random.Generator, int], tuple[Any, ...]], *, runs: int, seed: int) -> tuple[Any, ...]:
    """Return the arrays that `once(rng, runs)` returns, of all `runs`, joined along the first axis."""
    sizes = [min(_CHUNK, runs - begun) for begun in range(0, runs, _CHUNK)]
    chunks = [once(np.random.default_rng([seed, number]), size) for number, size in enumerate(sizes)]
    return tuple(np.concatenate(each) for each in zip(*chunks, strict=True))


def ever(*flags: Flags) -> tuple[float, ...]:
    """Return the part of the runs, the first axis, in which each is true anywhere."""
    return tuple(float(each.reshape(len(each), -1).any(axis=1).mean()) for each in flags)
