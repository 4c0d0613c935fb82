"""One thin entry script per rule; the library under them is `workflow_scripts.cxrcam`."""
