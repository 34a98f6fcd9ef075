"""Paths: what follows the address of the admin API."""

from collections.abc import Mapping
from typing import Any

import httpx

from balancer.domain.app import AppName


def app_part(name: str) -> str:
    """Return the name of an app as one part of a path. Raises InvalidName, in the words of the API."""
    return AppName(name)


def query_of(asked: Mapping[str, Any]) -> str:
    """Return what follows the path: all that is not None."""
    said = {name: value for name, value in asked.items() if value is not None}
    return f"?{httpx.QueryParams(said)}" if said else ""
