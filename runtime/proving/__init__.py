"""Proves a bundle's variants on this machine, times those that work, and remembers the fastest.

choose    the variant to run: the bundle's own where it was made, else the fastest here
build     tries every variant on every device
trial     proves one by the golden frames, in a process of its own where a driver might break it
race      times two engines at a time
remember  keeps the answer in the user's cache
"""
