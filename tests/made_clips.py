"""Video files made of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image


def write_clip(path: Path, images: Sequence[Path], codec: str = "ffv1", pix_fmt: str = "bgr0", **metadata: str) -> Path:
    """Ten images of 256 pixels a second, without loss unless another codec is named; texts for the container."""
    with av.open(str(path), "w") as file:
        file.metadata.update(metadata)
        stream: Any = file.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 256, 256, pix_fmt
        for image in images:
            with Image.open(image) as picture:
                frame = av.VideoFrame.from_ndarray(np.asarray(picture.convert("RGB")), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
