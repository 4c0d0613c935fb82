"""The configuration: read, completed from the schema, checked, and its faults explained."""
