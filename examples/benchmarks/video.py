"""What a frame of a video costs: to decode, to judge, and to look for faces in.

    python examples/benchmarks/video.py [--frames 1500] [--face IMAGE] [--repeats 20]

The clip is made here: 1280x720, a photograph that moves, with a camera's grain (H.264 with a key frame every 12 and
every 250 frames if PyAV is installed, else MPEG-4). Faces are looked for in the photograph, and, if one is given, in a
photograph of a face put into it at 360 pixels. One thread; seconds of the processor, so that a busy machine does not
count; medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np

from spectral_detect import FeatureSpec, Model, Work, train_model
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.face_detection import detect_faces
from spectral_detect.media.images import MAX_PIXELS
from spectral_detect.media.video import FrameOptions
from spectral_detect.media.video_files.clip import Clip
from spectral_detect.parallel.threads import ONE_THREAD
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.videos import VideoJudge, scan_videos
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import read_dataset
from spectral_detect.training.labelled_files import files_in_manifest

PHOTOGRAPHS = Path(__file__).parent.parent / "images" / "real"
SIZE = (1280, 720)
N_SAMPLED = 20
GRAIN = 4.0  # standard deviation of a camera's noise in indoor light, of 255


def photograph() -> np.ndarray:
    """(720, 1280, 3) BGR."""
    return cv2.resize(cv2.imread(str(min(PHOTOGRAPHS.glob("*.png")))), SIZE)


def make_clip(path: Path, n_frames: int, gop: int) -> None:
    try:
        import av
    except ImportError:
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, SIZE)
        for k in range(n_frames):
            writer.write(np.roll(photograph(), 3 * k, axis=1))
        writer.release()
        return
    bgr = photograph().astype(np.int16)
    grain = np.random.default_rng(0).normal(0, GRAIN, (8, *bgr.shape)).astype(np.int16)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *SIZE, "yuv420p", gop
        for k in range(n_frames):
            frame = np.clip(np.roll(bgr, 3 * k, axis=1) + grain[k % 8], 0, 255).astype(np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        file.mux(stream.encode(None))


def seconds(function: Callable[[], object]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started


def read(path: Path, n_wanted: int) -> int:
    clip = Clip(str(path), MAX_PIXELS)
    n = clip.timeline.n_frames
    n_wanted = min(n_wanted, n)
    n_read = sum(1 for _ in clip.decode((2 * k + 1) * n // (2 * n_wanted) for k in range(n_wanted)))
    clip.close()
    return n_read


def read_all(path: Path) -> int:
    return read(path, sys.maxsize)


@cache
def detector(features: str) -> Model:
    """Of the example images: fast to have, and of the size of any other."""
    spec = FeatureSpec.preset(features)
    return train_model(read_dataset(files_in_manifest(str(PHOTOGRAPHS.parent / "manifest.csv")), Extractor(spec)), spec)


def judge_all(path: Path, model: Model) -> int:
    options = FrameOptions(n_frames=None)
    (result,) = scan_videos(
        [FoundVideo(Location(str(path)))], VideoJudge(Judge(model), frames=options), work=Work(jobs=0)
    )
    return result.record.n_frames


def plain(path: Path) -> None:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    while capture.read()[0]:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument("--face", type=Path)
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
        os.execve(
            sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD}
        )  # libraries read it at start
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        for gop in (12, 250):
            path = Path(folder) / f"{gop}.mp4"
            make_clip(path, arguments.frames, gop)
            rates = [arguments.frames / seconds(partial(function, path)) for function in (plain, read_all)]
            print(f"key frame every {gop}: {rates[1]:.0f} frames a second; cv2.VideoCapture.read alone {rates[0]:.0f}")
            print(f"  {N_SAMPLED} frames, equally spaced: {seconds(partial(read, path, N_SAMPLED)):.2f} s")
        for name in ("azimuthal", "residual"):
            n = max(20, arguments.frames // (20 if name == "residual" else 4))
            make_clip(path, n, 250)
            judge_all(path, detector(name))  # builds what is built once per size
            rate, alone = (
                n / seconds(partial(function, path)) for function in (partial(judge_all, model=detector(name)), plain)
            )
            print(f"video --all --crop none, {name}: {rate:.0f} frames a second, {rate / alone:.2f} of decoding alone")
    frame = cv2.cvtColor(photograph(), cv2.COLOR_BGR2RGB)
    if arguments.face:
        frame[180:540, 460:820] = cv2.resize(cv2.imread(str(arguments.face)), (360, 360))[..., ::-1]
    detect_faces(frame)  # loads the cascade
    cost = statistics.median(seconds(lambda: detect_faces(frame)) for _ in range(arguments.repeats))
    print(f"face detection: {cost * 1000:.1f} ms a frame of 1280x720, {len(detect_faces(frame))} found")


if __name__ == "__main__":
    main()
