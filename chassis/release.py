"""Which release this is, as its processes tell it to operators."""

from typing import Final

RELEASE: Final = "0.1.0"  # the version in pyproject.toml, which is not there where the processes run
RELEASE_HEADER: Final = "Animatize-Release"  # on answers about health
