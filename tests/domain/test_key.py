"""Public keys, as ssh-keygen makes them."""

import subprocess
from pathlib import Path

import pytest

from balancer.domain.key import KeyName, PublicKey
from balancer.errors import InvalidInput, InvalidName


@pytest.fixture(
    scope="module", params=[("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "384")], ids=lambda kind: kind[0]
)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind, bits = request.param
    path = tmp_path_factory.mktemp("keys") / "key"
    words = ["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-C", "ada on her laptop", "-f", str(path)]
    subprocess.run(words, check=True)
    return path


def test_a_key_has_the_fingerprint_that_ssh_keygen_shows(made: Path) -> None:
    public = PublicKey(made.with_suffix(".pub").read_text())
    shown = subprocess.run(["ssh-keygen", "-l", "-f", made], capture_output=True, text=True, check=True).stdout
    assert public.fingerprint == shown.split()[1]
    assert len(public.split()) == 2, "the comment is not kept"


def test_a_private_key_is_refused_as_what_it_is(made: Path) -> None:
    with pytest.raises(InvalidInput, match="this is a private key"):
        PublicKey(made.read_text())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 not-base64!",
        "ssh-dss AAAAB3NzaC1kc3MAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIHxZ6cV2eVhQJ1Yq0mQm1J0kq3m8dJcJ5mD5Yx8Yx8Yx",
        'command="sh" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxZ6cV2eVhQJ1Yq0mQm1J0kq3m8dJcJ5mD5Yx8Yx8Yx',
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="this is no public key"):
        PublicKey(text)


def test_two_keys_are_not_one(made: Path) -> None:
    line = made.with_suffix(".pub").read_text()
    with pytest.raises(InvalidInput, match="give one line"):
        PublicKey(line + line)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\nb", 'a"b', "$(x)", "a" * 61])
def test_a_name_is_safe_in_a_command_line(name: str) -> None:
    with pytest.raises(InvalidName):
        KeyName(name)
    assert KeyName("ada@laptop.example") == "ada@laptop.example"
