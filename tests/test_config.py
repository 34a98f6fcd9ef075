"""Settings come from flags, the environment, one file and defaults, in this order; nothing unknown is ignored."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from balancer.config import Settings, default_file, load
from balancer.errors import InvalidSetting


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings."""
    for name in [name for name in os.environ if name.startswith(("BALANCER_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(path: Path, text: str) -> Path:
    """Write a settings file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_without_settings_there_are_defaults(home: Path) -> None:
    found = load({})
    assert found == Settings(data_dir=home / ".local" / "share" / "balancer")
    assert (found.host, found.port, found.admin_host, found.admin_port) == ("", 8080, "127.0.0.1", 9090)
    assert (found.domain, found.instance_port_range) == ("localhost", (20000, 29999))


def test_flags_win_over_the_environment_over_the_file_over_defaults(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(home / "b.toml", 'port = 1\nadmin_port = 1\nkeep_releases = 1\nhaproxy = "mine"\n')
    monkeypatch.setenv("BALANCER_PORT", "2")
    monkeypatch.setenv("BALANCER_ADMIN_PORT", "2")
    found = load({"port": 3, "admin_port": None, "host": None}, file=file)
    assert (found.port, found.admin_port, found.keep_releases, found.haproxy) == (3, 2, 1, "mine")


def test_trusted_proxies_are_a_list_in_the_file_and_have_commas_in_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = tuple(map(ip_network, ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")))
    file = write(home / "b.toml", 'trusted_proxies = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]')
    assert load({}, file=file).trusted_proxies == networks
    monkeypatch.setenv("BALANCER_TRUSTED_PROXIES", "::1")
    assert load({}, file=file).trusted_proxies == (ip_network("::1"),)
    monkeypatch.setenv("BALANCER_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.7, 2001:db8::/32")
    assert load({}).trusted_proxies == networks
    assert Settings(data_dir=home).trusted_proxies == ()


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALANCER_PORT", "")
    assert load({}).port == 8080


def test_the_file_is_looked_for_where_settings_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_file() == home / ".config" / "balancer" / "config.toml"
    write(default_file(), "port = 81\n")
    assert load({}).port == 81
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    assert load({}).port == 8080
    write(home / "xdg" / "balancer" / "config.toml", "port = 82\n")
    assert load({}).port == 82
    monkeypatch.setenv("BALANCER_CONFIG", str(write(home / "named.toml", "port = 83\n")))
    assert load({}).port == 83
    assert load({}, file=write(home / "flag.toml", "port = 84\n")).port == 84


def test_a_file_that_was_named_must_be_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSetting, match=r"the settings file .*none\.toml is not there"):
        load({}, file=home / "none.toml")
    monkeypatch.setenv("BALANCER_CONFIG", str(home / "none.toml"))
    with pytest.raises(InvalidSetting, match="is not there"):
        load({})


def test_data_are_kept_where_data_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "xdg"))
    assert load({}).data_dir == home / "xdg" / "balancer"
    monkeypatch.setenv("BALANCER_DATA_DIR", "~/here")
    assert load({}).data_dir == home / "here"
    monkeypatch.chdir(home)
    assert load({"data_dir": Path("there")}).data_dir == home / "there"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("prot = 80", "no setting is called 'prot'; did you mean 'port'?"),
        ("xyzzy = 1", "no setting is called 'xyzzy'; there are admin_host, admin_port, authorized_keys,"),
        ("[site]\nport = 80", "no setting is called 'site'"),
        ("port = ", "cannot be read"),
        ('port = "http"', "port = 'http': "),
        ("port = true", "port = True: int is needed"),
        ("port = 80.5", r"port = 80\.5: int is needed"),
        ("port = 70000", "port = 70000: ports go from 0 to 65535"),
        ("admin_port = -1", "admin_port = -1: ports go"),
        ("host = 5", "host = 5: str is needed"),
        ("data_dir = 5", "data_dir = 5: Path is needed"),
        ('domain = "Shop.example"', "domain = 'Shop.example': 'Shop.example' is no domain"),
        ("domain = 5", "domain = 5: Domain is needed"),
        ('instance_ports = "5"', "instance_ports = '5': write FIRST-LAST"),
        ('instance_ports = "a-b"', "instance_ports = 'a-b': write FIRST-LAST"),
        ('instance_ports = "²⁰⁰⁰⁰-29999"', "write FIRST-LAST"),
        ('instance_ports = "80-90"', "within 1024-65535"),
        ('instance_ports = "30000-20000"', "within 1024-65535"),
        ('instance_ports = "20000-70000"', "within 1024-65535"),
        ("build_timeout_seconds = 0", "at least 1 is needed"),
        ("build_memory_mb = 10", "at least 64 is needed"),
        ("builds_at_once = -1", "a number of builds is needed, or 0"),
        ("keep_releases = 0", "at least 1 is needed"),
        ("trusted_proxies = 5", r"trusted_proxies = 5: a list of addresses and networks is needed, such as \["),
        ("trusted_proxies = [5]", "a list of addresses and networks is needed"),
        ('trusted_proxies = ["proxy.example"]', "'proxy.example' does not appear to be an IPv4 or IPv6 network"),
        ('trusted_proxies = ["10.0.0.1/8"]', r"10\.0\.0\.1/8 has host bits set"),
        ('trusted_proxies = ["10.0.0.0/33"]', r"'10\.0\.0\.0/33' does not appear to be"),
        ('trusted_proxies = [""]', "'' does not appear to be"),
    ],
)
def test_what_cannot_be_is_refused_and_named(text: str, why: str, home: Path) -> None:
    with pytest.raises(InvalidSetting, match=why):
        load({}, file=write(home / "b.toml", text))


def test_a_file_that_is_no_file_or_no_text_is_refused(home: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be read"):
        load({}, file=home)
    (home / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSetting, match="cannot be read"):
        load({}, file=home / "b.toml")


def test_what_cannot_be_is_refused_wherever_it_comes_from(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSetting, match="port = 'x'"):
        load({"port": "x"})
    monkeypatch.setenv("BALANCER_PORT", "x")
    with pytest.raises(InvalidSetting, match="port = 'x'"):
        load({})
    with pytest.raises(InvalidSetting, match="ports go from"):
        Settings(data_dir=home, port=-1)


def test_a_time_zone_is_one_that_is_known_and_few_days_are_not_kept(home: Path) -> None:
    assert load({"timezone": "Europe/Vienna"}).timezone == "Europe/Vienna"
    with pytest.raises(InvalidSetting, match="no time zone is called"):
        load({"timezone": "Vienna"})
    assert load({"retention_days": 8}).retention_days == 8
    for days in (-1, 7):
        with pytest.raises(InvalidSetting, match="at least 8"):
            load({"retention_days": days})
