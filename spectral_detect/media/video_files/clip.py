"""Decode video files: any frame, at its own size, by seeking where that is cheaper; say what is damaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spectral_detect.errors import VideoReadError
from spectral_detect.media.coding import video_coding
from spectral_detect.media.header import VIDEO_FORMAT, Metadata
from spectral_detect.media.images import DecodedImage
from spectral_detect.media.video_files.damage import damage_of
from spectral_detect.media.video_files.ffmpeg import moving_streams
from spectral_detect.media.video_files.packets import END_TOLERANCE_S, Packets, read_packets
from spectral_detect.media.video_files.reader import Decoded, FrameReader
from spectral_detect.media.video_files.timeline import Order, read_timeline
from spectral_detect.orientation import upright
from spectral_detect.sources.reading import check_regular

if TYPE_CHECKING:
    import av

SEEK_GAIN = 8  # frames that a seek must save, for it decodes one or two itself
ANNOUNCE_DURATION = frozenset(("matroska,webm", "flv", "asf", "mxf"))  # others count frames, or FFmpeg estimates
ORIENTATIONS = (1, 8, 3, 6)  # of EXIF, for none to three quarter turns counter-clockwise
TOLERATED_FRAMES = 2  # some writers announce the end of a frame that has no duration


@dataclass(frozen=True)
class VideoFacts:
    """Hold what a video's header says.

    Attributes
    ----------
    width, height : int
        In pixels, as displayed; of the first frame.
    fps : float or None
        Mean number of frames per second.
    duration_s : float or None
        Duration of the frames that are there, in seconds.
    n_frames : int or None
        Number of frames as announced, which a truncated file can make wrong; None if the header does not tell.
    codec : str or None
        Its name for FFmpeg.
    tags : tuple of (str, str)
        Names and texts of the metadata in the container, such as the encoder; still as the file has them.
    """

    width: int
    height: int
    fps: float | None = None
    duration_s: float | None = None
    n_frames: int | None = None
    codec: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class WholeFrame:
    """Hold a frame before anything is cut from it."""

    index: int
    time_s: float | None
    image: DecodedImage

    @property
    def displayed(self) -> np.ndarray:
        """The pixels as displayed."""
        return upright(self.image.pixels, self.image.orientation)


class Clip:
    """Hold a video file that is open for decoding: a `Source`.

    Attributes
    ----------
    timeline : Timeline
        The frames it holds.
    n_frames, times_s
        The number of frames and their times of presentation in seconds, both of the timeline.
    facts : VideoFacts
        What its header says.
    coding : Coding
        How its frames were compressed.
    warnings : list of str
        What a reader of the verdict should know; complete once `decode` has ended.

    Raises
    ------
    VideoReadError
        If the file is not a video, holds no pictures, or its frames are larger than `max_pixels`.
    """

    def __init__(self, path: str, max_pixels: int) -> None:
        if not check_regular(path).st_size:
            raise VideoReadError("the file is empty", remedy="copy it again from its source")
        self._reader = FrameReader(path, max_pixels)
        try:
            packets, damage = read_packets(path), damage_of(path)
            self.timeline, notes = read_timeline(packets, self._reader, is_whole=damage is None)
            self._read_first()
        except VideoReadError:
            self.close()
            raise
        self.n_frames, self.times_s = self.timeline.n_frames, self.timeline.times_s
        self.facts = self._facts()
        self.warnings = [*self._of_what_is_missing(packets, damage), *notes, *self._of_streams(), *self._of_pixels()]

    def close(self) -> None:
        """Close the file; the frames it gave stay valid."""
        self._reader.close()

    def decode(self, wanted: Iterable[int]) -> Iterator[WholeFrame]:
        """Yield the frames at these rising indices.

        Frames that are not wanted are skipped by seeking where that saves decoding. In place of a frame that is
        damaged, or built on a damaged one, comes the next sound one; the number of frames lost in the end is told in
        `warnings`.
        """
        n_wanted = n_decoded = 0
        for index in wanted:
            n_wanted += 1
            if n_wanted > 1 and index <= self._position:
                continue  # the frame in its place has been given
            decoded = self._advance_to(index)
            if decoded is not None and decoded.frame is not None:
                n_decoded += 1
                yield WholeFrame(self._position, self._time(), self._image(decoded.frame))
        if n_decoded < n_wanted:
            self.warnings.append(f"damaged: {n_wanted - n_decoded} of {n_wanted} wanted frames could not be decoded")
        self.warnings += [*self._of_sizes(), *self._of_interlacing()]

    def _image(self, frame: av.VideoFrame) -> DecodedImage:
        pixels, turns = frame.to_ndarray(format="rgb24", interpolation="BICUBIC"), frame.rotation // 90 % 4
        height, width = pixels.shape[:2] if turns % 2 == 0 else pixels.shape[1::-1]
        metadata = Metadata(VIDEO_FORMAT, width, height, self.coding)
        return DecodedImage(pixels, width, height, VIDEO_FORMAT, metadata=metadata, orientation=ORIENTATIONS[turns])

    # ----------------------------------------------------------------------------------------------------------- facts

    def _read_first(self) -> None:
        """Learn from the first frame what all have in common; the reader stands at the start afterwards."""
        self._restart()
        first = next((decoded.frame for decoded in self._reader if decoded.frame is not None), None)
        if first is None or not self.timeline.n_frames:
            raise VideoReadError("no frame can be decoded: the video is empty or damaged", remedy="get an intact copy")
        self._size, self._turns = (first.width, first.height), first.rotation // 90 % 4
        self._codec = self._reader.stream.codec_context.codec.canonical_name
        self.coding = video_coding(self._codec, first.format.name, first.format.components[0].bits)
        self._restart()

    def _facts(self) -> VideoFacts:
        stream, times = self._reader.stream, self.timeline.times_s
        rate = float(stream.average_rate or 0) or None
        if times is not None and len(times) > 1:
            rate = float((len(times) - 1) / (times[-1] - times[0]))
        width, height = self._size if self._turns % 2 == 0 else self._size[::-1]
        return VideoFacts(
            width,
            height,
            fps=rate,
            duration_s=self.timeline.n_frames / rate if rate else None,
            n_frames=stream.frames or None,
            codec=self._codec,
            tags=self._reader.tags,
        )

    # -------------------------------------------------------------------------------------------------------- warnings

    def _of_what_is_missing(self, packets: Packets, damage: str | None) -> list[str]:
        """Compare what was found with what the header announces, and with the structure of the file."""
        found, announced = max(len(packets), self.timeline.n_frames), self.facts.n_frames or 0
        if announced:
            missing = [f"{found} of {announced} announced frames could be read"] if found < announced else []
            return [f"truncated or damaged: {note}" for note in missing]
        notes = []
        container = self._reader.container
        if container.format.name in ANNOUNCE_DURATION and container.duration:
            duration_s = container.duration / 1e6
            tolerance_s = max(END_TOLERANCE_S, TOLERATED_FRAMES / (self.facts.fps or 25))
            if packets.end_s < duration_s - tolerance_s:
                notes.append(f"it ends after {packets.end_s:.2f} of {duration_s:.2f} announced seconds")
        notes += [damage] if damage else []
        notes += [f"{packets.n_bad_sound} packets of sound are incomplete"] if packets.n_bad_sound and not notes else []
        return [f"truncated or damaged: {note}" for note in notes]

    def _of_streams(self) -> list[str]:
        n_streams = len(moving_streams(self._reader.container))
        if n_streams < 2:
            return []
        return [f"{n_streams} streams of pictures: only number {self._reader.stream.index} is judged"]

    def _of_interlacing(self) -> list[str]:
        n_interlaced, n_decoded = self._reader.n_interlaced, sum(self._reader.sizes.values())
        if not n_interlaced:
            return []
        return [
            f"{n_interlaced} of {n_decoded} decoded frames are marked as interlaced: rows of two moments in turn add "
            "detail that neither camera nor generator made; judge a copy without interlacing as well"
        ]

    def _of_pixels(self) -> list[str]:
        aspect = self._reader.stream.sample_aspect_ratio
        if not aspect or aspect == 1:
            return []
        ratio = f"{aspect.numerator}:{aspect.denominator}"
        return [f"pixels are not square ({ratio}): the frames are judged as stored, not as displayed"]

    def _of_sizes(self) -> list[str]:
        sizes = self._reader.sizes
        n_others = sum(sizes.values()) - sizes[self._size]
        if not n_others:
            return []
        others = ", ".join(f"{width}x{height}" for width, height in sizes if (width, height) != self._size)
        first = "{}x{}".format(*self._size)
        return [
            f"the resolution changes: {n_others} of {sum(sizes.values())} decoded frames are of another size "
            f"({others}) than the first ({first}); each is judged at its own size"
        ]

    # ----------------------------------------------------------------------------------------------------- positioning

    def _time(self) -> float | None:
        times = self.timeline.times_s
        return None if times is None else float(times[self._position])

    def _restart(self) -> None:
        self._reader.restart()
        self._position, self._in_doubt, self._can_seek = -1, False, True

    def _advance_to(self, index: int) -> Decoded | None:
        """Decode on to this frame, or to the first after it that is sound; return None at the end."""
        order = self.timeline.order
        if order is not None:
            ahead = order.is_sound[index:]
            if not ahead.any():
                return None
            self._seek_towards(order, index + int(np.argmax(ahead)))
        for decoded in self._reader:
            if self._is_sound(decoded) and self._position >= index:
                return decoded
        return None

    def _seek_towards(self, order: Order, index: int) -> None:
        """Seek if that saves decoding; where it leads too far, begin anew and seek no more."""
        if not self._can_seek or index - self._position <= SEEK_GAIN:
            return
        key = order.key_before(index)
        if key - self._position >= SEEK_GAIN and not self._seek(order, key, index):
            self._restart()
            self._can_seek = False

    def _seek(self, order: Order, key: int, index: int) -> bool:
        """Go to a key frame; return whether that led to no later frame than `index`."""
        if not self._reader.seek(float(order.decoded_s[key])):
            return False
        first = next((decoded for decoded in self._reader if decoded.frame is not None), None)
        if first is None or not 0 <= order.index_at(first.time_s) <= index:
            return False
        self._reader.put_back(first)
        self._position = -1
        return True

    def _is_sound(self, decoded: Decoded) -> bool:
        """Find the position of what was decoded, and tell whether it is whole and built on whole frames.

        In a damaged stream, a time that comes too late is ignored.
        """
        order = self.timeline.order
        if order is None:
            self._in_doubt = not decoded.is_sound or (self._in_doubt and not decoded.is_key)
            self._position += decoded.frame is not None
            return not self._in_doubt
        index = order.index_at(decoded.time_s)
        if not decoded.is_sound and index >= 0:
            order.lose(index)
        if decoded.frame is None:
            return False
        self._position = max(self._position, index)
        return bool(order.is_sound[self._position])
