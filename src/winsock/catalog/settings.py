"""The options of an installed layer, as they are kept: the text that `--layer NAME,` goes on with."""

from __future__ import annotations

from typing import NamedTuple


class Settings(NamedTuple):
    """Options as text, "volume=11,names=yes"; who loads the layer makes its Options of them."""

    text: str
