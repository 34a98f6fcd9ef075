"""Archives: a tar file becomes a commit of a repository, without touching the disk as files.

Invariants:
    * What is no file, directory or symbolic link inside the tree is refused by its name, and nothing is kept.
    * What it holds unpacked has a limit, whatever the archive says of itself.
"""

import asyncio
import contextlib
import lzma
import os
import subprocess
import tarfile
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from balancer.cancellation import to_its_end
from balancer.domain.app import TREE_LIMIT_BYTES, Commit
from balancer.errors import BuildFailed, InvalidInput
from balancer.runner.git_command import environment

_CHUNK_BYTES = 1024 * 1024
_NOWHERE = "/nowhere"
_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a commit that we make says of itself."""

    author: str
    message: str
    at: datetime

    def head(self, ref: str, parent: Commit | None) -> bytes:
        """Return the beginning of the commit in the language of `git fast-import`."""
        who = "".join(char for char in self.author if char.isprintable() and char not in "<>").strip()[:100]
        name, when = who or "balancer", f"{int(self.at.timestamp())} +0000"
        message = self.message.replace("\0", "").encode()
        return (
            f"commit {ref}\nauthor {name} <> {when}\ncommitter balancer <> {when}\ndata {len(message)}\n".encode()
            + message
            + (f"\nfrom {parent}\ndeleteall\n" if parent else "\n").encode()
        )


async def import_archive(
    repository: Path, archive: Path, ref: str, parent: Commit | None, signature: Signature
) -> None:
    """Make a commit of what a tar file holds, and `ref` point at it. Raises InvalidInput, BuildFailed."""
    given_up = threading.Event()
    work = asyncio.ensure_future(asyncio.to_thread(_import, repository, archive, ref, parent, signature, given_up))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        given_up.set()
        await to_its_end(_ended(work))
        raise


async def _ended(work: asyncio.Future[None]) -> None:
    """Wait for what was given up, whatever becomes of it."""
    await asyncio.wait({work})


def _import(
    repository: Path, archive: Path, ref: str, parent: Commit | None, signature: Signature, given_up: threading.Event
) -> None:
    with (
        _opened(archive) as opened,
        subprocess.Popen(
            ["git", "fast-import", "--quiet", "--force"],
            cwd=repository,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as git,
    ):
        assert git.stdin is not None
        assert git.stderr is not None
        try:
            git.stdin.write(signature.head(ref, parent))
            for piece in _pieces(opened, given_up):
                git.stdin.write(piece)
            git.stdin.close()
        except BrokenPipeError:
            pass  # it says why below
        except _BROKEN as reason:
            _end(git)
            raise InvalidInput(f"the archive cannot be read to its end: {reason}") from reason
        except BaseException:
            _end(git)
            raise
        said = git.stderr.read().decode(errors="replace")
        if git.wait():
            raise BuildFailed(f"git could not take the archive in: {said.strip()[:500]}")


def _end(git: subprocess.Popen[bytes]) -> None:
    """End git before it has seen the end of what it reads, so that it keeps nothing."""
    git.kill()
    assert git.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # what was not written yet is not read any more
        git.stdin.close()


def _pieces(archive: tarfile.TarFile, given_up: threading.Event) -> Iterator[bytes]:
    """Give the entries of an archive in the language of `git fast-import`."""
    total = files = 0
    for member in archive:
        if given_up.is_set():
            raise InvalidInput("the upload was given up")
        path = _path(member)
        if path is None or member.isdir():
            continue
        files += 1
        if member.issym():
            target = os.fsencode(member.linkname)
            yield b"M 120000 inline %s\ndata %d\n%s\n" % (_quoted(path), len(target), target)
            continue
        content = archive.extractfile(member)
        if content is None:
            raise InvalidInput(f"{member.name} in the archive is neither file, directory nor symbolic link")
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        total += size
        if total > TREE_LIMIT_BYTES:
            raise InvalidInput(
                f"the archive holds more than {TREE_LIMIT_BYTES // 1024**2} MiB; leave out what is no source"
            )
        yield b"M %s inline %s\ndata %d\n" % (b"100755" if member.mode & 0o100 else b"100644", _quoted(path), size)
        yield from _chunks(content)
        yield b"\n"
    if not files:
        raise InvalidInput("the archive has no file in it")


def _opened(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive)
    except _BROKEN as reason:
        raise InvalidInput(f"what was sent is no tar file: {reason}") from reason


def _path(member: tarfile.TarInfo) -> str | None:
    """Return where in the tree a member belongs, None where it is no part of it. Raises InvalidInput."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if member.name.startswith("/") or ".." in parts:
        raise InvalidInput(f"{member.name} in the archive leads out of the tree")
    try:
        tarfile.data_filter(member, _NOWHERE)
    except tarfile.FilterError as reason:
        raise InvalidInput(f"{member.name} in the archive is refused: {reason}") from reason
    return None if not parts or ".git" in (part.lower() for part in parts) else "/".join(parts)


def _quoted(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return b'"%s"' % os.fsencode(escaped)


def _chunks(content: IO[bytes]) -> Iterator[bytes]:
    while chunk := content.read(_CHUNK_BYTES):
        yield chunk
