"""A real nginx in front, configured as the how-to says: apps see its clients, and nothing is held on the way."""

import asyncio
import datetime
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import reserved
from contract.sites import NEW, Client, Site, site
from waiting import eventually

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "put-tls-in-front.md"
CLIENT = "127.0.0.3"


class Front:
    """A site, and the nginx before it."""

    def __init__(self, behind: Site, port: int) -> None:
        self.behind, self.port = behind, port
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    async def connect(self) -> Client:
        """Return a client of nginx, by TLS."""
        links = await asyncio.open_connection("127.0.0.1", self.port, ssl=self._tls, local_addr=(CLIENT, 0))
        self.behind.clients.append(Client(*links))
        return self.behind.clients[-1]


def write_certificate(to: Path) -> None:
    """Write a key and its certificate, which nobody has signed but itself, into `to` and beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    to.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    to.with_suffix(".key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))


def configuration(directory: Path, port: int, site_port: int) -> str:
    """Return the how-to's part on nginx for this port and site, and what a whole configuration has around it."""
    (block,) = re.findall(r"^## nginx\n\n((?:    .*\n|\n)+)", HOW_TO.read_text(), re.MULTILINE)
    for said, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("http://127.0.0.1:8080", f"http://127.0.0.1:{site_port}"),
        ("/etc/ssl/apps.example", str(directory / "apps.example")),
    ):
        assert said in block
        block = block.replace(said, here)
    paths = "\n".join(
        f"{kind}_temp_path {directory / kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
        daemon off;
        master_process off;
        pid {directory / "nginx.pid"};
        error_log stderr;
        events {{}}
        http {{
            access_log off;
            {paths}
            {block}
        }}
    """


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with site(tmp_path, trusted_proxies=["127.0.0.1"]) as behind:
        (port,) = reserved.ports(1)
        write_certificate(tmp_path / "apps.example.pem")
        file = tmp_path / "nginx.conf"
        file.write_text(configuration(tmp_path, port, behind.proxy.port))
        process = subprocess.Popen(["nginx", "-p", tmp_path, "-c", file, "-e", "stderr"])

        def listens() -> bool:
            assert process.poll() is None, "nginx has ended"
            with socket.socket() as link:
                return link.connect_ex(("127.0.0.1", port)) == 0

        try:
            await eventually(listens, 30)
            yield Front(behind, port)
        finally:
            behind.begin()
            process.terminate()
            process.wait(20)


async def test_an_app_sees_the_client_of_what_is_in_front_and_its_scheme(front: Front) -> None:
    client = await front.connect()
    await client.send(NEW.request("GET /a", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: evil.example"))
    answer = await client.answer()
    seen = front.behind.upstream.last("/a")
    assert seen.all("x-forwarded-for") == [f"{CLIENT}, 127.0.0.1"]
    assert (seen.all("x-forwarded-proto"), seen.all("x-forwarded-host")) == (["https"], [NEW.host])
    assert seen.all("host") == [NEW.host]
    assert (answer.header("set-cookie") or "").endswith("; Secure")


async def test_events_and_websockets_go_through_what_is_in_front(front: Front) -> None:
    stream = await front.connect()
    await stream.send(NEW.request("GET /events", "Accept: text/event-stream"))
    assert (await stream.head())[0] == 200
    assert await stream.chunk() == b"data: one\n\n"
    assert front.behind.upstream.waiting == 1, "the app has not ended its answer"

    socket_ = await front.connect()
    upgrade = "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"
    await socket_.send(NEW.request("GET /websocket", *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
    assert (await socket_.answer()).status == 101
    await socket_.send(b"hello")
    async with asyncio.timeout(20):
        assert await socket_.reader.readexactly(5) == b"hello"
