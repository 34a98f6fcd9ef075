"""What HAProxy answers by itself: our pages, and the script for pages that send events.

Used by `render`; the names are those of the files in HAProxy's directory.
"""

_STYLE = "font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;padding:0 1em;color:#222"


def _page(title: str, text: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>{title}</title><body style="{_STYLE}"><h1>{title}</h1><p>{text}</p></body></html>\n'
    )


def _response(status: str, body: str) -> str:
    """Return a whole HTTP response, as `errorfile` wants it."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/html", "Cache-Control: no-store", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body])


# One event a call: balancer.track("purchase", 19.99). The id makes a repetition harmless.
_SCRIPT = """\
(function () {
  "use strict";
  function id() {
    return Date.now().toString(36) + "-" + Math.random().toString(36).slice(2, 12);
  }
  window.balancer = {
    track: function (name, value) {
      var event = { name: name, id: id() };
      if (value !== undefined) event.value = value;
      var body = JSON.stringify(event);
      if (!(navigator.sendBeacon && navigator.sendBeacon("/_balancer/events", body)))
        fetch("/_balancer/events", { method: "POST", body: body, keepalive: true });
    }
  };
})();
"""

PAGES: dict[str, str] = {
    "pages/404.html": _page("Nothing here", "No app of this server answers on this address."),
    "pages/empty.html": _page(
        "Nothing is live yet", "The app is there, but no release of its default branch is live. Push one."
    ),
    "pages/502.http": _response("502 Bad Gateway", _page("A moment", "The app broke off its answer. Try again.")),
    "pages/503.http": _response("503 Service Unavailable", _page("A moment", "The app is not ready. Try again.")),
    "pages/504.http": _response(
        "504 Gateway Timeout", _page("A moment", "The app took too long to answer. Try again.")
    ),
    "pages/paused.html": _page("A moment", "This site is being worked on and will be back at once. Try again."),
    "pages/maintenance.html": _page("Back soon", "This site is being worked on. Please come back in a while."),
    "pages/stopped.html": _page("Not running", "This site has been switched off by those who run it."),
    "pages/balancer.js": _SCRIPT,
}
