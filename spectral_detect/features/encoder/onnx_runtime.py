"""Run an encoder by ONNX Runtime: the only module that knows it, loaded when OpenCV cannot run the encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spectral_detect.errors import FeatureError

ERRORS_ALONE = 3


def session(content: bytes, outputs: Sequence[str]) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Return what runs a network on a (1, 3, H, W) image, on one thread of the CPU, and gives its outputs.

    Raises
    ------
    FeatureError
        If ONNX Runtime cannot read it; the function that is returned raises it if it cannot run it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ALONE
    options.add_session_config_entry("session.x64quantprecision", "1")  # 8-bit networks: exact without VNNI as well
    try:
        running: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes share no base but this
        raise FeatureError(f"ONNX Runtime cannot read it ({_first_line(error)})") from None
    name = running.get_inputs()[0].name
    wanted = list(outputs) or [running.get_outputs()[-1].name]

    def run(image: np.ndarray) -> list[np.ndarray]:
        try:
            return list(running.run(wanted, {name: image}))
        except Exception as error:
            raise FeatureError(f"ONNX Runtime cannot run it ({_first_line(error)})") from None

    return run


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
