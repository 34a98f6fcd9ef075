"""The short way does in few rules what the long one does; that both do the same is tested in tests/contract."""

import re

from balancer.proxy.frontend import FRONTEND
from balancer.proxy.short_way import SHORT_WAY


def test_four_kinds_of_requests_leave_on_it() -> None:
    assert len(re.findall("^  http-request allow", SHORT_WAY, re.MULTILINE)) == 4


def test_a_head_request_is_no_exposure_and_begins_nothing() -> None:
    """METH_GET, as HAProxy means it, is HEAD as well."""
    (exposure,) = re.findall(r"set-var\(txn.exposed\) .*", SHORT_WAY)
    (begins,) = re.findall(r"set-var\(req.begins\) .*", SHORT_WAY)
    assert "{ method GET }" in exposure
    assert "{ method GET }" in begins


def test_the_long_way_forgets_what_the_short_way_has_found() -> None:
    """Names of the request that both ways set would be believed on the long one."""
    short = set(re.findall(r"set-var(?:-fmt)?\(([a-z.]+)\)", SHORT_WAY))
    long_way = FRONTEND.partition(SHORT_WAY.splitlines()[-1])[2]
    read = {name for name in short if name in long_way}
    forgotten = set(re.findall(r"unset-var\((txn\.(?:cookie|backend))\)\n", long_way))
    # Set only where the request then leaves, or only where it is set anew on the long way.
    with_the_last_rule = {
        "txn.exposed",
        "txn.about",
        "txn.split",
        "txn.gives",
        "txn.body",
        "req.device",
        "req.country",
        "req.first",
    }
    assert read - forgotten - with_the_last_rule == {"req.bucket", "req.place"}
