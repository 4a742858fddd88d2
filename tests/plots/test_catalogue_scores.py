"""Pictures of a judged catalogue, where shares and their intervals are at their ends."""

import numpy as np

from jaxloc.plots.catalogue_scores import bars, recall_by_magnitude, reliability


def test_bars_are_never_negative():
    found = bars(np.array([1.0, 0.5]), np.array([0.7, 0.4]), np.array([1.0 - 1e-16, 0.7]))
    np.testing.assert_allclose(found, [[0.3, 0.1], [0.0, 0.2]], atol=1e-12)


def test_shares_of_one_are_drawn(tmp_path):
    row = {"value": 1.0, "low": 0.77, "high": 0.9999999999999999}
    recall = recall_by_magnitude(tmp_path / "recall.png", [{"from": 1.0, "to": 1.5, "events": 13.0, **row}])
    odds = reliability(tmp_path / "odds.png", {"bins": [{"predicted": 0.99, **row}]})
    assert min(recall.stat().st_size, odds.stat().st_size) > 5_000
