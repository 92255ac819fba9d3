"""Devices, processes, memory and one compiled program: where and how the algorithm runs."""
