"""The verdict: one line a check, drawn from what the audit measured."""
