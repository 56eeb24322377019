"""The command line, `bursar`. It needs the extra ``cli``, and nothing else of bursar imports it."""
