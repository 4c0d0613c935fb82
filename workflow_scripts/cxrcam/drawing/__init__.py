"""Style, captions and tables that figures, maps and pages share."""
