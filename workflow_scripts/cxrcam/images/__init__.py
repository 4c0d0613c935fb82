"""One image: decoding whatever radiographs come as, grey levels, size, lung masks."""
