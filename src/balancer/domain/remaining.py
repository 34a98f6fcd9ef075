"""How much of a time is left, for people: in the largest unit that still tells two of them apart."""

import math

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def remaining(left: float, whole: float) -> str:
    """Return how many of these seconds are left, such as `12 min of 1 h are left`; never less than there are."""
    return f"{_lasting(left)} of {_lasting(whole)} are left"


def _lasting(seconds: float) -> str:
    for unit, length in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds > 2 * length or (seconds >= length and seconds % length == 0):
            return f"{math.ceil(seconds / length)} {unit}"
    return f"{math.ceil(seconds)} s"
