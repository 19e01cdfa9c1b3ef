"""The version, model, features and settings that rows were made with: only equal ones may stand in one output."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_detect.outputs.rows import Row


@dataclass(frozen=True)
class MadeWith:
    """The version, model, features and settings of a run; it continues only outputs that were made with the same.

    Attributes
    ----------
    values : dict
        A value for each column in `RowKind.made_with`.
    model_sha256 : str or None
        Hash of the model; None if nothing is judged.
    threshold : str or None
        The threshold that it judges by, as text.
    has_posterior : bool
        Whether the prevalence is given.
    vote : str or None
        How the verdict on a video is made; None if the rows are not about videos.
    """

    values: dict[str, str]
    model_sha256: str | None = None
    threshold: str | None = None
    has_posterior: bool = False
    vote: str | None = None

    def difference(self, row: Row) -> str | None:
        """Say in words how a row was made otherwise; None if it was not, as far as the row tells."""
        values, mine = row.values, self.values
        if all(values.get(name) == mine[name] for name in mine):
            return None
        if values["tool_version"] != mine["tool_version"]:
            return f"made by version {values['tool_version']}, and this is {mine['tool_version']}"
        if values.get("spec") != mine.get("spec") or values.get("spec_sha256") != mine.get("spec_sha256"):
            return "made from other features (`model`, or `features` and `n_bins`)"
        if values["model_sha256"] and values["model_sha256"] != self.model_sha256:
            return f"judged by another model ({values['model']}, sha256 {values['model_sha256'][:12]}...)"
        if values["threshold"] and values["threshold"] != self.threshold:
            return f"judged by another threshold ({values['threshold']})"
        if bool(values["posterior"]) and not self.has_posterior:
            return "judged with `prevalence`, which is not given now"
        if self.vote is not None and values["vote"] != self.vote:
            return f"judged by another vote ({values['vote']})"
        return (
            "judged with other settings (`model`, `threshold`, `min_confidence`, `prevalence`, `stability`, "
            "`provenance`; for videos also the choice and the crop of frames)"
        )
