"""The verdicts on frames become a verdict on their video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spectral_detect.errors import ModelFileError
from spectral_detect.records import BY_SCORE, Verdict
from spectral_detect.scanning.judge import Judgement
from spectral_detect.scanning.rules import Rules
from spectral_detect.text import counted

VoteKind = Literal["majority", "mean", "pooled"]
NORMAL_95 = 1.959964
LEAST_SHARE = 0.25  # of the frames must vote; of few frames half, up to so many that a vote by all tells something:
LEAST_VOTES = 4  # the 95 % interval of a unanimous vote no longer holds one half


@dataclass(frozen=True)
class Ballot:
    """The votes of the frames of one track.

    Attributes
    ----------
    n_votes : int
        Frames with a verdict; inconclusive frames do not vote.
    fake_fraction : float or None
        The share of fakes among the votes; None without votes.
    interval : tuple of float or None
        Its 95 % interval, Wilson's; None without votes.
    mean_score : float or None
        Mean over the votes.
    log10_likelihood_ratio : float or None
        Mean over all frames that the model can judge, with a vote or not: those with one are the most extreme. None if
        the model is not calibrated.
    n_frames : int
        Frames with or without a vote.
    doubt : str or None
        Why the votes decide nothing, in words; None if they decide, or there are none.
    """

    verdict: Verdict
    n_votes: int
    fake_fraction: float | None = None
    interval: tuple[float, float] | None = None
    mean_score: float | None = None
    log10_likelihood_ratio: float | None = None
    n_frames: int = 0
    doubt: str | None = None


def count_votes(
    judgements: Sequence[Judgement], vote: VoteKind = "majority", rules: Rules | None = None, of: str = "frame"
) -> Ballot:
    """Count the votes of one track.

    The verdict is inconclusive if fewer than `LEAST_SHARE` of the frames, or than half of few frames, have a vote; if
    votes are divided and the interval of the share of fakes holds one half; where the vote is by scores or likelihood
    ratios, if the mean score is one that the model, or the part of it that judged a frame, leaves undecided; and if the
    verdict is less probable, by the mean likelihood ratio, than the rules ask.

    Parameters
    ----------
    judgements : sequence of Judgement
        One for each frame.
    vote : {"majority", "mean", "pooled"}
        The majority of the verdicts; the mean score against the threshold; or the mean log likelihood ratio against 0.
    rules : Rules, optional
        The prevalence of fakes, and the least confidence.
    of : str
        What has a vote, for people: "frame" or "face".

    Raises
    ------
    ModelFileError
        The vote is "pooled" and the model is not calibrated.
    """
    voters = [j for j in judgements if j.verdict != "inconclusive"]
    if not voters:
        return Ballot("inconclusive", 0, n_frames=len(judgements))
    n_fake = sum(j.verdict == "fake" for j in voters)
    ratios = [j.log10_likelihood_ratio for j in judgements if j.reason is None or j.reason in BY_SCORE]
    known = [ratio for ratio in ratios if ratio is not None]
    mean_ratio = float(np.mean(known)) if len(known) == len(ratios) else None
    mean_score = float(np.mean([j.score for j in voters]))
    if vote == "pooled" and mean_ratio is None:
        raise ModelFileError("the model is not calibrated and gives no likelihood ratios: `vote=majority` or mean")
    margin: float = {
        "majority": 2 * n_fake - len(voters),
        "mean": mean_score - voters[0].threshold,
        "pooled": mean_ratio or 0.0,
    }[vote]
    interval = wilson_interval(n_fake, len(voters))
    if len(voters) < max(LEAST_SHARE * len(judgements), min(LEAST_VOTES, len(judgements) / 2)):
        have = "has" if len(voters) == 1 else "have"
        doubt: str | None = f"only {len(voters)} of {counted(len(judgements), of)} {have} a vote: too few to decide"
    elif vote == "majority":
        doubt = _too_close(voters, n_fake, interval)
    else:
        doubt = _undecided(voters, mean_score)
    called: Verdict = "fake" if margin >= 0 else "real"
    if not doubt and not any(voter.verdict == called for voter in voters):
        doubt = f"{voters[0].model.class_name(called) or called} by the {vote} vote, though no frame is"
    doubt = doubt or _improbable(voters, called, mean_ratio, rules or Rules())
    verdict: Verdict = "inconclusive" if doubt else called
    return Ballot(verdict, len(voters), n_fake / len(voters), interval, mean_score, mean_ratio, len(judgements), doubt)


def _too_close(voters: Sequence[Judgement], n_fake: int, interval: tuple[float, float]) -> str | None:
    """Say so if votes are divided and could as well have come out the other way; None if they decide."""
    n, (low, high) = len(voters), interval
    if n_fake in (0, n) or not low <= 0.5 <= high:
        return None
    real, name = voters[0].model.class_names
    if 2 * n_fake == n:
        return f"a tie: as many frames are {name} as {real}"
    are = "is" if n_fake == 1 else "are"
    return (
        f"the vote is too close: {n_fake} of {n} votes {are} {name}, and the 95 % interval of their share, "
        f"{100 * low:.0f} to {100 * high:.0f} %, holds one half"
    )


def _undecided(voters: Sequence[Judgement], mean_score: float) -> str | None:
    """Say so if the mean score is one that the model leaves undecided."""
    zones = [voter.undecided for voter in voters if voter.undecided]
    if not any(low < mean_score < high for low, high in zones):
        return None
    return f"the mean score, {mean_score:.3f}, is one at which the model {voters[0].model.name} errs too often"


def _improbable(voters: Sequence[Judgement], called: Verdict, ratio: float | None, rules: Rules) -> str | None:
    """Say so if a verdict is less probable, by the mean likelihood ratio, than the rules ask."""
    if ratio is None or rules.min_confidence is None:
        return None
    confidence = rules.confidence(ratio, called)
    if confidence >= rules.min_confidence:
        return None
    name = voters[0].model.class_name(called) or called
    return f"{name} with a probability of only {confidence:.3f} by the mean likelihood ratio of its frames"


def decide(ballots: Sequence[Ballot]) -> Ballot:
    """Return the ballot that decides on a video: one fake face makes it fake; it is real if every face is.

    Among ballots of one verdict it is the one with the largest share of fakes.
    """
    order = {"fake": 0, "inconclusive": 1, "real": 2}
    return min(ballots, key=lambda b: (order[b.verdict], -(b.fake_fraction or 0.0)), default=Ballot("inconclusive", 0))


def wilson_interval(n_hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    """
    z2 = NORMAL_95**2
    centre = (n_hits + z2 / 2) / (n + z2)
    half = NORMAL_95 / (n + z2) * float(np.sqrt(n_hits * (n - n_hits) / n + z2 / 4))
    return max(0.0, centre - half), min(1.0, centre + half)


def doubts_in_words(judgements: Sequence[Judgement], of: str = "frame") -> list[str]:
    """Say how many frames, or faces, were inconclusive for which reason, each with an example."""
    counts = Counter(j.reason for j in judgements if j.reason)
    first = {j.reason: j.warnings[0] for j in reversed(judgements) if j.reason and j.warnings}
    return [
        f"{count} of {counted(len(judgements), of)} inconclusive"
        + (", of the first of these" if count > 1 and reason in first else "")
        + f": {first.get(reason, reason)}"
        for reason, count in counts.most_common()
    ]
