"""An application called with an environ: no sockets, a fresh process per framework and set."""
