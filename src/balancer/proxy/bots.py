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
