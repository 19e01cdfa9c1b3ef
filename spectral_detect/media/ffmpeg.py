"""Open local video files with OpenCV's FFmpeg, silent and bound to one file, and say why one does not open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DEMUXERS = (
    "mov,matroska,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,mxf,ivf,dv,nut,obu,h264,hevc,m4v,mjpeg,rm,yuv4mpegpipe".split(
        ","
    )
)
# FFmpeg would open whatever a playlist, a concat script or a session description names, and it knows these by content,
# not by suffix: only formats that hold their own pictures are allowed, and no protocol but that of files.
CAPTURE_OPTIONS = f"protocol_whitelist;file|format_whitelist;{','.join(DEMUXERS)}"
SILENT = "-8"  # AV_LOG_QUIET
ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")


def open_capture(path: str, *, packets_only: bool = False) -> Any:
    """Return a capture of one local file, on one thread: cores belong to the worker processes.

    Parameters
    ----------
    path : str
        A local file, whatever its name.
    packets_only : bool
        Read the packets without decoding them.
    """
    import cv2

    settings = [cv2.CAP_PROP_N_THREADS, 1, *([cv2.CAP_PROP_FORMAT, -1] if packets_only else [])]
    with _quiet(), _name_for_ffmpeg(path) as name:
        return cv2.VideoCapture(name, cv2.CAP_FFMPEG, settings)


@contextmanager
def _quiet() -> Iterator[None]:
    """Bind FFmpeg to `CAPTURE_OPTIONS` and silence it: the file's record says what is wrong with a file."""
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", SILENT)  # read once, when the first capture is made
    before = os.environ.get("OPENCV_FFMPEG_CAPTURE_OPTIONS")
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = CAPTURE_OPTIONS
    level = cv2.utils.logging.setLogLevel(0)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
        if before is None:
            del os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"]
        else:
            os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = before


@contextmanager
def _name_for_ffmpeg(path: str) -> Iterator[str]:
    """Yield a name that FFmpeg does not take for a protocol (`http:...`), nor OpenCV for a device."""
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8, which OpenCV refuses
        descriptor = os.open(path, os.O_RDONLY)
        try:
            yield f"file:/dev/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        yield "file:" + os.path.abspath(path)


def counts_its_frames(path: str) -> bool:
    """Tell whether the container (ISO media, AVI) holds a true number of frames; others give time times rate."""
    start = _start(path)
    return start[4:8] in ISO_BOXES or start[:4] == b"RIFF"


def _start(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read(16)


def reason_not_opened(path: str) -> str:
    """Return what is wrong with a file that FFmpeg refuses, and the remedy."""
    start = _start(path)
    if start[4:8] in ISO_BOXES and b"moov" not in _iso_boxes(path):
        return "the index of the video (moov) is missing: the recording or the copy was cut off; get an intact copy"
    known = start[4:8] in ISO_BOXES or start[:4] in (b"RIFF", b"\x1aE\xdf\xa3", b"OggS", b"FLV\x01", b"\0\0\1\xba")
    if known or start[:1] == b"G" or start[:3] == b"ID3":
        return "no pictures that can be decoded: sound only, damaged, or in an unknown codec; convert it to H.264"
    return "not a video in a known format; convert it to MP4"


def _iso_boxes(path: str) -> set[bytes]:
    """Return the types of the outermost boxes of an ISO media file (ISO/IEC 14496-12, 4.2)."""
    types = set()
    with open(path, "rb") as stream:
        while len(head := stream.read(16)) >= 8:
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            types.add(kind)
            size = int.from_bytes(head[8:], "big") if size == 1 else size
            if size < 8:
                break
            stream.seek(size - len(head), os.SEEK_CUR)
    return types
