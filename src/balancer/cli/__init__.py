"""The command line: `balancer …`.

One module a noun; `output` alone knows how things look, `target` which daemon is meant.
"""

import gc
import sys

from balancer.cli.commands import gathered
from balancer.cli.output import fail
from balancer.errors import BalancerError


def main() -> None:
    """Run a command; the second of the two edges that map the error tree."""
    try:
        gc.disable()  # loading leaves no garbage, and to look for some takes a tenth of the time that it takes
        command = gathered(*sys.argv[1:2])
        gc.enable()
        command()
    except BalancerError as error:
        sys.exit(fail(error))
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(0)


__all__ = ["gathered", "main"]
