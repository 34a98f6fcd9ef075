"""`balancer serve`, `balancer ledger`, `balancer status`: the platform itself."""

import gc
import shlex
from pathlib import Path
from typing import Annotated

import typer

from balancer import config, logs
from balancer.cli import output
from balancer.cli.target import AsJson, connect
from balancer.config import Settings
from balancer.wire.status import FULL_BYTES, LOW_BYTES


def serve(
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything is kept.", show_default="~/.local/share/balancer")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the site.", show_default="8080")] = None,
    host: Annotated[str | None, typer.Option(help="Address of the site.", show_default="all")] = None,
    admin_port: Annotated[int | None, typer.Option(help="Port of the admin API.", show_default="9090")] = None,
    admin_host: Annotated[str | None, typer.Option(help="Address of the admin API.", show_default="127.0.0.1")] = None,
    domain: Annotated[
        str | None, typer.Option(help="Each app answers on APP.DOMAIN.", show_default="localhost")
    ] = None,
    haproxy: Annotated[str | None, typer.Option(help="Name or path of HAProxy.", show_default="haproxy")] = None,
    instance_ports: Annotated[
        str | None, typer.Option(help="Ports for instances, FIRST-LAST.", show_default="20000-29999")
    ] = None,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", help="Settings file (TOML).", show_default="~/.config/balancer/config.toml, if there"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the platform, until Ctrl-C or SIGTERM; then requests in flight finish and everything stops.

    The log goes to standard error, one JSON object a line. Example: [bold]balancer serve --port 80[/]
    """
    flags = {
        "data_dir": data_dir,
        "port": port,
        "host": host,
        "admin_port": admin_port,
        "admin_host": admin_host,
        "domain": domain,
        "haproxy": haproxy,
        "instance_ports": instance_ports,
    }
    settings = config.load(flags, file=config_file)
    # Only here: it brings half of the platform in, and the other commands should be quick. What is loaded is no
    # garbage, and nobody shall look through it again for some.
    gc.disable()
    from balancer import daemon

    gc.freeze()
    gc.enable()
    logs.start()

    def announce(site: str, admin: str) -> None:
        if as_json:
            output.print_json({"site": site, "admin": admin})
            return
        output.say(f"[bold]Site[/]       {site}   (each app on http://APP.{site.removeprefix('http://')})")
        output.say(f"[bold]Admin API[/]  {admin}/docs")
        output.say("[bold]Next[/]       in another terminal (Ctrl-C here stops everything):")
        for line in (*_exports(settings), "balancer apps create shop"):
            output.plain(f"           {line}")

    daemon.serve(settings, announce)


def _exports(settings: Settings) -> list[str]:
    """Return what the commands in another terminal have to be told, where this daemon is not the usual one."""
    usual = config.load({})
    found = {
        "BALANCER_DATA_DIR": (settings.data_dir, usual.data_dir),
        "BALANCER_ADMIN_HOST": (settings.admin_host, usual.admin_host),
        "BALANCER_ADMIN_PORT": (settings.admin_port, usual.admin_port),
    }
    return [f"export {name}={shlex.quote(str(ours))}" for name, (ours, theirs) in found.items() if ours != theirs]


def ledger(data_dir: Annotated[Path, typer.Argument(help="The data directory of a daemon.")]) -> None:
    """Run the ledger alone; the daemon does this by itself."""
    from balancer import ledgerd

    logs.start()
    ledgerd.run(data_dir, config.load({}).ledger_url)


def status(as_json: AsJson = False) -> None:
    """Tell how the platform is. Example: [bold]balancer status --json[/]."""
    with connect() as client:
        found = client.status()
    if as_json:
        output.print_json(found)
        return
    output.plain(f"Balancer {found.version}, pid {found.pid}, site {found.site}")
    apps = "1 app" if found.apps == 1 else f"{found.apps} apps"
    output.plain(f"{apps}, {found.running} of {found.instances} instances running")
    for each in found.crashing:
        output.say(f"[red]{output.escaped(each)} ends again and again[/]; `balancer logs` and `balancer ps` say more")
    output.plain(f"ledger: {found.ledger}")
    if found.lost_lines:
        lines = "1 line" if found.lost_lines == 1 else f"{found.lost_lines} lines"
        output.say(
            f"[bold red]{lines} of the edge log lost[/] so far, because the disk was full or did not keep up: reports "
            "lack what visitors did then"
        )
    room = f"{found.free_bytes / 1e9:.1f} GB free on the disk of the data directory"
    if found.free_bytes < FULL_BYTES:
        output.say(
            f"[bold red]{room}: it is full[/]: pushes fail and what visitors do is not recorded; what serves goes on"
        )
    elif found.free_bytes < LOW_BYTES:
        output.say(f"[bold red]{room}[/]: builds and pushes will fail; what serves goes on")
    else:
        output.plain(room)
    if found.proxy is None:
        output.say(
            "[bold red]HAProxy does not answer[/]; it is started again by itself, and its own words are in "
            "haproxy/haproxy.log in the data directory"
        )
        return
    again = f", started again {found.proxy.restarts} times" if found.proxy.restarts else ""
    loaded = output.ago(found.proxy.loaded_at)
    output.plain(f"HAProxy {found.proxy.version}, worker {found.proxy.worker}, loaded {loaded}{again}")
