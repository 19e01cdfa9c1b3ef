"""Small image files that say something of their origin, made by hand."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image, PngImagePlugin

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def picture() -> Image.Image:
    image = Image.effect_noise((48, 40), 40).convert("RGB")
    assert isinstance(image, Image.Image)
    return image


def saved(image_format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture().save(stream, image_format, **options)
    return stream.getvalue()


def png_with(*texts: tuple[str, str], kind: str = "tEXt") -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts:
        if kind == "iTXt":
            info.add_itxt(key, text, zip=True)
        else:
            info.add_text(key, text, zip=kind == "zTXt")
    return saved("PNG", pnginfo=info)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk before the image data."""
    content = saved("PNG")
    return content[:33] + png_chunk(kind, body) + content[33:]


def jpeg_with_segment(marker: int, body: bytes) -> bytes:
    content = saved("JPEG")
    return content[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body + content[2:]


def exif_of(main: dict[int, Any], sub: dict[int, Any] | None = None) -> bytes:
    exif = Image.Exif()
    for tag, value in main.items():
        exif[tag] = value
    if sub:
        exif.get_ifd(0x8769).update(sub)
    return exif.tobytes()


def xmp_of(inside: str, attributes: str = "") -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" {attributes}>{inside}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def iptc_of(number: int, value: bytes) -> bytes:
    """An image resource of Photoshop with one text of IPTC in it, after another resource with a name."""
    record = b"\x1c\2" + bytes((number,)) + struct.pack(">H", len(value)) + value
    other = b"8BIM\x04\x25\3abc" + struct.pack(">I", 3) + b"xyz\0"
    return b"Photoshop 3.0\0" + other + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record


def jumbf(term: str = "trainedAlgorithmicMedia") -> bytes:
    """A box that looks like a manifest."""
    inside = b"jumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\3c2pa\0" + f"xX{SOURCE_TYPE}{term}y".encode() + bytes(99)
    return struct.pack(">I", len(inside) + 8) + b"jumb" + inside


def jpeg_with_manifest(manifest: bytes, piece: int = 70) -> bytes:
    """The manifest in pieces, as application data of JPEG holds it (ISO/IEC 19566-5, annex D)."""
    content = saved("JPEG")
    box, rest = manifest[:8], manifest[8:]
    segments = b""
    for number, at in enumerate(range(0, len(rest), piece), start=1):
        body = b"JP\0\1" + struct.pack(">I", number) + box + rest[at : at + piece]
        segments += b"\xff\xeb" + struct.pack(">H", len(body) + 2) + body
    return content[:2] + segments + content[2:]


def webp_with_chunk(kind: bytes, body: bytes) -> bytes:
    content = saved("WEBP", exif=exif_of({0x131: "Writer"}))
    content += kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return content[:4] + struct.pack("<I", len(content) - 8) + content[8:]


def avif_with_manifest(manifest: bytes) -> bytes:
    body = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(4) + b"manifest\0" + bytes(8) + manifest
    return saved("AVIF") + struct.pack(">I", len(body) + 8) + b"uuid" + body
