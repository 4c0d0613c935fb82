"""Pages of the audit, one for each kind of image that a person is to look at."""
