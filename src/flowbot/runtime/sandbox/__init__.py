"""Where model-written code runs: nowhere near this process, its files, its environment or the network.

The seam is `Sandbox`. `MontySandbox`, the default, is a Python interpreter that has no access to the system at all;
`BubblewrapSandbox` is full CPython in a process of its own that the system confines. Where neither can be had, running
code is refused.
"""
