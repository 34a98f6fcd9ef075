"""The command line: `balancer …`.

One module a noun; `output` alone knows how things look, `target` which daemon is meant.
"""

import sys

from balancer.cli.commands import app
from balancer.cli.output import fail
from balancer.errors import BalancerError


def main() -> None:
    """Run a command; the second of the two edges that map the error tree."""
    try:
        app()
    except BalancerError as error:
        sys.exit(fail(error))
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(0)


__all__ = ["app", "main"]
