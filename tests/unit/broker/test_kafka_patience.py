import threading

import pytest

from pesto_stream.broker.kafka_patience import TookTooLong, within


def test_what_the_call_returns_is_returned():
    assert within(30, lambda: 7) == 7


def test_what_the_call_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        within(30, lambda: 1 // 0)


def test_a_call_without_an_end_is_left_alone():
    released = threading.Event()
    with pytest.raises(TookTooLong):
        within(0.01, released.wait)
    released.set()
