"""Settings of a study that would have no effect are refused, by name."""

from collections.abc import Mapping, Sequence
from typing import Any

SHIFTED = ("drop_stations", "noise", "records", "transfer")  # settings that give shifted conditions


def check_study(study: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse settings of a study that have no effect.

    Raises:
        ValueError: for a method that a network names and the study lacks, or an override that changes nothing; names
            the key.
    """
    for name, network in study["networks"].items():
        if unknown := [method for method in network["methods"] if method not in study["methods"]]:
            raise ValueError(
                f"networks.{name}.methods names {unknown[0]!r}; the study has {', '.join(study['methods'])}; use these"
            )
    evaluation, given = study["evaluation"], {override.lstrip("+").partition("=")[0] for override in overrides}
    if "size_key" in given and not any(network["sizes"] for network in study["networks"].values()):
        raise ValueError("size_key has no effect: no network has sizes; give networks.NAME.sizes or omit it")
    if "evaluation.shifted" in given and not any(evaluation[key] for key in SHIFTED):
        raise ValueError(
            "evaluation.shifted has no effect: the study has no shifted condition; give evaluation.drop_stations, "
            "evaluation.noise, evaluation.records or evaluation.transfer, or omit it"
        )
