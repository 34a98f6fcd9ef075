"""Apps, their domains and their branches in the registry."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from balancer.domain.app import App, AppName, Domain
from balancer.errors import AppExists, AppNotFound, DomainTaken, InvalidName
from registries import BLOG, MASTER, SHOP, TEST, World, open_world

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_a_new_app_has_no_domains_and_the_default_branch_it_was_given(world: World) -> None:
    app = await world.registry.create_app(BLOG, TEST)
    assert app == App(name=BLOG, default_branch=TEST, domains=(), created_at=world.clock.now)
    assert await world.registry.app(BLOG) == app


async def test_apps_come_by_name(world: World) -> None:
    for name in ("zoo", "ant"):
        await world.registry.create_app(AppName(name), None)
    assert [app.name for app in await world.registry.apps()] == ["ant", "shop", "zoo"]


async def test_a_name_is_taken_once(world: World) -> None:
    with pytest.raises(AppExists):
        await world.registry.create_app(SHOP, None)


async def test_an_app_that_is_not_there_is_said_to_be_missing(world: World) -> None:
    with pytest.raises(AppNotFound):
        await world.registry.app(BLOG)


async def test_the_first_branch_to_go_live_becomes_the_default_branch(world: World) -> None:
    await world.push("test")
    await world.push("master")
    assert (await world.registry.app(SHOP)).default_branch == TEST


async def test_a_default_branch_that_was_chosen_stays(world: World) -> None:
    await world.registry.create_app(BLOG, MASTER)
    await world.push("test", app=BLOG, domains=["test.example"])
    app = await world.registry.app(BLOG)
    assert (app.default_branch, app.domains) == (MASTER, ())


async def test_the_domains_of_the_default_branch_replace_those_before_in_their_order(world: World) -> None:
    await world.push(domains=["old.example", "kept.example"])
    await world.push(domains=["www.example", "kept.example", "a.example", "www.example"])
    app = await world.registry.app(SHOP)
    assert app.domains == ("www.example", "kept.example", "a.example")
    assert await world.registry.apps() == (app,)
    assert all(isinstance(domain, Domain) for domain in app.domains)


async def test_a_default_branch_without_domains_gives_them_back(world: World) -> None:
    await world.push(domains=["shop.example"])
    await world.push(domains=[])
    assert (await world.registry.app(SHOP)).domains == ()
    await world.registry.create_app(BLOG, None)
    await world.push(app=BLOG, domains=["shop.example"])
    assert (await world.registry.app(BLOG)).domains == ("shop.example",)


async def test_domains_of_other_branches_are_not_the_apps(world: World) -> None:
    await world.push("master", domains=["shop.example"])
    await world.push("test", domains=["test.example"])
    assert (await world.registry.app(SHOP)).domains == ("shop.example",)


async def test_a_domain_of_another_app_keeps_the_release_from_going_live_and_changes_nothing(
    world: World,
) -> None:
    await world.registry.create_app(BLOG, None)
    await world.push(app=BLOG, domains=["blog.example"])
    await world.push("master", domains=["shop.example"])
    release = await world.start("master", domains=["new.example", "blog.example"])
    before = await world.registry.snapshot()
    with pytest.raises(DomainTaken, match=r"blog\.example belongs to the app 'blog'"):
        await world.registry.activate(release.id)
    assert await world.registry.snapshot() == before


async def test_a_branch_whose_address_is_another_branchs_is_refused(world: World) -> None:
    first = await world.build("feat/x")
    with pytest.raises(InvalidName, match="same address as the branch feat/x"):
        await world.build(first.branch.slug)
    assert (await world.build("feat/x")).number == 2
    await world.registry.create_app(BLOG, None)
    assert (await world.build(first.branch.slug, app=BLOG)).number == 1
