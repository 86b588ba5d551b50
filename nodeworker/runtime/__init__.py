"""The container runtime: pods and containers on this machine, in Python.

`runtime.py` is what the agent calls; `zygote.py` and `shim.py` are the processes that do the work; `container.py` and
`init.py` tell how a container starts. This file stays empty of imports: the zygote imports the package, and pays for
everything that it names.
"""
