"""What node and control plane must understand in the same way: quantities, references, selectors, the status word.

Standard library and msgspec only, no input or output, so that a node installs it alone and apps.kinds stays pure.
"""
