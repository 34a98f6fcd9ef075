"""Columns of a query that is put together in parts. Used by both engines, for the figures of measures."""


class Columns:
    """Columns of a query, each expression once."""

    def __init__(self, letter: str) -> None:
        """Name them `letter` and their places, from 0."""
        self._letter = letter
        self._names: dict[str, str] = {}

    def named(self, expression: str) -> str:
        """Return the name of the column that is `expression`."""
        return self._names.setdefault(expression, f"{self._letter}{len(self._names)}")

    def place(self, expression: str) -> int:
        """Return which column is `expression`, from 0."""
        return int(self.named(expression).removeprefix(self._letter))

    def __str__(self) -> str:
        """Return what follows other columns of a SELECT."""
        return "".join(f", {expression} AS {name}" for expression, name in self._names.items())
