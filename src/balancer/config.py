"""The settings of the platform: from flags, the environment, one TOML file, and defaults, in this order.

Invariants:
    * An unknown key is an error, never ignored.
    * A setting has one name: `data_dir` in the file, BALANCER_DATA_DIR in the environment, --data-dir as a flag.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from balancer.domain.app import Domain
from balancer.domain.calendar import TimeZone
from balancer.domain.ledger_url import LedgerUrl
from balancer.domain.smtp_url import SmtpUrl
from balancer.domain.target import is_mailbox
from balancer.errors import InvalidName, InvalidSetting

_PREFIX = "BALANCER_"
_FILE_VARIABLE = "BALANCER_CONFIG"
# 64 MB: with less neither npm nor uv even begins.
_LEAST_BUILD_MEMORY_MB = 64
# 8 days: for 7 an event's id is looked for among those that came, so that a repetition counts once.
_LEAST_RETENTION_DAYS = 8
_LOCALHOST = Domain("localhost")
_UTC = TimeZone("UTC")
_Networks = tuple[IPv4Network | IPv6Network, ...]


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "balancer"


def default_file() -> Path:
    """Return where the settings file is looked for when none is named; it need not be there."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "balancer" / "config.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything about one platform that may differ from another."""

    data_dir: Path
    """Where the platform keeps everything it must remember."""
    host: str = ""
    """Address of the site; empty: all."""
    port: int = 8080
    """Port of the site; 0: one that is free."""
    admin_host: str = "127.0.0.1"
    """Address of the admin API."""
    admin_port: int = 9090
    """Port of the admin API; 0: one that is free."""
    domain: Domain = _LOCALHOST
    """Each app answers on `<app>.<domain>`, each branch on `<branch>--<app>.<domain>`."""
    trusted_proxies: _Networks = ()
    """Networks of the proxies that are believed what they say of their clients, by X-Forwarded headers."""
    haproxy: str = "haproxy"
    """Name or path of HAProxy."""
    instance_ports: str = "20000-29999"
    """Ports that instances are given, below the range the system gives out itself."""
    build_timeout_seconds: int = 900
    """How long a build, and a release command, may take."""
    build_memory_mb: int = 2048
    """How much memory a build may have; without control groups, each of its processes."""
    builds_at_once: int = 0
    """How many builds may go on at once; 0: as many as the machine has cores."""
    keep_releases: int = 5
    """How many releases of a branch that were live before are kept to go back to."""
    standby_seconds: int = 900
    """How long what served before a switch stays warm: to go back to, and for files that pages still ask for."""
    authorized_keys: Path = field(default_factory=lambda: Path("~/.ssh/authorized_keys").expanduser())
    """The file of sshd that keys which may push are written to."""
    stop_grace_seconds: int = 30
    """How long an instance may take to end after SIGTERM, before SIGKILL."""
    probe_seconds: int = 10
    """How often each live web instance is asked whether it still answers."""
    timezone: TimeZone = _UTC
    """IANA name of the zone in which the days of an app begin that does not name one."""
    ledger_url: str = field(default="", repr=False)
    """The ClickHouse server or cluster that keeps the ledger; empty: a DuckDB file in the data directory."""
    retention_days: int = 0
    """How many whole days events and exposures are kept; 0: for good."""
    smtp_url: str = field(default="", repr=False)
    """The server that e-mail is given to, `smtp://user:password@host:587`; empty: nobody is told by e-mail."""
    smtp_from: str = "balancer@localhost"
    """The address that e-mail comes from."""

    def __post_init__(self) -> None:
        for name in ("port", "admin_port"):
            value = getattr(self, name)
            if not 0 <= value <= 65535:
                raise InvalidSetting(f"{name} = {value}: ports go from 0 to 65535")
        first, last = self.instance_port_range
        if not 1024 <= first <= last <= 65535:
            raise InvalidSetting(f"instance_ports = {self.instance_ports!r}: write FIRST-LAST within 1024-65535")
        if self.build_timeout_seconds < 1:
            raise InvalidSetting(f"build_timeout_seconds = {self.build_timeout_seconds}: at least 1 is needed")
        if self.build_memory_mb < _LEAST_BUILD_MEMORY_MB:
            raise InvalidSetting(
                f"build_memory_mb = {self.build_memory_mb}: at least {_LEAST_BUILD_MEMORY_MB} is needed"
            )
        if self.builds_at_once < 0:
            raise InvalidSetting(f"builds_at_once = {self.builds_at_once}: a number of builds is needed, or 0")
        try:
            if self.ledger_url:
                LedgerUrl.parse(self.ledger_url)
        except InvalidName as reason:  # whose message has no password, which the setting may have
            raise InvalidSetting(f"ledger_url: {reason}") from reason
        if self.retention_days != 0 and self.retention_days < _LEAST_RETENTION_DAYS:
            raise InvalidSetting(
                f"retention_days = {self.retention_days}: at least {_LEAST_RETENTION_DAYS} are needed, or 0 to keep all"
            )
        try:
            if self.smtp_url:
                SmtpUrl.parse(self.smtp_url)
        except InvalidName as reason:  # whose message has no password, which the setting may have
            raise InvalidSetting(f"smtp_url: {reason}") from reason
        if not is_mailbox(self.smtp_from):
            raise InvalidSetting(f"smtp_from = {self.smtp_from!r}: an address such as balancer@host.example is needed")
        for name in ("keep_releases", "stop_grace_seconds", "probe_seconds", "standby_seconds"):
            if getattr(self, name) < 1:
                raise InvalidSetting(f"{name} = {getattr(self, name)}: at least 1 is needed")

    @property
    def token_file(self) -> Path:
        """Where the operator's token is kept, for commands on the same machine."""
        return self.data_dir / "operator.token"

    @property
    def instance_port_range(self) -> tuple[int, int]:
        """The first and the last port for instances. Raises InvalidSetting."""
        first, dash, last = self.instance_ports.partition("-")
        if not (dash and first.strip().isdecimal() and last.strip().isdecimal()):
            raise InvalidSetting(f"instance_ports = {self.instance_ports!r}: write FIRST-LAST, such as 20000-29999")
        return int(first), int(last)


def load(flags: Mapping[str, object], *, file: Path | None = None) -> Settings:
    """Return the settings; `flags` are those given on the command line, None where not given.

    `file` must be there if it is named, here or by BALANCER_CONFIG. Raises InvalidSetting.
    """
    named = file or (Path(os.environ[_FILE_VARIABLE]) if os.environ.get(_FILE_VARIABLE) else None)
    values: dict[str, object] = {"data_dir": _default_data_dir()}
    values |= _from_file(named or default_file(), must_exist=named is not None)
    values |= _from_environment()
    values |= {key: value for key, value in flags.items() if value is not None}
    return Settings(**{key: _parsed(key, value) for key, value in values.items()})  # type: ignore[arg-type]


def _from_file(path: Path, *, must_exist: bool) -> dict[str, object]:
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        if must_exist:
            raise InvalidSetting(f"the settings file {path} is not there") from None
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as reason:
        raise InvalidSetting(f"the settings file {path} cannot be read: {reason}") from reason
    for key in values:
        if key not in _KINDS:
            close = difflib.get_close_matches(key, _KINDS, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(_KINDS))}"
            raise InvalidSetting(f"{path}: no setting is called {key!r}; {hint}")
    return values


def _from_environment() -> dict[str, object]:
    names = {_PREFIX + key.upper(): key for key in _KINDS}
    return {key: os.environ[name] for name, key in names.items() if os.environ.get(name)}


def _parsed(key: str, value: object) -> object:
    kind = _KINDS[key]
    try:
        if kind is int and not isinstance(value, bool | float):
            return int(str(value))
        if kind is Path and isinstance(value, str | Path):
            return Path(value).expanduser().absolute()
        if kind is Domain and isinstance(value, str):
            return Domain(value)
        if kind is TimeZone and isinstance(value, str):
            return TimeZone(value)
        if kind is _Networks:
            return _networks(value)
        if kind is str and isinstance(value, str):
            return value
    except (ValueError, InvalidName) as reason:
        raise InvalidSetting(f"{key} = {value!r}: {reason}") from reason
    raise InvalidSetting(f"{key} = {value!r}: {kind.__name__} is needed")


def _networks(value: object) -> _Networks:
    """Return the networks of a list, or of a text with commas, as the environment has it. Raises ValueError."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not (isinstance(value, list) and all(isinstance(part, str) for part in value)):
        raise ValueError('a list of addresses and networks is needed, such as ["192.0.2.7", "2001:db8::/32"]')
    return tuple(ip_network(part) for part in value)


_KINDS: dict[str, type] = {field.name: field.type for field in fields(Settings)}  # type: ignore[misc]
