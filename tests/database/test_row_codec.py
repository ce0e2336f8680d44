"""Rows in one parameter: whatever goes in comes out the same, on both databases."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from sqlalchemy import BigInteger, Boolean, Double, Text, select
from sqlalchemy.types import TypeEngine

from tidewaiter.database.engine import Database
from tidewaiter.database.row_codec import PARAMETER, encode, rows_of

COLUMNS: Sequence[tuple[str, TypeEngine[Any]]] = (
    ("number", BigInteger()),
    ("name", Text()),
    ("at", Double()),
    ("flag", Boolean()),
)


async def _through(database: Database, rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    async with database.reading() as connection:
        found = await connection.execute(select(rows_of(database.dialect, COLUMNS)), {PARAMETER: encode(rows)})
        return [tuple(row) for row in found]


async def test_values_come_out_as_they_went_in(database: Database) -> None:
    """Nulls, the largest numbers, quotes, JSON inside of text, and any script."""
    rows: list[tuple[object, ...]] = [
        (1, "plain", 1.5, True),
        (2**63 - 1, None, None, None),
        (-(2**62) - 1, "", 0.1, False),
        (0, 'it\'s "quoted" \\ back\\u0041 {"a": [1]} \n\t\x01 ü 🚢', 1_750_000_000.123456, True),
        (3, "null", -1e300, False),
        (4, "\\u0000", 5e-324, False),
    ]
    assert await _through(database, rows) == rows
    assert await _through(database, []) == []


async def test_times_survive(database: Database) -> None:
    """Epoch seconds of this century come back to better than a microsecond."""
    rand = Random(5)
    times = [rand.uniform(1e9, 4e9) for _ in range(2_000)]
    found = await _through(database, [(0, None, at, None) for at in times])
    assert [row[2] for row in found] == pytest.approx(times, rel=0, abs=1e-6)


async def test_text_that_no_database_takes(database: Database) -> None:
    """NUL and lone surrogates are replaced one by one; whole pairs and escaped escapes are left alone."""
    rows: list[tuple[object, ...]] = [(1, "a\0b\ud800c\udfff", 1.0, True), (2, "\\u0000 🚢", None, None)]
    assert await _through(database, rows) == [(1, "a\ufffdb\ufffdc\ufffd", 1.0, True), (2, "\\u0000 🚢", None, None)]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_number(number: float) -> None:
    """What is not a number is refused here, not by the database."""
    with pytest.raises(ValueError, match="JSON compliant"):
        encode([(number,)])
