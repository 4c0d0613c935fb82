"""From files on disk to the tables that everything else reads: index, pixel cache, splits."""
