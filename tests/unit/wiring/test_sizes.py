from __future__ import annotations

import pytest

from pesto_stream.wiring.sizes import HEADROOM_BYTES, dead_letter_warning


def test_a_dead_letter_topic_that_could_refuse_a_taken_record_is_told_with_the_remedy():
    warning = dead_letter_warning({"tiles": 1_000_000, "tiles.dead": 1_000_000}, "tiles", "tiles.dead")

    assert "'tiles.dead' takes records of 1000000 bytes" in warning
    assert f"set max.message.bytes of 'tiles.dead' to {1_000_000 + HEADROOM_BYTES}" in warning


@pytest.mark.parametrize(
    "sizes", [{"tiles": 1000, "tiles.dead": 1000 + HEADROOM_BYTES}, {"tiles": 1000}, {"tiles.dead": 1000}, {}]
)
def test_enough_room_or_a_limit_that_is_not_known_is_no_reason_to_warn(sizes):
    assert dead_letter_warning(sizes, "tiles", "tiles.dead") is None
