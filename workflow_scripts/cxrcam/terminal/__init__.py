"""What a run shows in the terminal: its progress, and at the end what was found."""
