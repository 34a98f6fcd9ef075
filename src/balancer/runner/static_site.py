"""The server of a static site: `python -m balancer.runner.static_site DIRECTORY`, on PORT.

Started by the supervisor for releases whose manifest says `static`; never serves what begins with a dot.
"""

import os
import sys
from pathlib import PurePosixPath

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# 75 s, longer than any proxy in front keeps an idle connection: never is one closed while a request is on its way.
_KEEP_ALIVE_SECONDS = 75


class Site(StaticFiles):
    """The files of a directory, without `.git`, `.env` and the like."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer one request."""
        hidden = any(part.startswith(".") and part != ".well-known" for part in PurePosixPath(path).parts)
        if hidden and path != ".":
            raise HTTPException(status_code=404)
        return await super().get_response(path, scope)


def main(directory: str, port: int) -> None:
    """Serve `directory` on the loopback until told to stop."""
    app = Starlette(routes=[Mount("/", Site(directory=directory, html=True))])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=_KEEP_ALIVE_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], int(os.environ["PORT"]))
