"""A finished run as a research object that others can read: Workflow Run RO-Crate."""
