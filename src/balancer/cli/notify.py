"""`balancer notify`: who is told of what has happened."""

from typing import Annotated

import typer

from balancer.cli import output
from balancer.cli.target import AsJson, connect
from balancer.domain.target import TargetKind
from balancer.wire.targets import NewTarget

app = typer.Typer(name="notify", help="Who is told: webhooks, Slack, e-mail.", no_args_is_help=True)
TargetArgument = Annotated[int, typer.Argument(metavar="TARGET", help="Its number in the list.", show_default=False)]


@app.command()
def add(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="https://…, http://…, or ops@example.com.", show_default=False)
    ],
    events: Annotated[
        list[str] | None, typer.Option(help="What to tell of, such as deploy.failed,split.verdict; may be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option("--app", metavar="APP", help="Only of this app.")] = None,
    kind: Annotated[TargetKind | None, typer.Option(help="How to tell, where the address does not show it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell somebody from now on. Example: [bold]balancer notify add https://ops.example/hook --app shop[/]."""
    chosen = [event.strip() for text in events or () for event in text.split(",")]
    with connect() as client:
        added = client.add_target(NewTarget(address=address, kind=kind, events=chosen, app=name))
    if as_json:
        output.print_json(added)
        return
    output.plain(f"{added.address} is told from now on, as target {added.id}; try it: balancer notify test {added.id}")
    if added.secret:
        output.plain(f"Its calls are signed with this secret, which is not shown again: {added.secret}")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List who is told, and how it goes with them. Example: [bold]balancer notify list[/]."""
    with connect() as client:
        found = client.targets()
    if as_json:
        output.print_json(found)
    elif not found:
        output.plain("Nobody is told; begin with: balancer notify add https://ops.example/hook")
    else:
        rows = [
            (
                each.id,
                each.kind,
                output.escaped(each.address),
                ", ".join(each.events) or "everything",
                each.app or "all",
                each.waiting,
                output.ago(each.delivered_at) or "never",
                output.escaped(each.failure or ""),
            )
            for each in found
        ]
        output.table("Target>", "Kind", "Address", "Of", "App", "Waiting>", "Took one", "Failure", rows=rows)


@app.command("test")
def try_(target: TargetArgument, as_json: AsJson = False) -> None:
    """Send a notice that says only that it arrives. Example: [bold]balancer notify test 1[/]."""
    with connect() as client:
        client.test_target(target)
    if as_json:
        output.print_json({"delivered": target})
    else:
        output.plain(f"The target {target} has taken it.")


@app.command()
def remove(target: TargetArgument, as_json: AsJson = False) -> None:
    """Tell somebody no longer. Example: [bold]balancer notify remove 1[/]."""
    with connect() as client:
        client.remove_target(target)
    if as_json:
        output.print_json({"removed": target})
    else:
        output.plain(f"The target {target} is told no longer.")
