"""The oracles are there once `make test-oracles` has installed them; without, their tests are not collected."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("tea_tasting") else ["test_*.py"]
