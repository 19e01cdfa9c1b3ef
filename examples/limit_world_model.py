"""Ask models/world.pkl about sources found later, and set by them how low a score must be to be called real.

    python examples/limit_world_model.py LATER --sources docs/later_sources.csv --work WORK --output models
    python examples/limit_world_model.py LATER --sources docs/later_sources.csv --work OTHER --kind small

LATER/<label>/<name>/ holds the images of each row, as in `make_world_model.py`, which delivers them anew in the same
conditions. None may be known to the model. Scores up to the limit are called real: it becomes the largest, of two
digits, at which no more of the generated images are than was promised (a tenth; of small ones a twentieth), in each of
the usual conditions, each source counting alike. A limit that is stricter already stays, and so does the one from which
on scores are called fake. How often verdicts are right, by coding, is then that on these files; the card has their
table first.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from make_world_model import KINDS, Material, arguments_of, delivered, source_weights, tables, write

from spectral_detect import FAKE, Model, load_model
from spectral_detect.detector.memory.files import marks_of
from spectral_detect.training.track_records import track_records, verdicts_of

ASKED = "\nIt was asked about "
LATER = (
    "{n_files} files of {n_sources} sources found later, none of which it knew. "
    "By the limit that it was made with,\n{before:.2f}, it called {missed} % of the generated images real, "
    "by condition, where {promised:.0f} are promised. So only a score up\nto {low:.2f} is called real now, "
    "and what lies above is undecided up to {high:.2f}:\n"
)
BEFORE = "This table is of before: a score up to {before:.2f} was called real. AUROC and `fake` are the same today.\n"
OF_LEFT_OUT = "\nFive models, each trained without"


def missed(material: Material, scores: np.ndarray, limit: float) -> list[float]:
    """Return the share of generated images at or below a limit, by condition."""
    shares = []
    for condition in material.kind.conditions:
        here = (material.condition == condition) & (material.dataset.y == FAKE)
        if here.any():
            shares.append(float(np.average(scores[here] <= limit, weights=source_weights(material.source[here]))))
    return shares


def limit_of(material: Material, scores: np.ndarray) -> float:
    """Return the largest limit of two digits at which no condition misses more than was promised."""
    return max(k / 100 for k in range(100) if max(missed(material, scores, k / 100)) <= material.kind.errors[1])


def require_unknown(model: Model, material: Material) -> None:
    samples = zip(material.dataset.samples, material.source, strict=True)
    known = {source for sample, source in samples if np.isin(marks_of([sample.sha256]), model.file_marks).any()}
    if known:
        sys.exit(f"{model.name} knows images of {', '.join(sorted(map(str, known)))}: leave these sources out")


def later_card(model: Model, material: Material, scores: np.ndarray, before: float) -> str:
    """Return the card with the table of these sources before that of those left out of the training."""
    assert model.undecided is not None
    low, high = model.undecided
    shares = [100 * share for share in missed(material, scores, before)]
    text = LATER.format(
        n_files=len(scores), n_sources=len(set(material.source)), before=before, low=low, high=high,
        missed=f"{min(shares):.0f} to {max(shares):.0f}", promised=100 * material.kind.errors[1],
    )  # fmt: skip
    introduction, left_out = model.card.split(OF_LEFT_OUT)
    head, table = left_out.split("\n\n", 1)
    found = tables(material, scores, verdicts_of(scores, model.undecided))
    return introduction + ASKED + text + found + OF_LEFT_OUT + head + "\n" + BEFORE.format(before=before) + "\n" + table


def limited(judge: Model, material: Material) -> Model:
    """Return the model with its limit, its track record and its card by these files."""
    assert judge.undecided is not None
    require_unknown(judge, material)
    data = material.dataset
    scores = judge.scores(list(data.features))
    before, high = judge.undecided
    undecided = min(before, limit_of(material, scores)), high
    codings = [sample.coding for sample in data.samples]
    records = track_records(data.y, verdicts_of(scores, undecided), data.groups, codings)
    model = replace(judge, undecided=undecided, track_record=records)
    return replace(model, card=later_card(model, material, scores, before))


def main() -> None:
    args = arguments_of(__doc__, 24).parse_args()
    kind = replace(KINDS[args.kind], copies={})
    world = load_model(args.output / "world.pkl")
    judge = world if args.kind == "world" else world.small
    if judge is None or judge.card.count(OF_LEFT_OUT) != 1 or ASKED in judge.card:
        sys.exit(f"{args.output / 'world.pkl'} has its limit by such sources already, or no part of this kind")
    sources = [source for source in delivered(args, kind) if source.label in ("real", "fake")]
    model = limited(replace(judge, small=None), Material(args.work, sources, args.jobs, kind))
    print(model.card)
    whole, small = (model, world.small) if args.kind == "world" else (replace(world, small=None), model)
    write(whole.with_small(small) if small else whole, args.output)


if __name__ == "__main__":
    main()
