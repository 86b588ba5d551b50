"""One file a kernel primitive: thin, typed, standard library only, no policy. Used by the runtime and the agent."""
