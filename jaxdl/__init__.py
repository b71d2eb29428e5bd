"""Functional vision learning in JAX: import the room you need.

The rooms are listed in the README. Importing this package runs no JAX computation.
"""

__version__ = "0.1.0"
