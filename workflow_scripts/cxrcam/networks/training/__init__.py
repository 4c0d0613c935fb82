"""Training: a job, its loop, its steps, and what it learns by."""
