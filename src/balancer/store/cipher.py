"""What encrypts the config vars and the secrets of targets and sources, with the key of the data directory.

Used by `wiring`.
"""

from pathlib import Path

from cryptography.fernet import Fernet

from balancer import data_directory
from balancer.errors import DataDirectoryUnusable


def cipher(data_dir: Path) -> Fernet:
    """Return the cipher; its key is made at the first time. Raises DataDirectoryUnusable where it is none."""
    key = data_directory.secret(data_dir / "secret.key", lambda: Fernet.generate_key().decode())
    try:
        return Fernet(key.encode())
    except ValueError as reason:
        raise DataDirectoryUnusable(
            str(data_dir),
            "what secret.key holds is no key: restore it from a backup. Without it the config vars cannot be read; "
            "to begin without them remove the file, and set them again",
        ) from reason
