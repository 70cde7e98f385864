"""Arrays of pixels as PNG, so that neither Pillow nor OpenCV is needed to send one."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from .errors import InputError

_color_types = {1: 0, 2: 4, 3: 2, 4: 6}


def encode_array(array: Any) -> bytes:
    """A PNG of an array of uint8 or bool: height × width, or height × width × channels (grey, RGB, RGBA)."""
    shape = tuple(array.shape)
    if str(array.dtype) == "bool":
        array = array.astype("uint8") * 255
    channels = shape[2] if len(shape) == 3 else 1
    if str(array.dtype) != "uint8" or len(shape) not in (2, 3) or channels not in _color_types or 0 in shape:
        raise InputError(f"expected an array of uint8 of height × width (× 1 to 4), got {array.dtype} of {shape}")
    height, width = shape[0], shape[1]
    pixels = array.tobytes()
    row = width * channels
    # Each row begins with its filter: none.
    rows = b"".join(b"\0" + pixels[start : start + row] for start in range(0, height * row, row))
    header = struct.pack(">IIBBBBB", width, height, 8, _color_types[channels], 0, 0, 0)
    parts = [_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 1)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
