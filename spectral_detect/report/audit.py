"""Write an audit of a labelled data set, and of its matched copy, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spectral_detect.audit.dataset_audit import DatasetAudit
from spectral_detect.audit.duplicates import Duplicates
from spectral_detect.audit.facts import CategorySummary, FactComparison, NumberSummary
from spectral_detect.audit.matched_copy import AuditedCopy
from spectral_detect.text import counted, visible

MOST_NAMED = 3
WIDEST_CELL = 34
FEW_PAIRS = 2
UNSURE = 0.8  # of a metadata AUROC that may be as high, nobody knows that it is that of chance
TO_PAIR = (
    "An estimate of accuracy is too good or too bad unless a manifest puts each pair of lookalikes into one group;",
    "audit --fix OUT writes such a manifest.csv, of all pairs, beside a matched copy.",
)
MEASURES = {"ks": "KS", "cramers_v": "V"}


def audit_text(audit: DatasetAudit) -> str:
    """Return the report of `audit`."""
    lines = [
        f"images               {audit.n_real} real, {audit.n_fake} fake, {audit.n_groups} groups",
        f"metadata AUROC       {_auroc(audit)}",
        "",
        f"{'fact':<17}{'strength':>9}   {'real':<{WIDEST_CELL}}  fake",
        *(_fact_line(name, fact, name in audit.culprits) for name, fact in audit.facts.items()),
        "* differs beyond chance; - not shown to the classifier, as the content moves it",
        "",
        *_duplicate_lines(audit.duplicates),
        "",
        verdict(audit),
    ]
    return "\n".join(lines)


def verdict(audit: DatasetAudit) -> str:
    """Say in words what the audit has found."""
    n_both = audit.duplicates.exact.across.n_pairs
    if n_both:
        return (
            f"CONTRADICTORY: {counted(n_both, 'pair')} of a real and a fake image with the same content; remove one of "
            "each pair."
        )
    if audit.metadata_auroc is None:
        return f"Not measured: {audit.reason}."
    if not audit.is_biased and audit.metadata_auroc_ci and audit.metadata_auroc_ci[1] >= UNSURE:
        return (
            f"Not known: so few images may hide metadata that tell the classes apart with an AUROC of up to\n"
            f"{audit.metadata_auroc_ci[1]:.2f}. Remedy: add images that do not look the same."
        )
    if not audit.is_biased:
        return "Fair, as far as metadata tell: they separate the classes no better than chance could."
    return (
        f"BIASED: {_which_tell(audit.culprits)} real from fake.\n"
        f"A classifier that sees only metadata, no pixel, reaches an AUROC of {_auroc(audit)};\n"
        "a detector learns that, not the generator's traces. Remedy: audit --fix OUT writes a matched copy."
    )


def bias_warning(audit: DatasetAudit) -> str:
    """Return the verdict on biased classes in one line."""
    return (
        f"{_which_tell(audit.culprits)} the classes apart: metadata alone reach an AUROC of {_auroc(audit)}; "
        "a detector learns that, not the traces in the pixels: spectral-detect audit says more, its --fix matches them"
    )


def fix_text(fix: AuditedCopy) -> str:
    """Return the report of `audit --fix`: the copy and its own audit."""
    side_px, qualities = fix.copy.format.side_px, sorted({*fix.copy.format.qualities})
    quality = f"{qualities[0]}" if len(qualities) == 1 else f"{qualities[0]} to {qualities[-1]}, as the reals"
    dropped = ", ".join(f"{n} {visible(reason)}" for reason, n in fix.copy.n_dropped.items()) or "none"
    lines = [
        f"matched copy         {visible(fix.output)}: {fix.copy.n_real} real, {fix.copy.n_fake} fake",
        f"                     central {side_px}x{side_px} pixels, not resampled; JPEG quality {quality}",
        f"dropped              {dropped}",
        "",
        "the copy's own audit",
        audit_text(fix.audit),
        *_apart_lines(fix),
    ]
    return "\n".join(lines)


def _apart_lines(fix: AuditedCopy) -> Iterator[str]:
    """Say what no copy can undo."""
    if not fix.copy.codings_apart:
        return
    counts = (
        f"{kind} ({real} real, {fake} fake{', of other qualities' if real and fake else ''})"
        for kind, (real, fake) in fix.copy.codings_apart.items()
    )
    yield f"CANNOT BE MATCHED: the originals were {'; '.join(counts)}."
    yield "A JPEG does not hide what such a coding lost: the copy's pixels tell the classes apart, if no metadata do."
    yield "Get both classes in one coding. A model trained on this copy calls images of these codings inconclusive."


def _auroc(audit: DatasetAudit) -> str:
    if audit.metadata_auroc is None or audit.metadata_auroc_ci is None:
        return f"- ({audit.reason})"
    low, high = audit.metadata_auroc_ci
    return f"{audit.metadata_auroc:.3f} (interval {low:.3f} to {high:.3f})"


def _which_tell(names: Sequence[str]) -> str:
    """Return words such as "width and height tell"."""
    words = [_title(name) for name in names]
    if len(words) > MOST_NAMED:
        words = [*words[:MOST_NAMED], f"{len(words) - MOST_NAMED} more"]
    return f"{words[0]} tells" if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]} tell"


def _title(name: str) -> str:
    return name.replace("_", " ")


def _fact_line(name: str, fact: FactComparison, is_culprit: bool) -> str:
    mark = "*" if is_culprit else " " if fact.is_seen else "-"
    strength = f"{MEASURES[fact.measure]} {fact.strength:.2f}"
    real, fake = (_summary(values)[:WIDEST_CELL] for values in (fact.real, fact.fake))
    return f"{_title(name):<17}{strength:>9} {mark} {real:<{WIDEST_CELL}}  {fake}".rstrip()


def _summary(values: NumberSummary | CategorySummary) -> str:
    if isinstance(values, NumberSummary):
        low, median, high = (f"{v:.4g}" if v < 1000 else f"{v:.0f}" for v in (values.min, values.median, values.max))
        return low if low == high else f"{low} to {high}, median {median}"
    if values.n_values == 1:
        return visible(next(iter(values.counts)))
    shares = (f"{visible(value)} {count}" for value, count in values.counts.items())
    return ", ".join(shares) + (", ..." if values.n_values > len(values.counts) else "")


def _duplicate_lines(duplicates: Duplicates) -> Iterator[str]:
    for title, pairs in (("same file", duplicates.exact), ("look the same", duplicates.near)):
        yield (
            f"{title:<20} {pairs.real.n_pairs} pairs within real, {pairs.fake.n_pairs} within fake, "
            f"{pairs.across.n_pairs} of a real and a fake"
        )
        for first, second in pairs.across.first[:FEW_PAIRS]:
            yield f"{'':<20} {visible(first)} and {visible(second)}"
        if pairs.across.n_pairs > FEW_PAIRS:
            yield f"{'':<20} and {pairs.across.n_pairs - FEW_PAIRS} more"
    if duplicates.near.across.n_pairs:
        yield from TO_PAIR
