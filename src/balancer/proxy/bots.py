"""Who is no visitor, by the header User-Agent: crawlers, previews of links, monitors, libraries.

A kept list. Most name themselves by one of the words of `_WORDS`; `_NAMES` are those that do not. A word is added when
an edge log shows somebody who is counted and is no person. What keeps no cookies counts nowhere anyway, so the list is
for those that do.

Used by `render`, as one regular expression that HAProxy compiles.
"""

# Parts of names, whatever stands around them. Not the `ubot` of Cubot, which makes telephones.
_WORDS = (
    "(^|[^u])bots?([^a-z]|$)",
    "crawl",
    "spider",
    "slurp",
    "scrap[ei]",
    "archive[rd]",
    "monitor",
    "uptime",
    "healthcheck",
    "health-check",
    "preview",
    "validator",
    "headless",
    "phantomjs",
    "lighthouse",
    "pagespeed",
)
_NAMES = (
    # Probes of platforms and load balancers.
    "kube-probe",
    "googlehc",
    "elb-healthchecker",
    "consul health",
    "pingdom",
    "statuscake",
    "site24x7",
    "datadog",
    "newrelicpinger",
    "checkly",
    "blackbox",
    # Those that fetch a page to show a card of it, or to train on it.
    "facebookexternalhit",
    "facebot",
    "meta-external",
    "whatsapp",
    "embedly",
    "skypeuripreview",
    "google-read-aloud",
    "google-inspectiontool",
    "google-extended",
    "adsbot",
    "mediapartners-google",
    "feedfetcher",
    "bingpreview",
    "yandex[a-z]+/",
    "baiduspider",
    "duckduck",
    "gptbot",
    "chatgpt-user",
    "oai-search",
    "claude-",
    "perplexity",
    "ccbot",
    "bytespider",
    "amazonbot",
    "applebot",
    "semrush",
    "ahrefs",
    "majestic",
    "screaming frog",
    "ia_archiver",
    # Libraries and tools.
    "^curl/",
    "^wget/",
    "^python-",
    "^python/",
    "aiohttp/",
    "^httpx/",
    "^go-http-client",
    "^java/",
    "okhttp",
    "apache-httpclient",
    "^ruby",
    "^node-fetch",
    "^axios/",
    "^php/",
    "guzzle",
    "libwww",
    "lwp-",
    "^apachebench",
    "wrk/",
    "^hey/",
    "k6/",
)

BOTS = "(" + "|".join((*_WORDS, *_NAMES)) + ")"
"""Matches the User-Agent of a bot, in lower case. Extended regular expression, one group."""

_PLATFORMS = (
    r"Windows NT [0-9.]+(; Win64; x64|; WOW64)?",
    r"Macintosh; Intel Mac OS X [0-9._]+",
    r"X11; (Ubuntu; |Fedora; )?Linux (x86_64|i686|aarch64|armv7l)",
    r"X11; CrOS (x86_64|aarch64|armv7l) [0-9.]+",
    r"Linux; Android [0-9.]+; K",
    r"Android [0-9.]+; Mobile",
    r"iPhone; CPU iPhone OS [0-9_]+ like Mac OS X",
    r"iPad; CPU OS [0-9_]+ like Mac OS X",
)
_PRODUCTS = "Chrome|CriOS|FxiOS|Version|Mobile|Safari|Edg|EdgA|EdgiOS|OPR|SamsungBrowser"

BROWSERS = (
    rf"^Mozilla/5\.0 \(({'|'.join(_PLATFORMS)})(; rv:[0-9.]+)?\) (Gecko/[0-9.]+ Firefox/[0-9.]+"
    rf"|AppleWebKit/[0-9.]+ \(KHTML, like Gecko\)( Mobile| ({_PRODUCTS})/[0-9A-F.]+)+)$"
)
"""Matches the User-Agent of most browsers, as it is, and none that BOTS matches.

It is asked first, because BOTS looks for each of its words at each place: 40,000 instructions against 1,500.
"""
