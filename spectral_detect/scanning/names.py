"""What stands beside a verdict: the name of the generator, and what contradicts the verdict."""

from __future__ import annotations

from typing import Any

import numpy as np

from spectral_detect.detector.model import Model
from spectral_detect.detector.naming import CAMERA, NONE_OF_THESE, Named
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.provenance.findings import Provenance
from spectral_detect.records import Verdict
from spectral_detect.text import visible

CONTRADICTED = "called real, but the file says that AI made or edited it"


def named_by(model: Model, image: Extraction) -> Named | None:
    """Return what an image that the model can judge is most like; None if the model names no generators."""
    return None if model.naming is None else model.naming.name(np.asarray(image.features))


def name_columns(named: Named | None) -> dict[str, Any]:
    """Return the columns of a record."""
    return {"generator": named and named.generator, "generator_score": named and named.score}


def disagreement(verdict: Verdict, named: Named | None, called: str | None) -> tuple[str, ...]:
    """Return a warning if verdict and name contradict each other: they come from classifiers of their own."""
    if named is None or named.generator == NONE_OF_THESE or verdict == "inconclusive":
        return ()
    if (named.generator == CAMERA) == (verdict == "real"):
        return ()
    most_like = f"of the classes that the model names it is most like {visible(named.generator)}"
    return (f"called {visible(called or verdict)}, though {most_like}",)


def contradictions(verdict: Verdict | None, said: Provenance | None) -> tuple[str, ...]:
    """Return a warning if the file says the opposite of its verdict."""
    if said is None:
        return ()
    if verdict == "real" and said.says_generated == "yes":
        return (f"{CONTRADICTED}: {said.claim}",)
    if verdict == "fake" and said.says_generated == "no":
        return (f"the file says that no AI made it: {said.claim}",)
    return ()
