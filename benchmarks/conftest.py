"""Keeps the figures of one run and prints their ratios: absolute times of different machines are not comparable."""

from collections import defaultdict

import pytest

FIGURES: pytest.StashKey[dict[str, dict[str, float]]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Figures by network and by what was measured, empty at first."""
    config.stash[FIGURES] = defaultdict(dict)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> dict[str, dict[str, float]]:
    """Figures of this run so far, by network and by what was measured."""
    return request.config.stash[FIGURES]


COLUMNS = {
    "VI step / point step": ("mean_field step s", "point step s"),
    "plain VI step / point step": ("plain step s", "point step s"),
    "flipout step / point step": ("flipout step s", "point step s"),
    "local step / point step": ("local step s", "point step s"),
    "five members / one, step": ("five members step s", "point step s"),
    "1,000 draws / 50 draws, memory": ("1000 draws of moments MB", "50 draws of moments MB"),
    "100 draws / 1 draw, time": ("100 draws s", "1 draw s"),
    "100 draws / 8 draws, memory": ("100 draws MB", "8 draws MB"),
    "100 draws by eight / at once, memory": ("100 draws MB", "100 draws at once MB"),
    "bayesian-torch / jaxloc, step": ("bayesian-torch step s", "jaxloc step s"),
    "bayesian-torch / jaxloc, prediction": ("bayesian-torch prediction s", "jaxloc prediction s"),
    "MC dropout in torch / jaxloc, prediction": ("MC dropout prediction s", "jaxloc prediction s"),
    "NonLinLoc / octree, CPU": ("NonLinLoc CPU s", "octree CPU s"),
    "NonLinLoc / grid search, CPU": ("NonLinLoc CPU s", "grid_search CPU s"),
    "EQcorrscan / matched filter, CPU": ("EQcorrscan CPU s", "matched filter CPU s"),
    "template-channel-days / second": ("template-channel-days", "matched filter CPU s"),
    "matched filter / proportional growth": ("CPU s", "proportional CPU s"),
}
GOALS = {
    "bayesian-torch / jaxloc, step": 1.7,
    "bayesian-torch / jaxloc, prediction": 1.3,
    "MC dropout in torch / jaxloc, prediction": 8.0,
    "NonLinLoc / octree, CPU": 20.0,
    "EQcorrscan / matched filter, CPU": 1.0,
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of ratios, and the figures that they are computed from."""
    figures = config.stash[FIGURES]
    if not figures:
        return
    terminalreporter.section("ratios within this run")
    for network, known in sorted(figures.items()):
        terminalreporter.line(network)
        for title, (above, below) in COLUMNS.items():
            if above in known and below in known:
                parts = f"{above} {known[above]:.3g}, {below} {known[below]:.3g}"
                parts += f"; goal {GOALS[title]}" if title in GOALS else ""
                terminalreporter.line(f"    {title:<40}{known[above] / known[below]:>8.2f}   ({parts})")
