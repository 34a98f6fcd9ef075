"""The command line: `balancer …`.

One module a noun; `output` alone knows how things look, `target` which daemon is meant.
"""

import os
import sys

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from balancer.cli.commands import app
from balancer.cli.output import fail
from balancer.errors import BalancerError, InvalidInput


def main() -> None:
    """Run a command; the second of the two edges that map the error tree."""
    try:
        app()
    except BalancerError as error:
        sys.exit(fail(error))
    except ValidationError as error:  # of a body that we were about to send: an option that is out of its range
        sys.exit(fail(InvalidInput("; ".join(_fault(each) for each in error.errors(include_url=False)))))
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed at the exit
        sys.exit(0)


def _fault(fault: ErrorDetails) -> str:
    """Return what is wrong with one field, by the name that its option has."""
    option = "-".join(map(str, fault["loc"])).replace("_", "-")
    return f"{option} {fault['input']}: {fault['msg'].lower()}"


__all__ = ["app", "main"]
