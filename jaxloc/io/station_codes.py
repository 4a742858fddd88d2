"""Codes of stations as programs write them: NET.STA, STA alone, NETSTA (HypoDD), NET_STA_LOC (labels)."""

import re
from collections import Counter
from collections.abc import Iterable

LABEL = re.compile(r"([A-Z0-9]{1,2})_([A-Z0-9]{1,5})_(?:[A-Z0-9]{2}|--)")


def code_of_label(label: str) -> str:
    """NET.STA of a label NET_STA_LOC, whose location is two characters or --; any other label as it is."""
    found = LABEL.fullmatch(label)
    return f"{found[1]}.{found[2]}" if found else label


def by_spelling(codes: Iterable[str]) -> dict[str, str]:
    """The code for each shorter spelling, STA and NETSTA, that stands for one code alone."""
    spelled = {code: {code.rpartition(".")[2], code.replace(".", "")} for code in codes}
    count = Counter(name for names in spelled.values() for name in names)
    return {name: code for code, names in spelled.items() for name in names if count[name] == 1}
