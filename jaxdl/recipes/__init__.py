"""What the experiment scripts share: config sections and the command line."""
