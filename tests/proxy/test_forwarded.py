"""Who is trusted decides about every line that tells an app of a client."""

from ipaddress import ip_network

from balancer.proxy.forwarded import claims, forwarded

ADDRESSES = [ip_network("192.0.2.7"), ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]


def test_without_trusted_proxies_no_rule_asks_who_it_is() -> None:
    rules = forwarded([]).splitlines()
    assert rules
    assert not [rule for rule in rules if " if " in rule or rule.lstrip().startswith("acl")]


def test_what_clients_say_is_dropped_before_we_say_it_again() -> None:
    kinds = ["del-header" if "del-header" in rule else "add-header" for rule in claims([]).splitlines()]
    assert kinds == ["del-header"] * 3 + ["add-header"] * 3
    assert claims(ADDRESSES) == "", "there the rules are for ordinary requests as well"


def test_trusted_is_who_connects_from_one_of_the_networks() -> None:
    assert "  acl trusted src 192.0.2.7/32 10.0.0.0/8 2001:db8::/32\n" in forwarded(ADDRESSES)


def test_what_is_dropped_of_everyone_is_dropped_of_those_who_are_not_trusted() -> None:
    def drops(rules: str, end: str) -> list[str]:
        return [line.removesuffix(end) for line in rules.splitlines() if "del-header" in line and line.endswith(end)]

    assert drops(forwarded(ADDRESSES), " if !trusted") == drops(claims([]), " if !plain")
