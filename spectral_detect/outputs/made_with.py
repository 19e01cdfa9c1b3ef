"""What the rows of an output were made with, and whether they may stand together with others."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_detect.outputs.rows import Row


@dataclass(frozen=True)
class Origin:
    """What the rows of this run are made with; an output goes on only with rows made with the same.

    Attributes
    ----------
    values : of the columns `Kind.origin`.
    models : hashes of the models that may judge. `thresholds` : those they may judge by, as text.
    has_posterior : whether the prevalence is given. `vote` : of videos.
    """

    values: dict[str, str]
    models: frozenset[str] = frozenset()
    thresholds: frozenset[str] = frozenset()
    has_posterior: bool = False
    vote: str | None = None

    def difference(self, row: Row) -> str | None:
        """How a row was made otherwise, as far as it tells; None where it was not."""
        values, mine = row.values, self.values
        if all(values.get(name) == mine[name] for name in mine):
            return None
        if values["tool_version"] != mine["tool_version"]:
            return f"made by version {values['tool_version']}, and this is {mine['tool_version']}"
        if values.get("spec") != mine.get("spec") or values.get("spec_sha256") != mine.get("spec_sha256"):
            return "made from other features (--model, or --features and --bins)"
        if values["model_sha256"] and values["model_sha256"] not in self.models:
            return f"judged by another model ({values['model']}, sha256 {values['model_sha256'][:12]}...)"
        if values["threshold"] and values["threshold"] not in self.thresholds:
            return f"judged by another threshold ({values['threshold']})"
        if bool(values["posterior"]) and not self.has_posterior:
            return "judged with --prevalence, which is not given now"
        if self.vote is not None and values["vote"] != self.vote:
            return f"judged by another vote ({values['vote']})"
        return (
            "judged with other settings (--model, --threshold, --min-confidence, --prevalence, --stability; of videos "
            "also the choice and the crop of frames)"
        )
