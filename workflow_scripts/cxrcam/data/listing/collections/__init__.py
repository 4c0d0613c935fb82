"""Public collections of chest X-rays as they unpack, one file each: no conversion by hand."""
