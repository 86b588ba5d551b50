"""The node: agent, runtime, images, network. No Django; installs alone."""
