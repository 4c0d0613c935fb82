"""Pictures and tables at publication quality."""
