"""The command line: `balancer …`.

One module a noun; `output` alone knows how things look, `target` which daemon is meant.
"""

import gc
import sys
from typing import Any

from balancer.cli.commands import gathered
from balancer.cli.output import fail
from balancer.errors import BalancerError, InvalidInput


def main() -> None:
    """Run a command; the second of the two edges that map the error tree."""
    try:
        gc.disable()  # loading leaves no garbage, and to look for some takes a tenth of the time that it takes
        command = gathered(*sys.argv[1:2])
        gc.enable()
        command()
    except BalancerError as error:
        sys.exit(fail(error))
    except ValueError as error:
        # Of a body that we were about to send: an option that is out of its range. Known by its method, so that what
        # sends nothing need not load Pydantic.
        if not hasattr(error, "errors"):
            raise
        sys.exit(fail(InvalidInput("; ".join(_fault(each) for each in error.errors(include_url=False)))))
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        sys.exit(0)


def _fault(fault: dict[str, Any]) -> str:
    """Return what is wrong with one field, by the name that its option has."""
    option = "-".join(map(str, fault["loc"])).replace("_", "-")
    return f"{option} {fault['input']}: {fault['msg'].lower()}"


__all__ = ["gathered", "main"]
