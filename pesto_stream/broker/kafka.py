"""The adapters to Apache Kafka, each in a module of its own."""

from pesto_stream.broker.kafka_admin import KafkaAdmin
from pesto_stream.broker.kafka_consumer import KafkaConsumer
from pesto_stream.broker.kafka_producer import KafkaProducer

__all__ = ["KafkaAdmin", "KafkaConsumer", "KafkaProducer"]
