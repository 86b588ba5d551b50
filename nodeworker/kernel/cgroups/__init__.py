"""Control groups, version 1 and 2 behind the same few calls.

`hierarchy.Cgroups` decides controller by controller, from mountinfo, which version serves it; `v1.py` and `v2.py` know
the files; `limits.py` is what both understand; `device_filter.py` is version 2's device program.
"""
