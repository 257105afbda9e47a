"""`from pesto_stream.onnx import OnnxAlgorithm`: an ONNX model as an algorithm, in a few lines of algorithm/process.py."""

from pesto_stream.onnx.algorithm import OnnxAlgorithm

__all__ = ["OnnxAlgorithm"]
