"""Give pictures a palette of 256 colours: they are of text on plain ground, and take a third of the room so.

`make screenshots` runs it, with Pillow that it takes for this alone: python scripts/shrink_pictures.py PNG…
"""

import io
import sys
from pathlib import Path

from PIL import Image  # uv brings it, see the Makefile

for path in map(Path, sys.argv[1:]):
    with Image.open(path) as picture:
        if picture.mode == "P":  # it has one already
            continue
        small = picture.convert("RGB").quantize(
            256, method=Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE
        )
    written = io.BytesIO()
    small.save(written, "PNG", optimize=True)
    path.write_bytes(written.getvalue())
