"""Events: sent in batches, by servers."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from balancer.api.platform import On
from balancer.domain.app import AppName
from balancer.domain.sent_body import Form
from balancer.errors import BodyUnsupported
from balancer.wire.events import AcceptedBody, SentEventBody

router = APIRouter()
_EVENT = SentEventBody.model_json_schema()
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            Form.JSON.value: {"schema": {"type": "array", "items": _EVENT}},
            Form.LINES.value: {"schema": _EVENT},
        },
    }
}
_PLAIN, _GZIPPED = ("", "identity"), ("gzip", "x-gzip")


@router.post("/apps/{app}/events", status_code=202, response_model=AcceptedBody, openapi_extra=_BODY)
async def send_events(on: On, app: str, request: Request) -> Response:
    """Take in a batch of events, and answer when they are on the disk."""
    form, gzipped = _form(request), _is_gzipped(request)
    checked = await on.acceptance.accept(AppName(app), request.stream(), form, gzipped=gzipped)
    # Not as models: of ten thousand refusals they take longer than all the rest.
    answer = {"accepted": len(checked.events), "refused": checked.refused}
    return Response(msgspec.json.encode(answer), 202, media_type="application/json")


def _form(request: Request) -> Form:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        return Form(said)
    except ValueError:
        raise BodyUnsupported(
            f"the Content-Type {said[:60]!r} is not taken; send a list as {Form.JSON.value}, or an object a line as "
            f"{Form.LINES.value}"
        ) from None


def _is_gzipped(request: Request) -> bool:
    said = request.headers.get("content-encoding", "").strip().lower()
    if said not in (*_PLAIN, *_GZIPPED):
        raise BodyUnsupported(f"the Content-Encoding {said[:60]!r} is not taken; send gzip, or leave it away")
    return said in _GZIPPED
