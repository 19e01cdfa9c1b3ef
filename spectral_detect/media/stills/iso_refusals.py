"""Say why an AVIF or HEIF file is refused, and tell the two from each other."""

from __future__ import annotations

from spectral_detect.errors import ImageReadError
from spectral_detect.media.quantizers.iso_items import shown_kind
from spectral_detect.media.stills.announced_size import announced_size
from spectral_detect.media.stills.remedies import AS_PNG, EITHER

# brands of ISO/IEC 23008-12
HEIF_BRANDS = frozenset(
    b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1 "
    b"avci avcs j2ki j2is jpeg jpgs vvic vvis evbi evbs unif".split()
)
AVIF_BRANDS = frozenset((b"avif", b"avis"))
MINIMISED_BRAND = b"mif3"
AVIF_MOST_PIXELS, AVIF_LONGEST_SIDE = 2**28, 2**15  # limits of libavif

HEIF_READ = frozenset((b"hvc1", b"av01"))
HEIF_CODINGS = {
    b"unci": "uncompressed pixels (ISO/IEC 23001-17)", b"j2k1": "JPEG 2000", b"jpeg": "JPEG", b"avc1": "H.264",
    b"vvc1": "H.266", b"evc1": "EVC", b"tili": "tiled pixels",
}  # fmt: skip


def format_of_iso(content: bytes) -> str | None:
    """Return the format of an ISO container by its brands, the major one first (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(content[:4], "big"), 256)
    major, others = content[8:12], {content[at : at + 4] for at in range(16, end, 4)}
    if major in AVIF_BRANDS or (major in (b"mif1", b"msf1") and others & AVIF_BRANDS):
        return "AVIF"
    return "HEIF" if major in HEIF_BRANDS else None


def of_minimised(content: bytes) -> ImageReadError | None:
    """Return the error for a file whose boxes are in the short form that no decoder here reads."""
    if content[4:12] != b"ftyp" + MINIMISED_BRAND:
        return None
    name = "AVIF" if content[12:16] in AVIF_BRANDS else "HEIF"
    return ImageReadError(f"{name}: the minimised form (brand mif3) is not supported", remedy=AS_PNG)


def of_avif(content: bytes, reason: str) -> ImageReadError | None:
    """Return the error for an AVIF file that is not simply damaged."""
    size = announced_size(content)
    if size is not None and (size[0] * size[1] > AVIF_MOST_PIXELS or max(size) > AVIF_LONGEST_SIDE):
        return ImageReadError(
            f"AVIF: {size[0]}x{size[1]} pixels, more than its decoder takes ({AVIF_MOST_PIXELS})", remedy=AS_PNG
        )
    if not _is_whole(content):
        return None
    return ImageReadError(f"AVIF: damaged, or of a kind that is not supported ({reason})", remedy=EITHER)


def of_heif(content: bytes, reason: str) -> ImageReadError | None:
    """Return the error for a HEIF file whose pixels are in a coding that no decoder here reads."""
    kind = shown_kind(content)
    if kind in HEIF_READ:
        return None
    name = HEIF_CODINGS.get(kind, f"the coding {kind.decode('ascii', 'backslashreplace')}")
    return ImageReadError(f"HEIF: {name}: not supported", remedy=AS_PNG)


def _is_whole(content: bytes) -> bool:
    """Tell whether the boxes of a file end where it does; the last one may have no size of its own, 0."""
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        size = int.from_bytes(content[at + 8 : at + 16], "big") if size == 1 else size or len(content) - at
        if size < 8:
            return False
        at += size
    return at == len(content)
