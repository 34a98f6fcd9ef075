"""Pushes over ssh: a real sshd, real git, real keys."""

import getpass
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import reserved
from browsing import Browser
from running import Repository, Running, app_files, running
from waiting import until

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin")
pytestmark = pytest.mark.skipif(SSHD is None, reason="this machine has no sshd (apt-get install openssh-server)")
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host_key
PidFile {directory}/sshd.pid
AuthorizedKeysFile {directory}/authorized_keys
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
"""


@dataclass(frozen=True)
class Ssh:
    """A platform, and an sshd that reads its keys."""

    platform: Running
    port: int

    @property
    def directory(self) -> Path:
        return self.platform.directory

    def key(self, name: str) -> Path:
        """Make a key."""
        path = self.directory / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        return path

    def command(self, key: Path) -> str:
        """Return how git is to call ssh."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "BatchMode=yes")
        return " ".join(["ssh", "-F", "none", "-q", "-i", str(key), *(f"-o {each}" for each in options)])

    def create(self, app: str, key: Path) -> Repository:
        """Create an app, and a repository whose remote it is by ssh."""
        repository = self.platform.create(app)
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}/{app}.git"
        repository.git("remote", "set-url", "balancer", url)
        repository.git("config", "core.sshCommand", self.command(key))
        return repository


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ssh]:
    directory = tmp_path_factory.mktemp("ssh")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with running(directory) as platform:
        (port,) = reserved.ports(1)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / "host_key"], check=True)
        (directory / "sshd_config").write_text(CONFIG.format(port=port, directory=directory))
        log = directory / "sshd.log"
        assert SSHD is not None
        sshd = subprocess.Popen([SSHD, "-D", "-f", directory / "sshd_config", "-E", log])
        try:
            until(lambda: log.exists() and "Server listening" in log.read_text(), 30)
            yield Ssh(platform, port)
        finally:
            sshd.send_signal(signal.SIGTERM)
            sshd.wait(10)


@pytest.fixture(scope="module")
def ada(ssh: Ssh) -> Path:
    """A key that may push."""
    key = ssh.key("ada")
    done = ssh.platform.command("keys", "add", "ada@laptop", f"{key}.pub")
    assert done.returncode == 0, done.stderr
    return key


def test_a_push_over_ssh_is_live_and_shows_how_it_goes(ssh: Ssh, ada: Path) -> None:
    repository = ssh.create("shop", ada)
    pushed = repository.commit(app_files("one"))
    shown = repository.push("master").stderr
    assert "remote: -----> Building shop master: " in shown
    assert "remote: -----> Live" in shown
    assert Browser(ssh.platform.port, "shop.localhost").get().body == "one -"
    assert repository.git("ls-remote", "balancer", "master").stdout.startswith(pushed)
    repository.git("fetch", "balancer")
    (push, *_) = ssh.platform.client.audit("shop", None, 10)
    assert (push.who, push.what, push.outcome) == ("key ada@laptop", "git push", "done")
    assert push.summary == f"ref master, commit {pushed[:10]}"


def test_a_push_that_does_not_go_live_is_refused_over_ssh_too(ssh: Ssh, ada: Path) -> None:
    repository = ssh.create("careful", ada)
    repository.deploy("good")
    live = ssh.platform.client.releases("careful")[0].commit
    repository.commit({"Procfile": "web: echo no table; exit 3\n"})
    refused = repository.push("master", check=False)
    assert refused.returncode != 0
    assert "exited with status 3 before it was healthy" in refused.stderr
    assert repository.git("ls-remote", "balancer", "master").stdout.startswith(live)
    repository.deploy("better", "test")
    repository.push(":test")
    assert Browser(ssh.platform.port, "careful.localhost").get().body == "good -"


def test_a_push_that_is_broken_off_leaves_the_old_or_the_new_and_no_lock(ssh: Ssh, ada: Path) -> None:
    repository = ssh.create("broken", ada)
    repository.deploy("one")
    marker = ssh.directory / "building"
    repository.commit({"Procfile": f"release: touch {marker}; sleep 100\nweb: x\n"})
    push = subprocess.Popen(
        ["git", "push", "balancer", "master"],
        cwd=repository.directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until(marker.exists, 30)
    os.killpg(push.pid, signal.SIGINT)
    push.wait(30)
    until(lambda: ssh.platform.client.releases("broken")[0].state == "failed", 30)
    assert Browser(ssh.platform.port, "broken.localhost").get().body == "one -"
    repository.deploy("two")
    assert Browser(ssh.platform.port, "broken.localhost").get().body == "two -"


def test_a_key_can_do_nothing_but_git(ssh: Ssh, ada: Path) -> None:
    repository = ssh.create("closed", ada)
    repository.deploy("one")
    for asked in (
        "sh -c id",
        "",
        "git-receive-pack '../secret'",
        "git-receive-pack '/etc/x.git'",
        "git-upload-pack 'closed.git' --upload-pack=id",
        "git-upload-archive 'closed.git'",
        "git-receive-pack 'closed.git'; id",
    ):
        words = [*ssh.command(ada).split(), "-p", str(ssh.port), f"{getpass.getuser()}@127.0.0.1"]
        done = subprocess.run(
            [*words, asked], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 2, asked
        assert "uid=" not in done.stdout
    none = repository.git(
        "ls-remote",
        repository.git("remote", "get-url", "balancer").stdout.strip().replace("closed", "none"),
        check=False,
    )
    assert none.returncode != 0
    assert "no app is called 'none'" in none.stderr


def test_a_key_that_is_not_there_or_was_removed_cannot_push(ssh: Ssh, ada: Path) -> None:
    stranger = ssh.key("stranger")
    repository = ssh.create("locked", stranger)
    repository.commit(app_files("one"))
    assert repository.push("master", check=False).returncode != 0
    assert ssh.platform.command("keys", "add", "stranger", f"{stranger}.pub").returncode == 0
    repository.push("master")
    again = ssh.platform.command("keys", "add", "other", f"{stranger}.pub")
    assert again.returncode == 4
    assert "this key is there already, as 'stranger'" in again.stderr
    listed = ssh.platform.json("keys", "list")
    assert isinstance(listed, list)
    assert [each["name"] for each in listed] == ["ada@laptop", "stranger"]
    assert ssh.platform.command("keys", "remove", "stranger").returncode == 0
    assert ssh.platform.command("keys", "remove", "stranger").returncode == 3
    repository.commit(app_files("two"))
    assert repository.push("master", check=False).returncode != 0
    assert Browser(ssh.platform.port, "locked.localhost").get().body == "one -"


def test_keys_are_there_again_after_a_start_of_the_platform(ssh: Ssh, ada: Path) -> None:
    repository = ssh.create("later", ada)
    (ssh.directory / "authorized_keys").write_text("# mine\n")
    ssh.platform.kill()
    ssh.platform.start()
    repository.deploy("one")
    assert Browser(ssh.platform.port, "later.localhost").get().body == "one -"
    assert (ssh.directory / "authorized_keys").read_text().startswith("# mine\n")
