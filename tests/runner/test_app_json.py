"""app.json adds to a Procfile what Heroku and dokku let it say."""

import json
from pathlib import Path
from typing import Any

import pytest

from balancer.domain.manifest import WEB, CronJob, Manifest
from balancer.errors import InvalidManifest
from trees import read

# As in the documentation of Heroku, with what dokku adds.
WHOLE = {
    "name": "Small Sharp Tool",
    "keywords": ["productivity"],
    "addons": ["openredis"],
    "buildpacks": [{"url": "heroku/ruby"}],
    "scripts": {
        "postdeploy": "rake bootstrap",
        "dokku": {"predeploy": "touch built", "postdeploy": "curl example.com"},
    },
    "env": {
        "GREETING": "hello",
        "SECRET_TOKEN": {"description": "For signed cookies.", "generator": "secret"},
        "WEB_CONCURRENCY": {"description": "Processes.", "value": "5"},
        "DATABASE_URL": {"description": "Where the data is."},
        "API_KEY": {"required": True},
        "SENTRY_DSN": {"required": False},
    },
    "formation": {"web": {"quantity": 2, "size": "standard-1x"}, "worker": {"quantity": 0}, "clock": {"size": "x"}},
    "healthchecks": {
        "web": [
            {"type": "liveness", "path": "/alive"},
            {"type": "startup", "name": "no request", "uptime": 5},
            {"type": "startup", "path": "/up", "attempts": 4, "timeout": 2, "wait": 1, "initialDelay": 3},
        ]
    },
    "cron": [{"command": "clean", "schedule": "@weekly"}],
}
PROCFILE = "web: serve\nworker: work\nclock: tick\n"


def read_with(directory: Path, said: Any) -> Manifest:
    return read(directory, {"Procfile": PROCFILE, "app.json": json.dumps(said)})


def test_what_fits_is_taken_and_the_rest_passed_over(tmp_path: Path) -> None:
    found = read_with(tmp_path, WHOLE)
    assert (found.predeploy, found.postdeploy, found.first_deploy) == (
        "touch built",
        "curl example.com",
        "rake bootstrap",
    )
    assert dict(found.env) == {"GREETING": "hello", "WEB_CONCURRENCY": "5"}
    assert (found.required, found.secrets) == (("DATABASE_URL", "API_KEY"), ("SECRET_TOKEN",))
    assert found.counts({}) == {WEB: 2, "worker": 0, "clock": 1}
    assert (found.health_path, found.health_timeout_seconds) == ("/up", 15)
    assert found.cron == (CronJob(schedule="0 0 * * 0", command="clean"),)


def test_a_check_that_says_only_where_keeps_the_time_limit(tmp_path: Path) -> None:
    found = read_with(tmp_path, {"healthchecks": {"web": [{"path": "/up"}]}})
    assert (found.health_path, found.health_timeout_seconds) == ("/up", 60)


@pytest.mark.parametrize(
    "tree",
    [
        {"package.json": '{"scripts": {"start": "node ."}}'},
        {"requirements.txt": "", "app.py": ""},
        {"index.html": ""},
    ],
)
def test_it_goes_with_whatever_says_how_to_serve(tree: dict[str, str], tmp_path: Path) -> None:
    assert read(tmp_path, {**tree, "app.json": '{"formation": {"web": {"quantity": 3}}}'}).formation == {WEB: 3}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "app.json must hold an object"),
        ({"env": []}, r"app.json: env = \[\] must be a table"),
        ({"env": {"A": 5}}, "app.json: env: A = 5 must be a text"),
        ({"formation": {"wroker": {"quantity": 1}}}, "no process 'wroker'"),
        ({"formation": {"web": {"quantity": "1"}}}, 'formation: web: quantity = "1" must be a whole number'),
        ({"cron": [{"schedule": "daily", "command": "x"}]}, "the schedule 'daily' does not parse"),
        ({"healthchecks": {"web": {"path": "/"}}}, "web must be a list of tables"),
        ({"scripts": {"predeploy": 5}}, "scripts: predeploy = 5 must be a text"),
    ],
)
def test_what_does_not_hold_is_named(said: Any, why: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidManifest, match=why):
        read_with(tmp_path, said)
