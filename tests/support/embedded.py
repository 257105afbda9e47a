"""Faults of the embedded broker, on demand."""

from pesto_stream.broker.kafka_embedded import EmbeddedBroker

# error codes of the Kafka protocol
MSG_SIZE_TOO_LARGE = 10
NOT_ENOUGH_REPLICAS = 19
ILLEGAL_GENERATION = 22
REBALANCE_IN_PROGRESS = 27

# keys of its requests
_PRODUCE = 0
_OFFSET_COMMIT = 8
_OFFSET_FETCH = 9


class Faults:
    """The next requests of a kind are answered with the errors given, one each."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker

    def on_produce(self, *codes: int) -> None:
        self._push(_PRODUCE, codes)

    def on_commit(self, *codes: int) -> None:
        self._push(_OFFSET_COMMIT, codes)

    def on_reading_positions(self, *codes: int) -> None:
        self._push(_OFFSET_FETCH, codes)

    def _push(self, api_key: int, codes: tuple[int, ...]) -> None:
        self._broker.request("push_errors", api_key=api_key, codes=list(codes))

    def down(self) -> None:
        """Cut all connections and refuse new ones."""
        self._broker.request("set_up", up=False)

    def up(self) -> None:
        self._broker.request("set_up", up=True)

    def round_trip(self, milliseconds: int) -> None:
        self._broker.request("set_round_trip", milliseconds=milliseconds)
