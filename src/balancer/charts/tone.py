"""What a difference means for the app, told by the shape of its mark and by a word, and by its colour too."""

from enum import Enum


class Tone(Enum):
    """How a comparison is to be read; anything but `OPEN` only where its interval leaves 0 out."""

    GOOD = "good"
    BAD = "bad"
    OPEN = "open"

    @property
    def word(self) -> str:
        """The tone for who sees no colour."""
        return {"good": "better", "bad": "worse", "open": "no difference shown yet"}[self.value]
