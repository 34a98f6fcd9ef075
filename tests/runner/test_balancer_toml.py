"""balancer.toml can say everything that a manifest has, and nothing else."""

from pathlib import Path

import pytest

from balancer.domain.app import ConfigKey, ConfigValue, Domain
from balancer.domain.event import EventSource
from balancer.domain.manifest import WEB, CronJob, Manifest, ProcessType, Source
from balancer.domain.metric import Better, Role
from balancer.domain.push_mode import INSTANT, parsed
from balancer.errors import InvalidManifest
from trees import Tree, read

WORKER = ProcessType("worker")
WHOLE = """
web = "gunicorn shop:app"
build = "make assets"
predeploy = "./check"
release = "python manage.py migrate"
postdeploy = "./tell-everyone"
domains = ["shop.example", "www.shop.example", "shop.example"]
timezone = "Europe/Vienna"
health_path = "/healthz"
slow_after = "800ms"
health_timeout_seconds = 2.5
drain_timeout_seconds = 20
instances = 3

[processes]
worker = "python work.py"

[formation]
worker = 2

[env]
GREETING = "hello"
DATABASE_URL = {required = true}
SECRET_KEY = {generator = "secret"}
COLOUR = {value = "red", description = "of the button"}
SENTRY = {required = false}

[[cron]]
schedule = "30 4 * * *"
command = "python report.py"

[[cron]]
schedule = "@daily"
command = "python clean.py"
"""


def test_every_key_of_a_manifest_has_its_place(tmp_path: Path) -> None:
    assert read(tmp_path, {"balancer.toml": WHOLE}) == Manifest(
        source=Source.MANIFEST,
        processes={WEB: "gunicorn shop:app", WORKER: "python work.py"},
        build="make assets",
        predeploy="./check",
        release="python manage.py migrate",
        postdeploy="./tell-everyone",
        env={ConfigKey("GREETING"): ConfigValue("hello"), ConfigKey("COLOUR"): ConfigValue("red")},
        required=(ConfigKey("DATABASE_URL"),),
        secrets=(ConfigKey("SECRET_KEY"),),
        formation={WEB: 3, WORKER: 2},
        cron=(
            CronJob(schedule="30 4 * * *", command="python report.py"),
            CronJob(schedule="0 0 * * *", command="python clean.py"),
        ),
        domains=(Domain("shop.example"), Domain("www.shop.example")),
        timezone="Europe/Vienna",
        health_path="/healthz",
        health_timeout_seconds=2.5,
        drain_timeout_seconds=20,
        slow_after_milliseconds=800,
    )


METRICS = """
web = "serve"

[metrics.revenue]
kind = "sum"
event = "purchase"
window = "7d"
cap = 500
sources = ["header"]

[metrics.purchases_a_visit]
kind = "ratio"
numerator = "purchase"
denominator = "visit"
counts = true

[metrics.checkout]
kind = "funnel"
steps = ["cart", "address", "purchase"]

[metrics.errors]
kind = "converted"
event = "$error"
better = "lower"
guardrail = true
"""


def test_metrics_stand_in_tables_of_their_own(tmp_path: Path) -> None:
    found = {str(metric.name): metric for metric in read(tmp_path, {"balancer.toml": METRICS}).metrics}
    assert list(found) == ["checkout", "errors", "purchases_a_visit", "revenue"]
    revenue, ratio = found["revenue"], found["purchases_a_visit"]
    assert (revenue.window_seconds, revenue.cap, revenue.sources) == (7 * 86_400, 500, (EventSource.HEADER,))
    assert (ratio.events, ratio.counts, ratio.window_seconds) == (("purchase", "visit"), True, 72 * 3600)
    assert found["checkout"].events == ("cart", "address", "purchase")
    assert (found["errors"].better, found["errors"].role) == (Better.LOWER, Role.GUARDRAIL)


def test_its_processes_may_be_named_all_in_one_table(tmp_path: Path) -> None:
    text = '[processes]\nweb = "serve"\nworker = "work"\n[formation]\nweb = 2\nworker = 0\n'
    found = read(tmp_path, {"balancer.toml": text})
    assert (found.processes, found.formation) == ({WEB: "serve", WORKER: "work"}, {WEB: 2, WORKER: 0})


def test_workers_run_beside_a_directory_that_is_served(tmp_path: Path) -> None:
    found = read(tmp_path, {"balancer.toml": 'static = "public"\n[processes]\nworker = "work"\n'})
    assert found.types == (WEB, WORKER)


def test_a_procfile_beside_it_counts_whole_or_not_at_all(tmp_path: Path) -> None:
    procfile = {"Procfile": "web: serve\nworker: work\nrelease: migrate\n"}
    found = read(tmp_path, {**procfile, "balancer.toml": 'instances = 2\nrelease = "ours"\n'})
    assert (found.processes, found.release) == ({WEB: "serve", WORKER: "work"}, "ours")
    found = read(tmp_path, {**procfile, "balancer.toml": 'web = "other"\n'})
    assert (found.processes, found.release) == ({WEB: "other"}, None)


WRONG = {
    "a process twice": ('web = "x"\n[processes]\nweb = "y"', r"`web` stands in \[processes\], too"),
    "a number twice": ('web = "x"\ninstances = 1\n[formation]\nweb = 2', r"`instances` is the number of web"),
    "a number of what is not there": ('web = "x"\n[formation]\nwroker = 2', "no process 'wroker'"),
    "a process that is none": ('web = "x"\n[processes]\nrelease = "y"', "`release` is no process"),
    "a process that cannot be called so": ('web = "x"\n[processes]\n"a b" = "y"', "'a b' is no name for a process"),
    "a process without a command": ('web = "x"\n[processes]\nworker = ""', 'worker = "" must be a text'),
    "a number that is none": ('web = "x"\n[formation]\nweb = "2"', 'formation: web = "2" must be a whole number'),
    "a table that is none": ('web = "x"\nenv = 5', "env = 5 must be a table of names and values"),
    "a config var that is no text": ('web = "x"\n[env]\nDEBUG = true', "DEBUG = true must be a text; put it in quotes"),
    "a config var of no name": ('web = "x"\n[env]\n"a-b" = "c"', "'a-b' is no name for a config var"),
    "a slip beside a config var": (
        'web = "x"\n[env]\nKEY = {requierd = true}',
        "env: KEY: nothing is called 'requierd'; did you mean 'required'",
    ),
    "cron entries that are no list": ('web = "x"\n[cron]\nschedule = "x"', "cron must be a list of tables"),
    "a cron entry without a command": ('web = "x"\n[[cron]]\nschedule = "* * * * *"', "must have a `schedule` and a"),
    "a cron entry with a slip": ('web = "x"\n[[cron]]\nshedule = "x"', "'shedule'; did you mean 'schedule'"),
    "a schedule that does not parse": (
        'web = "x"\n[[cron]]\nschedule = "61 * * * *"\ncommand = "x"',
        r"cron\[0\]: the schedule '61 \* \* \* \*' does not parse \(Bad minute\): minute, hour",
    ),
    "a schedule with seconds": ('web = "x"\n[[cron]]\nschedule = "* * * * * *"\ncommand = "x"', "write five fields"),
    "a schedule that never comes": (
        'web = "x"\n[[cron]]\nschedule = "0 0 */20 * 1L"\ncommand = "x"',
        r"never comes",
    ),
    "a metric with a slip": (
        'web = "x"\n[metrics.m]\nkind = "sum"\nevnt = "purchase"',
        r"balancer.toml: metrics: m: nothing is called 'evnt'; did you mean 'event'",
    ),
    "a metric of no kind": ('web = "x"\n[metrics.m]\nevent = "a"', "metrics: m: it has no `kind`: there are converted"),
    "a metric with a window that is none": (
        'web = "x"\n[metrics.m]\nkind = "sum"\nevent = "a"\nwindow = "3 days"',
        "metrics: m: window: '3 days' is no duration: write 90s",
    ),
    "a metric that is no table": ('web = "x"\n[metrics]\nm = "sum"', 'metrics: m = "sum" must be a table'),
    "a metric that cannot be called so": (
        'web = "x"\n[metrics."a b"]\nkind = "sum"\nevent = "a"',
        "metrics: a b: 'a b' is no name for a metric",
    ),
    "an endless drain": ('web = "x"\ndrain_timeout_seconds = 4000', "a drain timeout of 4000 s"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_hold_is_named(what: str, tmp_path: Path) -> None:
    text, why = WRONG[what]
    tree: Tree = {"balancer.toml": text}
    with pytest.raises(InvalidManifest, match=why):
        read(tmp_path, tree)


def test_app_json_beside_it_counts_for_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, {"balancer.toml": 'web = "x"', "app.json": "no JSON"}).processes == {WEB: "x"}


def test_a_time_zone_that_is_none_refuses_the_tree(tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match=r"timezone: no time zone is called 'Europe/Wien'"):
        read(tmp_path, {"balancer.toml": 'web = "serve"\ntimezone = "Europe/Wien"\n'})


def test_what_a_push_does_is_a_word_or_a_table(tmp_path: Path) -> None:
    assert read(tmp_path, {"balancer.toml": 'web = "x"\n'}).rollout == INSTANT
    word = read(tmp_path, {"balancer.toml": 'web = "x"\nrollout = "canary"\n'})
    table = read(tmp_path, {"balancer.toml": 'web = "x"\n[rollout]\nmode = "canary"\nstep_time = "2m"\n'})
    assert word.rollout == table.rollout == parsed("canary")
    with pytest.raises(InvalidManifest, match=r'^balancer.toml: rollout: mode = "blue": there are none, canary'):
        read(tmp_path, {"balancer.toml": 'web = "x"\nrollout = "blue"\n'})
    with pytest.raises(InvalidManifest, match=r"^balancer.toml: rollout: non-inferiority is shown by a metric"):
        read(tmp_path, {"balancer.toml": 'web = "x"\n[rollout]\nmode = "canary"\ngoal = "non-inferiority"\n'})
