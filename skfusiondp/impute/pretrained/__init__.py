"""The embedded foundation model: a network that sets kernels, and the process that it sets them for."""
