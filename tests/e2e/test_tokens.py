"""Tokens with roles, by the commands, and sessions across the death of the daemon."""

from pathlib import Path

import httpx

from running import running


def test_somebody_is_given_a_token_that_looks_and_changes_nothing_until_it_is_taken_back(tmp_path: Path) -> None:
    with running(tmp_path) as platform:
        added = platform.command("tokens", "add", "ada", "--role", "reader")
        assert "ada may look at everything, and change nothing with this token" in added.stdout
        token = added.stdout.split()[-1]
        ada = ("--token", token)
        refused = platform.command(*ada, "apps", "create", "shop")
        assert refused.returncode == 11
        assert "this needs the role operator" in refused.stderr
        listed = platform.json("tokens", "list")
        assert isinstance(listed, list)
        assert [(each["name"], each["role"]) for each in listed] == [("ada", "reader"), ("operator", "operator")]
        assert all(each["used_at"] for each in listed)

        url = f"http://127.0.0.1:{platform.admin_port}"
        with httpx.Client(base_url=url, headers={"Origin": url}) as browser:
            browser.post("/sign-in", data={"token": token})
            platform.kill()
            platform.start()
            # Of somebody who is signed in more is asked; of nobody nothing.
            assert browser.post("/sign-out").status_code == 403
            assert platform.json("tokens", "remove", "ada") == {"removed": "ada"}
            assert browser.post("/sign-out").status_code == 303
        assert platform.command(*ada, "apps", "list").returncode == 5
        own = platform.command("tokens", "remove", "operator")
        assert own.returncode == 4
        assert "it stays" in own.stderr
        noted = platform.client.audit(None, None, 100)
        assert [each.summary for each in noted if each.what == "POST /api/tokens"] == ["name ada, role reader"]
        assert token not in str(noted)
