"""Simulated GPUs for TensorFlow: logical CPU devices that stand for them.

The unmodified program lists GPUs, asks for ``/GPU:0``, builds a ``MirroredStrategy``; operations
are placed as TensorFlow's own rules would place them with the GPUs there, by the kernel tables of a
GPU build, and run on the host.  TensorFlow is imported by ``installation`` and what changes it;
names and kernel tables are read without it.
"""
