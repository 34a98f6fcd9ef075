"""Transactions of a registry that keeps some things encrypted."""

from collections.abc import Callable
from datetime import datetime

from cryptography.fernet import Fernet
from sqlalchemy import Engine

from balancer.store.transactions import Transactions


class Sealed(Transactions):
    """Work on a database with a key for what is encrypted in it."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime], cipher: Fernet) -> None:
        super().__init__(engine, clock)
        self._cipher = cipher
