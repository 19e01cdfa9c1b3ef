"""Remember how a matched copy was made, beside its files, so that a model trained on it can repeat that step."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from spectral_detect.detector.experience import Qualities, codings_in_common
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.media.delivery import Delivery
from spectral_detect.training.dataset import Dataset

DELIVERY_FILE = "delivery.json"


@dataclass(frozen=True)
class Delivered:
    """How the images of a matched copy were delivered, and what they were before.

    Attributes
    ----------
    delivery : Delivery
        The step.
    min_side_px, max_side_px : int
        Least and greatest shorter side of the originals, in pixels.
    codings : mapping of str to (int, int) or None
        Codings of the originals, as in `Experience`, in so far as the delivery hides which class had which.
    """

    delivery: Delivery
    min_side_px: int
    max_side_px: int
    codings: Mapping[str, Qualities]

    @classmethod
    def of_originals(cls, delivery: Delivery, originals: Dataset) -> Delivered:
        """Describe the originals of a copy."""
        sides = [min(file.width or 0, file.height or 0) for file in originals.samples]
        codings = codings_in_common(originals.codings_by_class(), delivered_quality=max(delivery.qualities))
        return cls(delivery, min(sides), max(sides), codings)

    def to_json(self) -> str:
        """Return the content of `DELIVERY_FILE`."""
        return json.dumps(asdict(self), indent=2) + "\n"


def how_delivered(samples: Iterable[Extraction]) -> Delivered | None:
    """Return how images were delivered, if all come from `real/` and `fake/` of one matched copy; else None.

    Raises
    ------
    DatasetError
        The file that says so is damaged.
    """
    folders = {os.path.dirname(os.path.dirname(sample.path)) for sample in samples if not sample.location.is_remote}
    return _read(os.path.join(folders.pop(), DELIVERY_FILE)) if len(folders) == 1 else None


def _read(path: str) -> Delivered | None:
    try:
        with open(path, encoding="utf-8") as stream:
            values = json.load(stream)
        delivery = Delivery(int(values["delivery"]["side_px"]), tuple(map(int, values["delivery"]["qualities"])))
        codings = {str(k): None if q is None else (int(q[0]), int(q[1])) for k, q in values["codings"].items()}
        return Delivered(delivery, int(values["min_side_px"]), int(values["max_side_px"]), codings)
    except OSError:
        return None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise DatasetError(f"{path!r} is damaged", remedy="make the matched copy again: audit --fix") from None
