from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.server.times import duration_s, nanoseconds, rfc3339


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.booleans())
def test_durations(hours: int, minutes: int, seconds: int, negative: bool) -> None:
    sign = "-" if negative else ""
    written = f"{sign}{hours}h{minutes}m{seconds}s"
    meant = (hours * 60 + minutes) * 60 + seconds
    assert duration_s(written) == (-meant if negative else meant)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("5m", 300), ("1.5h", 5400), ("300ms", 0.3), ("0", 0), ("-1", -1), ("90", 90), ("+2s", 2)],
)
def test_a_duration(written: str, seconds: float) -> None:
    assert duration_s(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written", ["", "5 m", "m", "five", "5m!", "1.2.3", "--1", "nan", "1e3", "1h" * 9999]
)
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(ValueError, match=r"^.*$") as error:
        duration_s(written)
    assert str(error.value) == written


def test_points_in_time() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    assert nanoseconds(1.5) == 1_500_000_000
