"""Open local video files with FFmpeg (PyAV), silent and bound to one file, and say why one does not open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from spectral_detect.errors import VideoReadError
from spectral_detect.media.video_files.damage import ISO_BOXES, TS_PACKETS, iso_boxes, read_start
from spectral_detect.sources.formats import SIGNATURE_BYTES, has_image_signature, has_video_signature

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

DEMUXERS = (
    "mov,matroska,avi,mpeg,mpegts,mpegvideo,asf,flv,ogg,mxf,ivf,dv,nut,obu,h264,hevc,m4v,mjpeg,rm,yuv4mpegpipe".split(
        ","
    )
)
# FFmpeg would open whatever a playlist, a concat script or a session description names, and it knows these by content,
# not by suffix: only formats that hold their own pictures are allowed, and no protocol but that of files.
OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(DEMUXERS)}
MAX_FAILURES = 1000  # 0.5 ms each: after that the rest is lost
START_BYTES = 256  # the starts of two packets of a transport stream


def open_container(path: str) -> InputContainer:
    """Return one local file, opened for its packets and frames.

    Raises
    ------
    VideoReadError
        FFmpeg does not know it.
    """
    import av

    try:  # `options` would reach the streams as well, and FFmpeg 8.0 crashes on an MPEG file then
        with _name_for_ffmpeg(path) as name:
            return av.open(name, "r", container_options=OPEN_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, ValueError):  # ValueError: time stamps or names that are not to be represented
        raise VideoReadError(reason_not_opened(path)) from None


def container_tags(path: str) -> tuple[tuple[str, str], ...]:
    """Return names and texts of a container's metadata, which may be there although no frame can be decoded.

    Raises
    ------
    VideoReadError
        FFmpeg does not know the file.
    """
    with open_container(path) as container:
        return tuple((str(name), str(text)) for name, text in container.metadata.items())


def open_pictures(path: str, max_pixels: int) -> tuple[InputContainer, VideoStream]:
    """Return an opened file and the stream of its pictures, to decode on one thread: cores belong to the workers.

    Raises
    ------
    VideoReadError
        FFmpeg does not know the file, it has no pictures, or they are larger than `max_pixels`.
    """
    container = open_container(path)
    stream = picture_stream(container)
    if stream is None:
        container.close()
        raise VideoReadError(reason_not_opened(path))
    try:
        check_size(stream.codec_context, max_pixels)
    except VideoReadError:
        container.close()
        raise
    stream.codec_context.thread_count = 1
    return container, stream


def check_size(picture: Any, max_pixels: int) -> None:
    """Raise `VideoReadError` if a stream or a frame is larger than the limit."""
    if picture.width * picture.height > max_pixels:
        raise VideoReadError(
            f"frames of {picture.width}x{picture.height} pixels, over the limit of {max_pixels}",
            remedy="see `max_pixels`",
        )


def picture_stream(container: InputContainer) -> VideoStream | None:
    """Return the stream of moving pictures that FFmpeg thinks best; None if there is none that it can decode."""
    moving = moving_streams(container)
    best: Any = container.streams.best("video")
    return best if best in moving else next(iter(moving), None)


def moving_streams(container: InputContainer) -> list[VideoStream]:
    """Return the streams of moving pictures that can be decoded, without covers and thumbnails."""
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    return [s for s in container.streams.video if s.codec_context is not None and not s.disposition & covers]


def packets_of(container: InputContainer, *streams: VideoStream) -> Iterator[Any]:
    """Yield the packets of these streams, or of all, from here to the end of the file, past what cannot be read."""
    import av

    for _ in range(MAX_FAILURES):
        try:
            yield from container.demux(*streams)
        except (av.FFmpegError, IndexError):  # IndexError: damage makes up a stream that PyAV does not know yet
            continue
        return


@contextmanager
def _name_for_ffmpeg(path: str) -> Iterator[str]:
    """Yield a name that FFmpeg does not take for a protocol (`http:...`)."""
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8, which PyAV refuses
        descriptor = os.open(path, os.O_RDONLY)
        try:
            yield f"file:/dev/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        yield "file:" + os.path.abspath(path)


def reason_not_opened(path: str) -> str:
    """Return what is wrong with a file that FFmpeg refuses, and the remedy."""
    start = read_start(path, START_BYTES)
    is_iso = start[4:8] in ISO_BOXES
    if has_image_signature(start[:SIGNATURE_BYTES]):
        return "a still image, no video (or a damaged animation): the command scan judges images"
    if is_iso and all(kind != b"moov" for kind, _ in iso_boxes(path)):
        return "the index of the video (moov) is missing: the recording or the copy was cut off; get an intact copy"
    known = is_iso or start[:4] in (b"RIFF", b"OggS") or start[:3] == b"ID3" or has_video_signature(start)
    if known or _is_transport_stream(start):
        return "no pictures that can be decoded: sound only, damaged, or in an unknown codec; convert it to H.264"
    return "not a video in a known format; look at what it is: convert a video to MP4, or leave the file out"


def _is_transport_stream(start: bytes) -> bool:
    """Tell whether a file has the byte of synchronisation at the start of its first two packets."""
    return any(start[at : at + 1] == b"G" == start[at + n_bytes :][:1] for n_bytes, at in TS_PACKETS)
