"""The page that shows all results of a data set, opened from disk."""
